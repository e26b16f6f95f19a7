"""How a run ended: one record, as a line of JSON for schedulers and as a page for people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch.pages.failures import failure_lines
from batchsearch.pages.next_steps import NextStep, next_steps
from batchsearch.streams import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUS: Final = {
    0: "done",
    3: "done, but more rows failed than the job allows",
    4: "stopped before the end; run the same command again to go on",
    5: "ended by an error that no row can survive; run the same command again when it is mended",
    6: "damaged; parts, ledger and manifest do not agree",
}


_LEFT_OUT: Final = {
    "where": "rows that manifest.where does not let pass",
    "without_image": "rows without an image (listed in without_image.csv)",
    "merged": "images that their product has twice",
}


OF_EACH_INSTANCE: Final = "/instance=*/"
"""What stands in the place of a folder where each instance of a job has one."""


def ending_words(exit_code: int) -> str:
    """How a run ended, in words."""
    return _STATUS.get(exit_code, f"ended with exit code {exit_code}")


def page_line(line: tuple[str, str]) -> str:
    """A line of a summary, its label and what it says, as it stands on a page in the terminal."""
    label, text = line
    return f"  {label:<10} {text}"


def left_out_text(left_out: Mapping[str, int]) -> str:
    """What of a manifest is no row of the job, in words."""
    return ", ".join(f"{left_out[name]:,} {what}" for name, what in _LEFT_OUT.items() if left_out.get(name))


@dataclass(frozen=True, slots=True)
class Truth:
    """How the outcome compares with what was known beforehand, over all rows of the output.

    Attributes:
        first_hits_expected: Rows whose first hit is known.
        first_hits_found: Of these, rows whose first hit it was.
        outcomes_expected: Rows whose outcome is known.
        outcomes_matched: Of these, rows that ended so.
        surprises: A few rows that came out otherwise: row key, expected, got.
    """

    first_hits_expected: int = 0
    first_hits_found: int = 0
    outcomes_expected: int = 0
    outcomes_matched: int = 0
    surprises: tuple[tuple[str, str, str], ...] = ()

    def lines(self) -> list[tuple[str, str]]:
        """How much came out as it was foretold."""
        lines = []
        if self.first_hits_expected:
            share = self.first_hits_found / self.first_hits_expected
            found = f"{self.first_hits_found:,} of {self.first_hits_expected:,} known copies"
            lines.append(("found", f"{found} as the first hit ({share:.1%})"))
        if self.outcomes_expected:
            matched = f"{self.outcomes_matched:,} of {self.outcomes_expected:,}"
            lines.append(("expected", f"{matched} rows ended as the manifest foretold"))
        return lines

    def surprise_lines(self) -> list[str]:
        """Rows that came out otherwise."""
        return [printable(f"{key}: expected {wanted}, got {got}") for key, wanted, got in self.surprises]


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended.

    Attributes:
        exit_code: What the process exits with.
        run_id: This run's name.
        operation: Operation called.
        instance: Instance name.
        rows: Rows of the manifest.
        others: Rows in the output that the manifest does not have: those of earlier manifests.
        done: Rows that have their outcome, earlier runs included.
        resumed: Rows that earlier runs had finished.
        ok: Rows of the manifest with success, earlier runs included.
        failed: Rows of the manifest with a code, likewise.
        codes: Rows of the manifest by code, likewise.
        calls: HTTP requests that this run sent.
        denied: Of these, refused by flow control.
        retries: Of these, repeats.
        coalesced: Rows that another row's call of this run answered.
        reused: Rows that a call of an earlier run answered.
        hits: Rows of `hits` that this run wrote.
        seconds: From the first stage to the last, this run.
        calls_per_second: `calls` over the time in which calls were made; None for a few calls only.
        tier: Queries per second that the job may spend; None for no limit.
        results: Folder of the results.
        hits_folder: Folder of the hits.
        message: Why the run ended early; empty when it did not.
        left_out: What of the manifest is no row of the job, by why.
        truth: Comparison with what was known beforehand, when the job names such columns.
        ended_by: The answer that ended the run: its code, its request id, and why access was denied.
        advice: What to do about each code; for people only.
        meanings: What each code means; for people only.
        again: The command that asks again for the failed rows; likewise, empty where there are none.
    """

    exit_code: int
    run_id: str
    operation: str
    instance: str
    rows: int
    others: int
    done: int
    resumed: int
    ok: int
    failed: int
    codes: Mapping[str, int]
    calls: int
    denied: int
    retries: int
    coalesced: int
    reused: int
    hits: int
    seconds: float
    calls_per_second: float | None
    tier: float | None
    results: str
    hits_folder: str
    message: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    truth: Truth | None = None
    ended_by: Mapping[str, Any] | None = None
    advice: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
    again: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into JSON."""
        values = asdict(self)
        del values["advice"], values["meanings"], values["again"]
        values["status"] = ending_words(self.exit_code).split(";", maxsplit=1)[0].split(",", maxsplit=1)[0]
        for name in ("truth", "ended_by", "left_out"):
            if not values[name]:
                del values[name]
        return values

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    def as_text(self) -> str:
        """A page for people."""
        lines = ["", f"{self.operation} on {self.instance}: {self.ending()}"]
        lines += map(page_line, self.counts())
        if self.codes:
            lines.append("  failed by code")
            lines += failure_lines(self.codes, self.meanings, self.advice)
        if self.again:
            lines.append(page_line(("ask again", self.again)))
        if self.truth is not None:
            lines += map(page_line, self.truth.lines())
            lines += (f"    {line}" for line in self.truth.surprise_lines())
        lines += map(page_line, self.places())
        return "\n".join([*lines, ""])

    def ending(self) -> str:
        """How it ended, in words; what to do about it stands behind a semicolon."""
        return ending_words(self.exit_code)

    def counts(self) -> list[tuple[str, str]]:
        """What became of its rows, and what it took."""
        lines = [("why", self.message)] if self.message else []
        resumed = f", {self.resumed:,} of them by earlier runs" if self.resumed else ""
        left = self.rows - self.done
        if self.others:
            resumed += f"; {self.others:,} rows of earlier manifests are in the output as well"
        lines.append(
            ("rows", f"{self.rows:,}: {self.ok:,} ok, {self.failed:,} failed, {left:,} left{resumed}")
        )
        if self.left_out:
            lines.append(("left out", left_out_text(self.left_out)))
        tier = "" if self.tier is None else f" of {self.tier:g}"
        rate = "" if self.calls_per_second is None else f" ({self.calls_per_second:.2f} a second{tier})"
        made = f"{self.calls:,} in {self.seconds:.1f} s{rate}, "
        lines.append(("calls", f"{made}{self.denied:,} denied, {self.retries:,} repeated"))
        if self.coalesced or self.reused:
            spared = (
                f"{self.coalesced + self.reused:,} calls: {self.coalesced:,} that another row "
                f"made, {self.reused:,} that an earlier run had made"
            )
            lines.append(("spared", spared))
        return lines

    def places(self) -> list[tuple[str, str]]:
        """Where what it wrote is."""
        lines = [("results", self.results)]
        return [*lines, ("hits", self.hits_folder)] if self.hits_folder else lines

    def next_steps(self) -> list[NextStep]:
        """Commands that come next."""
        whole, of_lanes, _ = self.results.partition(OF_EACH_INSTANCE)
        folder = whole if of_lanes else str(Path(self.results).parent)
        return next_steps(self.exit_code, folder, looks=self.done > 0)


SUMMED: Final = tuple(
    each.name for each in fields(Summary) if each.type == "int" and each.name != "exit_code"
)
"""The counters of a summary, all numbers but its exit code: those of several runs add up."""

_PLAIN_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "int": (int,),
    "str": (str,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
}


def summary_of(record: Mapping[str, Any]) -> Summary | None:
    """The summary that a record is, as `Summary.as_dict` wrote it; None where it is none.

    Fields that this version does not know are left out.
    """
    types = {each.name: str(each.type) for each in fields(Summary)}
    given = {name: value for name, value in record.items() if name in types}
    for name, value in given.items():
        if not isinstance(value, _PLAIN_TYPES.get(types[name], (object,))) or isinstance(value, bool):
            return None
    codes, left_out, truth = (given.get(name) or {} for name in ("codes", "left_out", "truth"))
    try:
        given["codes"] = {str(code): int(count) for code, count in codes.items()}
        given["left_out"] = {str(why): int(count) for why, count in left_out.items()}
        given["truth"] = _truth_of(truth) if truth else None
        return Summary(**given)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _truth_of(record: Mapping[str, Any]) -> Truth:
    surprises = tuple((str(key), str(wanted), str(got)) for key, wanted, got in record["surprises"])
    counted = {name: int(value) for name, value in record.items() if name != "surprises"}
    return Truth(**counted, surprises=surprises)
