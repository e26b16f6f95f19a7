"""Running a job again another night: who gets a new outcome, who keeps the old one, what is paid for it."""

import os
import shutil
import sqlite3
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from batchsearch.emulator.faults import ErrorAnswer, FaultPlan, FaultRule
from batchsearch.emulator.pictures import decode_picture
from batchsearch.emulator.records import NewItem
from batchsearch.engine.again import job_of
from batchsearch.engine.choice import Chosen
from batchsearch.engine.compacting import compact
from batchsearch.engine.job import run_job
from batchsearch.engine.planning import plan_job
from batchsearch.errors import ConfigError, OutputInUseError
from batchsearch.ledger.lock import OutputLock

SEARCH = "SearchImageByPic"
ROWS = [{"id": f"r{n:02}", "image": f"q{n:02}.jpg"} for n in range(20)]


@pytest.fixture
def folder(pictures, tmp_path):
    """Pictures that a test may change, `q00.jpg` to `q19.jpg`."""
    made = tmp_path / "own"
    made.mkdir()
    for number in range(20):
        shutil.copy(pictures / f"p{number:02}.jpg", made / f"q{number:02}.jpg")
    return made


@pytest.fixture
def nightly(signed_in, load, folder, pictures):
    """Settings of a job over those pictures; the instance holds three of them."""
    for number in range(3):
        picture = decode_picture((pictures / f"p{number:02}.jpg").read_bytes(), "generic")
        signed_in.catalogue().add(NewItem(f"P{number}", "front"), picture, crop=True, region=None)

    def settings(rows=ROWS, **more):
        given = {"images__root": str(folder), "output__rows_per_part": 6, "parameters__num": 2, **more}
        return load(rows, instance__endpoint=signed_in.endpoint, **given)

    return settings


def table(settings, name="results"):
    return pd.read_parquet(Path(settings.output.dir, name))


def parts(settings, name="results"):
    return sorted(Path(settings.output.dir, name).glob("*"))


def calls(emulator):
    return len(emulator.log.entries(SEARCH))


def changed(folder, number, pictures, by):
    shutil.copy(pictures / f"p{by:02}.jpg", folder / f"q{number:02}.jpg")


async def test_only_changed_and_new_rows_are_paid_for(nightly, folder, pictures, signed_in):
    """A changed picture and a new row make two calls; what was replaced is in history."""
    await run_job(nightly(ROWS[:19]))
    before = table(nightly())
    changed(folder, 4, pictures, by=33)
    plan = await plan_job(nightly())
    paid = calls(signed_in)
    summary = await run_job(nightly())
    assert calls(signed_in) - paid == summary.calls == plan.calls == 2
    assert (summary.done, summary.resumed, summary.ok) == (20, 18, 20)
    after = table(nightly()).set_index("row_key")
    assert sorted(after.index) == [row["id"] for row in ROWS]
    assert after.loc["r04", "earlier_outcomes"] == 1
    assert (after["earlier_outcomes"] > 0).sum() == 1
    replaced = table(nightly(), "history")
    assert list(replaced["row_key"]) == ["r04"]
    was = before.set_index("row_key").loc["r04"]
    assert replaced.set_index("row_key").loc["r04", "request_id"] == was["request_id"]
    assert after.loc["r04", "source_sha256"] != was["source_sha256"]


async def test_hits_follow_their_rows(nightly, folder, pictures):
    """The hits of a replaced outcome go with it: every hit belongs to its row's answer."""
    await run_job(nightly())
    changed(folder, 2, pictures, by=1)
    await run_job(nightly())
    results = table(nightly()).set_index("row_key")
    hits = table(nightly(), "hits")
    assert hits.groupby("row_key").size().to_dict() == results["hit_count"].to_dict()
    assert set(hits["request_id"]) == set(results["request_id"])
    best = hits[hits["rank"] == 1].set_index("row_key")
    assert best.loc["r02", "product_id"] == "P1"


async def test_a_file_that_was_only_touched_costs_nothing(nightly, folder, signed_in):
    """A new time with the same bytes is looked at once, makes no call, and is not looked at again."""
    await run_job(nightly())
    paid = calls(signed_in)
    os.utime(folder / "q03.jpg", (1, 1))
    assert (await plan_job(nightly())).calls == 0
    summary = await run_job(nightly())
    assert (summary.calls, summary.resumed, calls(signed_in)) == (0, 20, paid)
    assert "earlier_outcomes" in table(nightly())
    assert parts(nightly(), "history") == []
    assert (await plan_job(nightly())).to_do == 0


async def test_a_picture_that_is_gone_says_nothing(nightly, folder, signed_in):
    """An unreachable source is unknown, never deleted: the outcome stands, and no call is made."""
    await run_job(nightly())
    before = table(nightly())
    (folder / "q05.jpg").unlink()
    summary = await run_job(nightly())
    assert (summary.calls, summary.ok) == (0, 20)
    pd.testing.assert_frame_equal(table(nightly()), before)


async def test_a_picture_that_came_later_is_searched(nightly, folder, pictures):
    """A row that failed because its file was missing gets its outcome once the file is there."""
    (folder / "q05.jpg").unlink()
    first = await run_job(nightly())
    assert (first.failed, first.codes) == (1, {"Local.ImageMissing": 1})
    changed(folder, 5, pictures, by=5)
    second = await run_job(nightly())
    assert (second.ok, second.calls, second.failed) == (20, 1, 0)


async def test_a_row_whose_parameters_changed_is_asked_again(nightly):
    """What the manifest says of a row belongs to its question."""
    rows = [{**row, "area": "0,40,0,40"} for row in ROWS]
    options = {"manifest__columns": {"region": "area"}}
    await run_job(nightly(rows, **options))
    rows[7]["area"] = "0,80,0,80"
    summary = await run_job(nightly(rows, **options))
    assert (summary.calls, summary.resumed) == (1, 19)


async def test_noticing_can_be_switched_off(nightly, folder, pictures):
    """`notice_changes: no`: a row with an outcome is never looked at again."""
    await run_job(nightly())
    changed(folder, 4, pictures, by=33)
    assert (await run_job(nightly(reuse__notice_changes="no"))).calls == 0


async def test_contents_are_compared_when_asked(nightly, folder, pictures):
    """`notice_changes: contents` finds a change that size and time do not show."""
    await run_job(nightly())
    about = (folder / "q04.jpg").stat()
    other = next(p for p in sorted(pictures.iterdir()) if p.name not in {f"p{n:02}.jpg" for n in range(20)})
    (folder / "q04.jpg").write_bytes(other.read_bytes()[: about.st_size].ljust(about.st_size, b"\0"))
    os.utime(folder / "q04.jpg", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (await run_job(nightly())).resumed == 20
    summary = await run_job(nightly(reuse__notice_changes="contents"))
    assert (summary.resumed, summary.done) == (19, 20)


async def test_expired_outcomes_are_renewed_in_the_next_round(nightly, signed_in):
    """Older than `renew_after_hours`: asked again even though the answers could be used again."""
    await run_job(nightly())
    ledger = sqlite3.connect(Path(nightly().output.dir, "ledger", "ledger.sqlite3"))
    some = [row[0] for row in ledger.execute("SELECT digest FROM rows ORDER BY digest LIMIT 8")]
    old = time.time() - 7200
    ledger.executemany("UPDATE rows SET finished_at = ? WHERE digest = ?", [(old, each) for each in some])
    ledger.commit()
    ledger.close()
    paid = calls(signed_in)
    plan = await plan_job(nightly(reuse__renew_after_hours=1.0))
    summary = await run_job(nightly(reuse__renew_after_hours=1.0))
    assert plan.calls == summary.calls == calls(signed_in) - paid == 8
    assert table(nightly())["earlier_outcomes"].sum() == 8
    assert len(table(nightly())) == 20


async def test_what_failed_for_passing_reasons_is_repeated_next_round(nightly, signed_in):
    """A completed night's passing failures are asked again; lasting ones, and a resumed night's, are not."""
    rules = (
        FaultRule(ErrorAnswer("InternalError"), frozenset({SEARCH}), times=3),
        FaultRule(ErrorAnswer("InvalidPicContent"), frozenset({SEARCH}), times=2),
    )
    signed_in.set_faults(FaultPlan(rules))
    options = {"calls__max_attempts": 1, "codes": {"InternalError": "fail_row"}}
    first = await run_job(nightly(**options))
    assert first.codes == {"InternalError": 3, "InvalidPicContent": 2}
    again = await run_job(nightly())
    assert (again.calls, again.codes) == (3, {"InvalidPicContent": 2})
    assert (await run_job(nightly())).calls == 0


async def test_a_good_outcome_never_gives_way_to_a_passing_failure(nightly, signed_in):
    """An expired row whose call fails keeps what it had."""
    await run_job(nightly())
    before = table(nightly()).set_index("row_key")["request_id"].to_dict()
    signed_in.set_faults(FaultPlan((FaultRule(ErrorAnswer("PictureError"), frozenset({SEARCH})),)))
    options = {"reuse__renew_after_hours": 1e-9, "codes": {"PictureError": "retry"}, "calls__max_attempts": 1}
    summary = await run_job(nightly(**options))
    assert (summary.ok, summary.failed, summary.calls) == (20, 0, 20)
    assert table(nightly()).set_index("row_key")["request_id"].to_dict() == before


async def test_retry_sends_the_chosen_rows_and_no_others(nightly, signed_in):
    """By code, origin or all; without the job file, from the output folder alone."""
    rules = (
        FaultRule(ErrorAnswer("InvalidPicContent"), frozenset({SEARCH}), times=2),
        FaultRule(ErrorAnswer("PicNotExist"), frozenset({SEARCH}), times=3),
    )
    signed_in.set_faults(FaultPlan(rules))
    settings = nightly(ROWS[:15])
    assert (await run_job(settings)).failed == 5
    nightly(ROWS)  # five rows were appended to the manifest since: retry leaves them alone
    folder = Path(settings.output.dir)
    retried = await run_job(job_of(folder).settings, chosen=Chosen(codes=("InvalidPic*",)))
    assert (retried.calls, retried.codes) == (2, {"PicNotExist": 3})
    assert (await run_job(job_of(folder).settings, chosen=Chosen(origins=("transport",)))).calls == 0
    assert (await run_job(job_of(folder).settings, chosen=Chosen(failed=True))).calls == 3
    assert set(table(settings)["outcome"]) == {"ok"}
    assert len(table(settings)) == 15
    assert sorted(table(settings, "history")["error_code"]) == ["InvalidPicContent"] * 2 + ["PicNotExist"] * 3
    assert (await run_job(nightly(ROWS))).calls == 5


async def test_reading_while_outcomes_are_exchanged_finds_all_rows_once(
    nightly, folder, pictures, monkeypatch
):
    """At every step of an exchange a reader of the folder finds each row exactly once."""
    await run_job(nightly())
    for number in range(0, 20, 3):
        changed(folder, number, pictures, by=39 - number // 3)
    seen = []

    def look(name):
        if name.startswith("compact"):
            files = sorted(Path(nightly().output.dir, "results").glob("*.parquet"))
            seen.append(sorted(key for file in files for key in pq.read_table(file)["row_key"].to_pylist()))

    monkeypatch.setattr("batchsearch.crash_points.reached", look)
    await run_job(nightly())
    assert len(seen) > 5
    assert all(keys == [row["id"] for row in ROWS] for keys in seen)


async def test_compaction_keeps_every_row_and_the_job_goes_on(nightly, signed_in, monkeypatch):
    """Small parts become one; contents, order, reuse and the next run are as before."""
    settings = nightly()
    await run_job(settings)
    before, hits = table(settings), table(settings, "hits")
    assert len(parts(settings)) >= 4
    done = compact_in_thread(Path(settings.output.dir))
    assert (done.after, done.rows, done.hits) == (1, 20, len(hits))
    assert len(parts(settings)) == 1
    pd.testing.assert_frame_equal(table(settings), before)
    pd.testing.assert_frame_equal(table(settings, "hits"), hits)
    paid = calls(signed_in)
    extra = [*ROWS, {"id": "copy", "image": ROWS[3]["image"]}]
    summary = await run_job(nightly(extra))
    assert (summary.calls, summary.reused, calls(signed_in)) == (0, 1, paid)


async def test_compaction_waits_for_no_run(nightly):
    """While a run holds the folder, compaction is refused and says who holds it."""
    settings = nightly()
    await run_job(settings)
    folder = Path(settings.output.dir)
    with OutputLock(folder / "ledger" / "lock", "other"), pytest.raises(OutputInUseError, match="process"):
        compact_in_thread(folder)


def test_a_folder_without_a_job_is_named(tmp_path):
    """Neither compaction nor retry make anything of a folder that no run has worked in."""
    with pytest.raises(ConfigError, match="no job has run here"):
        compact(tmp_path)
    with pytest.raises(ConfigError, match="no job has run here"):
        job_of(tmp_path)


def compact_in_thread(folder):
    """Compaction as the command does it, from inside a test's event loop."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(compact, folder).result()
