"""Files that are refused are let go of at once, not when somebody collects the garbage."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from batchsearch.emulator.search.items import ItemStore
from batchsearch.errors import BatchsearchError
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.ledger.store import Ledger
from batchsearch.tasks.dedup.verifying.feature_store import FeatureStore

HANDLES = Path("/proc/self/fd")


def looked_at(path):
    with LedgerReader(path) as reader:
        reader.usage()


OPENING = {
    "a ledger": Ledger,
    "a ledger that is looked at": looked_at,
    "an instance's items": lambda path: ItemStore(path, {}),
}


def held(folder):
    """What this process holds open in a folder."""
    found = []
    for handle in HANDLES.iterdir():
        try:
            name = str(handle.readlink())
        except FileNotFoundError:  # the one that lists them
            continue
        if name.startswith(f"{folder}/"):
            found.append(name)
    return found


def no_database(path):
    path.write_bytes(b"no database at all" * 300)


def of_a_later_version(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def spoilt(path):
    """The first page is a database's, what it leads to is not."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE meta (name, value); PRAGMA user_version = 2")
    data = bytearray(path.read_bytes())
    data[100:] = b"\x55" * (len(data) - 100)
    path.write_bytes(data)


@pytest.mark.skipif(not HANDLES.exists(), reason="this system does not list a process's handles")
@pytest.mark.parametrize("make", [no_database, of_a_later_version, spoilt])
@pytest.mark.parametrize("opening", OPENING.values(), ids=OPENING)
def test_a_file_that_is_refused_is_closed(tmp_path, opening, make):
    """Whatever is wrong with a file, nothing holds it once it is refused, though the error lives on."""
    path = tmp_path / "file.sqlite3"
    make(path)
    with pytest.raises(BatchsearchError) as refused:
        opening(path)
    assert refused.traceback  # keeps alive what the failing calls had at hand
    assert held(tmp_path) == []


@pytest.mark.skipif(not HANDLES.exists(), reason="this system does not list a process's handles")
@pytest.mark.parametrize("make", [no_database, of_a_later_version, spoilt])
def test_features_that_are_made_anew_leave_nothing_open(tmp_path, make):
    """The spoilt file that new features take the place of is closed, and theirs with the store."""
    path = tmp_path / "features.sqlite"
    make(path)
    with FeatureStore(path):
        assert not [name for name in held(tmp_path) if name.endswith("(deleted)")]
        assert str(path) in held(tmp_path)
    assert held(tmp_path) == []


def test_no_connection_is_left_to_the_collector():
    """A `with` over an SQLite connection commits and does not close: Python 3.13 warns of that."""
    root = Path(__file__).parents[3]
    for path in (path for name in ("batchsearch", "tests") for path in (root / name).rglob("*.py")):
        assert "with sqlite3." + "connect(" not in path.read_text(encoding="utf-8"), path
