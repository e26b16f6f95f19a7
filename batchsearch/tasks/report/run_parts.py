"""One run, from its folder to what a report states and shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from batchsearch.service.codes.lookup import advice_on
from batchsearch.tasks.report import cards
from batchsearch.tasks.report.charts import histogram_chart, rate_chart
from batchsearch.tasks.report.html_page import Gallery, Part
from batchsearch.tasks.report.references import (
    RowImages,
    catalogue_source,
    named_columns,
    row_source,
)
from batchsearch.tasks.report.report_facts import FactTable, Figure, Section
from batchsearch.tasks.report.run_facts import (
    Calls,
    Look,
    Scores,
    Tally,
    category_table,
    histogram_table,
    latency_bins,
    look_through,
    outcome_table,
    quantile_table,
    rate_table,
    span_of,
    timeline_of,
    usage_table,
)
from batchsearch.tasks.report.words import duration, written
from batchsearch.tasks.usage.statement import read_usage, totals_of

if TYPE_CHECKING:
    from datetime import datetime

    from batchsearch.tasks.report.charts import Chart
    from batchsearch.tasks.report.limits import ReportOptions
    from batchsearch.tasks.report.output_kind import RunFolder
    from batchsearch.tasks.report.references import RowSource
    from batchsearch.tasks.report.thumbnails import Thumbnails

_NARROW = 3
"""Most columns of a table that takes half of the page's width."""


@dataclass(frozen=True, slots=True)
class RunFindings:
    """What one pass over a run's tables gave.

    Attributes:
        run: The run.
        outcomes: Rows by code, origin and owner.
        runs: Rows by the run that finished them.
        calls: Its calls.
        scores: Scores of its hits (`chosen` are those of first hits) or of its pairs; None for neither.
        categories: Rows by category; None when nothing was searched.
        span: When the first and the last first call left.
        failed: Rows with a code that are worth showing.
        good: Rows that ended well that are worth showing.
    """

    run: RunFolder
    outcomes: Tally
    runs: Tally
    calls: Calls
    scores: Scores | None
    categories: Tally | None
    span: tuple[datetime, datetime] | None
    failed: list[dict[str, Any]]
    good: list[dict[str, Any]]

    @property
    def ok(self) -> int:
        """Rows that ended well."""
        return self.outcomes.found.get((None, None, None), 0)

    @property
    def ended(self) -> int:
        """Rows that have ended and are sealed."""
        return sum(self.outcomes.found.values())


def look_at(run: RunFolder, options: ReportOptions, *, only_failed: bool = False) -> RunFindings:
    """Read a run's results, and its hits, once each.

    Args:
        run: The run.
        options: How many rows are worth showing.
        only_failed: No row that ended well is.

    Raises:
        OutputError: A part cannot be read.
    """
    span = span_of(run.results)
    calls = Calls(timeline_of(span))
    outcomes, runs = Tally("error_code", "error_origin", "error_owner"), Tally("run_id")
    categories = Tally("pic_category_id") if run.kind == "search" else None
    compared = Scores() if run.kind == "compare" else None
    columns = cards.compare_columns(run) if run.kind == "compare" else cards.search_columns(run)
    most = options.pairs if run.kind == "compare" else options.rows
    failed = cards.FailedRows(columns)
    good = cards.GoodRows(columns, 0 if only_failed else most, by_score=run.kind == "compare")
    looks: list[Look] = [outcomes, runs, calls, failed, good]
    looks += [look for look in (categories, compared) if look is not None]
    look_through(run.results, looks)
    scores = compared
    if run.hits:
        scores = Scores(where="rank", holds=lambda rank: pc.equal(rank, 1))
        look_through(run.hits, [scores])
    bad = failed.rows(most if only_failed else (most + 1) // 2)
    rest = good.rows()[: max(0, most - len(bad))]
    return RunFindings(run, outcomes, runs, calls, scores, categories, span, bad, rest)


def section_of(found: RunFindings, *, name: str, title: str) -> Section:
    """Everything that is stated of a run, in tables."""
    usage = read_usage([found.run.path]).lines if found.run.has_ledger else []
    tables = [
        outcome_table(found.outcomes, advice_on),
        rate_table(found.calls.steps()),
        quantile_table(found.calls.latencies),
        histogram_table(
            "latency",
            "Latency of the last call",
            latency_bins(found.calls.latencies),
            kind="ms",
            total=max(1, found.calls.latencies.total),
        ),
        usage_table(usage),
    ]
    if found.scores is not None:
        tables.append(_scores(found.scores.all, "scores", "Scores"))
        if found.run.kind == "search":
            tables.append(_scores(found.scores.chosen, "first_scores", "Scores of first hits"))
    if found.categories is not None:
        tables.append(category_table(found.categories))
    filled = tuple(table for table in tables if table.rows)
    return Section(name, title, tuple(_figures(found, usage)), filled, tuple(_notes(found)))


def _scores(histogram: Any, name: str, title: str) -> FactTable:
    return histogram_table(name, title, histogram.bins(), kind="score", total=max(1, histogram.total))


def _figures(found: RunFindings, usage: Any) -> list[Figure]:
    run, calls = found.run, found.calls
    total = run.total if run.total is not None else run.finished
    left = "" if total is None else f"of {total:,} in the manifest"
    failed = found.ended - found.ok
    share = failed / found.ended if found.ended else 0.0
    figures = [
        Figure("rows", "count", found.ended, left),
        Figure("ok", "count", found.ok, written(1 - share, "share") if found.ended else "", "good"),
        Figure("failed", "count", failed, "see the outcomes" if failed else "", "bad" if failed else "plain"),
        Figure("calls", "count", calls.attempts, f"{calls.denied:,} of them denied"),
    ]
    if usage:
        totals = totals_of(usage)
        saved = sum(amount for column, amount in totals.items() if column.startswith("saved_by_"))
        used = f"beside {totals['slots_used']:,} used, by all runs over this folder"
        figures.append(Figure("slots saved", "count", saved, used))
    if calls.latencies.total:
        slow = written(calls.latencies.quantile(0.99), "ms")
        figures.append(
            Figure("median latency", "ms", calls.latencies.quantile(0.5), f"99 of 100 within {slow}")
        )
    if found.span is not None:
        seconds = (found.span[1] - found.span[0]).total_seconds()
        runs = len(found.runs.found)
        detail = f"from {written(found.span[0], 'moment')}" + (f", {runs:,} runs" if runs > 1 else "")
        figures.append(Figure("first to last call", "text", duration(seconds), detail))
    if run.kind == "compare" and found.scores is not None and found.scores.all.total:
        middle = found.scores.all.quantile(0.5)
        figures.append(Figure("median score", "score", middle, f"of {found.scores.all.total:,} pairs"))
    return figures


def _notes(found: RunFindings) -> list[str]:
    run = found.run
    notes = []
    waiting = (run.finished or 0) - found.ended
    if waiting > 0:
        notes.append(
            f"{waiting:,} more rows have their outcome in the ledger, in no part yet: they are not counted."
        )
    if run.total is not None and run.finished is not None and run.finished < run.total:
        notes.append(f"{run.total - run.finished:,} rows of the manifest have no outcome yet.")
    return notes


def part_of(found: RunFindings, section: Section, *, anchor: str, figures: bool) -> Part:
    """A run's part of the page: what has a chart goes there, the rest into tables.

    Args:
        found: What was found.
        section: The same in tables.
        anchor: Names the part on the page.
        figures: Whether its figures stand in the part, not at the top of the page.
    """
    drawn: list[tuple[Chart, FactTable | None]] = []

    def add(chart: Chart | None, table: str) -> None:
        if chart is not None:
            drawn.append((chart, section.table(table)))

    job = found.run.job
    tier = None
    if job is not None:
        from batchsearch.engine.run.assembly import tier_of

        tier = tier_of(job)
    add(rate_chart(found.calls.steps(), tier), "calls")
    bins = latency_bins(found.calls.latencies)
    add(histogram_chart("Latency of the last call", bins, kind="ms", what="rows"), "latency")
    scores = found.scores
    if scores is not None and found.run.kind == "search":
        add(
            histogram_chart(
                "Scores of hits",
                scores.all.bins(),
                kind="score",
                what="hits",
                second=("first hits", scores.chosen.bins()),
                first="other hits",
            ),
            "scores",
        )
    elif scores is not None:
        add(histogram_chart("Scores of pairs", scores.all.bins(), kind="score", what="pairs"), "scores")
    charted = {table.name for _, table in drawn if table is not None} | {"first_scores"}
    tables = tuple(table for table in section.tables if table.name not in charted)
    # Wide ones first, so that narrow ones stand side by side.
    tables = tuple(sorted(tables, key=lambda table: len(table.columns) <= _NARROW))
    return Part(
        anchor, section.title, section.notes, section.figures if figures else (), tuple(drawn), tables
    )


def gallery_of(found: RunFindings, thumbnails: Thumbnails, options: ReportOptions) -> Gallery:
    """A run's rows or pairs, as they can be browsed.

    Raises:
        OutputError: The hits cannot be read.
    """
    own = row_source(found.run, options.images)
    rows = [*found.failed, *found.good]
    named = named_columns(found.run)
    if found.run.kind == "compare":
        shown = cards.compare_cards([*found.good, *found.failed], named, thumbnails, own)
        chosen = "the highest scores, and some failures of each code"
        return Gallery("pairs", "Pairs", shown, found.ended, chosen)
    hits = cards.first_hits(found.run, [row["row_key"] for row in found.good])
    catalogue = catalogue_source(found.run)
    known = RowImages()
    if catalogue is None:
        products = {(str(hit["product_id"]), str(hit["pic_name"])) for each in hits.values() for hit in each}
        known.find(found.run, named, set(), products)
    shown = cards.search_cards(rows, hits, named, thumbnails, own=own, found=catalogue, known=known)
    chosen = "failures of every code, and an even sample of the others"
    return Gallery("rows", "Rows", shown, found.ended, chosen)


def failed_gallery(found: RunFindings, thumbnails: Thumbnails, own: RowSource | None) -> Gallery | None:
    """Rows of a search that failed; None when none did."""
    if not found.failed:
        return None
    shown = cards.search_cards(
        found.failed, {}, named_columns(found.run), thumbnails, own=own, found=None, known=RowImages()
    )
    failed = found.ended - found.ok
    return Gallery("rows", "Failed rows", shown, failed, "some of each code")
