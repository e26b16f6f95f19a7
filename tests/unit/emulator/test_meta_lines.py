"""Lists of images: where their lines begin and end, and what a path or a name stands for."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchsearch.emulator.batch import increment_work
from batchsearch.emulator.batch.increment_work import IncrementWork
from batchsearch.emulator.batch.meta_lines import folder_of, key_of, line_of
from batchsearch.emulator.batch.source_bucket import SourceObject
from batchsearch.emulator.http.error_table import RefusedError
from batchsearch.emulator.search.item_changes import Regions
from batchsearch.emulator.search.records import Box, Item


class Held:
    """A bucket of one object."""

    def __init__(self, data):
        self._data = data

    def read(self, _found, start, stop):
        return self._data[start:stop]


def lines_of(data, position=0, number=0):
    work = IncrementWork(None, None, None, {}, threading.Event())
    found = SourceObject("k", len(data), "t")
    return list(work._lines(Held(data), found, position, number))


@given(
    texts=st.lists(st.sampled_from([b"", b" ", b"{}", b'{"a": 1}\r', b"x" * 20]), max_size=8),
    ended=st.booleans(),
    piece=st.integers(1, 30),
)
def test_lines_are_the_same_however_a_list_is_read_and_wherever_it_is_gone_on_with(texts, ended, piece):
    """Numbers, ends and texts do not depend on the pieces, and what is left after a line is the rest."""
    data = b"\n".join(texts) + (b"\n" if ended else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(increment_work, "_PIECE", piece)
        found = lines_of(data)
        for at, line in enumerate(found):
            assert lines_of(data, line.end, line.number) == found[at + 1 :]
    whole = data.split(b"\n")
    assert [(line.number, line.text) for line in found] == [
        (number, text) for number, text in enumerate(whole, 1) if text.strip()
    ]
    for line in found:
        assert data[: line.end].rstrip(b"\n").endswith(line.text)


@pytest.mark.parametrize(
    ("path", "folder"),
    [("/in", "in"), ("/a/b c", "a/b c"), ("/", None), ("", None), ("in", None), ("/in/", None),
     ("/a//b", None), ("/./a", None), ("/a/..", None)],
)  # fmt: skip
def test_a_path_is_a_folder_from_the_root(path, folder):
    """It begins with a slash, does not end with one, and takes no steps."""
    assert folder_of(path) == folder


@pytest.mark.parametrize("name", ["/a.png", "a.png/", "a//b.png", "../a.png", ".", ""])
def test_a_name_stays_below_the_folder_of_its_list(name):
    """An image's name is a path below the list, with its extension, and leads nowhere else."""
    assert key_of("in", "sub/a.png") == "in/sub/a.png"
    with pytest.raises(RefusedError) as refused:
        key_of("in", name)
    assert refused.value.code == "InvalidPicName"


def test_a_line_tells_a_region_only_if_it_was_given():
    """One that was found is found again; told as given, the item would be searched otherwise."""
    item, box = Item("p", "n", 0), Box(1, 9, 2, 8)
    start = b'{"OperationType":"ADD","ProductId":"p","PicName":"n","CategoryId":0'
    assert line_of(item, Regions(box)) == start + b',"Region":"1,9,2,8"}\n'
    assert line_of(item, Regions(box, (box,))) == start + b"}\n"
    assert line_of(item, Regions()) == start + b"}\n"
