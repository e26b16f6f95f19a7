"""`batchsearch recover`: a ledger made anew from the parts, so that nothing is asked for twice."""

import json
import signal
import sqlite3
from contextlib import closing

import pandas as pd
import pyarrow as pa
import pytest


def whole(night, rows=30):
    """Verify finds nothing wrong, and every row stands once."""
    code, _, text = night.do("verify", night.out)
    assert code == 0, text
    assert night.rows() == [f"r{n:02}" for n in range(rows)]


def test_after_recovering_nothing_is_asked_for_again(lost):
    """Whatever became of the ledger: the same results, hits and history, and the next run makes no call."""
    code, said, text = lost.do("recover", lost.out)
    assert code == 0, text
    assert said["folders"][0]["rows"] == 30
    code, summary, text = lost.run()
    assert (code, summary["resumed"], summary["calls"]) == (0, 30, 0), text
    assert lost.calls() == lost.calls_before
    whole(lost)
    after, before = (
        frame.sort_values("row_key").reset_index(drop=True)
        for frame in (pd.read_parquet(lost.out / "results"), lost.results_before)
    )
    pd.testing.assert_frame_equal(after, before)
    assert lost.files().keys() >= lost.files_before.keys()


@pytest.mark.parametrize("point", ["recover_begun", "recover_settled", "recover_cleared"])
def test_a_recovery_that_is_killed_can_be_made_again(night, monkeypatch, point):
    """Killed at any step, no run begins over what is half done, and recovering again loses nothing."""
    calls = night.calls()
    with monkeypatch.context() as killing:
        killing.setenv("BATCHSEARCH_CRASH_AT", f"{point}:1")
        assert night.do("recover", night.out)[0] == -signal.SIGKILL
    code, _, said = night.run()
    assert code == 6, said
    assert night.do("recover", night.out)[0] == 0
    code, summary, said = night.run()
    assert (code, summary["resumed"], night.calls()) == (0, 30, calls), said
    whole(night)


def test_what_is_damaged_is_given_up_only_when_asked(night):
    """A part cut short is named and nothing changed; given up on demand, its rows alone are asked for."""
    part = min((night.out / "results").iterdir())
    rows = pd.read_parquet(part)
    part.write_bytes(part.read_bytes()[:-200])
    files, calls = night.files(), night.calls()
    code, _, said = night.do("recover", night.out)
    assert code == 6, said
    assert part.name in said
    assert night.files() == files
    assert night.run()[0] == 6
    code, told, said = night.do("recover", night.out, "--without-damaged")
    assert (code, told["folders"][0]["lost"]) == (0, len(rows)), said
    assert night.files().keys() == files.keys()
    code, summary, said = night.run()
    assert (code, summary["resumed"]) == (0, 30 - len(rows)), said
    assert night.calls() - calls <= len(rows)
    whole(night)


def test_outcomes_that_no_part_holds_are_taken_over(night):
    """What an older ledger holds and no part does is kept: the next run writes it without a call."""
    with closing(sqlite3.connect(night.out / "ledger" / "ledger.sqlite3")) as connection, connection:
        result = json.dumps({"row_key": "extra", "outcome": "ok", "operation": "SearchImageByPic"}).encode()
        names = pd.read_csv(night.folder / "manifest.csv").columns
        schema = pa.schema([(name, pa.string()) for name in names])
        carried = pa.record_batch([["extra"], ["x.jpg"], ["demo"], ["1"]], schema=schema)
        connection.execute(
            "INSERT INTO pending (replaces, result, hits, carried) VALUES (0, ?, '', ?)",
            (result, carried.serialize().to_pybytes()),
        )
        connection.execute("UPDATE pending SET hits = x''")
    connection.close()
    code, told, said = night.do("recover", night.out)
    assert (code, told["folders"][0]["waiting"]) == (0, 1), said
