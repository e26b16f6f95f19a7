"""A console about a product instance that holds the sample catalogue."""

import pytest

from batchsearch.console.console_options import ConsoleOptions

from . import Visitor, demo_settings, running_console


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    """A console about a product instance that holds the sample catalogue."""
    folder = tmp_path_factory.mktemp("console")
    settings = demo_settings(folder, "instance.service_type=product")
    with running_console(settings, ConsoleOptions(history=folder / "history", outputs=folder)) as running:
        yield running


@pytest.fixture
def visitor(console):
    return Visitor(console)
