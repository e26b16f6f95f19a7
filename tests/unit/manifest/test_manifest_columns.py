"""What a column may be, and how its cells become Python values."""

import pyarrow as pa
import pytest

from batchsearch.manifest.column_types import (
    bad_cells,
    bad_text,
    cell,
    image_type_problem,
    key_type_problem,
    normal_type,
    normalised,
    parameter_type_problem,
)
from batchsearch.manifest.rows import ImageReference, references

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize(
    ("kind", "key", "parameter", "image"),
    [
        (pa.string(), True, True, True),
        (pa.int32(), True, True, False),
        (pa.uint64(), True, True, False),
        (pa.bool_(), True, True, False),
        (pa.date32(), True, False, False),
        (pa.float64(), False, True, False),
        (pa.uuid(), True, True, False),
        (pa.timestamp("us"), False, False, False),
        (pa.decimal128(10, 2), True, True, False),
        (pa.binary(), False, False, True),
        (IMAGE, False, False, True),
        (pa.list_(pa.string()), False, False, False),
        (pa.struct([("url", pa.string())]), False, False, False),
    ],
)
def test_each_use_takes_its_types(kind, key, parameter, image):
    """Keys, parameters and images take the types that mean one thing to all programs."""
    assert (key_type_problem(kind) is None) is key
    assert (parameter_type_problem(kind) is None) is parameter
    assert (image_type_problem(kind) is None) is image


def test_a_float_key_is_told_what_to_do():
    """The refusal of a fraction as a key says how to write it."""
    assert "write it as text or as a whole number" in key_type_problem(pa.float32())


@pytest.mark.parametrize(
    ("kind", "normal"),
    [
        (pa.large_string(), pa.string()),
        (pa.string_view(), pa.string()),
        (pa.dictionary(pa.int8(), pa.large_string()), pa.string()),
        (pa.large_binary(), pa.binary()),
        (pa.struct([("path", pa.large_string()), ("bytes", pa.large_binary())]), IMAGE),
        (pa.struct([("bytes", pa.null()), ("path", pa.string())]), IMAGE),
        (pa.int16(), pa.int16()),
        (pa.list_(pa.string()), pa.list_(pa.string())),
    ],
)
def test_types_of_one_family_are_read_as_one(kind, normal):
    """Wide, dictionary and view variants of text and bytes are the plain type."""
    assert normal_type(kind) == normal
    assert normalised(pa.nulls(3, kind), normal).type == normal


def test_text_cells_are_urls_or_paths():
    """What has a scheme is a URL, other text a path, nothing no image."""
    cells = [
        "https://a/b.jpg",
        "OSS://b/k",
        "file:/x.jpg",
        "DATA:image/png;base64,xx",
        "a:b.jpg",
        "d/e.jpg",
        "",
        None,
    ]
    found = references(pa.array(cells))
    assert [each and each.url for each in found] == [*cells[:4], None, None, None, None]
    assert [each and each.path for each in found] == [None] * 4 + ["a:b.jpg", "d/e.jpg", None, None]


def test_bytes_win_over_the_path():
    """A struct's cell is its bytes if there are any, else its path, else no image."""
    cells = [
        {"bytes": b"x", "path": "a.jpg"},
        {"bytes": None, "path": "b.jpg"},
        {"bytes": None, "path": None},
        {"bytes": b"", "path": "c.jpg"},
        None,
    ]
    assert references(pa.array(cells, IMAGE)) == [
        ImageReference(data=b"x"),
        ImageReference(path="b.jpg"),
        None,
        ImageReference(data=b""),
        None,
    ]
    assert references(pa.array([b"x", None])) == [ImageReference(data=b"x"), None]


def test_a_null_struct_hides_its_children():
    """What stands under a null is no image."""
    children = [pa.array([b"x"]), pa.array(["a.jpg"])]
    hidden = pa.StructArray.from_arrays(children, fields=list(IMAGE), mask=pa.array([True]))
    assert references(hidden) == [None]


def test_bad_cells_are_found_wherever_they_are():
    """Exactly the cells that do not convert are found, nulls are none of them."""
    array = pa.array(["1", "x", None, "3", "", "4.5", "-6"])
    assert bad_cells(array, pa.int64()) == [1, 4, 5]
    assert bad_cells(array.slice(2), pa.int64()) == [2, 3]
    assert bad_text(pa.array([b"ok", b"\xff", None, b"\xc3"])) == [1, 3]


def test_cells_are_short_in_messages():
    """No message repeats a long cell, and bytes are only counted."""
    assert len(cell("x" * 1000)) <= 42
    assert cell(b"secret picture") == "14 bytes"
    assert cell("a\nb") == r"'a\nb'"
