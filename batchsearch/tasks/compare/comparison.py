"""How a comparison ended: the run's summary and what its scores say, as JSON and as a page for people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from batchsearch.storage.sealed.delivered import TABLES_FIELD
from batchsearch.streams import printable
from batchsearch.telemetry.summary import page_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.pages.next_steps import NextStep
    from batchsearch.tasks.compare.matrix import Matrix
    from batchsearch.tasks.compare.pairs_table import MadeOf
    from batchsearch.tasks.compare.statistics import Bar, Extreme, GroupScores
    from batchsearch.telemetry.summary import Summary

_BAR_WIDTH: Final = 40
_GROUPS_SHOWN: Final = 12
_PAIRS_SHOWN: Final = 3
_LONGEST_NAME: Final = 36
_PLACES: Final = 4


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a comparison ended.

    Attributes:
        summary: The run's own summary.
        pairs: Where the pairs come from: `given`, `groups` or `reference`.
        made: What they were made of; None for given ones.
        compared: Pairs with a score.
        failed: Pairs that ended with a code.
        same_bytes: Pairs of two files with the same bytes.
        statistics: Mean, spread, extremes and percentiles of the scores; None without any.
        histogram: The scores from 0 to 1 in equal parts.
        groups: The scores of each group, by name.
        other_groups: Scores of groups beyond those.
        most_alike: Pairs with the highest scores.
        least_alike: Pairs with the lowest scores.
        matrices: What was written of small groups.
        too_large: Groups with too many images for a matrix.
        scores_file: The table of scores.
        matrix_folder: Where matrices are; None when there are none.
        record: `compare.json`.
    """

    summary: Summary
    pairs: str
    made: MadeOf | None
    compared: int
    failed: int
    same_bytes: int
    statistics: Mapping[str, float] | None
    histogram: Sequence[Bar]
    groups: Mapping[str, GroupScores]
    other_groups: int
    most_alike: Sequence[Extreme]
    least_alike: Sequence[Extreme]
    matrices: Sequence[Matrix]
    too_large: int
    scores_file: str
    matrix_folder: str | None
    record: str

    @property
    def exit_code(self) -> int:
        """The run's: what the process exits with."""
        return self.summary.exit_code

    def as_dict(self) -> dict[str, Any]:
        """The run's summary, with `compare` beside it: a small one, lists are in `compare.json`."""
        found = self._counts() | {
            "statistics": self.statistics,
            "scores": self.scores_file,
            "matrices": len(self.matrices),
            "record": self.record,
        }
        return self.summary.as_dict() | {"compare": found}

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    def as_record(self, tables: Mapping[str, Any]) -> str:
        """All that is known, as JSON for `compare.json`, with the files that were written."""
        found = {
            "run_id": self.summary.run_id,
            "instance": self.summary.instance,
            "exit_code": self.exit_code,
            **self._counts(),
            "statistics": self.statistics,
            "histogram": [asdict(bar) for bar in self.histogram],
            "groups": [{"group": name, **scores.as_dict()} for name, scores in self.groups.items()],
            "scores_of_other_groups": self.other_groups,
            "most_alike": [asdict(pair) for pair in self.most_alike],
            "least_alike": [asdict(pair) for pair in self.least_alike],
            "matrices": [asdict(matrix) for matrix in self.matrices],
            "groups_too_large_for_a_matrix": self.too_large,
            "scores": self.scores_file,
            "matrix_folder": self.matrix_folder,
            TABLES_FIELD: dict(tables),
        }
        return json.dumps(found, ensure_ascii=False, indent=2) + "\n"

    def _counts(self) -> dict[str, Any]:
        counts: dict[str, Any] = {
            "form": self.pairs,
            "pairs": self.summary.rows,
            "compared": self.compared,
            "failed": self.failed,
            "left": self.summary.rows - self.compared - self.failed,
            "same_bytes": self.same_bytes,
        }
        if self.made is not None:
            counts["images"] = self.made.rows
        if self.made is not None and self.pairs == "groups":
            counts |= {"images_alone": self.made.alone, "images_without_a_group": self.made.without}
        return counts

    def as_text(self) -> str:
        """A page for people: the run's, then the scores."""
        lines = [self.summary.as_text().rstrip("\n")]
        if self.statistics is None:
            lines.append("  scores     none yet")
        else:
            lines += self._scores()
        lines += map(page_line, place_lines(self._facts()))
        return "\n".join([*lines, page_line(("record", self.record)), ""])

    def next_steps(self) -> list[NextStep]:
        """Commands that come next."""
        return self.summary.next_steps()

    def _facts(self) -> dict[str, Any]:
        """What is told of scores and files, as `compare.json` has it."""
        return {
            "compared": self.compared,
            "same_bytes": self.same_bytes,
            "statistics": self.statistics,
            "scores": self.scores_file,
            "matrices": self.matrices,
            "matrix_folder": self.matrix_folder,
            "groups_too_large_for_a_matrix": self.too_large,
        }

    def _scores(self) -> list[str]:
        lines = [page_line(line) for line in score_lines(self._facts())]
        lines += _bars(self.histogram)
        for title, pairs in (("most alike", self.most_alike), ("least alike", self.least_alike)):
            for number, pair in enumerate(pairs[:_PAIRS_SHOWN]):
                names = f"{_short(pair.primary)}  {_short(pair.secondary)}"
                lines.append(f"  {'' if number else title:<12} {pair.score:.{_PLACES}f}  {names}")
        if self.groups:
            lines += self._group_lines()
        return lines

    def _group_lines(self) -> list[str]:
        names = list(self.groups)[:_GROUPS_SHOWN]
        width = max(len(_short(name)) for name in names)
        lines = ["  by group      pairs    mean  lowest  highest"]
        for name in names:
            scores = self.groups[name]
            lines.append(
                f"    {_short(name):<{width}}  {scores.count:>7,}  {scores.mean:.{_PLACES}f}  "
                f"{scores.lowest:.{_PLACES}f}  {scores.highest:.{_PLACES}f}"
            )
        lines[0] = f"    {'group':<{width}}  {'pairs':>7}  {'mean':<6}  {'lowest':<6}  highest"
        more = len(self.groups) - len(names)
        return [*lines, f"    and {more:,} more groups in the record"] if more else lines


def score_lines(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a comparison's record says of its scores, each line with its label (pure); none without scores."""
    statistics = record.get("statistics")
    if not isinstance(statistics, dict):
        return []
    shown = [("mean", "mean"), ("median", "p50"), ("lowest", "min"), ("highest", "max")]
    said = ", ".join(f"{word} {statistics[name]:.{_PLACES}f}" for word, name in shown if name in statistics)
    lines = [("pairs", f"{record['compared']:,} with a score: {said}")]
    if record.get("same_bytes"):
        lines.append(("", f"{record['same_bytes']:,} of two files with the same bytes"))
    return lines


def place_lines(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the tables of a comparison are, by its record (pure)."""
    lines = [("scores", str(record.get("scores")))]
    if record.get("matrices"):
        large = record.get("groups_too_large_for_a_matrix")
        left_out = f"; {large:,} groups are too large for one" if large else ""
        lines.append(("matrices", f"{len(record['matrices']):,} in {record.get('matrix_folder')}{left_out}"))
    return lines


def _bars(histogram: Sequence[Bar]) -> list[str]:
    """The histogram in characters; empty bars at both ends are left out."""
    filled = [number for number, bar in enumerate(histogram) if bar.count]
    if not filled:
        return []
    shown = histogram[filled[0] : filled[-1] + 1]
    most = max(bar.count for bar in shown)
    digits = 2 if all(round(bar.low, 2) == bar.low for bar in histogram) else 3
    return [
        f"    {bar.low:.{digits}f} to {bar.high:.{digits}f}  "
        f"{'#' * max(bool(bar.count), round(_BAR_WIDTH * bar.count / most)):<{_BAR_WIDTH}}  {bar.count:>9,}"
        for bar in shown
    ]


def _short(name: str | None) -> str:
    text = printable("(inline)" if name is None else name)
    return text if len(text) <= _LONGEST_NAME else "…" + text[-_LONGEST_NAME + 1 :]
