"""What `batchsearch verify` says: a page for people, one line of JSON for schedulers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from batchsearch.streams import printable
from batchsearch.tasks.verify.findings import KINDS, Verdict

if TYPE_CHECKING:
    from batchsearch.tasks.verify.folder_check import Verified

_WORDS: Final = {
    Verdict.WHOLE: "whole",
    Verdict.PROBLEMS: "problems",
    Verdict.INCOMPLETE: "incomplete",
}
_HEADINGS: Final = {
    "problem": "wrong",
    "incomplete": "still to come",
    "unknown": "not known",
    "note": "worth knowing",
}


@dataclass(frozen=True, slots=True)
class VerifyPage:
    """What was found in one or more output folders."""

    folders: tuple[Verified, ...]

    @property
    def verdict(self) -> Verdict:
        """The gravest of all folders: the command's exit code."""
        verdicts = {verified.findings.verdict() for verified in self.folders}
        order = (Verdict.PROBLEMS, Verdict.INCOMPLETE, Verdict.WHOLE)
        return next(verdict for verdict in order if verdict in verdicts)

    def as_text(self) -> str:
        """For people."""
        return "\n\n".join(_page(verified) for verified in self.folders)

    def as_json(self) -> str:
        """One line for schedulers."""
        found: dict[str, Any] = {
            "status": _WORDS[self.verdict],
            "exit_code": int(self.verdict),
            "folders": [_values(verified) for verified in self.folders],
        }
        return json.dumps(found, ensure_ascii=False)


def _page(verified: Verified) -> str:
    findings = verified.findings
    known = "unknown" if verified.manifest_rows is None else f"{verified.manifest_rows:,}"
    moment = f"{verified.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    lines = [
        f"{verified.folder}: {_WORDS[findings.verdict()]}",
        f"  as of     {moment}{', a run is going on' if verified.running else ''}",
        *([f"  tables    {verified.tables:,} delivered"] if verified.tables else ()),
        f"  rows      {verified.rows:,} in {verified.parts:,} parts",
        f"  waiting   {verified.pending:,}",
        f"  manifest  {known}",
        f"  hits      {verified.hits:,}",
    ]
    listed = findings.listed()
    for weight, heading in _HEADINGS.items():
        kinds = [kind for kind, known in KINDS.items() if known.weight == weight and findings.counts[kind]]
        if not kinds:
            continue
        lines.append(f"  {heading}")
        for kind in kinds:
            lines.append(f"    {KINDS[kind].meaning} ({findings.counts[kind]:,})")
            told = [finding for finding in listed if finding.kind == kind]
            lines += [f"      {_line(finding.where, finding.what)}" for finding in told]
            if findings.counts[kind] > len(told) and kind != "rows_pending":
                lines.append(f"      and {findings.counts[kind] - len(told):,} more")
            if KINDS[kind].advice:
                lines.append(f"      → {KINDS[kind].advice}")
    return "\n".join(lines)


def _line(where: str, what: str) -> str:
    return printable(f"{where}: {what}" if what else where)


def _values(verified: Verified) -> dict[str, Any]:
    findings = verified.findings
    return {
        "folder": str(verified.folder),
        "status": _WORDS[findings.verdict()],
        "as_of": verified.taken_at.isoformat(timespec="seconds"),
        "running": verified.running,
        "parts": verified.parts,
        "rows": verified.rows,
        "hits": verified.hits,
        "tables": verified.tables,
        "pending": verified.pending,
        "manifest_rows": verified.manifest_rows,
        "missing": None if verified.manifest_rows is None else findings.counts["row_missing"],
        "found": {kind: findings.counts[kind] for kind in KINDS if findings.counts[kind]},
        "listed": [
            {
                "kind": finding.kind,
                "weight": KINDS[finding.kind].weight,
                "where": finding.where,
                "what": finding.what,
                "advice": KINDS[finding.kind].advice,
            }
            for finding in findings.listed()
        ],
    }
