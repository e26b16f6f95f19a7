"""What a night of dedup ends with: a page for people, a line of JSON for schedulers, `dedup.json` to keep."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import ExitCode
from batchsearch.pages.next_steps import NextStep, next_steps
from batchsearch.telemetry.summary import page_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.telemetry.summary import Summary

_STATUS: Final = {
    int(ExitCode.DONE): "done",
    int(ExitCode.TOO_MANY_FAILED): "done, more rows failed than the job allows",
    int(ExitCode.INCOMPLETE): "incomplete; run the same command again to go on",
    int(ExitCode.ENDED): "ended by an error that no row can survive",
}


_TOLD: Final = (
    *("exit_code", "night", "previous_night", "folder"),
    *("started_at", "finished_at", "complete", "instance"),
)


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
            "status": night_ending_words(self.exit_code).split(";", maxsplit=1)[0].split(",", maxsplit=1)[0],
            **{name: getattr(self, name) for name in _TOLD},
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
        lines = [f"dedup on {self.instance}: {night_ending_words(self.exit_code)}"]
        if self.counts:
            lines += map(page_line, night_lines(self.as_dict()))
        else:
            lines.append("  nothing new was written: the tables of the night before are as they were")
        return "\n".join([*pages, *lines, ""])

    def next_steps(self) -> list[NextStep]:
        """Commands that come next."""
        return next_steps(self.exit_code, Path(self.folder), looks=bool(self.counts))


def night_ending_words(exit_code: int) -> str:
    """How a night ended, in words."""
    return _STATUS.get(exit_code, f"ended with exit code {exit_code}")


def night_lines(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is in a night's tables and what to mind, by its record: each line with its label (pure).

    Args:
        record: As `DedupSummary.as_dict` gives it; what another version did not count is none.
    """

    def of(name: str) -> int:
        return _count(record, name)

    def by_name(name: str) -> Mapping[str, int]:
        value = record.get(name)
        if not isinstance(value, dict):
            return {}
        return {str(key): each for key, each in value.items() if isinstance(each, int)}

    kept = of("pairs") - of("accepted")
    pairs = f"{of('accepted'):,} accepted, {kept:,} more that resemble"
    night = f"{of('new_pairs'):,} new tonight, {of('gone_pairs'):,} gone"
    clusters = f"{of('clusters'):,} of {of('members'):,} products"
    more = f"{of('duplicates'):,} are duplicates of another one; {of('review'):,} to be looked at"
    lines = [
        ("products", f"{of('products'):,} with {of('images'):,} images"),
        ("pairs", f"{pairs}; {night}"),
        ("clusters", f"{clusters}: {more}"),
    ]
    if of("compared"):
        verdicts = ", ".join(f"{amount:,} {name}" for name, amount in by_name("verdicts").items())
        lines += [
            ("verdicts", f"{verdicts}; {of('compared'):,} were compared on their images"),
            ("review", f"{of('to_review'):,} pairs for people: recoloured or alike"),
        ]
    elif of("colour_variants"):
        lines.append(("variants", f"{of('colour_variants'):,} pairs reach the score and differ in colour"))
    ways = by_name("accepted_by").items()
    local = sum(amount for way, amount in ways if way not in ("search", "judgement"))
    if local:
        lines.append(("found", f"{local:,} of the accepted pairs without a call, by the images alone"))
    if of("judged_same") or of("judged_different"):
        judged = f"{of('judged_same'):,} pairs the same, {of('judged_different'):,} different"
        lines.append(("judged", judged))
    return [
        *lines,
        *night_cautions(record),
        ("tables", "{0}/pairs, {0}/clusters".format(record.get("folder"))),
    ]


def night_cautions(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What whoever reads a night's tables has to mind, by its record (pure)."""
    shared, cut = _count(record, "shared_images"), _count(record, "searches_cut")
    lines = []
    if shared:
        bare = f"{_count(record, 'without_image'):,} products have no other"
        said = f"{shared:,} images are on many products and prove nothing; {bare}"
        lines.append(("shared", f"{said}: see {record.get('folder')}/findings"))
    if cut:
        listed = f"{cut:,} searches may have had more alike than they list"
        lines.append(("mind", f"{listed}: raise `results_per_row`"))
    if record.get("complete") is False:
        lines.append(("mind", "not every row is searched yet: pairs of the others are missing"))
    return lines


def _count(record: Mapping[str, Any], name: str) -> int:
    value = record.get(name)
    return value if isinstance(value, int) else 0
