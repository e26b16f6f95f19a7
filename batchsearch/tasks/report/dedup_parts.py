"""A dedup job, from its folder to what a report states and shows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from batchsearch.tasks.report.html_page import Gallery, Part
from batchsearch.tasks.report.references import RowImages, named_columns, row_source
from batchsearch.tasks.report.report_facts import Section
from batchsearch.tasks.report.run_parts import failed_gallery, look_at, part_of, section_of
from batchsearch.tasks.report.table_reading import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.tasks.report.dedup_facts import DedupFacts
    from batchsearch.tasks.report.limits import ReportOptions
    from batchsearch.tasks.report.output_kind import DedupFolder
    from batchsearch.tasks.report.thumbnails import Thumbnails

_MOST_MARKS = 3
"""Thresholds drawn into the chart: with one for each category they would hide it."""


def dedup_parts(
    folder: DedupFolder, thumbnails: Thumbnails, options: ReportOptions
) -> tuple[tuple[Section, ...], tuple[Part, ...], tuple[Gallery, ...]]:
    """Sections, parts of the page and galleries of a dedup job; thumbnails are asked for.

    Raises:
        OutputError: A table cannot be read.
    """
    clusters, pairs = ChosenClusters(options.clusters), ChosenPairs(options.pairs)
    facts = dedup_facts(folder, ([pairs], [clusters]))
    section = Section("", "Duplicates", facts.figures, facts.tables)
    sections, parts = [section], [_part(facts)]
    galleries = [*_galleries(folder, facts, clusters, pairs, thumbnails, options)]
    upkeep = [(run, f"sync-{step}", f"Upkeep: {step}") for step, run in folder.sync.items()]
    for run, name, title in ((folder.search, "search", "Search"), *upkeep):
        if run is None:
            continue
        found = look_at(run, options, only_failed=True)
        section = section_of(found, name=name, title=title)
        sections.append(section)
        parts.append(part_of(found, section, anchor=name, figures=True))
        failed = failed_gallery(found, thumbnails, row_source(run, options.images))
        if failed is not None and name == "search":
            galleries.append(failed)
    return tuple(sections), tuple(parts), tuple(galleries)


def _galleries(  # noqa: PLR0917 - what was found, asked for and allowed
    folder: DedupFolder,
    facts: DedupFacts,
    chosen: ChosenClusters,
    chosen_pairs: ChosenPairs,
    thumbnails: Thumbnails,
    options: ReportOptions,
) -> tuple[Gallery, Gallery]:
    clusters = members_of(folder.clusters, chosen.ids())
    add_inner_pairs(folder.pairs, clusters)
    pairs = chosen_pairs.rows()
    known = RowImages()
    own = None
    if folder.search is not None:
        own = row_source(folder.search, options.images)
        named = named_columns(folder.search, **_said_columns(folder.summary))
        known.find(folder.search, named, *wanted_rows(clusters, pairs, options.thumbnails))
    shown = cluster_cards(clusters, known, thumbnails, own)
    shown_pairs = pair_cards(pairs, known, thumbnails, own)
    return (
        Gallery(
            "clusters",
            "Clusters",
            shown,
            int(facts.figures[0].value),
            "those with a reason to be looked at, then the least certain",
        ),
        Gallery(
            "products",
            "Pairs",
            shown_pairs,
            rows_of(folder.pairs),
            "those for review, then those nearest to their threshold",
        ),
    )


def _said_columns(summary: Mapping[str, Any]) -> dict[str, str]:
    """Which columns of the search name products and images, where the job wrote it down."""
    said = summary.get("columns")
    if not isinstance(said, dict):
        return {}
    found = {"product": said.get("product"), "pic_name": said.get("pic_name", said.get("picture"))}
    return {name: column for name, column in found.items() if isinstance(column, str)}


def _part(facts: DedupFacts) -> Part:
    marks = [(value, f"threshold {value:g}") for value in facts.thresholds]
    everything, accepted = facts.scores
    chart = histogram_chart(
        "Scores of pairs",
        everything,
        kind="score",
        what="pairs",
        second=("accepted", accepted),
        first="not accepted",
        marks=marks if len(marks) <= _MOST_MARKS else (),
    )
    scores = next((table for table in facts.tables if table.name == "pair_scores"), None)
    drawn = () if chart is None else ((chart, scores),)
    tables = tuple(table for table in facts.tables if table.name != "pair_scores")
    return Part("duplicates", "Duplicates", (), (), drawn, tables)
