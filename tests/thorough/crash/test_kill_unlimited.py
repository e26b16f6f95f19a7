"""A run without a rate, killed wherever it is: the embedded instance and the ledger keep what they said."""

import signal

import pandas as pd
import pytest
from crash_rig.checks import table
from run_rig import command

from batchsearch.engine.run.direct_calls import calls_at_once
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.output_layout import LEDGER

ROWS = 40
PLACES = ("before_send:5", "answer_read:12", "ledger_commit_before:9", "ledger_commit_after:20")


def run(job, *arguments, crash_at=""):
    env = {"BATCHSEARCH_CRASH_AT": crash_at} if crash_at else None
    return command("run", job, "--no-progress", *arguments, env=env, timeout=600)


def calls_counted(folder):
    with LedgerReader(folder / LEDGER) as ledger:
        return sum(amount for key, amount in ledger.usage().items() if key.counter == "calls")


@pytest.mark.parametrize("operation", ["AddImage", "SearchImageByPic"])
def test_killed_anywhere_and_run_again_gives_the_same_output(make_job, tmp_path, operation):
    """After SIGKILL at four places each row has one outcome, and few calls more were made than rows."""
    rows = [{"id": f"r{n:02}", "image": f"p{n:02}.jpg"} for n in range(ROWS)]
    columns = {"product_id": "id", "pic_name": "id", "image": "image"}
    settings = {"manifest__columns": columns}
    if operation == "SearchImageByPic":
        catalogue = {"manifest": {"path": "manifest.csv", "key": ["id"], "columns": columns}}
        settings = {"emulator__catalogue": catalogue | {"root": "IMAGES"}}
    job = make_job(
        rows,
        operation=operation,
        instance__endpoint="emulator",
        instance__qps="unlimited",
        instance__custom_qps=False,
        output__rows_per_part=7,
        **settings,
    )
    text = job.read_text(encoding="utf-8")
    root = next(line.split(": ", 1)[1] for line in text.splitlines() if line.startswith("  root: "))
    job.write_text(text.replace("IMAGES", root), encoding="utf-8")
    for place in PLACES:
        assert run(job, crash_at=place).returncode == -signal.SIGKILL, place
    last = run(job)
    assert last.returncode == 0, last.stderr
    untouched = run(job, "--set", f"output.dir={tmp_path / 'untouched'}")
    assert untouched.returncode == 0, untouched.stderr
    names = ("results",) if operation == "AddImage" else ("results", "hits")
    for name in names:
        pd.testing.assert_frame_equal(table(tmp_path / "out", name), table(tmp_path / "untouched", name))
    assert len(table(tmp_path / "out", "results")) == ROWS
    # What a kill loses are the calls that were under way, and these are counted when they are made again.
    assert calls_counted(tmp_path / "untouched") == ROWS
    assert ROWS <= calls_counted(tmp_path / "out") <= ROWS + len(PLACES) * calls_at_once()
