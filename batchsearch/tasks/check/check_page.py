"""What a check of images found: counted as it goes, then a line of JSON and a page for people."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import ExitCode
from batchsearch.pages.failures import failure_lines
from batchsearch.telemetry.summary import left_out_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PASS: Final = "pass"  # noqa: S105 - a verdict, no password
REPAIRED: Final = "repaired"
REJECTED: Final = "rejected"
UNREACHABLE: Final = "unreachable"
VERDICTS: Final = (PASS, REPAIRED, REJECTED, UNREACHABLE)
UNUSABLE: Final = frozenset({REJECTED, UNREACHABLE})
"""Verdicts with which an image's row would fail."""

_EXAMPLES: Final = 3
_LONGEST_EXAMPLE: Final = 150
_STATUS: Final = {
    ExitCode.DONE: "done",
    ExitCode.TOO_MANY_FAILED: "done, but more rows are unusable than the job allows",
}


@dataclass(slots=True)
class CheckTally:
    """Counts verdicts as they come; bounded memory however long the manifest.

    Attributes:
        total: Rows of the manifest.
        rows: Rows looked at.
        unusable: Of these, rows with an image that would not be sent.
        verdicts: Images by verdict.
        codes: Unusable images by code.
        examples: The first few of each code: row key, role and message.
        transforms: Repaired images by each thing done to them.
        source_formats: Images by format of their file; those whose format is known.
        sent_formats: Usable images by the format sent.
        source_bytes: Files of the usable images, bytes.
        sent_bytes: What would be sent for them, bytes.
    """

    total: int = 0
    rows: int = 0
    unusable: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    transforms: Counter[str] = field(default_factory=Counter)
    source_formats: Counter[str] = field(default_factory=Counter)
    sent_formats: Counter[str] = field(default_factory=Counter)
    source_bytes: int = 0
    sent_bytes: int = 0

    def add_row(self, images: Sequence[Mapping[str, Any]]) -> None:
        """Counts one row: its images' verdicts, as `storage.parts.verdict_table` has them."""
        self.rows += 1
        self.unusable += any(image["verdict"] in UNUSABLE for image in images)
        for image in images:
            self.verdicts[image["verdict"]] += 1
            if image.get("source_format"):
                self.source_formats[image["source_format"]] += 1
            if image["verdict"] in UNUSABLE:
                self._add_unusable(image)
                continue
            self.sent_formats[image["sent_format"]] += 1
            self.source_bytes += image["source_bytes"]
            self.sent_bytes += image["sent_bytes"]
            if image["transforms"]:
                self.transforms.update({name.partition(":")[0] for name in image["transforms"]})

    def _add_unusable(self, image: Mapping[str, Any]) -> None:
        code = image["code"]
        self.codes[code] += 1
        examples = self.examples.setdefault(code, [])
        if len(examples) < _EXAMPLES:
            examples.append((image["row_key"], image["role"], image["message"]))


@dataclass(frozen=True, slots=True)
class CheckPage:
    """How a check ended.

    Attributes:
        operation: The job's operation.
        service_type: Kind of instance whose rules were applied.
        allowed: Rows that may be unusable, `max_failed` of the manifest's.
        tally: What was counted.
        seconds: How long it took.
        verdicts: The Parquet file written.
        saved: Folder of the images saved; None where they were not.
        advice: What to do about each code; for people only.
        left_out: What of the manifest is no row of the job, by why.
        meanings: What each code means; for people only.
    """

    operation: str
    service_type: str
    allowed: float
    tally: CheckTally
    seconds: float
    verdicts: str
    saved: str | None
    advice: Mapping[str, str]
    left_out: Mapping[str, int] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """3 when more rows are unusable than the job allows, else 0."""
        return ExitCode.TOO_MANY_FAILED if self.tally.unusable > self.allowed else ExitCode.DONE

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into JSON."""
        tally = self.tally
        return {
            "exit_code": int(self.exit_code),
            "status": "done",
            "operation": self.operation,
            "service_type": self.service_type,
            "rows": tally.rows,
            "unusable_rows": tally.unusable,
            "allowed_rows": math.floor(self.allowed),
            **({"left_out": dict(self.left_out)} if self.left_out else {}),
            "images": tally.verdicts.total(),
            "by_verdict": {name: tally.verdicts[name] for name in VERDICTS},
            "codes": dict(_ordered(tally.codes)),
            "transforms": dict(_ordered(tally.transforms)),
            "source_formats": dict(_ordered(tally.source_formats)),
            "sent_formats": dict(_ordered(tally.sent_formats)),
            "source_bytes": tally.source_bytes,
            "sent_bytes": tally.sent_bytes,
            "seconds": round(self.seconds, 3),
            "verdicts": self.verdicts,
            "saved": self.saved,
        }

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    def as_text(self) -> str:
        """A page for people."""
        tally = self.tally
        lines = ["", f"images for {self.operation}, {self.service_type}: {_STATUS[self.exit_code]}"]
        lines.append(
            f"  rows       {tally.rows:,}: {tally.rows - tally.unusable:,} usable, {tally.unusable:,} not "
            f"({math.floor(self.allowed):,} allowed), in {self.seconds:.1f} s"
        )
        if self.left_out:
            lines.append(f"  left out   {left_out_text(self.left_out)}")
        counted = ", ".join(f"{tally.verdicts[name]:,} {name}" for name in VERDICTS if tally.verdicts[name])
        lines.append(f"  images   {tally.verdicts.total():,}: {counted or 'none'}")
        if tally.codes:
            lines.append("  unusable by code")
            examples = {code: [_example(*each) for each in found] for code, found in tally.examples.items()}
            lines += failure_lines(tally.codes, self.meanings, self.advice, examples)
        if tally.transforms:
            lines.append(f"  repairs    {_listed(tally.transforms)}")
        if tally.sent_formats:
            lines.append(
                f"  formats    {_listed(tally.source_formats)}; sent as {_listed(tally.sent_formats)}"
            )
            lines.append(
                f"  bytes      {_megabytes(tally.source_bytes)}; sent as {_megabytes(tally.sent_bytes)}"
            )
        lines.append(f"  verdicts   {self.verdicts}")
        if self.saved is not None:
            lines.append(f"  saved      {self.saved}")
        return "\n".join([*lines, ""])


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in _ordered(counts))


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _example(key: str, role: str, message: str) -> str:
    """One line about one image, whatever the manifest's texts hold."""
    text = "".join(sign if sign.isprintable() else "�" for sign in f"{key} ({role}): {message}")
    return text if len(text) <= _LONGEST_EXAMPLE else text[: _LONGEST_EXAMPLE - 1] + "…"
