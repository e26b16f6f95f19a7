"""What can be found in an output folder: a closed table, each kind with its meaning and advice (pure)."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_LISTED: Final = 10
"""Findings of one kind that are told one by one; all are counted."""

Weight = Literal["problem", "incomplete", "unknown", "note"]


class Verdict(IntEnum):
    """What `batchsearch verify` says to a scheduler: the process's exit code."""

    WHOLE = 0
    PROBLEMS = 3
    INCOMPLETE = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding.

    Attributes:
        weight: `problem`: the output is not what was promised; `incomplete`: rows or a seal are still to
            come; `unknown`: it could not be looked at; `note`: worth knowing, nothing is wrong.
        meaning: What it is, one sentence.
        advice: What to do, one sentence; empty when nothing has to be done.
    """

    weight: Weight
    meaning: str
    advice: str = ""


_ADVICE: Final = {
    "put_back": "Put the file back from a copy. Without one, `batchsearch recover DIR --without-damaged` "
    "gives it up: the answers that only this file has need their calls once more.",
    "report": "Keep the folder as it is and report this; do the job again into another `output.dir`.",
    "make_anew": "Run `batchsearch dedup`, or `batchsearch compare`, with the job again: it makes them anew "
    "without a call, and moves an earlier night that is damaged to `set-aside/`.",
}
"""What several kinds advise, by the word that stands for it in `findings.csv`."""


def _read() -> dict[str, Kind]:
    text = resources.files(__package__).joinpath("findings.csv").read_text(encoding="utf-8")
    return {
        row["kind"]: Kind(
            cast("Weight", row["weight"]), row["meaning"], _ADVICE.get(row["advice"], row["advice"])
        )
        for row in csv.DictReader(text.splitlines())
    }


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(_read())
"""Every kind of finding, the gravest first: the lines of `findings.csv`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes:
        kind: One of `KINDS`.
        where: File, row key or setting; empty when the whole folder is meant.
        what: What is there and what ought to be, for a person.
    """

    kind: str
    where: str
    what: str = ""


class Findings:
    """Counts what is found, and keeps the first few of each kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._listed: dict[str, list[Finding]] = {}

    def add(self, kind: str, where: str, what: str = "", *, count: int = 1) -> None:
        """Something was found; `count` things that one line stands for.

        Raises:
            KeyError: The kind is not in `KINDS`.
        """
        if kind not in KINDS:
            raise KeyError(kind)
        self.counts[kind] += count
        listed = self._listed.setdefault(kind, [])
        if len(listed) < MOST_LISTED:
            listed.append(Finding(kind, where, what))

    def count_only(self, kind: str, count: int) -> None:
        """More of a kind, which are not told one by one."""
        if count:
            self.counts[kind] += count

    def room_for(self, kind: str) -> int:
        """How many more of this kind would be told one by one."""
        return MOST_LISTED - len(self._listed.get(kind, ()))

    def listed(self) -> list[Finding]:
        """What is told one by one, the gravest kinds first."""
        return [finding for kind in KINDS for finding in self._listed.get(kind, ())]

    def verdict(self) -> Verdict:
        """Problems before what is incomplete or unknown; whole when there is neither."""
        weights = {KINDS[kind].weight for kind, count in self.counts.items() if count}
        if "problem" in weights:
            return Verdict.PROBLEMS
        return Verdict.INCOMPLETE if weights & {"incomplete", "unknown"} else Verdict.WHOLE
