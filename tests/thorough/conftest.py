"""The fixtures of the rigs are at hand; what takes long by nature has its time."""

import os
from pathlib import Path

import pytest
from crash_rig.fixtures import campaign, jobs, recorder, runs, world
from object_stores_rig import bucket, line, s3_account, s3_server
from shop_rig.fixtures import image_server, shop

__all__ = [
    "bucket",
    "campaign",
    "image_server",
    "jobs",
    "line",
    "recorder",
    "runs",
    "s3_account",
    "s3_server",
    "shop",
    "world",
]

HERE = Path(__file__).parent


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers():
    """As many workers as cores: these tests keep them busy, and have a time each."""
    return os.cpu_count() or 1


def pytest_collection_modifyitems(items):
    """Processes that are started and killed by the dozen are slow on a machine that does other things too."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))
