"""What `batchsearch compare` summed up, as the report tells it: figures, groups, the ends of the scores.

`compare.json` is the source where it is of the run that the results are of; else scores alone are told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from batchsearch.tasks.compare.comparison import place_lines, score_lines
from batchsearch.tasks.compare.statistics import DIGITS
from batchsearch.tasks.report.report_facts import FactColumn, FactTable
from batchsearch.tasks.report.summing_up.needs import state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.tasks.report.bin_counts import Histogram

_FIGURES: Final[Mapping[str, str]] = {
    "mean": "mean",
    "standard_deviation": "standard deviation (of all these pairs, not a sample's)",
    "min": "lowest",
    "p01": "1 of 100 at most",
    "p05": "5 of 100 at most",
    "p25": "a quarter at most",
    "p50": "median: half at most",
    "p75": "three quarters at most",
    "p95": "95 of 100 at most",
    "p99": "99 of 100 at most",
    "max": "highest",
}
_QUANTILES: Final = {"p01": 0.01, "p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
MOST_GROUPS: Final = 200
"""Groups in the report; `compare.json` has more."""


def median_of(record: Mapping[str, Any], scores: Histogram) -> float | None:
    """The median score; None without any score."""
    return _statistics(record, scores).get("p50")


def comparison_lines(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What `batchsearch compare` prints of scores and files, by its record; nothing without one."""
    try:
        return [*score_lines(record), *place_lines(record)] if record else []
    except (KeyError, TypeError, ValueError):  # another version's, or somebody's
        return []


def comparison_tables(record: Mapping[str, Any], scores: Histogram) -> list[FactTable]:
    """Scores in figures, by group, and the pairs at both ends; tables without a row are left out.

    Args:
        record: What `compare.json` says; empty where there is none.
        scores: The scores of the pairs.
    """
    tables = [
        _figures(_statistics(record, scores)),
        _groups(record),
        _ends("most_alike", "Most alike", record),
        _ends("least_alike", "Least alike", record),
    ]
    return [table for table in tables if table.rows]


def _statistics(record: Mapping[str, Any], scores: Histogram) -> dict[str, float]:
    said = record.get("statistics")
    if isinstance(said, dict):
        return {name: float(value) for name, value in said.items() if isinstance(value, int | float)}
    if not scores.total:
        return {}
    found = {name: scores.percentile(share) for name, share in _QUANTILES.items()}
    ends: dict[str, float | None] = {"min": scores.lowest, "max": scores.highest}
    # As `compare.json` writes them: a figure is the same whether that file is there or not.
    return {name: round(value, DIGITS) for name, value in (found | ends).items() if value is not None}


def _figures(statistics: Mapping[str, float]) -> FactTable:
    columns = (FactColumn("figure", "Scores of pairs", "text"), FactColumn("score", "Score", "exact_score"))
    rows = tuple((words, statistics[name]) for name, words in _FIGURES.items() if name in statistics)
    return FactTable("score_figures", "Scores in figures", columns, rows)


def _groups(record: Mapping[str, Any]) -> FactTable:
    columns = (
        FactColumn("group", "Group", "code"),
        FactColumn("pairs", "Pairs", "count"),
        FactColumn("mean", "Mean", "exact_score"),
        FactColumn("lowest", "Lowest", "exact_score"),
        FactColumn("highest", "Highest", "exact_score"),
    )
    groups = _listed(record, "groups")
    rows = tuple(
        (str(each.get("group")), each.get("count"), each.get("mean"), each.get("min"), each.get("max"))
        for each in groups[:MOST_GROUPS]
    )
    left = len(groups) - len(rows)
    note = f"{left:,} more groups are in compare.json." if left else ""
    show = tuple(state("pairs", group=row[0]) for row in rows)
    return FactTable("groups", "Scores by group", columns, rows, note, show)


def _ends(name: str, title: str, record: Mapping[str, Any]) -> FactTable:
    columns = (
        FactColumn("score", "Score", "exact_score"),
        FactColumn("primary", "First image", "code"),
        FactColumn("secondary", "Second image", "code"),
        FactColumn("pair_key", "Pair", "code"),
    )
    rows = tuple(
        (
            each.get("score"),
            _name(each.get("primary")),
            _name(each.get("secondary")),
            str(each.get("pair_key")),
        )
        for each in _listed(record, name)
    )
    show = tuple(state("pairs", find=row[3]) for row in rows)
    return FactTable(name, title, columns, rows, show=show)


def _name(text: object) -> str:
    return "(inline)" if text is None else str(text)


def _listed(record: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    found = record.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
