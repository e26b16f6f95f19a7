"""What a plan has found of a job's own images: how large they are, and what they cost (pure)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

FEWEST: Final = 30
"""Images that tell what one costs: with fewer it is starting that is measured."""


@dataclass(slots=True)
class SeenImages:
    """Images that were prepared here.

    Attributes:
        images: How many may be sent.
        repaired: Of these, those that had to be repaired.
        remote: Of these, those that came from a store or a server.
        source_bytes: As they are stored.
        sent_bytes: As they are sent.
        cpu_seconds: This machine's CPU for them, with all that a plan does for a row; None where workers of
            a cluster prepared them.
    """

    images: int = 0
    repaired: int = 0
    remote: int = 0
    source_bytes: int = 0
    sent_bytes: int = 0
    cpu_seconds: float | None = 0.0

    def add(self, source_bytes: int, sent_bytes: int, *, repaired: bool, remote: bool) -> None:
        """Count an image."""
        self.images += 1
        self.repaired += repaired
        self.remote += remote
        self.source_bytes += source_bytes
        self.sent_bytes += sent_bytes

    @property
    def cpu_ms(self) -> float | None:
        """CPU milliseconds of an image; None where they were too few to tell, or prepared elsewhere."""
        if self.images < FEWEST or not self.cpu_seconds:
            return None
        return self.cpu_seconds / self.images * 1000

    def plus(self, other: SeenImages) -> SeenImages:
        """Both together."""
        return SeenImages(
            self.images + other.images,
            self.repaired + other.repaired,
            self.remote + other.remote,
            self.source_bytes + other.source_bytes,
            self.sent_bytes + other.sent_bytes,
            None
            if self.cpu_seconds is None or other.cpu_seconds is None
            else self.cpu_seconds + other.cpu_seconds,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into JSON."""
        return asdict(self)
