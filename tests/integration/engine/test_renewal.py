"""Running a job again another night: who gets a new outcome, who keeps the old one, what is paid for it."""

import os
import shutil
import sqlite3
import time
from contextlib import closing
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from run_rig import granting, harm, put_all, served, sign_in

from batchsearch.emulator.faults import ErrorAnswer, FaultPlan, FaultRule
from batchsearch.engine.job.job_of_output import job_of
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.engine.renewal.row_selector import RowSelector
from batchsearch.engine.run.job import run_job
from batchsearch.errors import (
    ConfigError,
    ExitCode,
    OutputDamagedError,
    OutputError,
    OutputInUseError,
)
from batchsearch.storage.ledger.checksum import forget_sum
from batchsearch.storage.ledger.lock import OutputLock
from batchsearch.tasks.check.checking import check_job
from batchsearch.tasks.compact.compacting import compact
from batchsearch.tasks.plan.planning import plan_job

SEARCH = "SearchImageByPic"
ROWS = [{"id": f"r{n:02}", "image": f"q{n:02}.jpg"} for n in range(20)]


@pytest.fixture
def folder(images, tmp_path):
    """Images that a test may change, `q00.jpg` to `q19.jpg`."""
    made = tmp_path / "own"
    made.mkdir()
    for number in range(20):
        shutil.copy(images / f"p{number:02}.jpg", made / f"q{number:02}.jpg")
    return made


@pytest.fixture
def nightly(signed_in, load, folder, images):
    """Settings of a job over those images; the instance holds three of them."""
    put_all(signed_in, images, range(3))

    def settings(rows=ROWS, **more):
        given = {"images__root": str(folder), "output__rows_per_part": 6, "parameters__num": 2, **more}
        return load(rows, instance__endpoint=signed_in.endpoint, **given)

    return settings


@pytest.fixture
def web(images):
    """Serves the images on loopback; returns the address of each."""
    with served(partial(SimpleHTTPRequestHandler, directory=str(images))) as address:
        yield lambda name: f"{address}/{name}"


def table(settings, name="results"):
    return pd.read_parquet(Path(settings.output.dir, name))


def parts(settings, name="results"):
    return sorted(Path(settings.output.dir, name).glob("*"))


def calls(emulator):
    return len(emulator.log.entries(SEARCH))


def changed(folder, number, images, by):
    shutil.copy(images / f"p{by:02}.jpg", folder / f"q{number:02}.jpg")


async def test_only_changed_and_new_rows_are_paid_for(nightly, folder, images, signed_in):
    """A changed image and a new row make two calls; what was replaced is in history."""
    await run_job(nightly(ROWS[:19]))
    before = table(nightly())
    changed(folder, 4, images, by=33)
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


async def test_hits_follow_their_rows(nightly, folder, images):
    """The hits of a replaced outcome go with it: every hit belongs to its row's answer."""
    await run_job(nightly())
    changed(folder, 2, images, by=1)
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


async def test_a_image_that_is_gone_says_nothing(nightly, folder, signed_in):
    """An unreachable source is unknown, never deleted: the outcome stands, and no call is made."""
    await run_job(nightly())
    before = table(nightly())
    (folder / "q05.jpg").unlink()
    summary = await run_job(nightly())
    assert (summary.calls, summary.ok) == (0, 20)
    pd.testing.assert_frame_equal(table(nightly()), before)


async def test_a_image_that_came_later_is_searched(nightly, folder, images):
    """A row that failed because its file was missing gets its outcome once the file is there."""
    (folder / "q05.jpg").unlink()
    first = await run_job(nightly())
    assert (first.failed, first.codes) == (1, {"Local.ImageMissing": 1})
    changed(folder, 5, images, by=5)
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


async def test_noticing_can_be_switched_off(nightly, folder, images):
    """`notice_changes: no`: a row with an outcome is never looked at again."""
    await run_job(nightly())
    changed(folder, 4, images, by=33)
    assert (await run_job(nightly(reuse__notice_changes="no"))).calls == 0


async def test_contents_are_compared_when_asked(nightly, folder, images):
    """`notice_changes: contents` finds a change that size and time do not show."""
    await run_job(nightly())
    about = (folder / "q04.jpg").stat()
    other = next(p for p in sorted(images.iterdir()) if p.name not in {f"p{n:02}.jpg" for n in range(20)})
    (folder / "q04.jpg").write_bytes(other.read_bytes()[: about.st_size].ljust(about.st_size, b"\0"))
    os.utime(folder / "q04.jpg", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (await run_job(nightly())).resumed == 20
    summary = await run_job(nightly(reuse__notice_changes="contents"))
    assert (summary.resumed, summary.done) == (19, 20)


async def test_expired_outcomes_are_renewed_in_the_next_round(nightly, signed_in):
    """Older than `renew_after_hours`: asked again even though the answers could be used again."""
    await run_job(nightly())
    ledger = ledger_of(nightly())
    some = [row[0] for row in ledger.execute("SELECT digest FROM rows ORDER BY digest LIMIT 8")]
    old = time.time() - 7200
    ledger.executemany("UPDATE rows SET finished_at = ? WHERE digest = ?", [(old, each) for each in some])
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
    harm(signed_in, ErrorAnswer("PictureError"), of=SEARCH)
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
    retried = await run_job(job_of(folder).settings, RunOptions(chosen=RowSelector(codes=("InvalidPic*",))))
    assert (retried.calls, retried.codes) == (2, {"PicNotExist": 3})
    assert (
        await run_job(job_of(folder).settings, RunOptions(chosen=RowSelector(origins=("transport",))))
    ).calls == 0
    assert (await run_job(job_of(folder).settings, RunOptions(chosen=RowSelector(failed=True)))).calls == 3
    assert set(table(settings)["outcome"]) == {"ok"}
    assert len(table(settings)) == 15
    assert sorted(table(settings, "history")["error_code"]) == ["InvalidPicContent"] * 2 + ["PicNotExist"] * 3
    assert (await run_job(nightly(ROWS))).calls == 5


async def test_reading_while_outcomes_are_exchanged_finds_all_rows_once(nightly, folder, images, monkeypatch):
    """At every step of an exchange a reader of the folder finds each row exactly once."""
    await run_job(nightly())
    for number in range(0, 20, 3):
        changed(folder, number, images, by=39 - number // 3)
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


def ledger_of(settings):
    forget_sum(Path(settings.output.dir, "ledger", "ledger.sqlite3"))  # what is written here is not noted
    return sqlite3.connect(Path(settings.output.dir, "ledger", "ledger.sqlite3"), isolation_level=None)


def age(settings, hours=2):
    """Make every outcome older than it is."""
    ledger = ledger_of(settings)
    ledger.execute("UPDATE rows SET finished_at = finished_at - ?", (hours * 3600,))
    ledger.close()


def fill(emulator, images):
    """More items than a page of results holds, five of each image."""
    for copy in range(5):
        put_all(emulator, images, range(3, 40), f"P{{}}-{copy}")


async def test_compaction_keeps_what_is_about_to_come_in(nightly, folder, images, signed_in, monkeypatch):
    """Outcomes that an interrupted run had renewed and sealed survive compaction, and take their place."""
    await run_job(nightly())
    for number in range(8):
        changed(folder, number, images, by=39 - number)

    async def killed(self):
        raise RuntimeError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr("batchsearch.engine.parts.exchange.Generations.bring_in", killed)
        with pytest.raises(RuntimeError):
            await run_job(nightly())
    compact_in_thread(Path(nightly().output.dir))
    paid = calls(signed_in)
    summary = await run_job(nightly())
    assert (summary.done, calls(signed_in)) == (20, paid)
    results = table(nightly()).set_index("row_key")
    assert sorted(results.index[results["earlier_outcomes"] == 1]) == [f"r{n:02}" for n in range(8)]


async def test_pages_of_another_image_are_not_continued(nightly, folder, images, signed_in):
    """A row that changed between its pages begins anew: all its hits are of one image."""
    fill(signed_in, images)
    options = {"results_per_row": 150, "parameters": {}}
    assert (await run_job(nightly(ROWS[:1], **options), RunOptions(max_calls=1))).done == 0
    changed(folder, 0, images, by=33)
    summary = await run_job(nightly(ROWS[:1], **options))
    assert (summary.done, summary.calls) == (1, 2)
    hits = table(nightly(), "hits").sort_values("rank")
    assert len(hits) == 150
    assert hits["product_id"].iloc[0].startswith("P33")
    assert hits["score"].is_monotonic_decreasing


async def test_attempts_at_another_image_do_not_count(nightly, folder, signed_in):
    """A row that changed after a failed attempt uses an answer that is there, with no attempt of its own."""
    harm(signed_in, ErrorAnswer("InternalError"), of=SEARCH, times=1)
    rows = ROWS[:2]
    await run_job(nightly(rows, calls__max_in_flight=1), RunOptions(max_calls=2))
    [done] = table(nightly(rows))["row_key"]
    left, answered = ("q01.jpg", "q00.jpg") if done == "r00" else ("q00.jpg", "q01.jpg")
    shutil.copy(folder / answered, folder / left)
    plan = await plan_job(nightly(rows))
    summary = await run_job(nightly(rows))
    assert (plan.calls, summary.calls, summary.reused) == (0, 0, 1)
    assert sorted(table(nightly(rows))["attempts"]) == [0, 1]


async def test_retry_leaves_the_night_alone(nightly, folder, images, signed_in):
    """Changed and expired rows are not asked for by `retry`; the next night renews them all the same."""
    harm(signed_in, ErrorAnswer("PicNotExist"), of=SEARCH, times=2)
    await run_job(nightly())
    changed(folder, 15, images, by=35)
    chosen = RowSelector(codes=("PicNotExist",))
    retried = await run_job(job_of(Path(nightly().output.dir)).settings, RunOptions(chosen=chosen))
    assert (retried.calls, retried.exit_code) == (2, 0)
    age(nightly())
    plan = await plan_job(nightly(reuse__renew_after_hours=1.0))
    assert plan.calls == (await run_job(nightly(reuse__renew_after_hours=1.0))).calls == 20


async def test_retry_of_a_code_that_no_row_has_is_told(nightly):
    """A mistyped code is refused with those that there are, and nothing is called."""
    await run_job(nightly(images__root="/"))
    with pytest.raises(ConfigError, match=r"no row failed with PictureEror; rows failed with Local"):
        await run_job(
            job_of(Path(nightly().output.dir)).settings,
            RunOptions(chosen=RowSelector(codes=("PictureEror",))),
        )


async def test_a_refused_upload_tells_who_waited(nightly, signed_in):
    """Rows with one image end alike when it is refused on its way, before any call."""
    harm(signed_in, ErrorAnswer("InvalidPicContent"), of="AuthorizeFileUpload")
    rows = [{"id": "a", "image": "q01.jpg"}, {"id": "b", "image": "q01.jpg"}]
    settings = nightly(
        rows,
        calls__upload="url",
        instance__region="ap-southeast-1",
        calls__open_platform=signed_in.endpoint,
    )
    assert (await run_job(settings)).codes == {"InvalidPicContent": 2}


async def test_a_image_that_changes_back_is_planned_as_it_is_paid(nightly, folder, images):
    """An answer whose outcome was replaced serves nobody, in the plan and in the run."""
    await run_job(nightly())
    for by in (33, 4):
        changed(folder, 4, images, by=by)
        plan = await plan_job(nightly())
        assert plan.calls == (await run_job(nightly())).calls == 1


async def test_equal_expired_rows_are_paid_once_a_round(nightly, folder):
    """However often a night is stopped, each different request is paid once in it."""
    rows = [{"id": f"r{n:02}", "image": f"q{n % 5:02}.jpg"} for n in range(20)]
    options = {"reuse__renew_after_hours": 1.0}
    await run_job(nightly(rows, **options))
    age(nightly(rows))
    planned, paid = (await plan_job(nightly(rows, **options))).calls, 0
    for _ in range(20):
        summary = await run_job(nightly(rows, **options), RunOptions(max_calls=1))
        paid += summary.calls
        if summary.exit_code == 0:
            break
    assert planned == paid == 5


async def test_parts_do_not_pile_up(nightly):
    """A part whose rows were all renewed is gone."""
    options = {"reuse__renew_after_hours": 1.0}
    for _ in range(4):
        await run_job(nightly(**options))
        age(nightly())
    assert [pq.read_metadata(part).num_rows for part in parts(nightly())] == [6, 6, 6, 2]


async def test_what_is_refused_as_before_stays_as_it_is(nightly, folder):
    """A file that is no image has one outcome, however often it is looked at."""
    (folder / "q03.jpg").write_bytes(b"no picture")
    for mode in ("contents", "files", "contents"):
        await run_job(nightly(reuse__notice_changes=mode))
    assert table(nightly())["earlier_outcomes"].sum() == 0
    assert parts(nightly(), "history") == []


async def test_a_folder_of_results_that_is_elsewhere_is_refused(nightly, tmp_path):
    """A link cannot be exchanged: said before anything is spent."""
    output = Path(nightly().output.dir)
    output.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (output / "results").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="is a link or a mount of its own"):
        await run_job(nightly())


async def test_what_is_not_ours_stays_in_the_folder(nightly, folder, images):
    """An exchange keeps foreign files and the folder's access rights."""
    await run_job(nightly())
    results = Path(nightly().output.dir, "results")
    (results / "notes.txt").write_text("mine")
    results.chmod(0o2775)
    changed(folder, 4, images, by=33)
    await run_job(nightly())
    assert (results / "notes.txt").read_text() == "mine"
    assert results.stat().st_mode & 0o7777 == 0o2775


async def test_a_file_in_another_spelling_is_watched_like_any(nightly, folder, images, signed_in):
    """A path that was healed costs one call, the changed file another one, and a quiet night none."""
    rows = [{"id": "a", "image": " q01.jpg"}, {"id": "b", "image": ".\\q02.jpg "}]
    assert (await run_job(nightly(rows))).ok == 2
    assert (await run_job(nightly(rows))).calls == 0
    changed(folder, 2, images, by=34)
    assert (await run_job(nightly(rows))).calls == 1


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
async def test_a_missing_root_is_one_message_before_the_first_row(nightly, tmp_path, signed_in, kind):
    """No row is charged with a folder that is not mounted: run, plan and check say so and do nothing."""
    root = tmp_path / "mount"
    if kind == "empty":
        root.mkdir()
    elif kind == "file":
        root.write_text("")
    for command in (run_job, plan_job, check_job):
        with pytest.raises(ConfigError, match=r"^images\.root: .*/mount ") as caught:
            await command(nightly(images__root=str(root)))
        assert caught.value.exit_code is ExitCode.BAD_CONFIG
    assert not Path(nightly().output.dir, "results").exists()
    assert calls(signed_in) == 0


async def test_calls_go_through_the_proxy_that_the_job_names(nightly, signed_in, load, monkeypatch):
    """A service that only a proxy can reach is asked through it, by the setting or the environment."""
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    by_setting = nightly(ROWS[:3], calls__proxy=signed_in.endpoint)
    instance = by_setting.instance.model_copy(update={"endpoint": "http://service.example"})
    summary = await run_job(by_setting.model_copy(update={"instance": instance}))
    assert (summary.ok, summary.calls) == (3, 3)
    assert calls(signed_in) == 3
    monkeypatch.setenv("HTTP_PROXY", signed_in.endpoint)
    by_environment = nightly(ROWS[:5]).model_copy(update={"instance": instance})
    assert (await run_job(by_environment)).calls == 2
    assert calls(signed_in) == 5


async def test_a_corrected_setting_asks_again_for_the_rows_that_failed_by_it(nightly, signed_in, tmp_path):
    """Rows that a lost root has failed are asked for once it is named right, and no others."""
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "other.jpg").write_bytes(b"x")
    shutil.copy(Path(nightly().images.root, "q00.jpg"), wrong / "q00.jpg")
    os.utime(wrong / "q00.jpg", ns=(1, Path(nightly().images.root, "q00.jpg").stat().st_mtime_ns))
    lost = await run_job(nightly(images__root=str(wrong)))
    assert (lost.codes, lost.calls) == ({"Local.ImageMissing": 19}, 1)
    assert (await plan_job(nightly())).calls == 19
    mended = await run_job(nightly())
    assert (mended.calls, mended.failed, mended.resumed) == (19, 0, 1)
    assert (await run_job(nightly())).calls == 0


async def test_a_host_that_is_allowed_now_is_asked(nightly, images, web):
    """Addresses that were refused are fetched in the next run that allows their host; nobody names a code."""
    rows = [{"id": f"r{n}", "image": web(f"p{n:02}.jpg")} for n in range(3)]
    refused = await run_job(nightly(rows))
    assert (refused.codes, refused.calls) == ({"Local.ImageAddressRefused": 3}, 0)
    assert "--codes Local.ImageAddressRefused" in refused.as_text()
    assert refused.as_text().count(f"batchsearch retry {nightly(rows).output.dir} ") == 1
    # A setting that has nothing to do with it asks for nothing.
    assert (await run_job(nightly(rows, images__max_megapixels=90))).failed == 3
    assert (await run_job(nightly(rows, images__allow_hosts=["127.0.0.1"]))).calls == 3


async def test_another_action_for_a_code_asks_its_rows_again(nightly, signed_in):
    """Rows that a code has failed are asked for when the job says something else of that code."""
    harm(signed_in, ErrorAnswer("PictureError"), of=SEARCH, times=2)
    assert (await run_job(nightly(reuse__retry="none"))).codes == {"PictureError": 2}
    assert (await run_job(nightly(reuse__retry="none"))).calls == 0
    assert (await run_job(nightly(reuse__retry="none", codes={"PictureError": "retry"}))).calls == 2


async def test_good_rows_are_asked_again_by_their_keys(nightly, signed_in):
    """Rows that somebody names get a new outcome whatever they have; a key that no row has is told."""
    await run_job(nightly())
    folder = Path(nightly().output.dir)
    paid = calls(signed_in)
    again = await run_job(job_of(folder).settings, RunOptions(chosen=RowSelector(rows=("r03", "r07"))))
    assert (again.calls, calls(signed_in) - paid) == (2, 2)
    results = table(nightly()).set_index("row_key")
    assert sorted(results.index[results["earlier_outcomes"] == 1]) == ["r03", "r07"]
    with pytest.raises(ConfigError, match="no finished row has the key 'r99'"):
        await run_job(job_of(folder).settings, RunOptions(chosen=RowSelector(rows=("r03", "r99"))))
    assert (await run_job(nightly())).calls == 0


async def test_rows_that_meet_conditions_are_asked_again(nightly):
    """The language of `manifest.where` names rows of the manifest; conditions of the job hold as well."""
    rows = [{**row, "price": str(number)} for number, row in enumerate(ROWS)]
    typed = {"manifest__csv": {"types": {"price": "int64"}}, "manifest__where": "price < 8"}
    assert (await run_job(nightly(rows, **typed))).calls == 8
    folder = Path(nightly(rows, **typed).output.dir)
    again = await run_job(
        job_of(folder).settings, RunOptions(chosen=RowSelector(where='price > 5 OR id = "r01"'))
    )
    assert again.calls == 3
    results = table(nightly(rows, **typed)).set_index("row_key")
    assert sorted(results.index[results["earlier_outcomes"] == 1]) == ["r01", "r06", "r07"]
    with pytest.raises(ConfigError, match="no finished row that is asked for"):
        await run_job(job_of(folder).settings, RunOptions(chosen=RowSelector(failed=True, where="price > 5")))
    wrong = {"prise > 5": "--where.*price", "price >": "--where", "price > 9": "no finished row"}
    for where, said in wrong.items():
        with pytest.raises(ConfigError, match=f"(?s){said}"):
            await run_job(job_of(folder).settings, RunOptions(chosen=RowSelector(where=where)))


async def test_rows_that_a_changed_parameter_touches_are_renewed(nightly, signed_in):
    """Told to renew, a job with another parameter asks for each row once, as planned, and is that job."""
    await run_job(nightly())
    other = {"parameters__crop": False}
    with pytest.raises(ConfigError, match=r"parameters.crop: was \(not set\), is False"):
        await run_job(nightly(**other))
    renew = {**other, "reuse__changed_job": "renew"}
    assert (await plan_job(nightly(**renew))).calls == 20
    assert (await run_job(nightly(**renew))).calls == 20
    assert set(table(nightly())["earlier_outcomes"]) == {1}
    assert (await run_job(nightly(**other))).calls == 0
    # Images alone that come out the same ask the same: no row is paid for.
    quality = {**renew, "images__quality": 80}
    assert (await plan_job(nightly(**quality))).calls == 0
    assert (await run_job(nightly(**quality))).calls == 0
    assert (await run_job(nightly(**other, images__quality=80))).calls == 0


async def test_a_renewal_that_was_stopped_goes_on(nightly, signed_in):
    """Rows that a changed setting touches stay marked when the run that began to renew them is stopped."""
    await run_job(nightly())
    renew = {"parameters__crop": False, "reuse__changed_job": "renew"}
    assert (await run_job(nightly(**renew), RunOptions(max_calls=8))).calls == 8
    assert (await run_job(nightly(parameters__crop=False))).calls == 12
    assert (await run_job(nightly(parameters__crop=False))).calls == 0


async def test_another_instance_answers_every_row_anew(nightly, signed_in, monkeypatch):
    """Where calls go to another place, no answer of the first one serves, however equal the request."""
    from batchsearch.emulator.instance_options import EmulatorOptions
    from batchsearch.emulator.server import Emulator

    await run_job(nightly())
    with Emulator(EmulatorOptions(instances=(granting(),))) as second:
        sign_in(monkeypatch, second)
        moved = nightly(reuse__changed_job="renew")
        there = moved.instance.model_copy(update={"endpoint": second.endpoint})
        moved = moved.model_copy(update={"instance": there})
        assert (await plan_job(moved)).calls == 20
        assert (await run_job(moved)).calls == 20
        assert len(second.log.entries(SEARCH)) == 20


async def test_more_hits_are_asked_of_the_rows_whose_list_was_full(nightly, signed_in, images):
    """Grown lists pay for rows that had as many hits as they might; shrunk ones for nobody."""
    fill(signed_in, images)
    few = {"parameters": {}, "results_per_row": 4}
    full = {**few, "results_per_row": 150}
    await run_job(nightly(ROWS[:5], **few))
    assert (await plan_job(nightly(ROWS[:5], **full))).calls == 10
    assert (await run_job(nightly(ROWS[:5], **full))).calls == 10
    assert set(table(nightly(ROWS[:5], **few))["hit_count"]) == {150}
    assert (await run_job(nightly(ROWS[:5], **few))).calls == 0
    # What had its 150 has them still; the row that came when 4 were wanted gets the rest.
    assert (await run_job(nightly(ROWS[:6], **few))).calls == 1
    assert (await run_job(nightly(ROWS[:6], **full))).calls == 2
    # There are 188 images: a list that was not full has all of them.
    assert (await run_job(nightly(ROWS[:6], **{**few, "results_per_row": 200}))).calls == 12
    assert (await run_job(nightly(ROWS[:6], **{**few, "results_per_row": 300}))).calls == 0


async def test_answers_of_another_folder_serve(nightly, signed_in):
    """A job that begins anew pays for nothing that a named folder has answers for."""
    await run_job(nightly())
    old = nightly().output.dir
    paid = calls(signed_in)
    # Rows have other names now: only the requests are the same.
    rows = [{"id": f"x{n}", "image": f"q{n:02}.jpg"} for n in range(20)]
    anew = {"output__dir": "anew", "reuse__from": old, "reuse__max_age_hours": 0.0}
    assert (await plan_job(nightly(rows, **anew))).calls == 0
    summary = await run_job(nightly(rows, **anew))
    assert (summary.calls, summary.reused, summary.ok, calls(signed_in)) == (0, 20, 20, paid)
    before, after = table(nightly(), "hits"), table(nightly(rows, **anew), "hits")
    assert sorted(before["score"]) == sorted(after["score"])
    # What was served is the new folder's own: the old one may go.
    shutil.rmtree(old)
    assert (await run_job(nightly(rows, output__dir="anew"))).calls == 0


async def test_answers_of_another_job_are_refused(nightly, signed_in, tmp_path):
    """A folder without answers, and one that called another operation, are named before anything is made."""
    await run_job(nightly())
    old = nightly().output.dir
    with pytest.raises(ConfigError, match=r"reuse.from: .*nowhere: no job has run here"):
        await run_job(nightly(output__dir="anew", reuse__from=str(tmp_path / "nowhere")))
    named = {"operation": "SearchImageByName", "parameters": {}, "manifest__columns": {"product_id": "id"}}
    named["parameters"] = {"pic_name": "front"}
    with pytest.raises(ConfigError, match="operation: 'SearchImageByPic' there, 'SearchImageByName' here"):
        await run_job(nightly(output__dir="anew", reuse__from=old, **named))
    assert not (tmp_path / "anew").exists()


@pytest.mark.parametrize("name", ["fingerprint", "job", "carried"])
@pytest.mark.parametrize("text", ["{", "[1]", "\x00no text of ours", '"text"'])
async def test_a_ledger_whose_texts_cannot_be_read_is_damaged(nightly, signed_in, name, text):
    """What a ledger tells of its job or its columns and cannot be read is damage: exit 6, and no call."""
    await run_job(nightly())
    with closing(ledger_of(nightly())) as ledger:
        ledger.execute("UPDATE meta SET value = ? WHERE name = ?", (text, name))
    paid = calls(signed_in)
    with pytest.raises(OutputDamagedError) as refused:
        await run_job(nightly())
    assert refused.value.exit_code == 6
    assert "ledger" in str(refused.value)
    assert calls(signed_in) == paid
    assert len(table(nightly())) == 20
    if name == "job":
        with pytest.raises(OutputDamagedError):
            job_of(Path(nightly().output.dir))


async def test_keys_that_are_all_others_are_warned_of(nightly, capsys):
    """Where no finished row is in tonight's manifest, the run says so before it calls."""
    await run_job(nightly(ROWS[:3]))
    await run_job(nightly([{**row, "id": f"x-{row['id']}"} for row in ROWS[:3]]))
    assert "no_finished_row" in "".join(capsys.readouterr())
