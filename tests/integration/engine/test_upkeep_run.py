"""Keeping an instance in step as a job: adding, updating and deleting rows of a manifest."""

import pandas as pd
import pytest
from run_rig import harm

from batchsearch.emulator.faults import ErrorAnswer, WrongTypes
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ExitCode, ManifestError
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
async def filled(run_here):
    """An instance that holds the twelve images, added by a job; the job's settings."""
    settings, summary = await run_here(ROWS, output__dir="added", **ADD, **FAST)
    assert (summary.exit_code, summary.ok, summary.calls) == (0, 12, 12)
    return settings


async def test_added_images_are_found(filled, load_here):
    """AddImage over a manifest: a search afterwards finds each image with the attributes it was given."""
    assert results(filled)["pic_region"].notna().all()
    search = load_here(ROWS, output__dir="found", parameters__num=1)
    assert (await run_job(search)).ok == 12
    hits = pd.read_parquet(search.output.dir + "/hits").set_index("row_key")
    assert hits["product_id"].to_dict() == {str(n): f"P{n:02}" for n in range(12)}
    assert hits["int_attr"].to_dict() == {str(n): n for n in range(12)}


async def test_all_subjects_of_an_added_image_are_stored(signed_in, load_here):
    """AddImage answers with MultiRegion and AllCategories as a search does: the results have them too."""
    subjects = {"PicInfo.MultiRegion": [{"Region": "1,50,2,60"}, {"Region": "70,90,10,30"}]}
    harm(signed_in, WrongTypes(subjects), of="AddImage")
    settings = load_here(ROWS[:1], output__dir="added", **ADD, **FAST)
    assert (await run_job(settings)).ok == 1
    row = results(settings).loc["0"]
    assert list(row["multi_region"]) == list(row["multi_region_sent"]) == ["1,50,2,60", "70,90,10,30"]
    assert len(row["all_categories"]) > 0


async def test_a_second_run_adds_nothing_again(filled, signed_in):
    """An upkeep job has the same promise as any: a row that has its outcome makes no call."""
    before = len(signed_in.log.entries())
    assert (await run_job(filled)).calls == 0
    assert len(signed_in.log.entries()) == before


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        (
            ROWS[:2],
            {},
            r"names 2 images to delete, the instance holds 12 \(16\.7 %\), .*`max_deleted` allows 10%",
        ),
        (
            ROWS[:1],
            {"parameters__is_delete_by_filter": True, "parameters__filter": "int_attr>=0"},
            "by filter",
        ),
    ],
)
@pytest.mark.usefixtures("filled")
async def test_a_job_that_deletes_more_than_it_may_deletes_nothing(signed_in, load, rows, settings, said):
    """The guard stands before the first deletion and names the setting; one below it goes through."""
    job = {
        "operation": "DeleteImage",
        "instance__endpoint": signed_in.endpoint,
        "output__dir": "deleted",
        "manifest__columns": {"product_id": "product", "pic_name": "name"},
        **FAST,
    }
    with pytest.raises(ManifestError, match=said):
        await run_job(load(rows, **job, **settings))
    assert signed_in.catalogue().count() == 12
    assert not signed_in.log.entries("DeleteImage")
    assert (await run_job(load(ROWS[:1], **{**job, "output__dir": "one"}))).ok == 1
    assert signed_in.catalogue().count() == 11


async def test_an_instance_that_does_not_say_what_it_holds_loses_nothing(filled, signed_in, load_here):
    """Without a number nobody can tell what share would go: the run ends and says what helps."""
    harm(signed_in, ErrorAnswer("NoPermission"), of="Detail")
    job = load_here(
        ROWS[:1],
        operation="DeleteImage",
        output__dir="deleted",
        manifest__columns={"product_id": "product", "pic_name": "name"},
        **FAST,
    )
    summary = await run_job(job)
    assert (summary.exit_code, summary.calls) == (ExitCode.ENDED, 0)
    assert "allow the operation Detail, or set `max_deleted: 100%`" in summary.as_text()
    assert signed_in.catalogue().count() == 12


async def test_a_manifest_that_has_shrunk_is_refused_where_the_job_asks_for_it(signed_in, load):
    """`manifest.max_shrink` takes a manifest that lost more for a broken export; without it any is taken."""
    job = {**ADD, **FAST, "instance__endpoint": signed_in.endpoint}
    await run_job(load(ROWS, **job))
    with pytest.raises(ManifestError, match=r"has 8 rows and had 12 at the last run.*lose 30%"):
        await run_job(load(ROWS[:8], **job, manifest__max_shrink="30%"))
    assert (await run_job(load(ROWS[:9], **job, manifest__max_shrink="30%"))).exit_code == 0
    assert (await run_job(load(ROWS[:2], **job))).exit_code == 0


async def test_updates_and_deletions_have_outcomes(filled, load_here):
    """UpdateImage changes attributes, DeleteImage tells which images went."""
    columns = {"product_id": "product", "pic_name": "name"}
    update = load_here(
        ROWS,
        operation="UpdateImage",
        output__dir="updated",
        manifest__columns=columns,
        parameters__str_attr="sale",
        **FAST,
    )
    assert (await run_job(update)).ok == 12
    delete = load_here(
        ROWS[:5],
        operation="DeleteImage",
        output__dir="deleted",
        manifest__columns=columns,
        max_deleted="50%",
        **FAST,
    )
    assert (await run_job(delete)).ok == 5
    deleted = results(delete)["deleted_pic_names"].map(list).to_dict()
    assert deleted == {str(n): [f"p{n:02}.jpg"] for n in range(5)}
    search = load_here(ROWS, output__dir="found", parameters__num=20)
    await run_job(search)
    hits = pd.read_parquet(search.output.dir + "/hits")
    assert set(hits["product_id"]) == {f"P{n:02}" for n in range(5, 12)}
    assert set(hits["str_attr"]) == {"sale"}


async def test_an_earlier_answer_never_replaces_an_upkeep_call(filled, load_here):
    """What was added may have been deleted since: an equal request of a later run is sent."""
    again = load_here([*ROWS, {**ROWS[0], "id": "again"}], output__dir="added", **ADD, **FAST)
    summary = await run_job(again)
    assert (summary.calls, summary.reused) == (1, 0)


async def test_adding_is_paced_by_its_own_budget(run_here, monkeypatch, tmp_path):
    """An AddImage job draws on the add budget at its rate, whatever the query tier is."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    made = []
    monkeypatch.setattr(
        "batchsearch.engine.run.instance_access.SharedPacer",
        lambda qps, board, **options: made.append(qps) or SharedPacer(qps, board, **options),
    )
    _, summary = await run_here(ROWS[:1], instance__shared="host", instance__add_qps=4.0, **ADD)
    assert (summary.ok, summary.tier, made) == (1, 4.0, [4.0])
