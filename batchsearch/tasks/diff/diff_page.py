"""A diff as people and programs read it: text, Markdown, JSON, and every change as Parquet."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from batchsearch.publish import disk_errors, publishing
from batchsearch.streams import printable
from batchsearch.tasks.diff.diffs import changes, changes_schema, check_comparable, open_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_WORDS: Final = {
    ("pairs", "new"): "new pairs",
    ("pairs", "gone"): "pairs gone",
    ("pairs", "score"): "pairs with another score",
    ("clusters", "joined"): "products joined a cluster",
    ("clusters", "left"): "products left their cluster",
    ("clusters", "moved"): "products moved to another cluster",
    ("clusters", "representative"): "clusters have another representative",
    ("results", "new"): "new rows",
    ("results", "gone"): "rows gone",
    ("results", "outcome"): "rows with another outcome",
    ("results", "score"): "rows with another score",
    ("hits", "new"): "new hits",
    ("hits", "gone"): "hits gone",
    ("hits", "score"): "hits with another score",
}
"""What each change is called, in the order in which they are told."""

_NO_NUMBER: Final = "none"


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs between two outputs.

    Attributes:
        before: Folder of the first side.
        after: Folder of the second side.
        kind: `dedup` or `run`.
        counts: How many changes of each kind, by table and change.
        shown: The first changes of each kind, as rows of `diffs.changes_schema`.
        notes: What could not be checked, one sentence each.
    """

    before: str
    after: str
    kind: str
    counts: Mapping[tuple[str, str], int]
    shown: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into JSON."""
        counts: dict[str, dict[str, int]] = {}
        for table, change in _WORDS:
            if (table in ("pairs", "clusters")) == (self.kind == "dedup"):
                counts.setdefault(table, {})[change] = self.counts.get((table, change), 0)
        return {
            "before": self.before,
            "after": self.after,
            "kind": self.kind,
            "counts": counts,
            "changes": [dict(row) for row in self.shown],
            "notes": list(self.notes),
        }

    def as_json(self) -> str:
        """One JSON object."""
        return json.dumps(self.as_dict(), ensure_ascii=False, indent=2)

    def as_text(self) -> str:
        """A page for people."""
        notes = [printable(f"not checked: {note}") for note in self.notes]
        lines = [f"from {self.before}", f"to   {self.after}", *notes, ""]
        if not self.counts:
            return "\n".join([*lines, "Nothing differs."])
        for kind, what in _WORDS.items():
            count = self.counts.get(kind, 0)
            if not count:
                continue
            lines.append(f"{count:,} {what}")
            rows = self._rows(kind)
            lines += [printable(f"  {_sentence(row)}") for row in rows]
            if count > len(rows):
                lines.append(f"  … and {count - len(rows):,} more")
        return "\n".join(lines)

    def as_markdown(self) -> str:
        """The same for a pull request or an e-mail."""
        lines = [f"**{_code(self.after)}** against {_code(self.before)}", ""]
        lines += [line for note in self.notes for line in (f"> not checked: {_code(note)}", "")]
        if not self.counts:
            return "\n".join([*lines, "Nothing differs."])
        lines += ["| changes | what |", "| ---: | --- |"]
        lines += [
            f"| {self.counts[kind]:,} | {what} |" for kind, what in _WORDS.items() if kind in self.counts
        ]
        for kind, what in _WORDS.items():
            rows = self._rows(kind)
            if not rows:
                continue
            lines += ["", f"### {what.capitalize()}", "", "| which | before | after |", "| --- | --- | --- |"]
            for row in rows:
                before, after = _values(row)
                lines.append(f"| {_code(_which(row))} | {_cell(before)} | {_cell(after)} |")
            if self.counts[kind] > len(rows):
                lines += ["", f"… and {self.counts[kind] - len(rows):,} more"]
        return "\n".join(lines)

    def _rows(self, kind: tuple[str, str]) -> list[Mapping[str, Any]]:
        return [row for row in self.shown if (row["table"], row["change"]) == kind]


def diff_of(before: Path, after: Path, *, least: float, show: int, parquet: Path | None) -> Diff:
    """Compare two outputs.

    Args:
        before: Folder of the first side.
        after: Folder of the second side.
        least: Scores that differ by less than this count as equal.
        show: Changes of each kind that are shown.
        parquet: File for all of them; an older one is replaced. None for no file.

    Raises:
        NotComparableError: The two cannot be compared.
        OutputError: One cannot be read, or the file cannot be written.
    """
    a, b = open_side(before), open_side(after)
    check_comparable(a, b)
    counts: Counter[tuple[str, str]] = Counter()
    shown: list[Mapping[str, Any]] = []
    with disk_errors(parquet, "cannot be written"), ExitStack() as stack:
        writer = None
        if parquet is not None:
            file = stack.enter_context(publishing(parquet))
            writer = stack.enter_context(pq.ParquetWriter(file, changes_schema(), compression="zstd"))
        for table in changes(a, b, least=least):
            if writer is not None:
                writer.write_table(table)
            for row in (
                table.select(["table", "change"])
                .group_by(["table", "change"])
                .aggregate([([], "count_all")])
                .to_pylist()
            ):
                kind = (row["table"], row["change"])
                room = show - counts[kind]
                if room > 0:
                    shown += _first(table, kind, room)
                counts[kind] += row["count_all"]
    notes = tuple(side.warning for side in (a, b) if side.warning)
    return Diff(str(before), str(after), a.kind, counts, shown, notes)


def _first(table: Any, kind: tuple[str, str], count: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for batch in table.to_batches(max_chunksize=4096):
        rows += [row for row in batch.to_pylist() if (row["table"], row["change"]) == kind]
        if len(rows) >= count:
            break
    return rows[:count]


def _which(row: Mapping[str, Any]) -> str:
    if row["table"] == "pairs":
        return f"{row['name']} and {row['other']}"
    if row["table"] == "hits":
        return f"{row['name']}: {row['other']} {row['image']}"
    return str(row["name"])


def _values(row: Mapping[str, Any]) -> tuple[str, str]:
    """What it was and what it is, in words."""
    sides = []
    for side in ("before", "after"):
        score, text = row[f"score_{side}"], row[side]
        number = None if score is None else f"{score:.4f}"
        # Of pairs both say something; the score alone where it is all that changed.
        said = [number] if row["change"] == "score" else [number, text]
        sides.append(" ".join(part for part in said if part) or _NO_NUMBER)
    return sides[0], sides[1]


def _sentence(row: Mapping[str, Any]) -> str:
    before, after = _values(row)
    return f"{_which(row)}: {before} -> {after}"


def _code(text: str) -> str:
    """Text from outside as Markdown code: nothing in it is markup."""
    plain = printable(text).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in _backticks(plain)), default=0) + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def _backticks(text: str) -> list[str]:
    return [part for part in "".join(each if each == "`" else " " for each in text).split() if part]


def _cell(text: str) -> str:
    return text if text == _NO_NUMBER else _code(text)
