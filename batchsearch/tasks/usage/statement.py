"""What was spent and what was spared, from the ledgers of one or more output folders."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import BatchsearchError, OutputError
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.output_layout import LEDGER, NoOutputError, no_output, runs_in
from batchsearch.storage.parts.usage_table import UsageLine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from batchsearch.storage.ledger.entries import UsageKey

_COUNTERS: Final = {
    "slots_used": "calls",
    "slots_denied": "denied",
    "saved_by_validation": "rejected",
    "saved_by_coalescing": "coalesced",
    "saved_by_reuse": "reused",
    "rows_ok": "rows_ok",
    "rows_failed": "rows_failed",
}
"""The ledger's counter behind each column."""

_HEADINGS: Final = {
    "slots_used": "used",
    "slots_granted": "granted",
    "slots_denied": "denied",
    "saved_by_validation": "validation",
    "saved_by_coalescing": "coalescing",
    "saved_by_reuse": "reuse",
    "rows_ok": "ok",
    "rows_failed": "failed",
}
_GROUPS: Final = (("slots", 3), ("saved by", 3), ("rows", 2))
_GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class Usage:
    """What output folders tell of what was spent.

    Attributes:
        lines: By day, instance and operation, in this order.
        unread: Why a folder is not among them, for each that is not.
    """

    lines: list[UsageLine]
    unread: tuple[BatchsearchError, ...] = ()


def read_usage(folders: Sequence[Path]) -> Usage:
    """What all runs over these output folders have spent; of the folder of a dedup those of all its runs.

    A folder given twice counts once. The ledgers are only read, also while a run is going on. One that cannot
    be read, and a folder without any, takes nothing from the others.
    """
    counted: Counter[UsageKey] = Counter()
    unread: list[BatchsearchError] = []
    ledgers: dict[Path, None] = {}
    for folder in folders:
        places = runs_in(folder)
        if not places:
            unread.append(NoOutputError(no_output(folder)))
        ledgers.update(dict.fromkeys((place / LEDGER).resolve() for place in places))
    for path in ledgers:
        try:
            with LedgerReader(path, oldest=1) as reader:
                counted.update(reader.usage())
        except OutputError as error:
            unread.append(error)
    return Usage(usage_lines(counted), tuple(unread))


def usage_lines(counted: Mapping[UsageKey, int]) -> list[UsageLine]:
    """The counters as lines, ordered by day, instance and operation."""
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for key, amount in counted.items():
        found.setdefault((key.day, key.instance, key.operation), {})[key.counter] = amount
    lines = []
    for (day, instance, operation), counters in sorted(found.items()):
        amounts = {column: counters.get(counter, 0) for column, counter in _COUNTERS.items()}
        amounts["slots_granted"] = amounts["slots_used"] - amounts["slots_denied"]
        lines.append(UsageLine(date.fromisoformat(day), instance, operation, **amounts))
    return lines


def totals_of(lines: Sequence[UsageLine]) -> dict[str, int]:
    """The sum of each column of counts."""
    return {column: sum(getattr(line, column) for line in lines) for column in _HEADINGS}


def usage_as_json(lines: Sequence[UsageLine]) -> str:
    """The statement as one JSON object: `lines` and `totals`."""
    plain: list[dict[str, Any]] = [asdict(line) | {"day": line.day.isoformat()} for line in lines]
    return json.dumps({"lines": plain, "totals": totals_of(lines)}, ensure_ascii=False, indent=2)


def usage_page(lines: Sequence[UsageLine], width: int | None = None) -> str:
    """The statement as a table for people, totals at its foot; a few lines each where that is too wide.

    Args:
        lines: The statement.
        width: Columns that there are; None for as many as it takes.
    """
    if not lines:
        return "Nothing was spent yet."
    table = _table(lines)
    if width is None or max(map(len, table.split("\n"))) <= width:
        return table
    blocks = [
        _block(
            f"{line.day}  {line.instance}  {line.operation}",
            {name: getattr(line, name) for name in _HEADINGS},
        )
        for line in lines
    ]
    return "\n\n".join([*blocks, _block("total", totals_of(lines))])


def _block(title: str, counts: Mapping[str, int]) -> str:
    saved = {name.removeprefix("saved_by_"): count for name, count in counts.items() if "saved_by_" in name}
    ways = ", ".join(f"{count:,} by {name}" for name, count in saved.items())
    used, granted, denied = counts["slots_used"], counts["slots_granted"], counts["slots_denied"]
    return "\n".join(
        [
            title,
            f"  slots      {used:,} used: {granted:,} granted, {denied:,} denied",
            f"  saved      {sum(saved.values()):,}: {ways}",
            f"  rows       {counts['rows_ok']:,} ok, {counts['rows_failed']:,} failed",
        ]
    )


def _table(lines: Sequence[UsageLine]) -> str:
    totals = totals_of(lines)
    left = [["day", "instance", "operation"]]
    left += [[line.day.isoformat(), line.instance, line.operation] for line in lines]
    left.append(["total", "", ""])
    right = [list(_HEADINGS.values())]
    right += [[f"{getattr(line, column):,}" for column in _HEADINGS] for line in lines]
    right.append([f"{totals[column]:,}" for column in _HEADINGS])
    names = [max(map(len, column)) for column in zip(*left, strict=True)]
    counts = [max(map(len, column)) for column in zip(*right, strict=True)]
    rows = [
        _GAP.join(
            [
                *(text.ljust(width) for text, width in zip(named, names, strict=True)),
                *(text.rjust(width) for text, width in zip(counted, counts, strict=True)),
            ]
        ).rstrip()
        for named, counted in zip(left, right, strict=True)
    ]
    rule = "-" * max(map(len, rows))
    saved = sum(totals[column] for column in totals if column.startswith("saved_by_"))
    used, denied = totals["slots_used"], totals["slots_denied"]
    foot = f"{used:,} slots used, {denied:,} of them denied; {saved:,} slots saved."
    return "\n".join([_groups(names, counts), rows[0], rule, *rows[1:-1], rule, rows[-1], "", foot])


def _groups(names: Sequence[int], counts: Sequence[int]) -> str:
    """The line above the headings: what the columns of counts have in common."""
    text = " " * (sum(names) + len(_GAP) * len(names))
    start = 0
    for title, columns in _GROUPS:
        width = sum(counts[start : start + columns]) + len(_GAP) * (columns - 1)
        text += title.rjust(width) + _GAP
        start += columns
    return text.rstrip()
