"""The verdict of one image: what would become of it, and what would be sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchsearch.images.outcome import Prepared, Rejected, Unreachable
from batchsearch.images.prepare import passed, prepare
from batchsearch.quick_record import quick_record
from batchsearch.service.codes.table import CODES
from batchsearch.tasks.check.check_page import PASS, REJECTED, REPAIRED, UNREACHABLE

if TYPE_CHECKING:
    from batchsearch.images.outcome import ImageFacts
    from batchsearch.images.prepare import Repairer
    from batchsearch.images.rules import Rules

Verdict = dict[str, Any]
"""One row of `storage.parts.verdict_table`, by column name."""


@quick_record
class Judged:
    """An image that was looked at.

    Attributes:
        verdict: Its verdict.
        data: What would be sent, where that was asked for.
    """

    verdict: Verdict
    data: bytes | None = field(default=None, repr=False)

    @property
    def code(self) -> str | None:
        """Why it would not be sent; None where it would."""
        code: str | None = self.verdict.get("code")
        return code


@dataclass(frozen=True, slots=True)
class Judging:
    """The task of a workshop that looks what would become of images.

    Attributes:
        rules: What the service takes.
        keep: Bring what would be sent as well.
    """

    rules: Rules
    keep: bool

    def __call__(self, data: bytes, repair: Repairer, /) -> Judged:
        """The image's verdict."""
        return self._judged(prepare(data, self.rules, repair=repair))

    def at_once(self, data: bytes, /) -> Judged | None:
        """The verdict of an image that would be sent as it is; see `images.workshop.QuickTask`."""
        made = passed(data, self.rules)
        return None if made is None else self._judged(made)

    def _judged(self, made: Prepared | Rejected) -> Judged:
        kept = made.data if self.keep and isinstance(made, Prepared) else None
        return Judged(verdict_of(made), kept)


def verdict_of(made: Prepared | Rejected | Unreachable) -> Verdict:
    """What became of an image, as columns."""
    if isinstance(made, Unreachable):
        return {"verdict": UNREACHABLE, "code": made.code, "message": made.message}
    if isinstance(made, Rejected):
        known = CODES.get(made.code)
        return {
            "verdict": REJECTED,
            "code": made.code,
            "prevents": None if known is None else known.prevents,
            "message": made.message,
            **_facts("source", made.source),
        }
    return {
        "verdict": REPAIRED if made.transforms else PASS,
        **_facts("source", made.source),
        **_facts("sent", made.sent),
        "transforms": list(made.transforms),
    }


def _facts(prefix: str, facts: ImageFacts | None) -> Verdict:
    if facts is None:
        return {}
    return {
        f"{prefix}_format": facts.format,
        f"{prefix}_width": facts.width,
        f"{prefix}_height": facts.height,
        f"{prefix}_bytes": facts.bytes,
        f"{prefix}_sha256": facts.sha256,
    }
