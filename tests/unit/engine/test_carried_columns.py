"""One type for a column over many nights, and values brought into it."""

from decimal import Decimal
from uuid import UUID

import pandas as pd
import pyarrow as pa
import pytest

from batchsearch.engine.job.identity import QUOTED, changed_names, quoted_before
from batchsearch.manifest.keys import key_texts
from batchsearch.storage.parts.passthrough_types import (
    as_text,
    conformed_batch,
    converted,
    joined,
    joined_type,
)
from batchsearch.tasks.dedup.upkeep.attributes import _digests

TYPES = [
    pa.null(),
    pa.bool_(),
    pa.int8(),
    pa.int64(),
    pa.uint64(),
    pa.float32(),
    pa.float64(),
    pa.decimal128(38, 4),
    pa.string(),
    pa.large_string(),
    pa.binary(),
    pa.large_binary(),
    pa.date32(),
    pa.timestamp("ms"),
    pa.timestamp("ns", "UTC"),
    pa.time32("s"),
    pa.duration("s"),
    pa.uuid(),
    pa.list_(pa.int8()),
    pa.list_(pa.string(), 2),
    pa.large_list(pa.struct([("a", pa.int8())])),
    pa.struct([("a", pa.int8())]),
    pa.struct([("b", pa.list_(pa.float32()))]),
    pa.map_(pa.string(), pa.int8()),
]


@pytest.mark.parametrize("now", TYPES, ids=str)
@pytest.mark.parametrize("before", TYPES, ids=str)
def test_there_is_a_type_for_any_two_nights(before, now):
    """Whatever a column was and becomes, both go into what it is then, and it does not change once more."""
    both = joined_type(before, now)
    for kind in (before, now):
        assert converted(pa.nulls(2, kind), both).type == both
        assert joined_type(both, kind) == both


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (pa.array([1_000_000, None]), ["1000000", None]),
        (pa.array([1e6, None, 0.5, float("nan")]), ["1000000", None, "0.5", "nan"]),
        (pa.array([-0.0, 1e300]), ["0", "1e+300"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([Decimal("1.50")]), ["1.50"]),
        (pa.array([b"abc", b"\xff\x00"]), ["abc", "/wA="]),
        (pa.array([{"a": [1, None]}, None]), ['{"a": [1, null]}', None]),
        (pa.array([UUID(int=5).bytes], pa.uuid()), ["00000000-0000-0000-0000-000000000005"]),
    ],
)
def test_values_as_text(array, text):
    """Whole numbers read alike as integers and as doubles; what is nested is JSON."""
    assert as_text(array).to_pylist() == text


def test_sliced_nested_values_keep_their_rows():
    """Values in lists and structs stay with their row when only some rows are taken."""
    batch = pa.record_batch({"s": pa.array([[{"a": 1}], None, [{"a": 2}, {"a": 3}], []])}).slice(1)
    wanted = pa.schema(
        [("s", pa.list_(pa.struct([("a", pa.float64()), ("b", pa.string())]))), ("n", pa.int8())]
    )
    found = conformed_batch(batch, wanted).to_pylist()
    assert found == [
        {"s": None, "n": None},
        {"s": [{"a": 2.0, "b": None}, {"a": 3.0, "b": None}], "n": None},
        {"s": [], "n": None},
    ]


def test_what_a_finer_unit_cannot_hold_is_null():
    """A year far away does not stop the night when times become nanoseconds."""
    times = pa.array([0, 253_402_300_799], pa.timestamp("s"))
    assert converted(times, pa.timestamp("ns")).to_pylist() == [pd.Timestamp(0), None]


def test_columns_keep_their_order():
    """Columns that were there come first, in the order that they had; new ones follow."""
    before = pa.schema([("b", pa.int64()), ("a", pa.string())])
    now = pa.schema([("c", pa.int8()), ("a", pa.int64()), ("b", pa.float64())])
    assert joined(before, now) == pa.schema([("b", pa.float64()), ("a", pa.string()), ("c", pa.int8())])
    large = joined(before, now, as_text={"b"})
    assert large.field("b").type == pa.string()


def test_what_may_change_is_not_told():
    """Path, format, CSV settings and columns differ from night to night; a key or a parameter never does."""
    before = {
        "manifest.path": "a",
        "manifest.csv.delimiter": ",",
        "manifest's columns": [],
        "manifest.key": ["a"],
    }
    now = {"manifest.path": "b", "manifest.csv.delimiter": ";", QUOTED: [True], "manifest.key": ["b"]}
    assert changed_names(before, now) == ["manifest.key"]


@pytest.mark.parametrize(
    ("known", "quoted"),
    [
        ({QUOTED: [False, True]}, (False, True)),
        ({"manifest's columns": ["b: large_string", "a: int64", "x: y: date32[day]"]}, (False, True)),
        ({"manifest's columns": ["a: int64"]}, None),
        ({}, None),
    ],
)
def test_how_rows_were_named_is_known_from_any_version(known, quoted):
    """Which of several key columns stand in quotes is noted, or follows from the columns noted by 0.1.0."""
    assert quoted_before(known, ["a", "b"]) == quoted


def test_keys_of_several_columns_keep_their_form():
    """Numbers that became text stay bare, text that became numbers stays quoted."""
    texts, numbers = pa.array(["7", "007", "-0", "true", 'a"']), pa.array([7, 8, 9, 10, 11])
    assert key_texts([texts, numbers], [False, True]) == [
        '[7,"7"]',
        '["007","8"]',
        '["-0","9"]',
        '[true,"10"]',
        '["a\\"","11"]',
    ]


def test_attributes_are_the_same_whatever_the_width_of_their_type():
    """No image is updated in the instance because its price became a double, or text."""
    tables = [
        pa.table({"price": values})
        for values in (pa.array([1_000_000, 2]), pa.array([1e6, 2.0]), pa.array(["1000000", "2"]))
    ]
    first, *others = [_digests(table, ["price"]).tolist() for table in tables]
    assert others == [first, first]
