"""The whole way of a row: manifest in, real HTTP to the emulator, Parquet out."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from run_rig import harm, hits_of, put, results_of

from batchsearch.emulator.faults import ErrorAnswer
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ConfigError, ExitCode, ManifestError
from batchsearch.storage.ledger.store import Ledger


def rows(count):
    return [{"id": f"r{n:02}", "image": f"p{n:02}.jpg", "note": f"note {n}"} for n in range(count)]


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


@pytest.fixture
def load_here(filled, load_here):
    """The same, with those images in the catalogue."""
    return load_here


async def test_every_row_gets_one_outcome_and_its_hits(filled, run_here):
    """Each image of the catalogue finds itself first, and the user's columns come along."""
    settings, summary = await run_here(rows(20), parameters={"num": 3})
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


async def test_running_again_makes_no_call(filled, run_here):
    """A finished job is reported, not repeated."""
    settings, _ = await run_here(rows(5))
    again = await run_job(settings)
    assert (again.exit_code, again.calls, again.resumed, again.done) == (ExitCode.DONE, 0, 5, 5)
    assert len(filled.log.entries("SearchImageByPic")) == 5


async def test_appended_rows_and_only_they_are_called(load_here, run_here):
    """A manifest that has grown costs its new rows."""
    settings, _ = await run_here(rows(3))
    load_here(rows(6))
    again = await run_job(settings)
    assert (again.calls, again.rows, again.done) == (3, 6, 6)
    assert len(results_of(settings)) == 6


async def test_a_changed_job_is_refused_setting_by_setting(load_here):
    """Results of two different questions never share an output."""
    await run_job(load_here(rows(2), parameters={"crop": True}))
    with pytest.raises(ConfigError, match=r"parameters\.crop: was True, is False") as refused:
        await run_job(load_here(rows(2), parameters={"crop": False}))
    assert refused.value.exit_code == ExitCode.BAD_CONFIG


async def test_denied_calls_are_repeated_until_granted(filled, run_here):
    """Flow control's refusals cost slots, not rows; each attempt is on record."""
    harm(filled, ErrorAnswer("DeniedRequest"), of="SearchImageByPic", times=3)
    settings, summary = await run_here(rows(6))
    results = results_of(settings)
    assert set(results["outcome"]) == {"ok"}
    assert summary.denied == results["denied"].sum() == 3
    assert summary.calls == results["attempts"].sum() == 9
    assert all(
        len(ids) == attempts
        for ids, attempts in zip(results["request_ids"], results["attempts"], strict=True)
    )


async def test_a_rows_own_mistake_fails_that_row_alone(run_here):
    """Per-row parameters are checked before a slot is spent."""
    given = [
        {"id": "a", "image": "p00.jpg", "box": "0,50,0,50"},
        {"id": "b", "image": "p01.jpg", "box": "50,0,0,50"},
    ]
    settings, summary = await run_here(given, manifest__columns={"region": "box"})
    results = results_of(settings)
    assert list(results["error_code"].fillna("ok")) == ["ok", "Local.InvalidRegion"]
    assert results.loc["b", "error_origin"] == "local"
    assert results.loc["a", "pic_region"] == "0,50,0,50"
    assert summary.calls == 1


async def test_images_that_cannot_be_sent_get_a_code(run_here):
    """Missing files cost no call and are told apart from bad ones."""
    given = [{"id": "a", "image": "none.jpg"}, {"id": "b", "image": ""}, {"id": "c", "image": "p00.jpg"}]
    settings, summary = await run_here(given)
    codes = results_of(settings)["error_code"].fillna("ok")
    assert list(codes) == ["Local.ImageMissing", "Local.NoImage", "ok"]
    assert summary.calls == 1


async def test_more_results_than_a_page_come_in_several_calls(run_here):
    """A page that came short is the last; ranks run on over all of them."""
    settings, summary = await run_here(rows(2), results_per_row=120)
    hits = hits_of(settings)
    # The first page of 100 came short: with 20 images in the catalogue there is no second.
    assert summary.calls == 2
    assert list(hits[hits["row_key"] == "r00"]["rank"]) == list(range(1, 21))


async def test_no_permission_ends_the_run_and_keeps_it_resumable(filled, run_here):
    """A run-ending code several times in a row ends the run with exit 5; nothing is counted as failed."""
    harm(filled, ErrorAnswer("NoPermission"), of="SearchImageByPic")
    settings, summary = await run_here(rows(10))
    assert summary.exit_code == ExitCode.ENDED
    assert "NoPermission" in summary.message
    assert summary.done == 0
    harm(filled)
    again = await run_job(settings)
    assert (again.exit_code, again.done) == (ExitCode.DONE, 10)
    assert set(results_of(settings)["outcome"]) == {"ok"}


async def test_an_unusable_manifest_is_reported_before_any_call(filled, load_here):
    """Duplicate keys are named with their rows; nothing is written and nothing is called."""
    settings = load_here([*rows(2), rows(1)[0]])
    with pytest.raises(ManifestError, match="r00") as refused:
        await run_job(settings)
    assert refused.value.exit_code == ExitCode.BAD_MANIFEST
    assert filled.log.entries("SearchImageByPic") == ()


async def test_parts_are_sealed_on_the_way(run_here):
    """With small parts the output grows while the run goes on; every part is listed and whole."""
    settings, _ = await run_here(rows(20), output__rows_per_part=6)
    results = results_of(settings)
    assert len(results) == 20
    assert part_sizes(settings) == [6, 6, 6, 2]


async def test_nothing_of_a_finished_row_stays_in_the_ledger(filled, run_here):
    """Attempts of rows that were repeated leave with their outcome."""
    harm(filled, ErrorAnswer("DeniedRequest"), of="SearchImageByPic", times=3)
    settings, _ = await run_here(rows(4))
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
async def test_both_signatures_are_accepted(load_here, signing):
    """The service takes either way of signing."""
    settings = load_here(rows(3), calls__signing=signing)
    assert (await run_job(settings)).ok == 3


async def test_images_may_travel_by_address(filled, run_here):
    """With `upload: url` the image is uploaded first; the request carries its address, not its bytes."""
    settings, summary = await run_here(
        rows(4), instance__region="ap-southeast-1", calls__upload="url", calls__open_platform=filled.endpoint
    )
    first = hits_of(settings).query("rank == 1").set_index("row_key")["product_id"]
    assert summary.ok == summary.calls == 4
    assert dict(first) == {f"r{n:02}": f"P{n:02}" for n in range(4)}
    assert len(filled.log.entries("AuthorizeFileUpload")) == 4
    assert results_of(settings)["body_bytes"].max() < 1_000


async def test_a_refused_upload_is_repeated_without_a_slot(filled, run_here):
    """What fails on the way to the object store is tried again; no call is made for it."""
    harm(filled, ErrorAnswer("InternalError", status=500), of="AuthorizeFileUpload", times=2)
    _, summary = await run_here(
        rows(2), instance__region="ap-southeast-1", calls__upload="url", calls__open_platform=filled.endpoint
    )
    assert (summary.ok, summary.calls) == (2, 2)
    assert len(filled.log.entries("AuthorizeFileUpload")) == 4
