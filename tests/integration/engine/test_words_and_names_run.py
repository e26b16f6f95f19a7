"""Jobs of rows without images: searched by text, listed by filter, looked up by name."""

import csv
from pathlib import Path

import pandas as pd
import pytest

from batchsearch.config.load import load_text
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ConfigError, ExitCode

SAMPLE = Path(__file__).parents[3] / "sample_data"
CATALOGUE = list(csv.DictReader((SAMPLE / "catalogue.csv").read_text(encoding="utf-8").splitlines()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an embedded instance that holds the sample catalogue."""
    return tmp_path_factory.mktemp("words")


@pytest.fixture(scope="module")
def worked(folder):
    """Runs a job over a table of texts; its summary, results and hits."""
    numbers = iter(range(100))

    async def run(operation, header, *rows, more="", kind="multimodal", key="id"):
        number = next(numbers)
        with (folder / f"{number}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        text = f"""
operation: {operation}
instance: {{endpoint: emulator, name: shop, qps: unlimited, service_type: {kind}}}
manifest: {{path: {number}.csv, key: {key}}}
output: {{dir: out/{number}}}
emulator:
  data: shop
  catalogue:
    manifest:
      path: {SAMPLE}/catalogue.csv
      key: pic_name
      columns: {{custom_content: name, str_attr: category, str_attr2: colour, int_attr: price_cents}}
{more}
"""
        settings = load_text(text, folder / f"{number}.yaml", environ={}).settings
        summary = await run_job(settings)
        results = pd.read_parquet(settings.output.dir + "/results").set_index("row_key").sort_index()
        return summary, results, pd.read_parquet(settings.output.dir + "/hits")

    return run


async def test_rows_of_words_are_searched(worked):
    """Each text has its hits with scores, best first; one that is too long fails before any call."""
    rows = [("1", "purple t-shirt"), ("2", "tulip"), ("3", "x" * 513), ("4", "nothing of this")]
    summary, results, hits = await worked("SearchImageByText", ("id", "text"), *rows)
    assert summary.exit_code == ExitCode.TOO_MANY_FAILED
    assert summary.calls == 3
    assert results.loc["3", "error_code"] == "Local.InvalidText"
    assert list(results["hit_count"].fillna(-1)) == [*results["hit_count"][:2], -1, 0]
    assert set(results["field_problems"]) == {0}
    first = hits[hits["rank"] == 1].set_index("row_key")["pic_name"]
    assert dict(first) == {"1": "purple-t-shirt.jpg", "2": "tulip-pot.jpg"}
    for _, found in hits.groupby("row_key"):
        assert list(found["score"]) == sorted(found["score"], reverse=True)


async def test_words_are_for_instances_that_understand_them(worked):
    """A job of texts for another kind of instance is refused before anything is asked."""
    with pytest.raises(ConfigError, match="only product multimodal ones"):
        await worked("SearchImageByText", ("id", "text"), ("1", "red"), kind="generic")


async def test_rows_of_filters_are_listed_over_all_pages(worked):
    """Every image that passes a filter is listed once, over as many calls as it takes, without scores."""
    rows = [("cheap", "int_attr < 2000"), ("clothes", 'str_attr = "Clothing"'), ("all", "int_attr > 0")]
    rows.append(("bad", "int_attr <"))
    summary, results, hits = await worked(
        "SearchImageByFilter", ("id", "filter"), *rows, more="parameters: {num: 100}"
    )
    wanted = {
        "all": {row["pic_name"] for row in CATALOGUE},
        "cheap": {row["pic_name"] for row in CATALOGUE if int(row["price_cents"]) < 2000},
        "clothes": {row["pic_name"] for row in CATALOGUE if row["category"] == "Clothing"},
    }
    assert {key: set(found["pic_name"]) for key, found in hits.groupby("row_key")} == wanted
    assert len(hits) == sum(map(len, wanted.values()))
    assert hits["score"].isna().all()
    assert results.loc["bad", "error_code"] == "Local.InvalidFilter"
    assert summary.calls == 3
    assert set(results["field_problems"]) == {0}


async def test_a_filter_that_is_missing_lists_nothing(worked):
    """A job whose table has no filter is refused: it would list the whole instance for every row."""
    with pytest.raises(Exception, match="filter"):
        await worked("SearchImageByFilter", ("id", "filtre"), ("1", "int_attr > 0"))


async def test_images_are_looked_up_by_name(worked):
    """Whether the instance holds an image, and what it keeps with it; one that is not there is no failure."""
    row = CATALOGUE[3]
    summary, results, _ = await worked(
        "CheckImageExists",
        ("product_id", "pic_name"),
        (row["product_id"], row["pic_name"]),
        (row["product_id"], "other.jpg"),
        key="pic_name",
    )
    assert (summary.exit_code, summary.calls, summary.ok) == (ExitCode.DONE, 2, 2)
    assert dict(results["exists"]) == {row["pic_name"]: True, "other.jpg": False}
    held = results.loc[row["pic_name"]]
    assert (held["held_custom_content"], held["held_str_attr"]) == (row["name"], row["category"])
    assert held["held_int_attr"] == int(row["price_cents"])
    assert results.loc["other.jpg", ["held_custom_content", "held_int_attr"]].isna().all()
