"""Pairs that people have judged, read from the CSV file that the report's button writes."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from batchsearch.config.nearest import did_you_mean
from batchsearch.dedup.decide import DIFFERENT, JUDGED, SAME, Judged
from batchsearch.dedup.pictures import places
from batchsearch.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

COLUMNS: Final = ("product_a", "product_b", "judgement", "judged_at", "note")
"""Of the file; the first three are needed."""

_NEEDED: Final = COLUMNS[:3]
_VERDICTS: Final = {text: number for number, text in enumerate(JUDGED) if text is not None}
_LISTED: Final = 20
_LONGEST_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class Judgements:
    """What people have said.

    Attributes:
        verdicts: `SAME` or `DIFFERENT`, by both product ids, the smaller first.
    """

    verdicts: Mapping[tuple[str, str], int]

    def of_products(self, products: pa.Array) -> Judged:
        """The judgements on pairs of these products, which are in ascending order, each once."""
        both = [*self.verdicts]
        first = places(pa.array([one for one, _ in both], pa.string()), products)
        second = places(pa.array([other for _, other in both], pa.string()), products)
        verdict = np.array([self.verdicts[pair] for pair in both], np.int8)
        known = (first >= 0) & (second >= 0)
        low, high = np.minimum(first, second)[known], np.maximum(first, second)[known]
        return Judged(low, high, verdict[known])


def read_judgements(path: Path | None) -> Judgements:
    """The judgements of a file; none where there is no file. Of two on one pair the later line holds.

    Raises:
        ConfigError: The file is not one of judgements; with up to 20 problems by line.
    """
    if path is None:
        return Judgements({})
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return Judgements(_verdicts(csv.reader(file), str(path)))
    except FileNotFoundError:
        return Judgements({})
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(path), "is not UTF-8 text; save it as UTF-8")]) from None
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError([Problem(str(path), f"cannot be read as CSV: {reason}")]) from error


def _verdicts(lines: Iterable[list[str]], path: str) -> dict[tuple[str, str], int]:
    verdicts: dict[tuple[str, str], int] = {}
    problems: list[Problem] = []
    at: dict[str, int] | None = None
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
        cells = [line[at[name]].strip() if at[name] < len(line) else "" for name in _NEEDED]
        problem = _read(cells, verdicts)
        if problem is not None:
            problems.append(Problem(f"{path}:{number}", problem))
    if problems:
        more = len(problems) - _LISTED
        last = [Problem(path, f"{more} more lines like these")] if more > 0 else []
        raise ConfigError([*problems[:_LISTED], *last], summary="the judgements are not usable:")
    return verdicts


def _read(cells: list[str], verdicts: dict[tuple[str, str], int]) -> str | None:
    """Takes one line; what is wrong with it, if anything."""
    one, other, said = cells
    if not one or not other:
        return "names no two products"
    if one == other:
        return f"judges {one[:_LONGEST_SHOWN]!r} against itself"
    if said.casefold() not in _VERDICTS:
        return f"judgement {said[:_LONGEST_SHOWN]!r} is neither `same` nor `different`"
    verdicts[(min(one, other), max(one, other))] = _VERDICTS[said.casefold()]
    return None


__all__ = ["COLUMNS", "DIFFERENT", "SAME", "Judgements", "read_judgements"]
