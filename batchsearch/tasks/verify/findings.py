"""What can be found in an output folder: a closed table, each kind with its meaning and advice (pure)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

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


_PUT_BACK: Final = (
    "Put the file back from a copy. Without one, `batchsearch recover DIR --without-damaged` gives it up: "
    "the answers that only this file has need their calls once more."
)
_REPORT: Final = "Keep the folder as it is and report this; do the job again into another `output.dir`."

_MAKE_ANEW: Final = (
    "Run `batchsearch dedup`, or `batchsearch compare`, with the job again: it makes them anew without a "
    "call, and moves an earlier night that is damaged to `set-aside/`."
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "part_missing": Kind("problem", "A sealed file is not there.", _PUT_BACK),
        "part_unreadable": Kind("problem", "A sealed file cannot be read.", _PUT_BACK),
        "part_changed": Kind(
            "problem", "A sealed file is not what was sealed: its SHA-256 differs.", _PUT_BACK
        ),
        "part_rows": Kind("problem", "A sealed file has another number of rows than was sealed.", _PUT_BACK),
        "part_schema": Kind("problem", "A sealed file has other columns than it must have.", _PUT_BACK),
        "ledger_missing": Kind(
            "problem",
            "There are parts, but no ledger that knows them.",
            "Put the ledger back from a copy, or make it anew from the parts: `batchsearch recover DIR`. "
            "A run refuses the folder until then, and deletes nothing.",
        ),
        "part_unknown": Kind(
            "problem",
            "A part that the ledger does not know: the ledger is an older copy, or another one.",
            "Put the latest ledger back, or make it anew from the parts: `batchsearch recover DIR`. A run "
            "refuses the folder until then, and deletes nothing.",
        ),
        "ledger_damaged": Kind(
            "problem",
            "SQLite finds the ledger damaged.",
            "Restore the folder from a copy, or make the ledger anew from the parts: `batchsearch recover "
            "DIR`; `results/` and `hits/` can still be read as they are.",
        ),
        "ledger_changed": Kind(
            "problem",
            "The ledger's file is not what its last writer left.",
            "Put the ledger back from a copy, or make it anew from the parts: `batchsearch recover DIR`.",
        ),
        "table_missing": Kind("problem", "A table that was delivered is not there.", _MAKE_ANEW),
        "table_changed": Kind("problem", "A table that was delivered is not what was written.", _MAKE_ANEW),
        "record_unreadable": Kind("problem", "The record of what was delivered cannot be read.", _MAKE_ANEW),
        "search_missing": Kind(
            "problem",
            "The search that a night of dedup was made from is not there.",
            "Put the folder `search` back from a copy. Without it the next night searches every image again.",
        ),
        "key_doubled": Kind("problem", "A row key stands in the results more than once.", _REPORT),
        "row_lost": Kind("problem", "The ledger has the row's outcome, but no part has it.", _REPORT),
        "row_unledgered": Kind("problem", "A part has the row, but the ledger does not.", _REPORT),
        "code_differs": Kind(
            "problem", "Results and ledger give the row different codes or origins.", _REPORT
        ),
        "outcome_old": Kind(
            "problem",
            "Results have another outcome of the row than the latest that the ledger noted.",
            _REPORT,
        ),
        "outcome_differs": Kind("problem", "The row's `outcome` does not fit its error code.", _REPORT),
        "hit_without_row": Kind("problem", "Hits whose row is not in the results.", _REPORT),
        "hit_of_failed": Kind("problem", "Hits of a row that did not end `ok`.", _REPORT),
        "hit_count": Kind("problem", "The row's `hit_count` is not the number of its hits.", _REPORT),
        "hit_ranks": Kind("problem", "The ranks of a row's hits are not 1, 2, 3 … without a gap.", _REPORT),
        "stray_table": Kind(
            "problem",
            "A table that no seal covers lies among the parts: whoever reads the folder reads it too.",
            "Move it away.",
        ),
        "manifest_doubled": Kind(
            "problem",
            "The manifest has the key more than once: a run would refuse it.",
            "Give every row of the manifest its own key.",
        ),
        "row_missing": Kind(
            "incomplete", "A row of the manifest has no outcome yet.", "Run the job again: it goes on there."
        ),
        "instance_missing": Kind(
            "incomplete",
            "An instance of the job has no folder here: none of its rows has an outcome.",
            "Run the job again; or give the folder in which all instances have theirs.",
        ),
        "rows_pending": Kind(
            "incomplete",
            "Outcomes are in the ledger and not in a part yet.",
            "Run the job again: it writes them without a call.",
        ),
        "rows_staged": Kind(
            "incomplete",
            "Renewed outcomes wait to take the place of those that readers see.",
            "Run the job again: it exchanges them without a call.",
        ),
        "switching": Kind(
            "incomplete",
            "Parts were being exchanged for others when it was interrupted.",
            "Run the job again, or compact it again: the exchange is finished first.",
        ),
        "table_other_night": Kind(
            "incomplete",
            "A delivered table and its record are of two nights or runs: one was killed while it wrote them, "
            "or the file was exchanged.",
            _MAKE_ANEW,
        ),
        "record_missing": Kind(
            "incomplete",
            "The record of the tables that dedup or comparison delivers is not there: none was finished, or "
            "the file is gone.",
            _MAKE_ANEW,
        ),
        "leftover": Kind(
            "incomplete",
            "A file that no seal covers, left by a run that was killed; its outcomes wait in the ledger.",
            "Run the job again: it moves it to `set-aside/`. Until then its rows may be read twice.",
        ),
        "manifest_unknown": Kind(
            "unknown",
            "The manifest cannot be read: whether rows are missing is not known.",
            "Give it with `--manifest` or `--config`, or make it reachable and verify again.",
        ),
        "moving": Kind(
            "unknown",
            "Parts were replaced faster than they could be read.",
            "Verify again when the run or the compaction is over.",
        ),
        "part_older": Kind(
            "note",
            "A part of an older version lacks columns that newer parts have.",
            "Compact the folder: its parts then have the same columns.",
        ),
        "being_written": Kind("note", "A file of the run that is going on; it is not sealed yet."),
        "stray_file": Kind("note", "A file that batchsearch did not write."),
        "row_elsewhere": Kind("note", "A row that is not in the manifest (any more)."),
    }
)
"""Every kind of finding, the gravest first."""


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
