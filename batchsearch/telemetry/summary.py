"""How a run ended: one record, as a line of JSON for schedulers and as a page for people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch.pages.failures import failure_lines
from batchsearch.pages.next_steps import NextStep, next_steps
from batchsearch.telemetry.logs import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUS = {
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
        values["status"] = _STATUS[self.exit_code].split(";", maxsplit=1)[0].split(",", maxsplit=1)[0]
        for name in ("truth", "ended_by", "left_out"):
            if not values[name]:
                del values[name]
        return values

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    def as_text(self) -> str:
        """A page for people."""
        lines = [
            "",
            f"{self.operation} on {self.instance}: {_STATUS[self.exit_code]}",
        ]
        if self.message:
            lines.append(f"  why        {self.message}")
        resumed = f", {self.resumed:,} of them by earlier runs" if self.resumed else ""
        left = self.rows - self.done
        if self.others:
            resumed += f"; {self.others:,} rows of earlier manifests are in the output as well"
        lines.append(
            f"  rows       {self.rows:,}: {self.ok:,} ok, {self.failed:,} failed, {left:,} left{resumed}"
        )
        if self.left_out:
            lines.append(f"  left out   {left_out_text(self.left_out)}")
        tier = "" if self.tier is None else f" of {self.tier:g}"
        rate = "" if self.calls_per_second is None else f" ({self.calls_per_second:.2f} a second{tier})"
        lines.append(
            f"  calls      {self.calls:,} in {self.seconds:.1f} s{rate}, "
            f"{self.denied:,} denied, {self.retries:,} repeated"
        )
        if self.coalesced or self.reused:
            lines.append(
                f"  spared     {self.coalesced + self.reused:,} calls: {self.coalesced:,} that another row "
                f"made, {self.reused:,} that an earlier run had made"
            )
        if self.codes:
            lines.append("  failed by code")
            lines += failure_lines(self.codes, self.meanings, self.advice)
        if self.again:
            lines.append(f"  ask again  {self.again}")
        if self.truth is not None:
            lines += self._truth_lines(self.truth)
        lines.append(f"  results    {self.results}")
        if self.hits_folder:
            lines.append(f"  hits       {self.hits_folder}")
        lines.append("")
        return "\n".join(lines)

    def next_steps(self) -> list[NextStep]:
        """Commands that come next."""
        return next_steps(self.exit_code, Path(self.results).parent, looks=self.done > 0)

    @staticmethod
    def _truth_lines(truth: Truth) -> list[str]:
        lines = []
        if truth.first_hits_expected:
            share = truth.first_hits_found / truth.first_hits_expected
            lines.append(
                f"  found      {truth.first_hits_found:,} of {truth.first_hits_expected:,} known copies "
                f"as the first hit ({share:.1%})"
            )
        if truth.outcomes_expected:
            matched = f"{truth.outcomes_matched:,} of {truth.outcomes_expected:,}"
            lines.append(f"  expected   {matched} rows ended as the manifest foretold")
        lines += [
            printable(f"    {key}: expected {wanted}, got {got}") for key, wanted, got in truth.surprises
        ]
        return lines
