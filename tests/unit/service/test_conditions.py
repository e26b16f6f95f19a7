"""The language of `manifest.where`: the grammar of `Filter` over columns of any name and type."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from batchsearch.manifest.filtered import passing
from batchsearch.service.conditions import columns_in, parse_conditions
from batchsearch.service.filter import FilterError

COLUMNS = {
    "status": pa.array(["active", "draft", None, ""]),
    "price": pa.array([1, 20, 3, None], pa.uint8()),
    "Variant SKU": pa.array(["a", None, "c", "d"]),
    "rate": pa.array([0.5, 1.5, None, -1.0]),
    "on": pa.array([True, False, None, True]),
    "day": pa.array([dt.date(2026, 1, 1), dt.date(2026, 6, 1), None, dt.date(2026, 12, 31)]),
    "at": pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * 4, pa.timestamp("ms", "UTC")),
    "tags": pa.array([["x"], None, [], ["y"]]),
    "价格": pa.array([1, 2, 3, 4]),
    "large": pa.array([2**63 + 1, 5, None, 2**64 - 1], pa.uint64()),
    "ns": pa.array([1, None, 10**18, 0], pa.timestamp("ns")),
    "cents": pa.array([1, 2, None, 10]).cast(pa.decimal128(21, 2)),
}
KINDS = {
    "status": "text",
    "price": "number",
    "Variant SKU": "text",
    "rate": "number",
    "on": "truth",
    "day": "date",
    "at": "date",
    "tags": "other",
    "价格": "number",
    "large": "number",
    "ns": "date",
    "cents": "number",
}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('status = "active"', [0]),
        ('status != "active"', [1, 3]),
        ('status in ("active", "")', [0, 3]),
        ('status NOT IN ("active")', [1, 3]),
        ("status is null", [2]),
        ("`Variant SKU` IS NOT NULL", [0, 2, 3]),
        ("price > 2", [1, 2]),
        ("price >= -5 and price < 300", [0, 1, 2]),
        ("price in (1, 20)", [0, 1]),
        ("price != 3", [0, 1]),
        ("rate < 1.5", [0, 3]),
        ("rate = -1", [3]),
        ("on = true", [0, 3]),
        ('day >= "2026-06-01"', [1, 3]),
        ('at = "2026-01-01T00:00"', [0, 1, 2, 3]),
        ('at > "2026-01-01T00:00+01:00"', [0, 1, 2, 3]),
        ("tags is null", [1]),
        ("价格 > 2", [2, 3]),
        ("large > 9223372036854775808", [0, 3]),
        ("large = 9223372036854775809", [0]),
        ("large > 1.5", [0, 1, 3]),
        ("large < 99999999999999999999999 and large > -1", [0, 1, 3]),
        ("large in (5, -5, 99999999999999999999999)", [1]),
        ("price not in (300, -1)", [0, 1, 2]),
        ("price != 300", [0, 1, 2]),
        ('ns < "9999-01-01"', [0, 2, 3]),
        ('ns > "0001-01-01"', [0, 2, 3]),
        ('ns = "1970-01-01"', [3]),
        ("cents >= 2 and cents < 10.5", [1, 3]),
        ('price = 1 or price = 3 and status = "x"', [0]),
        ('(price = 1 or price = 20) and status = "draft"', [1]),
    ],
)
def test_rows_pass_that_fit(text, rows):
    """Comparisons are typed by the column; a cell without a value fits none but IS NULL."""
    found = passing(parse_conditions(text, KINDS), COLUMNS, 4)
    assert np.flatnonzero(found).tolist() == rows


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, "there are no conditions; leave the setting out instead"),
        ("prise > 1", 0, "there is no column `prise`; did you mean `price`?"),
        ('price > "1"', 8, 'the column `price` is a number: write one, without quotes; found `"1"`'),
        ("status = 1", 9, 'the column `status` is text: write it in double quotes, "…"; found `1`'),
        ("status > 1", 7, "the column `status` is text, which has no order; of a CSV file, say what it is: "),
        ("on > true", 3, "expected one of `=`, `!=` after `on`, found `>`"),
        ("price == 1", 6, "equality is written `=`; `price` takes "),
        ("status = 'x'", 9, 'text stands in double quotes: "value"'),
        ('day = "soon"', 6, '\'soon\' is no date such as "2026-11-30" or "2026-11-30T08:00"'),
        ("tags = 1", 5, "the column `tags` holds no plain values: it takes only IS [NOT] NULL"),
        ("price is 1", 9, "expected NULL or NOT NULL after IS, found `1`"),
        ("price > 1 status", 10, "expected AND, OR or the end of the conditions, found `status`"),
        ("price > 1.2.3", 8, "this is no number"),
        ("not price = 1", 0, "NOT stands only before IN and NULL; use `!=` or `not in`"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(text, position, message):
    """A mistake names what was expected, and the character at which."""
    with pytest.raises(FilterError) as caught:
        parse_conditions(text, KINDS)
    assert caught.value.message.startswith(message)
    assert caught.value.position == position


def test_before_the_columns_are_known_any_may_be_compared_with_anything():
    """The job file is checked without the manifest: what it says is parsed, not typed."""
    found = parse_conditions('a > 1 and `b c` in ("x") or d = true and e is null')
    assert columns_in(found) == {"a", "b c", "d", "e"}
