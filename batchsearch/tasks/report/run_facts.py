"""What the results of one run say in figures: outcomes, calls over time, latencies, scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.arrow_values import microseconds, whole_numbers
from batchsearch.service.facts import CATEGORIES
from batchsearch.tasks.report.bin_counts import MOST_KEPT, even, fine, round_edges
from batchsearch.tasks.report.report_facts import FactColumn, FactTable
from batchsearch.tasks.report.spans import Timeline
from batchsearch.tasks.report.summing_up.needs import state
from batchsearch.tasks.report.table_reading import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    import numpy.typing as npt

    from batchsearch.storage.parts.usage_table import UsageLine
    from batchsearch.tasks.report.bin_counts import Bin, Histogram
    from batchsearch.tasks.report.spans import Step

SCORE_BINS: Final = 50
_MOST_KINDS: Final = 500
"""Most codes, categories or runs told apart: the service names them, so their number is not ours."""
OTHERS: Final = "(others)"
_FASTEST_MS, _SLOWEST_MS = 0.1, 1e7
_QUANTILES: Final = ((0.5, "half"), (0.9, "9 of 10"), (0.99, "99 of 100"), (1.0, "all"))


class Look(Protocol):
    """Something that wants to see every row of a table once."""

    @property
    def columns(self) -> Sequence[str]:
        """What it wants to see of a row."""

    def add(self, batch: pa.RecordBatch) -> None:
        """See a few thousand rows, with at least its columns."""


def look_through(files: Sequence[Path], looks: Sequence[Look]) -> None:
    """Show every row of a table to all who want to see it, in one pass.

    Raises:
        OutputError: A file cannot be read.
    """
    columns = list(dict.fromkeys(name for look in looks for name in look.columns))
    for batch in batches(files, columns):
        for look in looks:
            look.add(batch)


def numbers(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.float64]:
    """A column as floating point numbers, NaN for null and for what is no number."""
    column = batch.column(name)
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


class Tally:
    """Rows by the values of one or more columns, with a bound on how many are told apart."""

    def __init__(self, *columns: str) -> None:
        self.columns: tuple[str, ...] = columns
        self.found: dict[tuple[Any, ...], int] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch."""
        if not batch.num_rows:
            return
        values = []
        code = np.zeros(batch.num_rows, np.int64)
        for name in self.columns:
            coded = batch.column(name).dictionary_encode(null_encoding="encode")
            values.append(coded.dictionary.to_pylist())
            code = code * len(values[-1]) + coded.indices.to_numpy()
        _, firsts, times = np.unique(code, return_index=True, return_counts=True)
        for first, count in sorted(zip(firsts.tolist(), times.tolist(), strict=True)):
            rest, places = int(code[first]), []
            for some in reversed(values):
                rest, place = divmod(rest, len(some))
                places.append(some[place])
            key = tuple(reversed(places))
            if key not in self.found and len(self.found) >= _MOST_KINDS:
                key = (OTHERS, *(None for _ in self.columns[1:]))
            self.found[key] = self.found.get(key, 0) + count

    def most(self) -> list[tuple[tuple[Any, ...], int]]:
        """Values and counts, the most frequent first."""
        return sorted(self.found.items(), key=lambda item: (-item[1], str(item[0])))


class Calls:
    """Requests of the rows: how many, when, how long they took."""

    columns: Final = ("first_sent_at", "finished_at", "attempts", "denied", "calls", "latency_ms")

    def __init__(self, timeline: Timeline | None) -> None:
        self._timeline = timeline
        self.latencies = fine(_FASTEST_MS, _SLOWEST_MS)
        self.attempts = self.denied = self.called = self.uncalled = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch."""
        attempts, denied = whole_numbers(batch.column("attempts")), whole_numbers(batch.column("denied"))
        self.attempts += int(attempts.sum())
        self.denied += int(denied.sum())
        self.called += int((attempts > 0).sum())
        self.uncalled += int((attempts == 0).sum())
        sent = batch.column("first_sent_at")
        if not pa.types.is_null(sent.type) and self._timeline is not None:
            known = np.asarray(sent.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
            moments = microseconds(sent)
            self._timeline.add(moments[known], attempts[known], denied[known])
        self.latencies.add(numbers(batch, "latency_ms"))

    def steps(self) -> list[Step]:
        """Calls over time; none when nothing was sent."""
        return self._timeline.steps() if self._timeline is not None else []


class Scores:
    """A column of scores, 0 to 1; optionally of rows that hold a condition apart.

    Args:
        column: The scores.
        where: Another column, by which some are told apart.
        holds: Which of its values do.
        exact: Scores are kept, so that quantiles are exact.
    """

    def __init__(
        self,
        column: str = "score",
        *,
        where: str | None = None,
        holds: Callable[[pa.Array], pa.Array] | None = None,
        exact: bool = False,
    ) -> None:
        self.columns: tuple[str, ...] = (column,) if where is None else (column, where)
        self._holds = holds
        most_kept = MOST_KEPT if exact else 0
        self.all = even(0.0, 1.0, SCORE_BINS, most_kept=most_kept)
        self.chosen = even(0.0, 1.0, SCORE_BINS, most_kept=most_kept)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch."""
        scores = numbers(batch, self.columns[0])
        self.all.add(scores)
        if self._holds is not None:
            mask = self._holds(batch.column(self.columns[1])).fill_null(fill_value=False)
            self.chosen.add(scores[np.asarray(mask.to_numpy(zero_copy_only=False), dtype=bool)])


def span_of(files: Sequence[Path]) -> tuple[datetime, datetime] | None:
    """When the first and the last row's first call left; None when no call was made.

    Raises:
        OutputError: A file cannot be read.
    """
    first: datetime | None = None
    last: datetime | None = None
    for batch in batches(files, ["first_sent_at"]):
        ends = pc.min_max(batch.column(0)).as_py()
        if ends["min"] is not None:
            first = ends["min"] if first is None else min(first, ends["min"])
            last = ends["max"] if last is None else max(last, ends["max"])
    return None if first is None or last is None else (first, last)


def timeline_of(span: tuple[datetime, datetime] | None) -> Timeline | None:
    """A timeline for calls between two moments."""
    if span is None:
        return None
    return Timeline(*(int(moment.timestamp() * 1e6) for moment in span))


def outcome_table(
    tally: Tally, meaning: Callable[[str], str], advice: Callable[[str], str], view: str = ""
) -> FactTable:
    """Rows by outcome, success first.

    Args:
        tally: Over `error_code`, `error_origin`, `error_owner`.
        meaning: What a code means.
        advice: What to do about it.
        view: The gallery that shows the rows; empty for none.
    """
    columns = (
        FactColumn("outcome", "Outcome", "code"),
        FactColumn("rows", "Rows", "count"),
        FactColumn("share", "Share", "share"),
        FactColumn("origin", "Said by", "text"),
        FactColumn("owner", "Who can mend it", "text"),
        FactColumn("meaning", "What it means", "text"),
        FactColumn("advice", "What to do", "text"),
    )
    total = sum(tally.found.values())
    joined: dict[str | None, list[Any]] = {}
    for (code, origin, owner), count in tally.most():
        entry = joined.setdefault(code, [0, origin, owner])
        entry[0] += count
    rows = [
        (
            code or "ok",
            count,
            count / total,
            origin,
            owner,
            *((meaning(code), advice(code)) if code and code != OTHERS else ("", "")),
        )
        for code, (count, origin, owner) in joined.items()
    ]
    rows.sort(key=lambda row: (row[0] != "ok", -row[1]))
    codes = (row[0] if row[0] == "ok" else f"={row[0]}" for row in rows)
    show = tuple(state(view, code=code) for code in codes) if view else ()
    return FactTable("outcomes", "Outcomes", columns, tuple(rows), show=show)


def rate_table(steps: Sequence[Step]) -> FactTable:
    """Calls over time."""
    columns = (
        FactColumn("start", "From", "moment"),
        FactColumn("seconds", "Seconds", "count"),
        FactColumn("calls", "Calls", "count"),
        FactColumn("denied", "Denied", "count"),
        FactColumn("rate", "Calls a second", "rate"),
    )
    rows = tuple(
        (step.start, step.seconds, step.attempts, step.denied, step.attempts / step.seconds) for step in steps
    )
    note = "Repeated calls are counted where their row's first call left."
    return FactTable("calls", "Calls over time", columns, rows, note)


def latency_bins(histogram: Histogram) -> list[Bin]:
    """Latencies between round numbers of milliseconds."""
    if not histogram.total:
        return []
    return histogram.coarse(round_edges(histogram.lowest, histogram.highest))


def histogram_table(name: str, title: str, bins: Sequence[Bin], *, kind: Any, total: int) -> FactTable:
    """A histogram as a table; empty bins at both ends are left out.

    Args:
        name: Names it in files.
        title: Heading.
        bins: The bins.
        kind: How its edges are meant: `ms` or `score`.
        total: What shares are of.
    """
    columns = (
        FactColumn("start", "From", kind),
        FactColumn("end", "To", kind),
        FactColumn("count", "Count", "count"),
        FactColumn("share", "Share", "share"),
    )
    filled = [place for place, each in enumerate(bins) if each.count]
    inside = bins[filled[0] : filled[-1] + 1] if filled else []
    rows = tuple((each.start, each.end, each.count, each.count / total) for each in inside)
    return FactTable(name, title, columns, rows)


def quantile_table(histogram: Histogram) -> FactTable:
    """Which latency how many of the calls did not exceed."""
    columns = (FactColumn("share", "Of the rows", "text"), FactColumn("latency_ms", "answered within", "ms"))
    rows = tuple((label, histogram.quantile(share)) for share, label in _QUANTILES if histogram.total)
    note = "The latency of a row is that of its last call."
    if not histogram.is_exact:
        note += f" Of more than {MOST_KEPT:,} rows: right to about one per cent, the last line exactly."
    return FactTable("latency_quantiles", "Latency", columns, rows, note)


def category_table(tally: Tally, view: str = "") -> FactTable:
    """Rows by the category that was given or predicted; `view` is the gallery that shows them."""
    columns = (
        FactColumn("category_id", "Category", "id"),
        FactColumn("name", "Name", "text"),
        FactColumn("rows", "Rows", "count"),
    )
    rows = tuple(
        (value, CATEGORIES.get(value, ""), count)
        for (value,), count in tally.most()
        if isinstance(value, int)
    )
    show = tuple(state(view, category=row[0]) for row in rows) if view else ()
    return FactTable("categories", "Categories", columns, rows, show=show)


def usage_table(lines: Sequence[UsageLine]) -> FactTable:
    """Call slots used and spared, from the ledger."""
    columns = (
        FactColumn("day", "Day (UTC)", "day"),
        FactColumn("instance", "Instance", "code"),
        FactColumn("operation", "Operation", "code"),
        FactColumn("slots_used", "Slots used", "count"),
        FactColumn("slots_denied", "denied", "count"),
        FactColumn("saved_by_validation", "Saved by validation", "count"),
        FactColumn("saved_by_coalescing", "by coalescing", "count"),
        FactColumn("saved_by_reuse", "by reuse", "count"),
    )
    rows = tuple(tuple(getattr(line, column.name) for column in columns) for line in lines)
    return FactTable("usage", "Call slots used and saved", columns, rows)
