"""A dedup job, from its folder to what a report states and shows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchsearch.tasks.dedup.dedup_page import night_cautions
from batchsearch.tasks.report.charts import histogram_chart
from batchsearch.tasks.report.cluster_cards import (
    ChosenClusters,
    ChosenPairs,
    add_inner_pairs,
    cluster_cards,
    members_of,
    pair_cards,
    wanted_rows,
)
from batchsearch.tasks.report.dedup_facts import dedup_facts
from batchsearch.tasks.report.html_page import Findings, Gallery, Part
from batchsearch.tasks.report.references import RowImages, named_columns, row_source
from batchsearch.tasks.report.report_facts import Section
from batchsearch.tasks.report.run_galleries import cards_of_part
from batchsearch.tasks.report.run_parts import look_at, needs_of, part_of, section_of
from batchsearch.tasks.report.summing_up.first_words import sentence_of_night, status_of_night
from batchsearch.tasks.report.summing_up.needs import needs_of_lines, needs_of_review
from batchsearch.tasks.report.summing_up.pair_decisions import DecisionLimits
from batchsearch.tasks.report.table_reading import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.tasks.report.cards import Card
    from batchsearch.tasks.report.charts import Chart
    from batchsearch.tasks.report.dedup_facts import DedupFacts
    from batchsearch.tasks.report.limits import ReportOptions
    from batchsearch.tasks.report.output_kind import DedupFolder
    from batchsearch.tasks.report.report_facts import FactTable
    from batchsearch.tasks.report.summing_up.first_words import Standing
    from batchsearch.tasks.report.summing_up.needs import Need
    from batchsearch.tasks.report.thumbnails import Thumbnails

_MOST_MARKS = 3
"""Thresholds drawn into the chart: with one for each category they would hide it."""


def look_at_dedup(folder: DedupFolder, thumbnails: Thumbnails, options: ReportOptions) -> Findings:
    """Read the tables of a dedup job and of its runs; thumbnails are asked for.

    Raises:
        OutputError: A table cannot be read.
    """
    clusters, pairs = ChosenClusters(options.clusters), ChosenPairs(options.pairs)
    facts = dedup_facts(folder, ([pairs], [clusters]))
    section = Section("", "Duplicates", facts.figures, facts.tables)
    sections, parts = [section], [_part(facts)]
    galleries = [*_galleries(folder, facts, clusters, pairs, thumbnails, options)]
    needs: list[Need] = []
    upkeep = [(run, f"sync-{step}", f"Upkeep: {step}") for step, run in folder.sync.items()]
    standings: list[tuple[str, Standing]] = []
    failed: list[Card] = []
    all_failed = 0
    for run, name, title in ((folder.search, "search", "Search"), *upkeep):
        if run is None:
            continue
        found = look_at(run, options, only_failed=True)
        standings.append((title, found.standing))
        section = section_of(found, name=name, title=title)
        sections.append(section)
        parts.append(part_of(found, section, anchor=name, figures=True, scores_in_gallery=False))
        failed += cards_of_part(found, thumbnails, row_source(run, options.images), title)
        all_failed += found.ended - found.ok + len(found.named)
        needs += needs_of(found, title=title, view="rows", part=title)
    if failed:
        galleries.append(Gallery("rows", "Failed rows", failed, all_failed, "some of each code"))
    needs += needs_of_review(facts.kinds, facts.open_pairs)
    needs += needs_of_lines(night_cautions(folder.summary))
    counted = facts.clusters
    return Findings(
        tuple(sections),
        tuple(parts),
        tuple(galleries),
        tuple(needs),
        status_of_night(folder.summary, standings),
        sentence_of_night(
            folder.summary,
            written=bool(folder.clusters),
            members=counted.members,
            clusters=counted.clusters,
            flagged=counted.flagged,
            open_pairs=facts.open_pairs,
        ),
    )


def _galleries(  # noqa: PLR0917 - what was found, asked for and allowed
    folder: DedupFolder,
    facts: DedupFacts,
    chosen: ChosenClusters,
    chosen_pairs: ChosenPairs,
    thumbnails: Thumbnails,
    options: ReportOptions,
) -> tuple[Gallery, Gallery]:
    limits = DecisionLimits.of(folder.summary)
    clusters = members_of(folder.clusters, chosen.ids())
    add_inner_pairs(folder.pairs, clusters, limits)
    pairs = chosen_pairs.rows()
    known = RowImages()
    own = None
    if folder.search is not None:
        own = row_source(folder.search, options.images)
        named = named_columns(folder.search, **_said_columns(folder.summary))
        known.find(folder.search, named, *wanted_rows(clusters, pairs, options.thumbnails))
    shown = cluster_cards(clusters, known, thumbnails, own)
    shown_pairs = pair_cards(pairs, known, thumbnails, own, limits)
    scores = next((table for table in facts.tables if table.name == "pair_scores"), None)
    return (
        Gallery(
            "clusters",
            "Clusters",
            shown,
            facts.clusters.clusters,
            "those with a reason to be looked at, then the least certain",
            _charted(_confidence_chart(facts), None),
        ),
        Gallery(
            "products",
            "Pairs",
            shown_pairs,
            rows_of(folder.pairs),
            "those for review, then those nearest to their threshold",
            _charted(_score_chart(facts), scores),
        ),
    )


def _charted(chart: Chart | None, table: FactTable | None) -> tuple[tuple[Chart, FactTable | None], ...]:
    return () if chart is None else ((chart, table),)


def _confidence_chart(facts: DedupFacts) -> Chart | None:
    bins = facts.clusters.confidence.bins()
    return histogram_chart(
        "Confidence of clusters",
        bins,
        kind="score",
        what="clusters",
        chooses="clusters",
        x_title="confidence",
    )


def _score_chart(facts: DedupFacts) -> Chart | None:
    marks = [(value, f"threshold {value:g}") for value in facts.thresholds]
    everything, accepted = facts.scores
    return histogram_chart(
        "Scores of pairs",
        everything,
        kind="score",
        what="pairs",
        second=("accepted", accepted),
        first="not accepted",
        marks=marks if len(marks) <= _MOST_MARKS else (),
        chooses="products",
    )


def _said_columns(summary: Mapping[str, Any]) -> dict[str, str]:
    """Which columns of the search name products and images, where the job wrote it down."""
    said = summary.get("columns")
    if not isinstance(said, dict):
        return {}
    found = {"product": said.get("product"), "pic_name": said.get("pic_name", said.get("picture"))}
    return {name: column for name, column in found.items() if isinstance(column, str)}


def _part(facts: DedupFacts) -> Part:
    tables = tuple(table for table in facts.tables if table.name != "pair_scores")
    return Part("duplicates", "Duplicates", (), (), (), tables)
