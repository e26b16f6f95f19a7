"""What a search may ask about every item at once: ids, products, categories and attributes, as columns.

Texts are kept as keyed 64-bit hashes, since a filter asks only whether they are equal: eight bytes an item
whatever their length, and nothing to clean up. Two of a million different texts share a hash with a chance
of 3 in 100 million, and nobody outside can aim for it, for the key is the process's own.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from batchsearch.service.expressions import COMPARE, INT_FIELDS, STR_FIELDS, And, Comparison, Or

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from batchsearch.emulator.search.records import Item
    from batchsearch.service.expressions import Expression

_ABSENT: Final = np.iinfo(np.int64).min
"""Stands for an attribute that an item does not have; no 32-bit integer and, but for one, no hash."""

_LEAST_ROOM: Final = 1_024


class Columns:
    """Growing columns of one row an item. Not thread-safe: the index guards it.

    Rows are appended and keep their order; a removed row stays, marked, until `compact`. Ids must be
    appended in ascending order, so that a row is found by bisection.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)
        self._used = 0
        self._removed = 0
        self._product_count: int | None = 0
        self._ids = np.empty(_LEAST_ROOM, dtype=np.int64)
        self._live = np.zeros(_LEAST_ROOM, dtype=np.bool_)
        self._numbers = {
            name: np.empty(_LEAST_ROOM, dtype=np.int64)
            for name in ("product", "category", *INT_FIELDS, *STR_FIELDS)
        }

    def __len__(self) -> int:
        """How many rows there are, removed ones included."""
        return self._used

    @property
    def removed(self) -> int:
        """How many rows are marked as removed."""
        return self._removed

    @property
    def ids(self) -> NDArray[np.int64]:
        """Id of each row."""
        return self._ids[: self._used]

    @property
    def live(self) -> NDArray[np.bool_]:
        """Whether each row is still in the catalogue."""
        return self._live[: self._used]

    @property
    def products(self) -> NDArray[np.int64]:
        """A number for each row's product: equal for equal product ids."""
        return self._numbers["product"][: self._used]

    @property
    def product_count(self) -> int:
        """How many products the items are of; counted anew after a change."""
        if self._product_count is None:
            self._product_count = len(np.unique(self.products[self.live]))
        return self._product_count

    @property
    def categories(self) -> NDArray[np.int64]:
        """Category of each row."""
        return self._numbers["category"][: self._used]

    def row_of(self, identity: int) -> int | None:
        """The row of an id, None when it is not in the catalogue."""
        row = int(np.searchsorted(self.ids, identity))
        if row < self._used and self._ids[row] == identity and self._live[row]:
            return row
        return None

    def append(self, identities: Sequence[int], items: Iterable[Item]) -> None:
        """Add rows; ids above all that were ever appended, ascending."""
        start, stop = self._used, self._used + len(identities)
        self._make_room(stop)
        self._ids[start:stop] = identities
        self._live[start:stop] = True
        for row, item in enumerate(items, start):
            self.set_row(row, item)
        self._used = stop

    def set_row(self, row: int, item: Item) -> None:
        """Give a row the item's product, category and attributes."""
        self._product_count = None
        numbers = self._numbers
        numbers["product"][row] = self._hash(item.product_id)
        numbers["category"][row] = _ABSENT if item.category_id is None else item.category_id
        for name in INT_FIELDS:
            number = getattr(item, name)
            numbers[name][row] = _ABSENT if number is None else number
        for name in STR_FIELDS:
            numbers[name][row] = self._hash(getattr(item, name))

    def remove(self, row: int) -> None:
        """Mark a row as removed."""
        if self._live[row]:
            self._product_count = None
            self._live[row] = False
            self._removed += 1

    def compact(self) -> NDArray[np.int64]:
        """Drop removed rows for good; returns which old row each new row was."""
        kept = np.flatnonzero(self.live)
        room = max(_LEAST_ROOM, len(kept))
        for name, column in self._numbers.items():
            self._numbers[name] = _resized(column[kept], room)
        self._ids = _resized(self._ids[kept], room)
        self._live = np.zeros(room, dtype=np.bool_)
        self._live[: len(kept)] = True
        self._used, self._removed = len(kept), 0
        return kept

    def matching(self, expression: Expression | None, category: int | None) -> NDArray[np.bool_] | None:
        """Which rows a search may return; None for every row."""
        mask = None if not self._removed else self.live.copy()
        if category is not None:
            wanted = self.categories == category
            mask = wanted if mask is None else mask & wanted
        if expression is not None:
            wanted = self._evaluate(expression)
            mask = wanted if mask is None else mask & wanted
        return mask

    def _evaluate(self, expression: Expression) -> NDArray[np.bool_]:
        if isinstance(expression, Comparison):
            return self._compare(expression)
        combine = np.logical_and if isinstance(expression, And) else np.logical_or
        terms: And | Or = expression
        mask = self._evaluate(terms.terms[0])
        for term in terms.terms[1:]:
            combine(mask, self._evaluate(term), out=mask)
        return mask

    def _compare(self, comparison: Comparison) -> NDArray[np.bool_]:
        column = self._numbers[comparison.field][: self._used]
        values = [self._hash(value) if isinstance(value, str) else int(value) for value in comparison.values]
        if comparison.operator in ("in", "not in"):
            mask = np.isin(column, values, invert=comparison.operator == "not in")
        else:
            mask = COMPARE[comparison.operator](column, values[0])
        return np.asarray(mask & (column != _ABSENT), dtype=np.bool_)

    def _hash(self, text: str | None) -> int:
        if text is None:
            return int(_ABSENT)
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).digest()
        return max(int.from_bytes(digest, "little", signed=True), int(_ABSENT) + 1)

    def _make_room(self, rows: int) -> None:
        if rows <= len(self._ids):
            return
        room = max(rows, 2 * len(self._ids))
        self._ids = _resized(self._ids, room)
        self._live = _resized(self._live, room)
        for name, column in self._numbers.items():
            self._numbers[name] = _resized(column, room)


def _resized(column: NDArray[Any], room: int) -> NDArray[Any]:
    larger = np.zeros(room, dtype=column.dtype)
    larger[: len(column)] = column
    return larger
