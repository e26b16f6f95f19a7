"""Pairs that people have judged, read from the CSV files that the report's button writes.

Of several judgements on one pair, in one file or in several, the newest holds. A line that does not say when
it was judged counts as no older than the lines before it in its file: somebody has added it there.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from batchsearch.errors import ConfigError, Problem
from batchsearch.nearest import did_you_mean
from batchsearch.tasks.dedup.clusters.decide import DIFFERENT, JUDGED, NOT_JUDGED, SAME, Judged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from batchsearch.tasks.dedup.candidates.text_index import TextIndex

COLUMNS: Final = ("product_a", "product_b", "judgement", "judged_at", "note")
"""Of the file; the first three are needed."""
_NOBODY: Final = "none"
"""A judgement taken back: nothing is said of the pair, whatever older lines say."""

_NEEDED: Final = COLUMNS[:3]
_VERDICTS: Final = {text or _NOBODY: number for number, text in enumerate(JUDGED)}
_LISTED: Final = 20
_LONGEST_SHOWN: Final = 40
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody has said of a pair.

    Attributes:
        verdict: `SAME` or `DIFFERENT`.
        judged_at: When, as it was written; empty where nothing says it.
        note: Whatever was noted.
        moment: What newer and older goes by.
    """

    verdict: int
    judged_at: str = ""
    note: str = ""
    moment: datetime = _NEVER


@dataclass(frozen=True, slots=True)
class Judgements:
    """What people have said.

    Attributes:
        said: By both product ids, the smaller first.
    """

    said: Mapping[tuple[str, str], Said]

    @property
    def verdicts(self) -> dict[tuple[str, str], int]:
        """`SAME` or `DIFFERENT`, by both product ids."""
        return {pair: said.verdict for pair, said in self.said.items()}

    def of_products(self, products: TextIndex) -> Judged:
        """The judgements on pairs of these products, which are in ascending order, each once."""
        both = [*self.said]
        first = products.places(pa.array([one for one, _ in both], pa.string()))
        second = products.places(pa.array([other for _, other in both], pa.string()))
        verdict = np.array([said.verdict for said in self.said.values()], np.int8)
        known = (first >= 0) & (second >= 0)
        low, high = np.minimum(first, second)[known], np.maximum(first, second)[known]
        return Judged(low, high, verdict[known])

    def as_csv(self) -> str:
        """All of them as a file of judgements that reads back as the same ones.

        Those that no moment is known of come first, so that no line before them makes them newer.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for (one, other), said in sorted(
            self.said.items(), key=lambda item: (item[1].moment > _NEVER, item[0])
        ):
            moment = said.judged_at or (said.moment.isoformat() if said.moment > _NEVER else "")
            writer.writerow([one, other, JUDGED[said.verdict], moment, said.note])
        return text.getvalue()


def read_judgements(paths: Sequence[Path]) -> Judgements:
    """The judgements of some files, the newest on each pair; none where there is no file.

    Raises:
        ConfigError: A file is not one of judgements; with up to 20 problems by line.
    """
    newest: dict[tuple[str, str], Said] = {}
    for path in paths:
        for pair, said in _read_file(path).items():
            before = newest.get(pair)
            if before is None or said.moment >= before.moment:
                newest[pair] = said
    return Judgements({pair: said for pair, said in newest.items() if said.verdict != NOT_JUDGED})


def _read_file(path: Path) -> dict[tuple[str, str], Said]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _said(csv.reader(file), str(path))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise ConfigError.at(path, "is not UTF-8 text; save it as UTF-8") from None
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError.at(path, f"cannot be read as CSV: {reason}") from error


def _said(lines: Iterable[list[str]], path: str) -> dict[tuple[str, str], Said]:
    said: dict[tuple[str, str], Said] = {}
    problems: list[Problem] = []
    at: dict[str, int] | None = None
    newest = _NEVER
    for number, line in enumerate(lines, start=1):
        if at is None:
            at = {name.strip(): place for place, name in enumerate(line)}
            missing = [name for name in _NEEDED if name not in at]
            if missing:
                raise ConfigError(
                    [
                        Problem(path, f"`dedup.judgements`: has no column `{name}`{did_you_mean(name, at)}")
                        for name in missing
                    ]
                )
            continue
        if not any(line):
            continue
        cells: dict[str, str] = {
            name: line[at[name]].strip() for name in COLUMNS if name in at and at[name] < len(line)
        }
        moment = _moment(cells.get("judged_at", "")) or newest
        newest = max(newest, moment)
        problem = _read(cells, moment, said)
        if problem is not None:
            problems.append(Problem(f"{path}:{number}", problem))
    if problems:
        more = len(problems) - _LISTED
        last = [Problem(path, f"{more} more lines like these")] if more > 0 else []
        raise ConfigError([*problems[:_LISTED], *last], summary="the judgements are not usable:")
    return said


def _moment(text: str) -> datetime | None:
    """A moment as ISO 8601 writes it, UTC where it names no zone; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _read(cells: Mapping[str, str], moment: datetime, taken: dict[tuple[str, str], Said]) -> str | None:
    """Takes one line; what is wrong with it, if anything."""
    one, other, said = (cells.get(name, "") for name in _NEEDED)
    if not one or not other:
        return "names no two products"
    if one == other:
        return f"judges {one[:_LONGEST_SHOWN]!r} against itself"
    if said.casefold() not in _VERDICTS:
        return (
            f"judgement {said[:_LONGEST_SHOWN]!r} is neither `same` nor `different` (`none` takes one back)"
        )
    pair = (min(one, other), max(one, other))
    before = taken.get(pair)
    if before is None or moment >= before.moment:
        verdict = _VERDICTS[said.casefold()]
        taken[pair] = Said(verdict, cells.get("judged_at", ""), cells.get("note", ""), moment)
    return None


__all__ = ["COLUMNS", "DIFFERENT", "SAME", "Judgements", "Said", "read_judgements"]
