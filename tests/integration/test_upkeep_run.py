"""Keeping an instance in step as a job: adding, updating and deleting rows of a manifest."""

import pandas as pd
import pytest

from batchsearch.engine.job import run_job
from batchsearch.pacing.shared import SharedPacer

ROWS = [
    {"id": str(n), "product": f"P{n:02}", "name": f"p{n:02}.jpg", "image": f"p{n:02}.jpg", "price": n}
    for n in range(12)
]
ADD = {
    "operation": "AddImage",
    "manifest__columns": {"image": "image", "product_id": "product", "pic_name": "name", "int_attr": "price"},
}
FAST = {"instance__add_qps": 1000.0, "instance__delete_qps": 1000.0, "instance__update_qps": 1000.0}


def results(settings):
    return pd.read_parquet(settings.output.dir + "/results").set_index("id")


@pytest.fixture
async def filled(signed_in, load):
    """An instance that holds the twelve pictures, added by a job; the job's settings."""
    settings = load(ROWS, instance__endpoint=signed_in.endpoint, output__dir="added", **ADD, **FAST)
    summary = await run_job(settings)
    assert (summary.exit_code, summary.ok, summary.calls) == (0, 12, 12)
    return settings


async def test_added_pictures_are_found(filled, signed_in, load):
    """AddImage over a manifest: a search afterwards finds each picture with the attributes it was given."""
    assert results(filled)["pic_region"].notna().all()
    search = load(ROWS, instance__endpoint=signed_in.endpoint, output__dir="found", parameters__num=1)
    assert (await run_job(search)).ok == 12
    hits = pd.read_parquet(search.output.dir + "/hits").set_index("row_key")
    assert hits["product_id"].to_dict() == {str(n): f"P{n:02}" for n in range(12)}
    assert hits["int_attr"].to_dict() == {str(n): n for n in range(12)}


async def test_a_second_run_adds_nothing_again(filled, signed_in):
    """An upkeep job has the same promise as any: a row that has its outcome makes no call."""
    before = len(signed_in.log.entries())
    assert (await run_job(filled)).calls == 0
    assert len(signed_in.log.entries()) == before


async def test_updates_and_deletions_have_outcomes(filled, signed_in, load):
    """UpdateImage changes attributes, DeleteImage tells which pictures went."""
    columns = {"product_id": "product", "pic_name": "name"}
    update = load(
        ROWS,
        operation="UpdateImage",
        instance__endpoint=signed_in.endpoint,
        output__dir="updated",
        manifest__columns=columns,
        parameters__str_attr="sale",
        **FAST,
    )
    assert (await run_job(update)).ok == 12
    delete = load(
        ROWS[:5],
        operation="DeleteImage",
        instance__endpoint=signed_in.endpoint,
        output__dir="deleted",
        manifest__columns=columns,
        **FAST,
    )
    assert (await run_job(delete)).ok == 5
    deleted = results(delete)["deleted_pic_names"].map(list).to_dict()
    assert deleted == {str(n): [f"p{n:02}.jpg"] for n in range(5)}
    search = load(ROWS, instance__endpoint=signed_in.endpoint, output__dir="found", parameters__num=20)
    await run_job(search)
    hits = pd.read_parquet(search.output.dir + "/hits")
    assert set(hits["product_id"]) == {f"P{n:02}" for n in range(5, 12)}
    assert set(hits["str_attr"]) == {"sale"}


async def test_an_earlier_answer_never_replaces_an_upkeep_call(filled, signed_in, load):
    """What was added may have been deleted since: an equal request of a later run is sent."""
    again = load(
        [*ROWS, {**ROWS[0], "id": "again"}],
        instance__endpoint=signed_in.endpoint,
        output__dir="added",
        **ADD,
        **FAST,
    )
    summary = await run_job(again)
    assert (summary.calls, summary.reused) == (1, 0)


async def test_adding_is_paced_by_its_own_budget(signed_in, load, monkeypatch, tmp_path):
    """An AddImage job draws on the add budget at its rate, whatever the query tier is."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    made = []
    monkeypatch.setattr(
        "batchsearch.engine.rate.SharedPacer",
        lambda qps, board, **options: made.append(qps) or SharedPacer(qps, board, **options),
    )
    settings = load(
        ROWS[:1],
        instance__endpoint=signed_in.endpoint,
        instance__shared="host",
        instance__add_qps=4.0,
        **ADD,
    )
    summary = await run_job(settings)
    assert (summary.ok, summary.tier, made) == (1, 4.0, [4.0])
