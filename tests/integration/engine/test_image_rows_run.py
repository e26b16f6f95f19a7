"""Products with several images over real HTTP: nights, filters, lists, dedup by product, comparisons."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import yaml
from shop_rig import SAMPLES, ImageServer, clusters_of, pairs_of, samples
from sqlite_rig import executed

from batchsearch.config.load import load_job
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.engine.renewal.row_selector import RowSelector
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ConfigError
from batchsearch.tasks.check.checking import check_job
from batchsearch.tasks.compare.comparison_job import compare_job
from batchsearch.tasks.dedup.night import run_night
from batchsearch.tasks.plan.planning import plan_job
from batchsearch.tasks.verify.findings import Verdict
from batchsearch.tasks.verify.folder_check import verify_folder


def results_of(settings, *columns):
    table = ds.dataset(Path(settings.output.dir, "results")).to_table(columns=[*columns])
    return sorted(tuple(row.values()) for row in table.to_pylist())


@pytest.fixture
def products(load, signed_in, tmp_path):
    """Runs a job over products with their lists of images."""

    def job(lists, **more):
        table = pa.table({"id": list(lists), "images": pa.array(lists.values(), pa.list_(pa.string()))})
        pq.write_table(table, tmp_path / "m.parquet")
        given = {"manifest__path": "m.parquet", "manifest__images": "images", **more}
        return load([{"id": "unused"}], instance__endpoint=signed_in.endpoint, **given)

    async def run(lists, **more):
        settings = job(lists, **more)
        return settings, await run_job(settings)

    run.job = job
    return run


async def test_nights_pay_for_new_images_alone(products):
    """Images that come, go and change places leave what is paid for the others alone."""
    settings, first = await products({"a": ["p00.jpg", "p01.jpg", "p00.jpg"], "b": ["p02.jpg"], "c": []})
    assert (first.rows, first.ok, first.calls, dict(first.codes)) == (4, 3, 3, {"Local.NoImage": 1})
    assert first.left_out == {"merged": 1}
    found = results_of(settings, "id", "image_index", "image", "row_number", "outcome")
    assert found[:3] == [
        ("a", 0, "p00.jpg", 0, "ok"),
        ("a", 1, "p01.jpg", 0, "ok"),
        ("b", 0, "p02.jpg", 1, "ok"),
    ]
    _, added = await products({"a": ["p03.jpg", "p01.jpg", "p00.jpg"], "b": ["p02.jpg"], "c": ["p04.jpg"]})
    assert (added.rows, added.ok, added.calls, added.others) == (5, 5, 2, 1)
    _, fewer = await products({"b": ["p02.jpg"], "a": ["p01.jpg", "p03.jpg"]})
    assert (fewer.rows, fewer.ok, fewer.calls) == (3, 3, 0)
    assert verify_folder(Path(settings.output.dir)).findings.verdict() == Verdict.WHOLE


async def test_an_output_tells_how_its_rows_were_made(products, tmp_path):
    """A ledger whose job cannot be read any more is still measured against the manifest's images."""
    settings, _ = await products({"a": ["p00.jpg", "p01.jpg"], "b": []}, manifest__without_image="skip")
    executed(Path(settings.output.dir, "ledger", "ledger.sqlite3"), "DELETE FROM meta WHERE name = 'job'")
    found = verify_folder(Path(settings.output.dir))
    assert found.manifest_rows == 2
    assert [each.kind for each in found.findings.listed()] == ["ledger_changed"]


async def test_a_signature_that_is_new_every_night_costs_nothing(products, signed_in):
    """An address that differs in its signature and version is the same image: looked at, not called."""
    host = ImageServer()
    try:
        for number, name in enumerate(("a", "b")):
            host.files[f"/{name}.jpg"] = (SAMPLES / samples()[number][2]).read_bytes()
        calls = []
        for night in ("1", "2"):
            for name in ("a", "b"):
                host.files[f"/{name}.jpg?v={night}&Signature=s{night}"] = host.files[f"/{name}.jpg"]
            images = [f"{host.address}/{name}.jpg?v={night}&Signature=s{night}" for name in ("a", "b")]
            settings, summary = await products(
                {"x": images}, images__allow_hosts=["127.0.0.1"], reuse__max_age_hours=0
            )
            calls.append((summary.rows, summary.ok, summary.calls, summary.others))
        assert calls == [(2, 2, 2, 0), (2, 2, 0, 0)]
        assert all("Signature" not in (row[0] or "") for row in results_of(settings, "image"))
    finally:
        host.close()


async def test_rows_that_are_left_out_are_counted_and_listed(products, tmp_path):
    """The summary says how many and why; the list names file, row and key, and goes when it is untrue."""
    lists = {"a": ["p00.jpg"], "b": [], "c": None, "d": ["p01.jpg"]}
    more = {"manifest__without_image": "skip", "manifest__where": 'id != "d"'}
    settings, summary = await products(lists, **more)
    assert (summary.rows, summary.calls) == (1, 1)
    assert summary.left_out == {"where": 1, "without_image": 2}
    assert "1 rows that manifest.where does not let pass, 2 rows without an image" in summary.as_text()
    told = json.loads(Path(settings.output.dir, "summary.json").read_text(encoding="utf-8"))
    assert told["left_out"] == {"where": 1, "without_image": 2}
    listed = Path(settings.output.dir, "without_image.csv").read_text(encoding="utf-8")
    assert list(csv.reader(listed.splitlines())) == [
        ["file", "row", "key"],
        [str(tmp_path / "m.parquet"), "2", "b"],
        [str(tmp_path / "m.parquet"), "3", "c"],
    ]
    await products({"a": ["p00.jpg"]}, **more)
    assert not Path(settings.output.dir, "without_image.csv").exists()


async def test_plan_check_and_retry_count_images(products):
    """A plan's calls, a check's verdicts and a retry's rows are the run's: one for each image."""
    lists = {"a": ["p00.jpg", "p01.jpg"], "b": ["lost.jpg", "p00.jpg"]}
    settings = products.job(lists)
    plan = await plan_job(settings)
    assert (plan.rows, plan.calls) == (4, 2)
    page = await check_job(settings)
    assert (page.tally.rows, page.tally.unusable, dict(page.tally.codes)) == (4, 1, {"Local.ImageMissing": 1})
    summary = await run_job(settings)
    assert (summary.rows, summary.ok, summary.calls, summary.coalesced) == (4, 3, 2, 1)
    again = await run_job(settings, RunOptions(chosen=RowSelector(codes=("Local.ImageMissing",))))
    assert (again.calls, again.failed) == (0, 1)


async def test_an_instance_is_filled_with_every_image_of_a_product(products, signed_in):
    """Each image is added under the name that is made for it; deleting one leaves the product's others."""
    columns = {"product_id": "id"}
    lists = {"a": ["p00.jpg", "p01.jpg"], "b": ["p02.jpg"]}
    _, added = await products(lists, operation="AddImage", manifest__columns=columns, output__dir="add")
    assert (added.ok, signed_in.catalogue().count()) == (3, 3)
    deleting = {"operation": "DeleteImage", "manifest__columns": columns, "output__dir": "delete"}
    _, deleted = await products({"a": ["p01.jpg"]}, **deleting, max_deleted="100%")
    assert (deleted.ok, signed_in.catalogue().count()) == (1, 2)


async def test_two_images_of_a_row_are_no_rows_of_images(products):
    """A comparison of given pairs is refused before anything is called."""
    with pytest.raises(Exception, match="takes two of each row"):
        await products({"a": ["p00.jpg"]}, operation="CompareSimilarByImage")


async def test_images_of_a_product_are_compared_with_each_other(products):
    """`compare` makes every pair within a product."""
    settings = products.job(
        {"a": ["p00.jpg", "p01.jpg", "p02.jpg"], "b": ["p03.jpg"]},
        operation="CompareSimilarByImage",
        compare={"pairs": "groups", "group": "id", "carry": ["image_index"]},
    )
    ended = await compare_job(settings)
    assert (ended.exit_code, ended.compared, ended.made.alone) == (0, 3, 1)


async def test_conditions_that_do_not_fit_end_the_run_with_their_place(products):
    """A column that the manifest does not have is shown at its character."""
    with pytest.raises(ConfigError) as caught:
        await products({"a": ["p00.jpg"]}, manifest__where="ID is null")
    assert "manifest.where: there is no column `ID`; did you mean `id`?" in str(caught.value)


@pytest.fixture
def shop(tmp_path, signed_in):
    """Nights of dedup over products with several images, as one text in a cell."""

    def job(products, **dedup):
        with (tmp_path / "shop.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["sku", "title", "photos"])
            writer.writerows([sku, f"Product {sku}", "|".join(files)] for sku, files in products.items())
        settings = {
            "operation": "SearchImageByPic",
            "instance": {
                "endpoint": signed_in.endpoint,
                "name": "demo",
                "qps": 1000,
                "custom_qps": True,
                "add_qps": 1000,
                "delete_qps": 1000,
            },
            "results_per_row": 30,
            "manifest": {"path": "shop.csv", "key": "sku", "images": "photos", "without_image": "skip"},
            "images": {"root": str(SAMPLES)},
            "output": {"dir": "out"},
            "dedup": {"sync": ["add", "delete"], "max_deleted": "90%", **dedup},
        }
        (tmp_path / "shop.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        return load_job(tmp_path / "shop.yaml", environ={}).settings

    async def night(products, **dedup):
        return await run_night(job(products, **dedup))

    return night


ORIGINAL, COPY = "catalogue/tablet.jpg", "queries/tablet-recompressed.jpg"


@pytest.mark.parametrize("precheck", ["none", "instead", "first"])
async def test_duplicates_are_products_whichever_of_their_images_are_alike(
    shop, signed_in, tmp_path, precheck
):
    """The second image of one product is a copy of the third of another: two products, one cluster."""
    singles = [file for _, _, file in samples()[1:7]]
    products = {
        "A": [singles[0], ORIGINAL],
        "B": [singles[1], singles[2], COPY],
        "C": [singles[3], singles[4]],
        "D": [],
    }
    summary = await shop(products, precheck=precheck)
    assert summary.exit_code == 0
    assert signed_in.catalogue().count() == 7
    assert list(clusters_of(tmp_path / "out").values()) == [{"A", "B"}]
    assert list(pairs_of(tmp_path / "out").index) == [("A", "B")]
    # One image comes, one goes, the others change places.
    products["A"] = [ORIGINAL, singles[5]]
    products["C"].reverse()
    second = await shop(products, precheck=precheck)
    assert {step: run.calls for step, run in second.sync.items()} == {"delete": 1, "add": 1}
    assert signed_in.catalogue().count() == 7
    assert list(clusters_of(tmp_path / "out").values()) == [{"A", "B"}]
    titles = ds.dataset(tmp_path / "out" / "clusters").to_table().to_pylist()
    assert {row["title"] for row in titles if "title" in row} <= {"Product A", "Product B"}
