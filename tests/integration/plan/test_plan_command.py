"""`batchsearch plan` and `batchsearch usage`, as a shell meets them, and against what a run then does."""

import json
import random
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from measuring.apart import with_comment
from run_rig import invoke as command
from run_rig import put_all

from batchsearch.engine.job.instance_worker import workers_of
from batchsearch.engine.renewal.change_detection import DetectedChanges
from batchsearch.engine.rows.pending_row import PageAnswer
from batchsearch.engine.run.job import run_job
from batchsearch.engine.run.opening import open_manifest
from batchsearch.errors import ConfigError
from batchsearch.service.operations import OPERATIONS
from batchsearch.storage.ledger.entries import FinishedRow, digest_of
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.ledger.store import Ledger
from batchsearch.tasks.plan.pending_rows import Known, PendingRows
from batchsearch.tasks.plan.planning import plan_job


def planned(*arguments):
    ran = command("plan", *arguments, "--json")
    assert ran.exit_code == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture
def filled(signed_in, images):
    """The emulator with eight of the images in its catalogue."""
    return put_all(signed_in, images, range(8), "P{:02}")


@pytest.fixture
def folder(tmp_path, images):
    """A folder for images of this test's own, some of the shared ones in it, and files that are none."""
    found = tmp_path / "own"
    found.mkdir()
    for number in range(8):
        (found / f"p{number:02}.jpg").write_bytes((images / f"p{number:02}.jpg").read_bytes())
    (found / "copy-of-p01.jpg").write_bytes((images / "p01.jpg").read_bytes())
    (found / "note.jpg").write_text("not an image")
    (found / "empty.jpg").write_bytes(b"")
    return found


def empty_ledger(settings):
    """The ledger of an output folder that no run has worked in yet."""
    folder = Path(settings.output.dir, "ledger")
    folder.mkdir(parents=True)
    return Ledger(folder / "ledger.sqlite3")


def mixed_rows():
    """Thirty rows: twenty repeat one of four images, five cannot be used, one is a copy by content."""
    images = [f"p{number % 4:02}.jpg" for number in range(24)]
    images += ["copy-of-p01.jpg", "note.jpg", "empty.jpg", "gone.jpg", "gone-too.jpg", "../outside.jpg"]
    return [{"id": f"r{number:02}", "image": image} for number, image in enumerate(images)]


def test_repeats_among_two_thousand_rows_are_counted_exactly(make_job, tmp_path, images):
    """A fifth of the rows repeat another's image, by content; each different one is one call."""
    folder = tmp_path / "many"
    folder.mkdir()
    scene = (images / "p00.jpg").read_bytes()
    numbers = [*range(1_600), *range(400)]
    random.Random(3).shuffle(numbers)
    rows = []
    for row, number in enumerate(numbers):
        (folder / f"{row}.jpg").write_bytes(with_comment(scene, number))
        rows.append({"id": f"r{row}", "image": f"{row}.jpg"})
    found = planned(make_job(rows, images__root=str(folder), instance__qps=10, instance__share=0.5))
    assert (found["rows"], found["readable"], found["valid"]) == (2_000, 2_000, 2_000)
    assert (found["repeats"], found["requests"], found["calls"]) == (400, 1_600, 1_600)
    assert found["hours"] == pytest.approx(1_600 / 5 / 3600, abs=1e-4)
    assert not found["estimated"]
    assert not (tmp_path / "out").exists()


def test_unusable_rows_are_told_by_code_with_examples(make_job, folder):
    """Each code stands with its rows, apart for what cannot be read and what may not be sent."""
    found = planned(make_job(mixed_rows(), images__root=str(folder)))
    assert {each["code"]: (each["rows"], each["examples"]) for each in found["unreadable"]} == {
        "Local.ImageMissing": (2, ["r27", "r28"]),
        "Local.ImageOutsideRoot": (1, ["r29"]),
    }
    assert {each["code"]: each["examples"] for each in found["invalid"]} == {
        "Local.NotAnImage": ["r25"],
        "Local.ImageEmpty": ["r26"],
    }
    assert (found["readable"], found["valid"], found["repeats"], found["calls"]) == (27, 25, 21, 4)


def test_the_page_says_what_the_json_says(make_job, folder, tmp_path):
    """People get the funnel with the same counts, and neither form makes a folder."""
    job = make_job(mixed_rows(), images__root=str(folder))
    page = command("plan", job).stdout
    assert "no call was made" in page
    for line in ("rows 30", "readable 27", "valid 25", "repeats - 21", "distinct requests 4", "calls 4"):
        assert line in " ".join(page.split())
    assert "Local.ImageMissing: r27, r28" in page
    assert not (tmp_path / "out").exists()


def test_a_sample_says_that_it_is_one(make_job, folder):
    """Only so many rows are prepared; both forms say that the counts are scaled up."""
    job = make_job(mixed_rows(), images__root=str(folder))
    found = planned(job, "--sample", "10")
    assert found["estimated"]
    assert found["sample"] == {"rows": 10, "of": 30}
    assert found["rows"] == 30
    assert found["calls"] <= found["valid"] <= found["readable"] <= 30
    page = command("plan", job, "--sample", "10").stdout
    assert "An estimate from 10 of 30 rows" in page
    assert not planned(job, "--sample", "30")["estimated"]


def test_a_bad_manifest_is_refused_as_a_run_would(make_job):
    """Two rows with one key end the plan with 65, before any image is read."""
    ran = command("plan", make_job([{"id": "a", "image": "p00.jpg"}] * 2))
    assert ran.exit_code == 65
    assert "the key 'a' is also that of row 1" in ran.stderr


def test_a_priority_that_is_no_number_is_refused_as_a_run_would(make_job):
    """What would end a run before its first call ends the plan with the same message."""
    rows = [{"id": "a", "image": "p00.jpg", "first": "2"}, {"id": "b", "image": "p01.jpg", "first": "soon"}]
    ran = command("plan", make_job(rows, manifest__columns={"priority": "first"}))
    assert ran.exit_code == 65
    assert "row 2: the priority 'soon' is no number" in ran.stderr


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("search", {}),
        ("pages", {"results_per_row": 120}),
        ("by address", {"calls__upload": "url", "instance__region": "ap-southeast-1"}),
    ],
)
async def test_a_plan_counts_the_calls_that_the_run_makes(filled, load_here, folder, name, changes):
    """Distinct requests planned are calls made, and bytes planned are bytes sent."""
    if changes.get("calls__upload"):
        changes = changes | {"calls__open_platform": filled.endpoint}
    settings = load_here(mixed_rows(), images__root=str(folder), **changes)
    plan = await plan_job(settings)
    assert not filled.log.entries("SearchImageByPic")
    summary = await run_job(settings)
    results = pd.read_parquet(settings.output.dir + "/results").set_index("row_key")
    # Eight items in the catalogue: the first page is the last, whatever was allowed for.
    assert plan.calls == summary.calls * plan.pages == 4 * plan.pages
    assert plan.repeats == summary.coalesced == 21
    assert plan.valid == summary.ok == 25
    refused = {each.code: each.rows for each in (*plan.unreadable, *plan.invalid)}
    assert refused == dict(results["error_code"].value_counts())
    if name == "search":
        assert plan.needed.bytes == results[results["calls"] == 1]["body_bytes"].sum()
        assert plan.largest == results["body_bytes"].max()
    elif name == "by address":
        assert plan.needed.bytes == results[results["calls"] == 1]["sent_bytes"].sum()


async def test_pairs_declared_symmetric_are_planned_as_they_are_called(filled, load_here):
    """(A, B) and (B, A) are one call in the plan and in the run."""
    pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (0, 1)]
    rows = [
        {"id": n, "primary_image": f"p{a:02}.jpg", "secondary_image": f"p{b:02}.jpg"}
        for n, (a, b) in enumerate(pairs)
    ]
    for symmetric, calls in ((False, 5), (True, 3)):
        settings = load_here(
            rows,
            operation="CompareSimilarByImage",
            reuse__symmetric_pairs=symmetric,
            output__dir=f"out-{symmetric}",
        )
        plan = await plan_job(settings)
        assert plan.calls == (await run_job(settings)).calls == calls


async def test_rows_with_an_outcome_are_left_out(filled, load, run_here):
    """After a run nothing is left; rows added since are planned, those asking the same are answered."""
    rows = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(6)]
    settings, _ = await run_here(rows)
    plan = await plan_job(settings)
    assert (plan.done, plan.to_do, plan.calls, plan.looked_at) == (6, 0, 0, 0)
    load([*rows, {"id": "same", "image": "p02.jpg"}, {"id": "new", "image": "p30.jpg"}])
    grown = await plan_job(settings)
    assert (grown.done, grown.to_do, grown.reused, grown.calls) == (6, 2, 1, 1)
    one = await plan_job(settings, sample=1)
    assert (one.looked_at, one.to_do, one.sampled) == (1, 2, True)
    again = await run_job(settings)
    assert (again.calls, again.reused) == (1, 1)


async def test_answers_that_are_too_old_are_called_for_again(filled, load_here):
    """With `reuse.max_age_hours` at nought no earlier answer counts, in plan and run."""
    rows = [{"id": "r0", "image": "p00.jpg"}]
    await run_job(load_here(rows))
    settings = load_here([*rows, {"id": "r1", "image": "p00.jpg"}], reuse__max_age_hours=0)
    plan = await plan_job(settings)
    assert (plan.reused, plan.calls) == (0, 1)
    assert (await run_job(settings)).calls == 1


async def test_pages_that_were_answered_before_a_stop_are_not_planned_again(filled, load_here):
    """A row that was stopped between its pages needs the rest of them."""
    settings = load_here([{"id": "r0", "image": "p00.jpg"}], results_per_row=250)
    whole = await plan_job(settings)
    ledger = empty_ledger(settings)
    attempt = json.dumps([0, "2026-11-21T10:00:00+00:00", 0.1, 200, None, "id", False])
    page = (0, PageAnswer({}, (), 0).as_json())
    await ledger.attempt(digest_of("r0"), 1, attempt, {}, page=page)
    ledger.close()
    plan = await plan_job(settings)
    assert (whole.calls, plan.calls) == (3, 2)
    assert plan.needed.bytes < whole.needed.bytes


async def test_a_plan_beside_a_run_does_not_disturb_it(filled, load_here, monkeypatch):
    """While a run holds the output, a plan reads what is committed and takes no lock."""
    rows = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(12)]
    settings = load_here(rows)
    plans = []
    finish = Ledger.finish

    async def finish_and_plan(self, row, usage):
        await finish(self, row, usage)
        if not plans:
            plans.append(None)
            plans[0] = await plan_job(settings)

    monkeypatch.setattr(Ledger, "finish", finish_and_plan)
    summary = await run_job(settings)
    assert (summary.ok, summary.calls) == (12, 12)
    [plan] = plans
    assert 1 <= plan.done <= 12
    assert plan.looked_at == plan.to_do == plan.calls + plan.reused
    assert not plan.sampled


async def test_rows_finished_while_a_plan_looks_are_not_counted_as_to_do(load):
    """What a run commits between two looks at the ledger leaves the plan, which stays exact."""
    settings = load([{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(6)])
    ledger = empty_ledger(settings)
    manifest = open_manifest(settings, OPERATIONS[settings.operation])
    with LedgerReader(Path(settings.output.dir, "ledger", "ledger.sqlite3")) as reader:
        detected = DetectedChanges(settings, OPERATIONS[settings.operation], manifest, reader, Path())
        known = Known(reader, detected, Path(settings.output.dir), oldest=0.0, round_began=0.0)
        pending = PendingRows(manifest, known, 6, None, workers_of(settings)[0])
        await ledger.finish(FinishedRow(digest_of("r3"), None, None, b"{}", b"", b"", has_history=False), {})
        chosen = [rows.batch.rows[place].key for rows in pending.batches() for place, _, _ in rows.places]
    ledger.close()
    assert chosen == ["r0", "r1", "r2", "r4", "r5"]
    assert pending.counted == 5


async def test_another_jobs_output_is_refused(filled, load_here):
    """A plan over the results of another question says what a run would say."""
    rows = [{"id": "r0", "image": "p00.jpg"}]
    await run_job(load_here(rows))
    with pytest.raises(ConfigError, match=r"parameters\.crop"):
        await plan_job(load_here(rows, parameters={"crop": False}))


async def test_usage_states_what_runs_have_spent_and_spared(filled, run_here, folder, tmp_path):
    """Slots used, denied and saved agree with the runs' own summaries, in text, JSON and Parquet."""
    settings, summary = await run_here(mixed_rows(), images__root=str(folder))
    file = tmp_path / "usage.parquet"
    ran = command("usage", settings.output.dir, "--json", "--parquet", file)
    assert ran.exit_code == 0, ran.stderr
    totals = json.loads(ran.stdout)["totals"]
    assert (totals["slots_used"], totals["slots_granted"], totals["slots_denied"]) == (4, 4, 0)
    assert (totals["saved_by_validation"], totals["saved_by_coalescing"]) == (5, summary.coalesced)
    assert (totals["rows_ok"], totals["rows_failed"]) == (25, 5)
    table = pq.read_table(file).to_pandas()
    assert table["slots_used"].sum() == 4
    assert set(table["operation"]) == {"SearchImageByPic"}
    page = command("usage", settings.output.dir).stdout
    assert "4 slots used, 0 of them denied; 26 slots saved." in page


def test_usage_of_a_folder_without_a_ledger_exits_64(tmp_path):
    """A folder that no run has worked in is named, and nothing is made in it."""
    ran = command("usage", tmp_path)
    assert ran.exit_code == 64
    assert str(tmp_path) in ran.stderr
    assert list(tmp_path.iterdir()) == []
