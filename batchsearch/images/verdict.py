"""What becomes of an image, decided from its structure and the rules alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.images.decoding.cost import excess
from batchsearch.images.decoding.fit import NoFit, fit
from batchsearch.images.regions import SWAPPED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.images.headers.structure_facts import FlawKind, Inspection
    from batchsearch.images.rules import Rules

_FLAW_CODES: Final[Mapping[FlawKind, str]] = {
    "empty": "Local.ImageEmpty",
    "unknown": "Local.NotAnImage",
    "unsupported": "Local.ImageFormatUnsupported",
    "truncated": "Local.ImageTruncated",
    "broken": "Local.ImageBroken",
    "huge": "Local.ImageTooManyPixels",
}


@dataclass(frozen=True, slots=True)
class Pass:
    """The file complies and is of a plain variant: it goes out byte for byte."""


@dataclass(frozen=True, slots=True)
class Repair:
    """The image has to be decoded and written anew.

    Attributes:
        reasons: What keeps the file from passing, in short words; never empty.
    """

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """The image cannot be sent.

    Attributes:
        code: A local code (`batchsearch.service.codes`).
        message: What was found, for a person.
    """

    code: str
    message: str


PASS: Final = Pass()


def judge(seen: Inspection, size: int, rules: Rules) -> Pass | Repair | Reject:
    """Compares a file with the rules.

    Args:
        seen: What its structure says.
        size: Its length, bytes.
        rules: The limits.
    """
    if seen.width * seen.height > rules.max_pixels:
        # Before any flaw: the canvas alone is reason enough, and tells more.
        too_much = excess(seen, rules)
        if too_much is not None:
            return Reject("Local.ImageTooManyPixels", too_much)
    if seen.flaw is not None:
        prefix = f"{seen.format}: " if seen.format and seen.flaw.kind != "unsupported" else ""
        return Reject(_FLAW_CODES[seen.flaw.kind], prefix + seen.flaw.detail)
    upright = (seen.height, seen.width) if seen.orientation in SWAPPED else (seen.width, seen.height)
    wanted = fit(upright, rules)
    if isinstance(wanted, NoFit):
        return Reject(wanted.code, wanted.message)
    reasons: list[str] = []
    if seen.format not in rules.passed_formats:
        reasons.append("format")
    reasons += seen.notes
    if seen.orientation != 1:
        reasons.append("orientation")
    if wanted.canvas != upright or wanted.content != upright:
        reasons.append("sides")
    if size > rules.max_bytes:
        reasons.append("bytes")
    return Repair(tuple(reasons)) if reasons else PASS
