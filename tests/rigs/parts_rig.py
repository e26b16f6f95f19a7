"""A writer of parts, and a ledger, in a test's own folder."""

import pytest

from batchsearch.storage.ledger.store import Ledger
from batchsearch.storage.parts.part_files import PartWriter
from batchsearch.storage.parts.results_and_hits import hits_schema, own_results_schema, results_schema


def writer_of(folder, carried, kind=PartWriter):
    """A writer of searches' parts that carry these columns."""
    made = kind(
        folder,
        results_schema=results_schema("SearchImageByPic", carried),
        own_schema=own_results_schema("SearchImageByPic"),
        hits_schema=hits_schema(),
        passthrough_schema=carried,
    )
    made.prepare()
    return made


@pytest.fixture
def ledger(tmp_path):
    """A ledger that is closed after the test."""
    opened = Ledger(tmp_path / "ledger.sqlite3")
    yield opened
    opened.close()
