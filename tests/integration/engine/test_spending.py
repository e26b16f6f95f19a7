"""Slots that are not spent, and runs that stop before their rows do."""

from datetime import UTC, datetime, timedelta

import pytest
from run_rig import harm, hits_of, put_all, results_of

from batchsearch.emulator.faults import ErrorAnswer, Latency, NotJson
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.engine.rows import preparer as prepare
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ExitCode, ManifestError
from batchsearch.tasks.plan.planning import plan_job


@pytest.fixture
def filled(signed_in, images):
    """The emulator with eight of the images in its catalogue."""
    return put_all(signed_in, images, range(8), "P{:02}")


def rows(*images):
    return [{"id": f"r{n:03}", "image": f"p{image:02}.jpg"} for n, image in enumerate(images)]


@pytest.fixture
def load_here(filled, load_here):
    """The same, with those images in the catalogue."""
    return load_here


async def test_rows_that_ask_the_same_at_once_are_one_call(filled, run_here):
    """While one row's call is out, equal rows wait for its answer and get the same hits."""
    harm(filled, Latency(seconds=0.3), of="SearchImageByPic")
    settings, summary = await run_here(rows(1, 2, 1, 1, 2, 3), results_per_row=3)
    results, hits = results_of(settings), hits_of(settings)
    assert (summary.ok, summary.calls, summary.coalesced) == (6, 3, 3)
    # Which of the equal rows asks is a matter of which image was ready first.
    for asked, equal in (({"r000", "r002", "r003"}, 2), ({"r001", "r004"}, 1), ({"r005"}, 0)):
        mine = results.loc[sorted(asked)]
        (asker,) = mine.index[mine["calls"] == 1]
        assert list(mine["coalesced_from"].dropna()) == [asker] * equal
    own = {
        key: table.drop(columns=["row_key", "key_values", "run_id", "finished_at"]).to_csv(index=False)
        for key, table in hits.groupby("row_key", sort=False)
    }
    assert own["r000"] == own["r002"] == own["r003"]
    assert own["r000"] != own["r001"]


@pytest.mark.parametrize("rows_per_part", [1, 1000])
async def test_a_later_row_gets_the_answer_that_is_there(load_here, run_here, rows_per_part):
    """An equal request is answered from the ledger, or from a sealed part, without a call."""
    first = load_here(rows(1, 2), output__rows_per_part=rows_per_part)
    await run_job(first)
    settings, summary = await run_here(rows(1, 2, 2, 1, 3), output__rows_per_part=rows_per_part)
    results, hits = results_of(settings), hits_of(settings)
    assert (summary.calls, summary.reused, summary.done) == (1, 2, 5)
    assert results.loc["r003", "coalesced_from"] == "r000"
    assert results.loc["r003", "pic_region"] == results.loc["r000", "pic_region"]
    assert results.loc["r003", "answered_at"] == results.loc["r000", "answered_at"]
    scores = {key: list(table["score"]) for key, table in hits.groupby("row_key")}
    assert scores["r003"] == scores["r000"]


async def test_old_answers_of_earlier_runs_are_asked_for_again(load_here, run_here):
    """With `reuse.max_age_hours: 0` an earlier run's answer serves nobody; this run's still do."""
    await run_job(load_here(rows(1), reuse__max_age_hours=0))
    _, summary = await run_here(rows(1, 1, 1), reuse__max_age_hours=0)
    assert (summary.calls, summary.coalesced, summary.reused) == (1, 1, 0)


async def test_a_lasting_refusal_is_shared(filled, run_here):
    """What the service refuses for good is asked once, and every equal row fails with its code."""
    harm(filled, ErrorAnswer("UnsupportedPicFormat"), of="SearchImageByPic")
    settings, summary = await run_here(rows(1, 1, 1))
    assert (summary.failed, summary.calls) == (3, 1)
    assert set(results_of(settings)["error_code"]) == {"UnsupportedPicFormat"}


@pytest.mark.parametrize(("symmetric", "calls"), [(True, 2), (False, 3)])
async def test_symmetric_pairs_are_one_call_when_declared(run_here, symmetric, calls):
    """(A, B) and (B, A) get one score from one call if the job says that order does not matter."""
    pairs = [("p01.jpg", "p02.jpg"), ("p02.jpg", "p01.jpg"), ("p03.jpg", "p03.jpg")]
    given = [{"id": n, "primary_image": a, "secondary_image": b} for n, (a, b) in enumerate(pairs)]
    settings, summary = await run_here(
        given, operation="CompareSimilarByImage", reuse__symmetric_pairs=symmetric
    )
    scores = results_of(settings)["score"]
    assert summary.calls == calls
    assert scores["0"] == scores["1"] < scores["2"] == 1.0


async def test_the_most_calls_end_a_run_and_the_next_goes_on(load_here):
    """With `max_calls` a run stops after exactly so many, exit 4; the next makes the rest."""
    settings = load_here(rows(*range(8)))
    summary = await run_job(settings, RunOptions(max_calls=3))
    assert (summary.exit_code, summary.calls, summary.done) == (ExitCode.INCOMPLETE, 3, 3)
    assert "3 calls" in summary.message
    again = await run_job(settings)
    assert (again.exit_code, again.calls, again.done) == (ExitCode.DONE, 5, 8)


async def test_a_deadline_ends_a_run_in_good_order(filled, load_here):
    """At the deadline nothing more is sent; what is answered is kept."""
    settings = load_here(rows(*range(8)))
    late = await run_job(settings, RunOptions(until=datetime.now(UTC) - timedelta(seconds=1)))
    assert (late.exit_code, late.done) == (ExitCode.INCOMPLETE, 0)
    assert filled.log.entries("SearchImageByPic") == ()


async def test_a_closed_window_makes_no_call(run_here):
    """Outside its window a run ends at once, resumable, and says when the window opens."""
    hour = datetime.now(UTC) + timedelta(hours=2)
    window = {"start": f"{hour:%H}:00", "end": f"{hour + timedelta(hours=1):%H}:00"}
    _, summary = await run_here(rows(1, 2), window=window)
    assert (summary.exit_code, summary.calls) == (ExitCode.INCOMPLETE, 0)
    assert "the window opens at" in summary.message


async def test_a_dead_network_pauses_the_run_and_fails_no_row(filled, load):
    """When nothing is answered the run waits, and at its limit ends resumable with every row still to do."""
    settings = load(rows(*range(8)), calls__max_attempts=1_000, calls__max_outage_seconds=1)
    summary = await run_job(settings)
    assert (summary.exit_code, summary.done, summary.failed) == (ExitCode.INCOMPLETE, 0, 0)
    assert "down" in summary.message
    # Twenty failures are borne at full pace; then one call in ten seconds.
    assert 20 <= summary.calls <= 40


WAYS = [
    {"num": "", "start": "", "crop": "", "distinct": "", "threshold": "", "category": ""},
    {
        "num": "10",
        "start": "0",
        "crop": "true",
        "distinct": "false",
        "threshold": "0",
        "category": "88888888",
    },
    {"num": "10.0", "start": "", "crop": "1", "distinct": "", "threshold": "0.00", "category": "17"},
]
COLUMNS = {
    "num": "num",
    "start": "start",
    "crop": "crop",
    "distinct_product_id": "distinct",
    "score_threshold": "threshold",
    "category_id": "category",
}


async def test_a_default_that_is_written_out_is_no_other_request(load_here):
    """Rows that differ only in what the service assumes anyway are one call, and plan says so beforehand."""
    given = [{"id": f"r{n}", "image": "p01.jpg", **way} for n, way in enumerate(WAYS)]
    settings = load_here(given, manifest__columns=COLUMNS)
    planned = await plan_job(settings)
    summary = await run_job(settings)
    assert (summary.ok, summary.calls, planned.needed.calls) == (3, 1, 1)
    assert len(set(results_of(settings)["request_key"])) == 1


async def test_answers_of_a_ledger_that_named_defaults_are_not_paid_again(filled, load, monkeypatch):
    """What batchsearch 0.1.0 asked with its defaults written out is found under the name that it had."""
    given = [{"id": f"r{n}", "image": "p01.jpg", **WAYS[1]} for n in range(3)]
    endpoint = {"instance__endpoint": filled.endpoint, "manifest__columns": COLUMNS}
    with monkeypatch.context() as before:
        before.setattr(prepare, "without_defaults", lambda _operation, values, **_: dict(values))
        assert (await run_job(load(given[:1], **endpoint))).calls == 1
    settings = load(given, **endpoint)
    assert (await plan_job(settings)).needed.calls == 0
    summary = await run_job(settings)
    assert (summary.ok, summary.calls, summary.reused) == (3, 0, 2)


async def test_longer_ids_pass_where_the_job_says_so(filled, load):
    """257 to 512 characters are refused before a call by default, and asked for by the setting."""
    long = [{"id": "r0", "image": "", "product": "x" * 300, "name": "y"}]
    given = {
        "operation": "SearchImageByName",
        "instance__endpoint": filled.endpoint,
        "manifest__columns": {"product_id": "product", "pic_name": "name"},
    }
    settings = load(long, **given)
    assert (await run_job(settings)).codes == {"Local.InvalidProductId": 1}
    longer = load(long, **given, instance__longest_id=512, output__dir="longer")
    assert (await run_job(longer)).calls == 1


GARBAGE = {
    "a proxy's page": NotJson(),
    "another's JSON": NotJson(200, '{"hello": "world"}', "application/json"),
    "nothing": NotJson(200, "", "text/plain"),
    "a broken service": ErrorAnswer("InternalError", 500),
    "no success": NotJson(200, '{"Success": null}', "application/json"),
}


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_an_outage_ends_the_run_with_one_row_left(filled, load, garbage):
    """The clock starts at the first failure: however few rows are left, none fails, again resumes."""
    harm(filled, GARBAGE[garbage])
    given = {"instance__endpoint": filled.endpoint, "calls__max_outage_seconds": 0.6}
    for _ in range(2):
        summary = await run_job(load(rows(1), **given))
        assert (summary.exit_code, summary.done, summary.failed) == (ExitCode.INCOMPLETE, 0, 0)
        assert "down" in summary.message
    harm(filled)
    assert (await run_job(load(rows(1), **given))).ok == 1


async def test_a_row_that_fails_in_several_runs_is_given_up_at_last(filled, load):
    """A row that nothing is answered to, in three runs and many attempts, no longer holds up the output."""
    harm(filled, ErrorAnswer("InternalError", 500))
    once = {"calls__max_outage_seconds": 0.6, "calls__max_attempts": 1}
    given = {"instance__endpoint": filled.endpoint, **once}
    ended = [await run_job(load(rows(1), **given)) for _ in range(3)]
    assert [(summary.exit_code, summary.failed) for summary in ended] == [
        (ExitCode.INCOMPLETE, 0),
        (ExitCode.INCOMPLETE, 0),
        (ExitCode.DONE, 1),
    ]


async def test_a_share_of_the_rate_is_left_to_others(filled, run_here):
    """A job with a share calls at that part of the tier."""
    _, summary = await run_here(rows(*range(8), 8, 9, 10, 11), instance__qps=20, instance__share=0.5)
    assert summary.tier == 10
    arrivals = [entry.arrived for entry in filled.log.entries("SearchImageByPic")]
    assert arrivals[10] - arrivals[0] >= 0.98


async def test_rows_of_a_higher_priority_go_first(run_here):
    """Higher numbers first, rows without one last; images prepared side by side may swap neighbours."""
    given = [
        {"id": f"r{n}", "image": f"p{n:02}.jpg", "urgency": urgency}
        for n, urgency in enumerate(["", 1, 10, 2, 10])
    ]
    settings, summary = await run_here(given, instance__qps=20, manifest__columns={"priority": "urgency"})
    assert summary.ok == 5
    order = results_of(settings).sort_values("first_sent_at").index
    assert {"r2", "r4"} < set(order[:3])
    assert order[-1] == "r0"


async def test_a_priority_that_is_no_number_is_reported(filled, load_here):
    """The row and its value are named, before any call."""
    given = [{"id": "a", "image": "p01.jpg", "urgency": "soon"}]
    settings = load_here(given, manifest__columns={"priority": "urgency"})
    with pytest.raises(ManifestError, match=r"row 1: the priority 'soon' is no number"):
        await run_job(settings)
    assert filled.log.entries("SearchImageByPic") == ()


async def test_an_answer_is_taken_from_the_row_that_had_it(filled, load_here, run_here):
    """A row that failed for a passing reason lends nothing: a later equal row gets the good answer."""
    options = {"calls__max_attempts": 1, "reuse__retry": "none"}
    harm(filled, ErrorAnswer("PictureError"), of="SearchImageByPic", times=1)
    first = load_here(rows(1), codes={"PictureError": "retry"}, **options)
    assert (await run_job(first)).failed == 1
    again = load_here(rows(1, 1), codes={"PictureError": "retry"}, **options)
    await run_job(again)
    settings, _ = await run_here(rows(1, 1, 1), codes={"PictureError": "retry"}, **options)
    results = results_of(settings)
    assert list(results["outcome"]) == ["failed", "ok", "ok"]
    assert results.loc["r002", "coalesced_from"] == "r001"


async def test_an_upload_outage_is_probed_and_fails_no_row(filled, run_here):
    """When no permission to upload is given the run pauses as in any outage, and ends resumable."""
    harm(filled, ErrorAnswer("ServiceUnavailable", status=503), of="AuthorizeFileUpload", skip=2)
    _, summary = await run_here(
        rows(*range(8)),
        instance__region="ap-southeast-1",
        calls__upload="url",
        calls__open_platform=filled.endpoint,
        calls__max_outage_seconds=1,
    )
    assert (summary.exit_code, summary.failed) == (ExitCode.INCOMPLETE, 0)
    assert summary.done == 2
    assert len(filled.log.entries("AuthorizeFileUpload")) <= 40
