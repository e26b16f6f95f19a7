"""Small copies for a page: each file is worked on once, in the order in which copies are asked for."""

import pyarrow as pa
import pytest
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.prepare import Preparing
from batchsearch.manifest.rows import ImageReference
from batchsearch.tasks.report import thumbnails as making
from batchsearch.tasks.report.references import RowSource
from batchsearch.tasks.report.run_facts import OTHERS, Tally
from batchsearch.tasks.report.thumbnails import Missing, Thumbnail, Thumbnails


@pytest.fixture
def source(tmp_path):
    for number in range(3):
        Image.effect_noise((300 + number, 200), 60).convert("RGB").save(tmp_path / f"{number}.jpg")
    return RowSource(tmp_path, ImageSettings())


def wanted(source, names, **bounds):
    asked = Thumbnails(**{"most": 100, "side": 160, "megabytes": 1, **bounds})
    for row, (name, close) in enumerate(names):
        asked.want(source, (f"r{row}", "image"), reference=ImageReference(path=name), close=close)
    return asked


def test_a_file_that_many_rows_show_is_made_small_once(source, monkeypatch):
    """Once for each size that is asked for; each row has its copy all the same."""
    worked_on = []
    prepare = Preparing.__call__

    def counted(self, data, repair):
        worked_on.append(len(data))
        return prepare(self, data, repair)

    monkeypatch.setattr(Preparing, "__call__", counted)
    names = [(f"{number % 3}.jpg", number == 0) for number in range(70)]
    asked = wanted(source, [*names, ("gone.jpg", False), ("gone.jpg", False)], close_ups=1)
    told = []
    asked.make(progress=lambda done, total: told.append((done, total)))
    assert len(worked_on) == 4
    assert [type(each) for each in asked.made] == [Thumbnail] * 70 + [Missing] * 2
    assert [each.width for each in asked.made[:4]] == [300, 151, 151, 150]
    assert {each.data for each in asked.made[:70] if each.width == 151} == {
        asked.made[1].data,
        asked.made[2].data,
    }
    assert told[-1] == (72, 72)


def test_what_the_page_has_no_room_for_is_left_out(source, monkeypatch):
    """From the first copy on that is too much; those before it stay."""
    monkeypatch.setattr(making, "_MEGABYTE", 1)
    size = len(_made(source, "0.jpg").data)
    asked = wanted(source, [("0.jpg", False)] * 5, megabytes=2 * size)
    asked.make()
    assert [type(each) for each in asked.made] == [Thumbnail] * 2 + [Missing] * 3
    assert asked.left_out == 3


def _made(source, name):
    asked = wanted(source, [(name, False)], megabytes=1_000_000)
    asked.make()
    return asked.made[0]


def test_values_are_counted_together_whatever_their_type():
    """Null is a value of its own; what is more than can be told apart is counted as one."""
    tally = Tally("word", "number")
    for words, numbers in ((["a", None, "a"], [0.5, None, 0.5]), (["a", "b", None], [0.25, 0.5, None])):
        tally.add(pa.RecordBatch.from_pydict({"word": words, "number": numbers}))
    assert tally.found == {("a", 0.5): 2, (None, None): 2, ("a", 0.25): 1, ("b", 0.5): 1}
    tally.add(pa.RecordBatch.from_pydict({"word": pa.nulls(2), "number": pa.nulls(2)}))
    assert tally.found[None, None] == 4
    tally.add(
        pa.RecordBatch.from_pydict({"word": [f"w{each}" for each in range(5_000)], "number": [1.0] * 5_000})
    )
    assert sum(tally.found.values()) == 5_008
    assert tally.found[OTHERS, None] > 0
