"""Readers of an output whose files are not those that were sealed: named, with exit code 6, never counted."""

import shutil
import signal

import pandas as pd
import pytest
from run_rig import said

import batchsearch
from batchsearch.errors import OutputDamagedError


def exchanged(part, other):
    content = part.read_bytes()
    part.write_bytes(other.read_bytes())
    other.write_bytes(content)


def one_bit_flipped(part, _):
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 4
    part.write_bytes(content)


SPOILT = {
    "removed": lambda part, _: part.unlink(),
    "cut_off": lambda part, _: part.write_bytes(part.read_bytes()[: part.stat().st_size // 2]),
    "emptied": lambda part, _: part.write_bytes(b""),
    "exchanged": exchanged,
    "one_bit_flipped": one_bit_flipped,
    "stray_copy": lambda part, _: shutil.copy(part, part.with_name(f"{part.stem}-copy.parquet")),
}


@pytest.mark.parametrize("table", ["results", "hits"])
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_no_reader_counts_what_is_not_what_was_sealed(night, spoil, table):
    """Report, diff and the Python API name the part and end with exit code 6 in place of false counts."""
    part, other = sorted((night.out / table).iterdir())[:2]
    before = night.folder / "before"
    shutil.copytree(night.out, before)
    spoil(part, other)
    readers = (("report", night.out, "--pictures", "0"), ("diff", before, night.out), ("export", night.out))
    for arguments in readers:
        code, text = said(*arguments)
        assert code == 6, text
        assert part.stem in text
    with pytest.raises(OutputDamagedError, match=part.stem):
        batchsearch.open_output(night.out).table(table)


def test_a_copy_without_its_ledger_is_read_and_said_to_be_unchecked(night):
    """A folder copied without `ledger/` has the same rows; every reader says that it could not be checked."""
    copy = night.folder / "copy"
    shutil.copytree(night.out, copy, ignore=shutil.ignore_patterns("ledger"))
    whole, unchecked = batchsearch.open_output(night.out), batchsearch.open_output(copy)
    assert unchecked.results().num_rows == whole.results().num_rows == 30
    assert whole.unchecked is None
    assert "could not be checked" in unchecked.unchecked
    code, text = said("report", copy, "--no-page", "--markdown", "-")
    assert code == 0, text
    assert "could not be checked" in text
    code, text = said("diff", night.out, copy)
    assert (code, "could not be checked" in text, "Nothing differs" in text) == (0, True, True), text


def test_a_copy_with_its_ledger_needs_no_second_reading(night, monkeypatch):
    """What a run has compared is not read again, in the folder or in a copy that keeps the files' times."""
    read = []
    monkeypatch.setattr("batchsearch.storage.sealed.difference.sha256_of", read.append)
    assert batchsearch.open_output(night.out).results().num_rows == 30
    assert not read


def test_what_a_killed_run_has_left_is_not_read_twice(night, monkeypatch):
    """A part that its run did not come to seal is no row of the output: its outcomes wait in the ledger."""
    killed = night.folder / "killed"
    monkeypatch.setenv("BATCHSEARCH_CRASH_AT", "part_seal_before:3")
    assert night.run("--set", f"output.dir={killed}")[0] == -signal.SIGKILL
    files = list((killed / "results").iterdir())
    rows = batchsearch.open_output(killed).results()
    assert len(files) == 3
    assert rows.num_rows == 2 * 4 < sum(len(pd.read_parquet(file)) for file in files)
    assert said("report", killed, "--no-page")[0] == 0
