"""Texts and rows that are more than memory is to hold: the same as if all were in memory."""

import errno
import io
import tempfile

import numpy as np
import pyarrow as pa
import pytest

from batchsearch.errors import OutputError
from batchsearch.tasks.dedup.candidates import text_index
from batchsearch.tasks.dedup.candidates.coding import Coding, numbered
from batchsearch.tasks.dedup.candidates.off_memory import Room, Texts
from batchsearch.tasks.dedup.candidates.sorted_rows import SortedRows
from batchsearch.tasks.dedup.candidates.text_index import TextIndex

TEXTS = ["", "b", "ä", "a" * 8, "a" * 9, "a" * 16, "日本", "a", "aa", "z\x00", "z", "z\x00\x00", "b" * 300]


def rows(keys, start=0):
    return pa.table({"key": pa.array(keys, pa.string()), "number": range(start, start + len(keys))})


@pytest.mark.parametrize("in_memory", [0, 200, 5_000, 1 << 30])
@pytest.mark.parametrize("kind", ["many", "one key", "one row at a time", "skewed"])
def test_rows_come_back_in_order_however_little_memory_holds(tmp_path, in_memory, kind):
    """Equal keys stay in the order in which they came, and all of one key come in one piece."""
    rng = np.random.default_rng(3)
    keys = {
        "many": [f"k{number}" for number in rng.permutation(500)],
        "one key": ["same"] * 300,
        "one row at a time": [f"k{number}" for number in rng.integers(0, 20, 60)],
        "skewed": ["same"] * 300 + [f"k{number}" for number in rng.integers(0, 9, 50)],
    }[kind]
    at_once = 1 if kind == "one row at a time" else 37
    sort = SortedRows("key", Room(tmp_path, in_memory))
    for start in range(0, len(keys), at_once):
        sort.add(rows(keys[start : start + at_once], start))
    pieces = [piece.to_pydict() for piece in sort.pieces()]
    found = [pair for piece in pieces for pair in zip(piece["key"], piece["number"], strict=True)]
    assert found == sorted(zip(keys, range(len(keys)), strict=True))
    assert sort.count == len(keys)
    assert sum(len(set(piece["key"])) for piece in pieces) == len(set(keys))
    assert in_memory or kind == "one key" or len(pieces) > 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("in_memory", [0, 40, 1 << 30])
def test_texts_come_back_as_they_were(tmp_path, in_memory):
    """Null, empty and long ones, in slices of larger arrays, of both kinds of text."""
    kept = Texts(Room(tmp_path, in_memory))
    given = [None, *TEXTS, None]
    for kind in (pa.string(), pa.large_string()):
        whole = pa.array(["before", *given, "after"], kind)
        kept.add(whole.slice(1, 4))
        kept.add(whole.slice(5, 0))
        kept.add(whole.slice(5, len(given) - 4))
    found = kept.array()
    found.validate(full=True)
    assert found.to_pylist() == given + given
    assert Texts(Room(tmp_path, in_memory)).array().to_pylist() == []


@pytest.mark.parametrize("in_memory", [0, 1 << 30])
def test_texts_are_numbered_in_their_order(tmp_path, in_memory):
    """Those taken before have numbers as well; null has one where it counts as a text."""
    column = pa.array(["b", None, "a", "b", ""])
    for empty, wanted in ((None, ["", "a", "b", "c"]), ("d", ["", "a", "b", "c", "d"])):
        coding = Coding(Room(tmp_path, in_memory))
        coding.add(pa.array(["c", "a", None]))
        index, number = numbered(column, coding, empty=empty)
        assert index.texts.to_pylist() == wanted
        missing = -1 if empty is None else 4
        assert number.tolist() == [2, missing, 1, 2, 0]


def test_an_index_finds_each_text_and_no_other(monkeypatch):
    """Whatever its length, in however small pieces texts are taken in."""
    monkeypatch.setattr(text_index, "_AT_ONCE", 3)
    index = TextIndex(pa.array(TEXTS))
    others = ["c", "b ", "a" * 7, "a" * 10, "z\x00\x00\x00", "b" * 299 + "c", "ä" * 2]
    asked = [*TEXTS[::-1], *others, None]
    wanted = [*range(len(TEXTS))[::-1], *[-1] * len(others), -1]
    for kind in (pa.string(), pa.large_string()):
        assert index.places(pa.array(asked, kind)).tolist() == wanted
    assert TextIndex(pa.array([], pa.string())).places(pa.array(["a"])).tolist() == [-1]


def test_texts_that_share_their_bits_are_told_apart_by_other_multipliers(monkeypatch):
    """A list is taken in anew until no two of its texts share the first bits."""
    drawn = text_index.Multipliers.drawn
    none = np.uint64(0)
    multipliers = [text_index.Multipliers(none, none, none, none), drawn()]
    monkeypatch.setattr(text_index.Multipliers, "drawn", lambda: multipliers.pop(0))
    assert TextIndex(pa.array(["a", "b"])).places(pa.array(["b", "a", "c"])).tolist() == [1, 0, -1]
    assert not multipliers


@pytest.mark.parametrize("kind", ["opening", "writing"])
def test_a_full_disk_is_told_with_the_folder(tmp_path, kind, monkeypatch):
    """What memory does not hold has no other place: the night ends and says where there was no room."""

    class Full(io.RawIOBase):
        def writable(self):
            return True

        def tell(self):
            return 0

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    def file(**_):
        if kind == "opening":
            raise OSError(errno.ENOSPC, "No space left on device")
        return Full()

    monkeypatch.setattr(tempfile, "TemporaryFile", file)
    room = Room(tmp_path, 0)
    for take in (lambda: Texts(room).add(pa.array(["a"])), lambda: SortedRows("key", room).add(rows(["a"]))):
        with pytest.raises(OutputError, match="cannot be written: No space left on device") as refused:
            take()
        assert str(tmp_path) in str(refused.value)
