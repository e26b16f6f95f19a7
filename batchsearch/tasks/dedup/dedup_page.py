"""What a night of dedup ends with: a page for people, a line of JSON for schedulers, `dedup.json` to keep."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import ExitCode
from batchsearch.pages.next_steps import NextStep, next_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.telemetry.summary import Summary

_STATUS: Final = {
    int(ExitCode.DONE): "done",
    int(ExitCode.TOO_MANY_FAILED): "done, more rows failed than the job allows",
    int(ExitCode.INCOMPLETE): "incomplete; run the same command again to go on",
    int(ExitCode.ENDED): "ended by an error that no row can survive",
}


@dataclass(frozen=True, slots=True)
class DedupSummary:
    """A night of dedup, as it ended.

    Attributes:
        exit_code: What the process exits with: the graver of the search's and the upkeep's.
        night: Tonight's id.
        previous_night: That of the night before; None for the first.
        folder: Output folder.
        started_at: ISO 8601, UTC.
        finished_at: Likewise.
        complete: Whether every row of the manifest has been searched.
        search: How the search ended; None where it was not begun.
        sync: How each step of the upkeep ended, by its name in `dedup.sync`; empty where there was none.
        counts: What is in the tables, from `building.build`; empty where they were not written.
        settings: The `dedup` section, plain values.
        columns: The manifest's columns with product and image name.
        instance: Instance name.
        precheck: What the local pre-check found; empty where there was none.
    """

    exit_code: int
    night: str
    previous_night: str | None
    folder: str
    started_at: str
    finished_at: str
    complete: bool
    search: Summary | None
    sync: Mapping[str, Summary]
    counts: Mapping[str, Any]
    settings: Mapping[str, Any]
    columns: Mapping[str, str | None]
    instance: str
    precheck: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into JSON."""
        return {
            "status": _STATUS[self.exit_code].split(";", maxsplit=1)[0].split(",", maxsplit=1)[0],
            "exit_code": self.exit_code,
            "night": self.night,
            "previous_night": self.previous_night,
            "folder": self.folder,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "complete": self.complete,
            "instance": self.instance,
            **self.counts,
            "precheck": dict(self.precheck),
            "columns": dict(self.columns),
            "settings": dict(self.settings),
            "search": None if self.search is None else self.search.as_dict(),
            "sync": {step: run.as_dict() for step, run in self.sync.items()},
        }

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    def as_text(self) -> str:
        """A page for people."""
        pages = [run.as_text() for run in (*self.sync.values(), self.search) if run is not None]
        lines = [f"dedup on {self.instance}: {_STATUS[self.exit_code]}"]
        if self.counts:
            lines += self._lines()
        else:
            lines.append("  nothing new was written: the tables of the night before are as they were")
        return "\n".join([*pages, *lines, ""])

    def next_steps(self) -> list[NextStep]:
        """Commands that come next."""
        return next_steps(self.exit_code, Path(self.folder), looks=bool(self.counts))

    def _lines(self) -> list[str]:
        counts = self.counts
        kept = counts["pairs"] - counts["accepted"]
        pairs = f"{counts['accepted']:,} accepted, {kept:,} more that resemble"
        night = f"{counts['new_pairs']:,} new tonight, {counts['gone_pairs']:,} gone"
        clusters = f"{counts['clusters']:,} of {counts['members']:,} products"
        more = f"{counts['duplicates']:,} are duplicates of another one; {counts['review']:,} to be looked at"
        lines = [
            f"  products   {counts['products']:,} with {counts['images']:,} images",
            f"  pairs      {pairs}; {night}",
            f"  clusters   {clusters}: {more}",
        ]
        said = counts["verdicts"]
        if counts["compared"]:
            verdicts = ", ".join(f"{amount:,} {name}" for name, amount in said.items())
            compared = f"{counts['compared']:,} were compared on their images"
            lines += [
                f"  verdicts   {verdicts}; {compared}",
                f"  review     {counts['to_review']:,} pairs for people: recoloured or alike",
            ]
        elif counts["colour_variants"]:
            lines.append(
                f"  variants   {counts['colour_variants']:,} pairs reach the score and differ in colour"
            )
        local = sum(
            amount for way, amount in counts["accepted_by"].items() if way not in ("search", "judgement")
        )
        if local:
            lines.append(f"  found      {local:,} of the accepted pairs without a call, by the images alone")
        if counts["judged_same"] or counts["judged_different"]:
            lines.append(
                f"  judged     {counts['judged_same']:,} pairs the same, "
                f"{counts['judged_different']:,} different"
            )
        if counts["shared_images"]:
            lines.append(
                f"  shared     {counts['shared_images']:,} images are on many products and prove nothing; "
                f"{counts['without_image']:,} products have no other: see {self.folder}/findings"
            )
        if counts["searches_cut"]:
            lines.append(
                f"  mind       {counts['searches_cut']:,} searches may have had more alike than they list: "
                "raise `results_per_row`"
            )
        if not self.complete:
            lines.append("  mind       not every row is searched yet: pairs of the others are missing")
        return [*lines, f"  tables     {self.folder}/pairs, {self.folder}/clusters"]
