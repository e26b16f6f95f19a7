"""Tables in memory as manifests, and results as data frames and pages: what a notebook does."""

import asyncio
import json
import re
import shutil
import traceback
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import batchsearch
from batchsearch.python_api.bars import NotebookBar
from batchsearch.python_api.manifests import arrow_table
from batchsearch.telemetry.progress import Progress
from batchsearch.telemetry.stats import Stats

ROWS = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(4)]


class Foreign:
    """A table of a library that nobody knows here, with the types that Polars hands over."""

    def __init__(self, table):
        views = [pa.string_view() if pa.types.is_string(field.type) else field.type for field in table.schema]
        self._table = table.cast(pa.schema(list(zip(table.schema.names, views, strict=True))))

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


KINDS = {
    "pandas": lambda: pd.DataFrame(ROWS),
    "pandas with a named index": lambda: pd.DataFrame(ROWS).set_index("id"),
    "pandas with paths": lambda: pd.DataFrame(ROWS).assign(image=[Path(row["image"]) for row in ROWS]),
    "pandas with categories": lambda: pd.DataFrame(ROWS).astype({"id": "category"}),
    "arrow table": lambda: pa.Table.from_pylist(ROWS),
    "record batch": lambda: pa.RecordBatch.from_pylist(ROWS),
    "reader": lambda: pa.Table.from_pylist(ROWS).to_reader(max_chunksize=1),
    "c stream of views": lambda: Foreign(pa.Table.from_pylist(ROWS)),
    "rows as mappings": lambda: ROWS,
}


@pytest.fixture
def job(make_job, signed_in, tmp_path):
    """A job without a manifest of its own, as a mapping."""
    settings = batchsearch.load(make_job(ROWS, instance__endpoint=signed_in.endpoint))
    (tmp_path / "manifest.csv").unlink()
    job = settings.model_dump(mode="json", exclude_unset=True)
    del job["manifest"]["path"]
    return job


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_any_library_is_a_manifest(job, kind):
    """Each gives the same rows, named and worked on as those of a file."""
    result = batchsearch.run(job, manifest=KINDS[kind]())
    assert result.ok
    frame = result.frame(columns=["row_key", "outcome"])
    assert sorted(frame["row_key"]) == ["r0", "r1", "r2", "r3"]
    assert set(frame["outcome"]) == {"ok"}


def test_polars_is_a_manifest(job):
    """A Polars frame is taken as it is, by Arrow's C stream interface."""
    polars = pytest.importorskip("polars")
    assert batchsearch.run(job, manifest=polars.DataFrame(ROWS)).summary.ok == 4


def test_a_second_night_is_known_by_its_rows(job):
    """The same rows from another library, in another order: nothing is paid twice; a new row is one call."""
    assert batchsearch.run(job, manifest=pd.DataFrame(ROWS)).summary.calls == 4
    turned = pa.Table.from_pylist(ROWS[::-1])
    assert batchsearch.run(job, manifest=turned).summary.calls == 0
    more = [*ROWS, {"id": "new", "image": "p04.jpg"}]
    assert batchsearch.run(job, manifest=more).summary.calls == 1
    changed = [*ROWS[:3], {"id": "r3", "image": "p05.jpg"}]
    assert batchsearch.run(job, manifest=changed).summary.calls == 1


def test_a_table_goes_in_where_a_loop_is_running(job):
    """As in a notebook: plan, check and run are called from within a running event loop."""

    async def cell():
        frame = pd.DataFrame(ROWS)
        planned = batchsearch.plan(job, manifest=frame)
        checked = batchsearch.check(job, manifest=frame)
        ran = await batchsearch.arun(job, manifest=frame)
        return planned.rows, checked.tally.rows, ran.summary.rows

    assert asyncio.run(cell()) == (4, 4, 4)


def test_another_path_is_a_manifest_too(job, tmp_path):
    """A path takes the place of the job's, as `--set manifest.path` does."""
    pd.DataFrame(ROWS[:2]).to_csv(tmp_path / "tonight.csv", index=False)
    assert batchsearch.run(job, manifest=tmp_path / "tonight.csv").summary.rows == 2


def test_dedup_takes_a_table(make_job, tmp_path):
    """A night over a table in memory makes clusters, and shows them as a frame."""
    rows = [{"id": f"P{n}", "pic_name": "front", "image": f"p{n % 3:02}.jpg"} for n in range(4)]
    file = make_job(rows, instance__endpoint="emulator", dedup={"sync": "add", "threshold": 0.97})
    job = batchsearch.load(file).model_dump(mode="json", exclude_unset=True)
    shutil.move(tmp_path / "manifest.csv", tmp_path / "away.csv")
    result = batchsearch.run_dedup(job, manifest=pd.DataFrame(rows))
    assert result.ok
    assert sorted(result.frame()["product_id"]) == ["P0", "P3"]
    assert len(result.pairs_frame()) >= 1


def test_a_table_that_is_gone_is_named(job):
    """Whoever comes later without the table is told what it was and what to do."""
    result = batchsearch.run(job, manifest=ROWS)
    with pytest.raises(batchsearch.ManifestError, match="in the memory of a Python program"):
        batchsearch.run(result.settings)


def test_what_is_no_table_is_refused_with_what_is():
    """The message says what is taken, and of a lazy frame how it becomes one."""

    class LazyFrame:
        def collect(self):
            return None

    with pytest.raises(batchsearch.ConfigError, match=r"takes a DataFrame.*call its `collect\(\)` first"):
        arrow_table(LazyFrame())
    with pytest.raises(batchsearch.ManifestError, match="column b"):
        arrow_table(pd.DataFrame({"a": [1, 2], "b": [1, "x"]}))


def test_a_table_is_written_nowhere(job, tmp_path):
    """What else a table holds, such as a signed address that no column carries, is in no file."""
    rows = [row | {"note": "https://u:geheim@host/x?Signature=geheimnis"} for row in ROWS]
    batchsearch.run(job | {"manifest": {"key": "id", "carry": ["id"]}}, manifest=rows)
    for file in (tmp_path / "out").rglob("*"):
        assert not file.is_file() or b"geheim" not in file.read_bytes()


def test_a_result_is_a_page_with_counts_and_images(job):
    """A notebook shows how it ended and small copies of the first images; everything else is escaped."""
    rows = [*ROWS, {"id": "<script>alert(1)</script>", "image": "gone.jpg"}]
    page = batchsearch.run(job, manifest=rows)._repr_html_()
    assert "5: 4 ok, 1 failed, 0 left" in page
    assert "Local.ImageMissing" in page
    assert page.count('src="data:image/jpeg;base64,') == 4
    assert "<script>" not in page
    assert len(page) < 100_000


def test_show_prints_the_first_rows(job, capsys):
    """Outside a notebook `show` is text, with no column that is empty."""
    result = batchsearch.run(job, manifest=ROWS)
    result.show(2)
    shown = capsys.readouterr().out
    # Rows stand in the order in which they were answered.
    assert len(set(re.findall(r"\br\d\b", shown))) == 2
    assert "error_code" not in shown


def test_show_goes_on_over_parts(job, capsys):
    """So many rows as are asked for, however few each part holds."""
    result = batchsearch.run(job, manifest=ROWS, overrides={"output.rows_per_part": 1})
    result.show(3)
    assert len(set(re.findall(r"\br\d\b", capsys.readouterr().out))) == 3


def test_a_reader_is_read_once(job):
    """What an earlier call has read to its end would be a manifest without rows: it is refused."""
    reader = pa.Table.from_pylist(ROWS).to_reader()
    assert batchsearch.run(job, manifest=reader).summary.rows == len(ROWS)
    with pytest.raises(batchsearch.ConfigError, match="an earlier call has read to its end"):
        batchsearch.run(job, manifest=reader)


def test_types_of_other_libraries_are_read_as_what_they_hold():
    """Categories over views, as Polars makes them, and lists of a fixed length."""
    words = pa.DictionaryArray.from_arrays(
        pa.array([1, None, 0], pa.uint32()), pa.array(["a", "b"], pa.string_view())
    )
    pairs = pa.array([["x", "y"], None, ["z", "z"]], pa.list_(pa.string_view(), 2))
    table = arrow_table(pa.table({"words": words, "pairs": pairs}))
    assert table.to_pydict() == {"words": ["b", None, "a"], "pairs": [["x", "y"], None, ["z", "z"]]}
    assert table.schema.types == [pa.large_string(), pa.list_(pa.large_string(), 2)]


def test_settings_may_be_values_of_other_libraries():
    """NumPy's numbers and lists, sets, paths; what no setting can be is refused by its name."""
    job = {
        "operation": "SearchImageByPic",
        "instance": {"endpoint": "emulator", "name": "demo", "qps": 10},
        "manifest": {"path": "images.csv", "key": "sku"},
        "output": {"dir": "out"},
    }
    laid_over = {
        "instance.qps": np.int64(5),
        "instance.custom_qps": np.bool_(True),
        "manifest.key": np.array(["a", "b"]),
        "manifest.carry": {"d", "c"},
        "images.root": Path("images"),
    }
    loaded = batchsearch.load(job, overrides=laid_over)
    assert (loaded.instance.qps, loaded.instance.custom_qps) == (5.0, True)
    assert (loaded.manifest.key, loaded.manifest.carry) == (("a", "b"), ("c", "d"))
    with pytest.raises(batchsearch.ConfigError, match=r"instance.name: takes text, a number.*, not object"):
        batchsearch.load(job, overrides={"instance.name": object()})


def test_a_config_error_is_readable():
    """In a notebook five lines at most; elsewhere no frame of the package's inside."""
    wrong = {"operation": "X", "instance": {"qqs": 1}, "manifest": {"pth": 1}, "output": {"dr": 1}, "a": 1}
    with pytest.raises(batchsearch.ConfigError) as caught:
        batchsearch.run(wrong)
    lines = caught.value._render_traceback_()
    assert len(lines) <= 5
    assert lines[0] == "ConfigError: the job is not usable:"
    assert "more; `str(error)` has them all" in lines[-1]
    assert len(traceback.extract_tb(caught.value.__traceback__)) <= 3
    assert caught.value.__suppress_context__


def test_the_bar_of_a_notebook_is_plain_html():
    """It is renewed in its place at a bounded pace, shows steps and counts, and goes away at the end."""
    pages, now = [], [0.0]

    def display(page):
        pages.append(page)
        return pages.append

    with Progress(NotebookBar(display), clock=lambda: now[0]) as bar, bar:
        bar.step("reading <the> manifest", 3, 10)
        for done in range(100):
            now[0] += 0.01
            bar.update(Stats(total=100, ok=done))
    assert "reading &lt;the&gt; manifest" in pages[1]
    assert 'max="100"' in pages[2]
    assert len(pages) <= 6
    assert pages[-1] == ""


def test_progress_may_be_asked_for_by_true(job, capsys):
    """Without a notebook or a terminal `progress=True` prints nothing that a program would not expect."""
    result = batchsearch.run(job, manifest=ROWS, progress=True)
    assert result.ok
    assert json.loads(result.summary.as_json())["rows"] == 4
    assert capsys.readouterr().out == ""


def test_rows_as_mappings_have_the_columns_of_all_of_them():
    """Not of the first one alone: what it lacks is null there, and a row's order says nothing."""
    rows = [{"id": "1", "image1": "a.jpg"}, {"id": "2", "image1": "b.jpg", "image2": "c.jpg"}]
    for given in (rows, rows[::-1]):
        table = arrow_table(given)
        assert sorted(table.column_names) == ["id", "image1", "image2"]
        assert {row["id"]: row["image2"] for row in table.to_pylist()} == {"1": None, "2": "c.jpg"}
