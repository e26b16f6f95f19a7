"""What of one run can be browsed: its rows with their hits, its pairs, or its failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsearch.tasks.report import cards
from batchsearch.tasks.report.html_page import Gallery
from batchsearch.tasks.report.references import (
    RowImages,
    catalogue_source,
    named_columns,
    row_source,
    scores_file,
)
from batchsearch.tasks.report.run_parts import score_chart, score_table

if TYPE_CHECKING:
    from batchsearch.tasks.report.limits import ReportOptions
    from batchsearch.tasks.report.references import RowSource
    from batchsearch.tasks.report.report_facts import FactTable
    from batchsearch.tasks.report.run_parts import RunFindings
    from batchsearch.tasks.report.thumbnails import Thumbnails


def gallery_of(found: RunFindings, thumbnails: Thumbnails, options: ReportOptions) -> Gallery:
    """A run's rows or pairs, as they can be browsed.

    Raises:
        OutputError: The hits or the scores cannot be read.
    """
    run = found.run
    own = row_source(run, options.images)
    named = named_columns(run)
    section = () if (chart := score_chart(found)) is None else ((chart, _table_of_scores(found)),)
    if run.kind == "compare":
        rows = [*found.named, *found.good, *found.failed]
        groups = cards.groups_of(scores_file(run.path), [row["row_key"] for row in rows])
        shown = cards.compare_cards(rows, named, thumbnails, own, groups)
        chosen = "the highest and the lowest scores, and some failures of each code"
        return Gallery("pairs", "Pairs", shown, found.ended, chosen, section)
    rows = [*found.named, *found.failed, *found.good]
    hits = {}
    if run.kind == "search":
        hits = cards.first_hits(run, [row["row_key"] for row in (*found.named, *found.good)])
    catalogue = catalogue_source(run)
    known = RowImages()
    if catalogue is None:
        products = {(str(hit["product_id"]), str(hit["pic_name"])) for each in hits.values() for hit in each}
        known.find(run, named, set(), products)
    shown = cards.search_cards(rows, hits, named, thumbnails, own=own, found=catalogue, known=known)
    chosen = "failures of every code, and an even sample of the others"
    return Gallery("rows", "Rows", shown, found.ended, chosen, section)


def _table_of_scores(found: RunFindings) -> FactTable | None:
    scores = found.pair_scores
    if found.run.kind == "search" and found.scores is not None:
        scores = found.scores.all
    return None if scores is None else score_table(scores, "scores", "Scores")


def cards_of_part(
    found: RunFindings, thumbnails: Thumbnails, own: RowSource | None, part: str
) -> list[cards.Card]:
    """Cards of a run's failed rows and of those that it names as surprises, each with the part it is of."""
    hits = {}
    if found.run.kind == "search":
        hits = cards.first_hits(found.run, [row["row_key"] for row in found.named])
    rows, named = [*found.failed, *found.named], named_columns(found.run)
    shown = cards.search_cards(rows, hits, named, thumbnails, own=own, found=None, known=RowImages())
    return [card | {"part": part} for card in shown]
