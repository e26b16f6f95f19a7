"""The way by batch tasks, for the images of a plan (pure)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from batchsearch.tasks.plan.estimate import Needed

ENCODED: Final = 1.417
"""Bytes of a request for each byte of its image: base64, percent-encoded (4 MiB become 5.94 MB)."""


@dataclass(frozen=True, slots=True)
class BatchWay:
    """The same images brought by batch tasks, for jobs with a `load` section.

    Attributes:
        place: Bucket and folder.
        objects: Images that go there.
        bytes: Their bytes, as near as requests tell.
        tasks: Batch tasks, one after another.
        per_task: Most images of one.
        line_kbps: What the job says of its line, kilobits a second; None where it says nothing.
    """

    place: str
    objects: int
    bytes: int
    tasks: int
    per_task: int
    line_kbps: float | None = None

    @classmethod
    def of(cls, needed: Needed, place: str, per_task: int, line_kbps: float | None, *, encoded: bool) -> Self:
        """What the images of a plan take.

        Args:
            needed: What their requests take.
            place: Bucket and folder.
            per_task: Most images of one task.
            line_kbps: The line, kilobits a second.
            encoded: The images are counted as they travel in requests.
        """
        size = round(needed.bytes / ENCODED) if encoded else needed.bytes
        return cls(place, needed.requests, size, -(-needed.requests // per_task), per_task, line_kbps)

    @property
    def hours_to_put(self) -> float | None:
        """Hours until the images are in the bucket; None where nobody says how fast the line is."""
        return None if self.line_kbps is None else self.bytes * 8 / (self.line_kbps * 1000) / 3600

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into JSON."""
        hours = self.hours_to_put
        return asdict(self) | {"hours_to_put": None if hours is None else round(hours, 4)}
