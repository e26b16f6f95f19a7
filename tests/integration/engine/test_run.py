"""The whole way of a row: manifest in, real HTTP to the emulator, Parquet out."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from run_rig import hits_of, put, results_of

from batchsearch.emulator.faults import ErrorAnswer, FaultPlan, FaultRule
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ConfigError, ExitCode, ManifestError
from batchsearch.storage.ledger.store import Ledger


def rows(count):
    return [{"id": f"r{n:02}", "image": f"p{n:02}.jpg", "note": f"note {n}"} for n in range(count)]


def refusing(code, times=None):
    """A plan that answers searches with this code."""
    return FaultPlan((FaultRule(ErrorAnswer(code), frozenset({"SearchImageByPic"}), times=times),))


def part_sizes(settings):
    """Rows of each part, in order."""
    parts = sorted(Path(settings.output.dir, "results").glob("*.parquet"))
    return [pq.read_metadata(part).num_rows for part in parts]


@pytest.fixture
def filled(signed_in, images):
    """The emulator with twenty of the images in its catalogue."""
    for number in range(20):
        attributes = {"int_attr": number, "str_attr": ["even", "odd"][number % 2]}
        put(signed_in, f"P{number:02}", images / f"p{number:02}.jpg", **attributes)
    return signed_in


async def test_every_row_gets_one_outcome_and_its_hits(filled, load):
    """Each image of the catalogue finds itself first, and the user's columns come along."""
    settings = load(rows(20), instance__endpoint=filled.endpoint, parameters={"num": 3})
    summary = await run_job(settings)
    results, hits = results_of(settings), hits_of(settings)
    assert summary.exit_code == ExitCode.DONE
    assert list(results.index) == [f"r{n:02}" for n in range(20)]
    assert set(results["outcome"]) == {"ok"}
    assert results.loc["r07", "note"] == "note 7"
    assert results.loc["r07", "hit_count"] == 3
    first = hits[hits["rank"] == 1].set_index("row_key")["product_id"]
    assert dict(first) == {f"r{n:02}": f"P{n:02}" for n in range(20)}
    assert len(hits) == 60
    assert summary.calls == len(filled.log.entries("SearchImageByPic")) == 20


async def test_running_again_makes_no_call(filled, load):
    """A finished job is reported, not repeated."""
    settings = load(rows(5), instance__endpoint=filled.endpoint)
    await run_job(settings)
    again = await run_job(settings)
    assert (again.exit_code, again.calls, again.resumed, again.done) == (ExitCode.DONE, 0, 5, 5)
    assert len(filled.log.entries("SearchImageByPic")) == 5


async def test_appended_rows_and_only_they_are_called(filled, load):
    """A manifest that has grown costs its new rows."""
    settings = load(rows(3), instance__endpoint=filled.endpoint)
    await run_job(settings)
    load(rows(6), instance__endpoint=filled.endpoint)
    again = await run_job(settings)
    assert (again.calls, again.rows, again.done) == (3, 6, 6)
    assert len(results_of(settings)) == 6


async def test_a_changed_job_is_refused_setting_by_setting(filled, load):
    """Results of two different questions never share an output."""
    await run_job(load(rows(2), instance__endpoint=filled.endpoint, parameters={"crop": True}))
    with pytest.raises(ConfigError, match=r"parameters\.crop: was True, is False") as refused:
        await run_job(load(rows(2), instance__endpoint=filled.endpoint, parameters={"crop": False}))
    assert refused.value.exit_code == ExitCode.BAD_CONFIG


async def test_denied_calls_are_repeated_until_granted(filled, load):
    """Flow control's refusals cost slots, not rows; each attempt is on record."""
    filled.set_faults(refusing("DeniedRequest", times=3))
    settings = load(rows(6), instance__endpoint=filled.endpoint)
    summary = await run_job(settings)
    results = results_of(settings)
    assert set(results["outcome"]) == {"ok"}
    assert summary.denied == results["denied"].sum() == 3
    assert summary.calls == results["attempts"].sum() == 9
    assert all(
        len(ids) == attempts
        for ids, attempts in zip(results["request_ids"], results["attempts"], strict=True)
    )


async def test_a_rows_own_mistake_fails_that_row_alone(filled, load):
    """Per-row parameters are checked before a slot is spent."""
    given = [
        {"id": "a", "image": "p00.jpg", "box": "0,50,0,50"},
        {"id": "b", "image": "p01.jpg", "box": "50,0,0,50"},
    ]
    settings = load(given, instance__endpoint=filled.endpoint, manifest__columns={"region": "box"})
    summary = await run_job(settings)
    results = results_of(settings)
    assert list(results["error_code"].fillna("ok")) == ["ok", "Local.InvalidRegion"]
    assert results.loc["b", "error_origin"] == "local"
    assert results.loc["a", "pic_region"] == "0,50,0,50"
    assert summary.calls == 1


async def test_images_that_cannot_be_sent_get_a_code(filled, load):
    """Missing files cost no call and are told apart from bad ones."""
    given = [{"id": "a", "image": "none.jpg"}, {"id": "b", "image": ""}, {"id": "c", "image": "p00.jpg"}]
    settings = load(given, instance__endpoint=filled.endpoint)
    summary = await run_job(settings)
    codes = results_of(settings)["error_code"].fillna("ok")
    assert list(codes) == ["Local.ImageMissing", "Local.NoImage", "ok"]
    assert summary.calls == 1


async def test_more_results_than_a_page_come_in_several_calls(filled, load):
    """A page that came short is the last; ranks run on over all of them."""
    settings = load(rows(2), instance__endpoint=filled.endpoint, results_per_row=120)
    summary = await run_job(settings)
    hits = hits_of(settings)
    # The first page of 100 came short: with 20 images in the catalogue there is no second.
    assert summary.calls == 2
    assert list(hits[hits["row_key"] == "r00"]["rank"]) == list(range(1, 21))


async def test_no_permission_ends_the_run_and_keeps_it_resumable(filled, load):
    """A run-ending code several times in a row ends the run with exit 5; nothing is counted as failed."""
    filled.set_faults(refusing("NoPermission"))
    settings = load(rows(10), instance__endpoint=filled.endpoint)
    summary = await run_job(settings)
    assert summary.exit_code == ExitCode.ENDED
    assert "NoPermission" in summary.message
    assert summary.done == 0
    filled.set_faults(FaultPlan())
    again = await run_job(settings)
    assert (again.exit_code, again.done) == (ExitCode.DONE, 10)
    assert set(results_of(settings)["outcome"]) == {"ok"}


async def test_an_unusable_manifest_is_reported_before_any_call(filled, load):
    """Duplicate keys are named with their rows; nothing is written and nothing is called."""
    settings = load([*rows(2), rows(1)[0]], instance__endpoint=filled.endpoint)
    with pytest.raises(ManifestError, match="r00") as refused:
        await run_job(settings)
    assert refused.value.exit_code == ExitCode.BAD_MANIFEST
    assert filled.log.entries("SearchImageByPic") == ()


async def test_parts_are_sealed_on_the_way(filled, load):
    """With small parts the output grows while the run goes on; every part is listed and whole."""
    settings = load(rows(20), instance__endpoint=filled.endpoint, output__rows_per_part=6)
    await run_job(settings)
    results = results_of(settings)
    assert len(results) == 20
    assert part_sizes(settings) == [6, 6, 6, 2]


async def test_nothing_of_a_finished_row_stays_in_the_ledger(filled, load):
    """Attempts of rows that were repeated leave with their outcome."""
    filled.set_faults(refusing("DeniedRequest", times=3))
    settings = load(rows(4), instance__endpoint=filled.endpoint)
    await run_job(settings)
    ledger = Ledger(Path(settings.output.dir) / "ledger" / "ledger.sqlite3")
    assert ledger.histories() == {}
    assert list(ledger.pending(10)) == []
    assert {key.counter: amount for key, amount in ledger.usage().items()} == {
        "calls": 7,
        "denied": 3,
        "rows_ok": 4,
    }
    ledger.close()


@pytest.mark.parametrize("signing", ["v3", "v1"])
async def test_both_signatures_are_accepted(filled, load, signing):
    """The service takes either way of signing."""
    settings = load(rows(3), instance__endpoint=filled.endpoint, calls__signing=signing)
    assert (await run_job(settings)).ok == 3


async def test_images_may_travel_by_address(filled, load):
    """With `upload: url` the image is uploaded first; the request carries its address, not its bytes."""
    settings = load(
        rows(4),
        instance__endpoint=filled.endpoint,
        instance__region="ap-southeast-1",
        calls__upload="url",
        calls__open_platform=filled.endpoint,
    )
    summary = await run_job(settings)
    first = hits_of(settings).query("rank == 1").set_index("row_key")["product_id"]
    assert summary.ok == summary.calls == 4
    assert dict(first) == {f"r{n:02}": f"P{n:02}" for n in range(4)}
    assert len(filled.log.entries("AuthorizeFileUpload")) == 4
    assert results_of(settings)["body_bytes"].max() < 1_000


async def test_a_refused_upload_is_repeated_without_a_slot(filled, load):
    """What fails on the way to the object store is tried again; no call is made for it."""
    rule = FaultRule(ErrorAnswer("InternalError", status=500), frozenset({"AuthorizeFileUpload"}), times=2)
    filled.set_faults(FaultPlan((rule,)))
    settings = load(
        rows(2),
        instance__endpoint=filled.endpoint,
        instance__region="ap-southeast-1",
        calls__upload="url",
        calls__open_platform=filled.endpoint,
    )
    summary = await run_job(settings)
    assert (summary.ok, summary.calls) == (2, 2)
    assert len(filled.log.entries("AuthorizeFileUpload")) == 4
