"""What the console finds out by itself: items of tables, outputs below a folder, a screen."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.config.load import load_text
from batchsearch.console import run_list
from batchsearch.console.known_images import known_images
from batchsearch.console.opening_console import has_screen
from batchsearch.console.run_list import output_folders
from batchsearch.storage.output_layout import DEDUP_RECORD, LEDGER

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def settings_over(folder, table, **columns):
    job = {
        "operation": "SearchImageByPic",
        "instance": {"region": "ap-southeast-1", "name": "shop", "qps": 5},
        "manifest": {"path": table, "key": ["product", "name"], "columns": columns},
        "output": {"dir": "output"},
    }
    return load_text(json.dumps(job), folder / "job.yaml").settings


def test_items_are_known_by_the_key_of_their_rows(tmp_path):
    """A job that names no products names them by its key; where the images are is known."""
    (tmp_path / "rows.csv").write_text("product,name,image\np1,a.jpg,images/a.jpg\np2,b.jpg,\n")
    found = known_images(settings_over(tmp_path, "rows.csv", image="image"))
    assert list(found.places) == [("p1", "a.jpg")]
    assert found.has("p1", "a.jpg")
    assert not found.has("p2", "b.jpg")
    assert not found.has(None, None)
    assert list(found.attributes) == [("p1", "a.jpg"), ("p2", "b.jpg")]
    assert found.tables[0].endswith("rows.csv")


def test_images_inside_a_table_are_not_kept(tmp_path):
    """Images that a table holds itself would fill the memory: its items are known, their images are not."""
    table = pa.table({"product": ["p1"], "name": ["a"], "image": pa.array([b"\xff" * 100], pa.binary())})
    pq.write_table(table, tmp_path / "rows.parquet")
    found = known_images(settings_over(tmp_path, "rows.parquet", image="image"))
    assert found.places == {}
    assert list(found.attributes) == [("p1", "a")]


@pytest.mark.parametrize("text", ["", "nothing of it\n1\n", "product,name,image\n"])
def test_a_table_that_tells_nothing_is_none(tmp_path, text):
    """A table that is empty, or of something else, leaves pages without items, and ends nothing."""
    (tmp_path / "rows.csv").write_text(text)
    assert known_images(settings_over(tmp_path, "rows.csv", image="image")).places == {}
    (tmp_path / "rows.csv").unlink()
    assert known_images(settings_over(tmp_path, "rows.csv", image="image")).attributes == {}


def test_outputs_are_found_below_a_folder_and_no_further(tmp_path, monkeypatch):
    """Outputs are found a few folders deep, not behind links or in hidden folders, nor without end."""
    for name in ("a/one", "b", ".hidden/two", "deep/er/and/deeper"):
        place = tmp_path / name / LEDGER
        place.parent.mkdir(parents=True)
        place.write_bytes(b"")
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / DEDUP_RECORD).write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    found = output_folders(tmp_path, NOW)
    assert [(each.name, each.kind) for each in found] == [("one", "run"), ("b", "run"), ("night", "dedup")]
    assert len({each.id for each in found}) == 3
    assert [each.id for each in output_folders(tmp_path, NOW)] == [each.id for each in found]
    monkeypatch.setattr(run_list, "MOST_VISITED", 3)
    assert len(output_folders(tmp_path, NOW)) == 1
    assert output_folders(tmp_path / "nowhere", NOW) == []


def test_a_browser_is_opened_where_there_is_a_screen():
    """In a bare terminal no browser is started: it would take the terminal over."""
    assert has_screen({}, "darwin")
    assert has_screen({"DISPLAY": ":0"}, "linux")
    assert has_screen({"BROWSER": "firefox"}, "linux")
    assert not has_screen({"DISPLAY": ""}, "linux")
