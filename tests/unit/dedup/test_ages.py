"""Ages of rows order like what the column says, of whatever kind it is."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from batchsearch.tasks.dedup.candidates import in_pieces
from batchsearch.tasks.dedup.candidates.ages import Ages
from batchsearch.tasks.dedup.candidates.off_memory import Room

COLUMNS = {
    "whole": pa.array([3, None, -4, 3, 2**62]),
    "unsigned": pa.array([2**63 + 5, 1, None, 2**63 + 4], pa.uint64()),
    "real": pa.array([None, 1.5, -2.5, 0.0, -0.0, float("nan"), -float("inf"), 1e300, -2.25]),
    "text": pa.array(["b", None, "", "ä", "a", "b"]),
    "long text": pa.array(["b", None, "a"], pa.large_string()),
    "text by number": pa.array(["b", None, "a", "b"]).dictionary_encode(),
    "moment": pa.array([1_577_836_800, None, -315_619_200], pa.timestamp("s", "UTC")),
    "day": pa.array([dt.date(2020, 1, 1), None, dt.date(1960, 1, 1)]),
    "time": pa.array([dt.time(3), None, dt.time(1)]),
    "seconds": pa.array([7, None, 1], pa.time32("s")),
    "yes or no": pa.array([True, None, False]),
    "decimal": pa.array([Decimal("10.5"), None, Decimal(-1), Decimal("9.5")]),
    "bytes": pa.array([b"b", b"a", None]),
}


def as_sorted(value):
    """What a value is sorted by: what is no number comes after all numbers, nothing at the end."""
    if value is None:
        return (2,)
    return (1,) if value != value else (0, value)  # noqa: PLR0124 - only what is no number differs from itself


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("in_memory", [0, 1 << 30])
def test_ages_order_like_the_column(tmp_path, kind, in_memory, monkeypatch):
    """The smallest is the oldest, equal ones are equal, and rows that say nothing come last."""
    monkeypatch.setattr(in_pieces, "AT_ONCE", 2)
    column = COLUMNS[kind]
    ages = Ages(len(column), Room(tmp_path, in_memory))
    ages.add(column[:2])
    ages.add(column[2:])
    values = [as_sorted(value) for value in column.to_pylist()]
    found = np.unique(ages.order(), return_inverse=True)[1]
    assert found.tolist() == [sorted(set(values)).index(value) for value in values]


def test_rows_that_all_say_nothing_are_equally_young():
    """A column of nothing, which has no kind, makes no difference."""
    ages = Ages(3, Room())
    ages.add(pa.nulls(3))
    assert len(set(ages.order().tolist())) == 1
