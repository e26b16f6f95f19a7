"""Which sheet of a workbook has the table, and in which row its names stand (pure)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from batchsearch.tasks.init.shops import shop_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROWS_LOOKED_AT: Final = 12
_AMAZON: Final = re.compile(r"(?i)(?:TemplateType|settings)=")
_LEAST_COLUMNS: Final = 2


@dataclass(frozen=True, slots=True)
class SheetLayout:
    """Where a workbook's table is.

    Attributes:
        sheet: The sheet's name; None where it is the first one.
        skip_rows: Rows above the names.
    """

    sheet: str | None = None
    skip_rows: int = 0


def layout_of(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> SheetLayout:
    """The table of a workbook: of a known export's, or the first one of several columns.

    Args:
        sheets: The first rows of each sheet that is shown, in order.
    """
    found: list[tuple[bool, SheetLayout]] = []
    first = next(iter(sheets), None)
    for title, rows in sheets.items():
        skip = _names_in(rows)
        if skip is not None:
            names = [str(cell) for cell in rows[skip] if cell not in (None, "")]
            layout = SheetLayout(None if title == first else title, skip)
            found.append((shop_of(names) is not None, layout))
    known = next((layout for is_known, layout in found if is_known), None)
    return known or next((layout for _, layout in found), SheetLayout())


def _names_in(rows: Sequence[Sequence[Any]]) -> int | None:
    """Which row has the names of a table's columns; None where there is none with a row below it."""
    counts = [sum(cell not in (None, "") for cell in row) for row in rows]
    usual = Counter(count for count in counts if count >= _LEAST_COLUMNS).most_common(1)
    if not usual:
        return None
    if rows[0] and isinstance(rows[0][0], str) and _AMAZON.match(rows[0][0]):
        return 2 if len(rows) > 3 else None  # noqa: PLR2004 - two rows of the template, the names, a product
    for number, row in enumerate(rows):
        given = [cell for cell in row if cell not in (None, "")]
        are_names = all(isinstance(cell, str) for cell in given)
        if are_names and len(given) >= max(_LEAST_COLUMNS, usual[0][0] * 0.6) and any(counts[number + 1 :]):
            return number
    return None
