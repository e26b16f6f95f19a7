"""One run, from its folder to what a report states and shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.service.codes.lookup import advice_on, meaning_of
from batchsearch.tasks.report import cards
from batchsearch.tasks.report.charts import histogram_chart, rate_chart
from batchsearch.tasks.report.comparison_facts import comparison_lines, comparison_tables, median_of
from batchsearch.tasks.report.html_page import Part
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
from batchsearch.tasks.report.summing_up.first_words import Standing
from batchsearch.tasks.report.summing_up.job_told import lines_of, told_table
from batchsearch.tasks.report.summing_up.needs import (
    needs_of_ending,
    needs_of_failures,
    needs_of_truth,
    state,
)
from batchsearch.tasks.report.words import duration, written
from batchsearch.tasks.usage.statement import read_usage, totals_of

if TYPE_CHECKING:
    from datetime import datetime

    from batchsearch.tasks.report.bin_counts import Histogram
    from batchsearch.tasks.report.charts import Chart
    from batchsearch.tasks.report.limits import ReportOptions
    from batchsearch.tasks.report.output_kind import RunFolder
    from batchsearch.tasks.report.summing_up.needs import Need

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
        scores: Scores of its hits (`chosen` are those of first hits) or of its pairs (those that are in the
            manifest); None for neither.
        categories: Rows by category; None when nothing was searched.
        span: When the first and the last first call left.
        failed: Rows with a code that are worth showing.
        good: Rows that ended well that are worth showing.
        named: Rows that the run names as surprises.
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
    named: list[dict[str, Any]]

    @property
    def ok(self) -> int:
        """Rows that ended well."""
        return self.outcomes.found.get((None, None, None), 0)

    @property
    def ended(self) -> int:
        """Rows that have ended and are sealed."""
        return sum(self.outcomes.found.values())

    @property
    def standing(self) -> Standing:
        """How the run stands."""
        run = self.run
        return Standing(run.kind, run.operation, self.ended, self.ok, run.total, run.finished, run.told)

    @property
    def pair_scores(self) -> Histogram | None:
        """Scores of a comparison's pairs; None for another run, or where no pair has a score."""
        if self.run.kind != "compare" or self.scores is None or not self.scores.chosen.total:
            return None
        return self.scores.chosen

    @property
    def median(self) -> float | None:
        """The median of those scores."""
        return None if self.pair_scores is None else median_of(self.run.comparison, self.pair_scores)


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
    # Pairs that have left the manifest are in the results still; the comparison does not count them.
    compared = Scores(where="in_manifest", holds=_is_current, exact=True) if run.kind == "compare" else None
    columns = cards.compare_columns(run) if run.kind == "compare" else cards.search_columns(run)
    most = options.pairs if run.kind == "compare" else options.rows
    failed = cards.FailedRows(columns)
    order: cards.Order = "score" if run.kind == "compare" else "sample"
    good = cards.GoodRows(columns, 0 if only_failed else most, order=order)
    truth = None if run.told is None else run.told.truth
    named = cards.NamedRows(columns, [] if truth is None else [key for key, _, _ in truth.surprises])
    looks: list[Look] = [outcomes, runs, calls, failed, good, named]
    looks += [look for look in (categories, compared) if look is not None]
    look_through(run.results, looks)
    scores = compared
    if run.kind == "search":
        scores = Scores(where="rank", holds=lambda rank: pc.equal(rank, 1))
        look_through(run.hits, [scores])
    bad = failed.rows(most if only_failed else (most + 1) // 2)
    rest = good.rows(max(0, most - len(bad)))
    shown = {row["row_key"] for row in (*bad, *rest)}
    surprises = [row for row in named.rows() if row["row_key"] not in shown]
    return RunFindings(run, outcomes, runs, calls, scores, categories, span, bad, rest, surprises)


def _is_current(in_manifest: pa.Array) -> pa.Array:
    """Which rows the manifest has; rows of versions that did not say it count."""
    return pc.fill_null(in_manifest.cast(pa.bool_()), True)


def section_of(found: RunFindings, *, name: str, title: str) -> Section:
    """Everything that is stated of a run, in tables."""
    view = "" if name else view_of(found.run)
    usage = read_usage([found.run.path]).lines if found.run.has_ledger else []
    tables = [
        outcome_table(found.outcomes, meaning_of, advice_on, view),
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
    if found.scores is not None and found.run.kind == "search":
        tables.append(score_table(found.scores.all, "scores", "Scores"))
        tables.append(score_table(found.scores.chosen, "first_scores", "Scores of first hits"))
    if found.pair_scores is not None:
        tables.append(score_table(found.pair_scores, "scores", "Scores"))
        tables += comparison_tables(found.run.comparison, found.pair_scores)
    if found.categories is not None:
        tables.append(category_table(found.categories, view))
    if found.run.told is not None:
        tables.append(told_table([*lines_of(found.run.told), *comparison_lines(found.run.comparison)]))
    filled = tuple(table for table in tables if table.rows)
    return Section(name, title, tuple(_figures(found, usage)), filled, tuple(_notes(found)))


def score_table(histogram: Histogram, name: str, title: str) -> FactTable:
    """Scores in bins, as a table."""
    return histogram_table(name, title, histogram.bins(), kind="score", total=max(1, histogram.total))


def _figures(found: RunFindings, usage: Any) -> list[Figure]:
    run, calls = found.run, found.calls
    total = run.total if run.total is not None else run.finished
    left = "" if total is None else f"of {total:,} in the manifest"
    failed = found.ended - found.ok
    share = failed / found.ended if found.ended else 0.0
    view = view_of(run)
    figures = [
        Figure("rows", "count", found.ended, left, show=state(view)),
        Figure(
            "ok",
            "count",
            found.ok,
            written(1 - share, "share") if found.ended else "",
            "good",
            show=state(view, code="ok"),
        ),
        Figure(
            "failed",
            "count",
            failed,
            written(share, "share") if failed else "",
            "bad" if failed else "plain",
            show=state(view, code="failed") if failed else "",
        ),
        Figure("calls", "count", calls.attempts, f"{calls.denied:,} of them denied"),
    ]
    if usage:
        totals = totals_of(usage)
        saved = sum(amount for column, amount in totals.items() if column.startswith("saved_by_"))
        used = f"beside {totals['slots_used']:,} used, by all runs over this folder"
        figures.append(Figure("slots saved", "count", saved, used, is_detail=True))
    if calls.latencies.total:
        slow = written(calls.latencies.quantile(0.99), "ms")
        figures.append(
            Figure(
                "median latency",
                "ms",
                calls.latencies.quantile(0.5),
                f"99 of 100 within {slow}",
                is_detail=True,
            )
        )
    if found.span is not None:
        seconds = (found.span[1] - found.span[0]).total_seconds()
        runs = len(found.runs.found)
        detail = f"from {written(found.span[0], 'moment')}" + (f", {runs:,} runs" if runs > 1 else "")
        figures.append(Figure("first to last call", "text", duration(seconds), detail, is_detail=True))
    if found.pair_scores is not None:
        of = f"of {found.pair_scores.total:,} pairs"
        figures.insert(3, Figure("median score", "exact_score", found.median, of))
    return figures


def view_of(run: RunFolder) -> str:
    """The gallery of a run on a page of its own."""
    return "pairs" if run.kind == "compare" else "rows"


def needs_of(found: RunFindings, *, title: str, view: str, part: str = "") -> list[Need]:
    """Who is needed for what after a run.

    Args:
        found: What was found.
        title: What the run is called here.
        view: The gallery with its failed rows; empty for none.
        part: Which part of the job they are of, where the gallery tells several apart.
    """
    told = found.run.told
    outcomes = outcome_table(found.outcomes, meaning_of, advice_on)
    again = "" if told is None or told.exit_code else told.again
    return [
        *needs_of_ending(told, title),
        *needs_of_failures(outcomes, view, part=part, again=again),
        *needs_of_truth(told, view),
    ]


def _notes(found: RunFindings) -> list[str]:
    run = found.run
    notes = []
    waiting = (run.finished or 0) - found.ended
    if waiting > 0:
        notes.append(
            f"{waiting:,} more rows have their outcome in the ledger, in no part yet: they are not counted."
        )
    if run.told is not None and run.told.others:
        others = f"{run.told.others:,} rows of earlier manifests are in the output as well"
        notes.append(f"{others}: outcomes, calls and hits count them too.")
    if run.total is not None and run.finished is not None and run.finished < run.total:
        notes.append(f"{run.total - run.finished:,} rows of the manifest have no outcome yet.")
    return notes


def score_chart(found: RunFindings) -> Chart | None:
    """Scores of hits or of pairs; None where there are none. Ranges of it choose what its gallery shows."""
    if found.pair_scores is not None:
        bins = found.pair_scores.bins()
        return histogram_chart("Scores of pairs", bins, kind="score", what="pairs", chooses="pairs")
    if found.scores is None or found.run.kind != "search":
        return None
    return histogram_chart(
        "Scores of hits",
        found.scores.all.bins(),
        kind="score",
        what="hits",
        second=("first hits", found.scores.chosen.bins()),
        first="other hits",
        chooses="rows",
    )


def part_of(
    found: RunFindings, section: Section, *, anchor: str, figures: bool, scores_in_gallery: bool
) -> Part:
    """A run's part of the page: what has a chart goes there, the rest into tables.

    Args:
        found: What was found.
        section: The same in tables.
        anchor: Names the part on the page.
        figures: Whether all its figures stand in the part; else those that stand at the top do not.
        scores_in_gallery: Whether the chart of scores stands there, where it chooses what is shown.
    """
    drawn: list[tuple[Chart, FactTable | None]] = []

    def add(chart: Chart | None, table: str) -> None:
        if chart is not None:
            drawn.append((chart, section.table(table)))

    job = found.run.job
    tier = None
    if job is not None:
        from batchsearch.engine.job.instance_worker import tier_of

        tier = tier_of(job)
    add(rate_chart(found.calls.steps(), tier), "calls")
    bins = latency_bins(found.calls.latencies)
    add(histogram_chart("Latency of the last call", bins, kind="ms", what="rows"), "latency")
    if not scores_in_gallery:
        add(score_chart(found), "scores")
    charted = {table.name for _, table in drawn if table is not None} | {"first_scores"}
    if scores_in_gallery:
        charted.add("scores")
    tables = tuple(table for table in section.tables if table.name not in charted)
    # Wide ones first, so that narrow ones stand side by side.
    tables = tuple(sorted(tables, key=lambda table: len(table.columns) <= _NARROW))
    there = tuple(figure for figure in section.figures if figures or figure.is_detail)
    return Part(anchor, section.title, section.notes, there, tuple(drawn), tables)
