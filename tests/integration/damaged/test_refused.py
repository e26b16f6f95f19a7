"""Outputs whose ledger is lost, empty or an older one: refused with the ways on, and nothing is deleted."""

import pytest
from sqlite_rig import executed

from batchsearch.storage.ledger.checksum import forget_sum

ONE_BECOMES_ANOTHER = "UPDATE rows SET digest = randomblob(16) WHERE digest = (SELECT max(digest) FROM rows)"


@pytest.mark.parametrize("command", [("run", "--max-calls", "1"), ("run",), ("compact",)], ids=" ".join)
def test_parts_without_their_ledger_are_refused_and_kept(lost, command):
    """Whatever became of the ledger: exit code 6, no call, no sealed file moved, the ways on said."""
    code, _, said = lost.run(*command[1:]) if command[0] == "run" else lost.do("compact", lost.out)
    assert code == 6, said
    assert "batchsearch recover" in said
    assert lost.files() == lost.files_before
    assert lost.calls() == lost.calls_before
    assert lost.do("verify", lost.out)[0] == 3


def test_a_sealed_part_that_is_missing_changed_or_swapped_ends_the_run_first(night):
    """Sealed parts are looked at before anything is moved: no leftover is touched while one is wrong."""
    parts = sorted((night.out / "hits").iterdir())
    left = night.out / "results" / "part-000099.parquet.tmp"
    left.write_bytes(b"half a part")
    sizes = [path.read_bytes() for path in parts[:2]]
    parts[0].write_bytes(sizes[1])
    parts[1].write_bytes(sizes[0])
    calls = night.calls()
    code, _, said = night.run()
    assert code == 6, said
    assert parts[0].name in said
    assert left.exists()
    assert night.calls() == calls
    for path, content in zip(parts, sizes, strict=False):
        path.write_bytes(content)
    code, _, said = night.run()
    assert code == 0, said
    assert not left.exists()


def lose_a_row(night):
    """A row of the ledger becomes another one; its file."""
    ledger = night.out / "ledger" / "ledger.sqlite3"
    forget_sum(ledger)  # what is written here is not noted
    executed(ledger, "UPDATE rows SET digest = randomblob(16) WHERE digest = (SELECT max(digest) FROM rows)")
    return ledger


def test_a_row_that_the_ledger_lost_is_noticed_before_it_is_paid_for_again(night):
    """A flipped bit makes a row another one: the ledger's rows are no longer those that it ended with."""
    lose_a_row(night)
    calls, files = night.calls(), night.files()
    code, _, said = night.run()
    assert code == 6, said
    assert night.calls() == calls
    assert night.files() == files


def test_a_row_doubled_in_the_parts_never_ends_in_0(night):
    """The keys in the parts are compared with the ledger's and the manifest's at the end of every run."""
    ledger = lose_a_row(night)
    # As after a kill: nothing was noted at the end.
    executed(ledger, "UPDATE meta SET value = '' WHERE name = 'keys'")
    code, ended, said = night.run()
    assert (code, ended["status"]) == (6, "damaged"), said
    assert "batchsearch verify" in ended["message"]
    assert night.do("verify", night.out)[0] == 3


def test_a_ledger_that_was_left_open_is_checked(night):
    """After an end that was not clean the whole ledger is read once: a page that is none ends the run."""
    path = night.out / "ledger" / "ledger.sqlite3"
    data = bytearray(path.read_bytes())
    [(page,)] = executed(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'usage'")
    data[(page - 1) * 4096 : (page - 1) * 4096 + 64] = b"\x55" * 64
    path.write_bytes(data)
    path.with_name("ledger.sqlite3-wal").write_bytes(b"\0" * 32)
    calls = night.calls()
    code, _, said = night.run()
    assert code == 6, said
    assert "is damaged" in said
    assert night.calls() == calls
