"""How many calls may wait for their answers at once: rate times latency, with a margin (pure).

By Little's law a rate of R calls a second whose answers take L seconds keeps R x L calls under way. A
lower cap starves the rate when answers are slow; a higher one only piles requests up on a service that
has stopped answering. So the cap follows the latency seen:

    limit = margin x R x L  +  2 x sqrt(R x L)      between `floor` and `ceiling`

The square root covers chance: the number under way varies about its mean as a Poisson count does.
Nothing is learned while nothing is answered, so a stalled service gets no more than the cap it had.
"""

from __future__ import annotations

import math
from typing import Final

_WEIGHT: Final = 1 / 32
"""Share of the newest observation: the estimate follows a lasting change within some 60 answers."""

_LARGEST_STEP: Final = 4.0
"""An observation counts as at most this many times the estimate: one stalled call moves it by a tenth."""


class FixedLimit:
    """A cap that stays what it is: what answers is this machine itself, whose cores do not become more.

    Args:
        most: Most calls that may be under way.
    """

    __slots__ = ("_most",)

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"most must be 1 or more, not {most!r}: nothing could ever leave")
        self._most = most

    @property
    def ceiling(self) -> int:
        """The cap."""
        return self._most

    def observe(self, latency: float) -> None:
        """Nothing is learned from an answer's latency."""

    def limit(self) -> int:
        """The cap."""
        return self._most


class InFlightLimit:
    """The cap on calls under way, following the latency of the answers.

    Args:
        qps: Calls per second that are meant to leave.
        margin: Factor over rate times latency; 1.5 lets latency rise by half before the rate suffers.
        floor: The cap is never lower.
        ceiling: The cap is never higher; when None, six seconds' worth of calls, at least 8, at most 256.
        expected: Latency assumed until the first answer, seconds.

    Raises:
        ValueError: `qps` or `expected` is not above zero, `margin` is below one, or `ceiling` is below
            `floor`.
    """

    __slots__ = ("_ceiling", "_floor", "_latency", "_margin", "_qps", "_seen")

    def __init__(
        self,
        qps: float,
        *,
        margin: float = 1.5,
        floor: int = 2,
        ceiling: int | None = None,
        expected: float = 0.5,
    ) -> None:
        if not (qps > 0 and math.isfinite(qps)):
            raise ValueError(f"qps must be above zero, not {qps!r}")
        if not (expected > 0 and math.isfinite(expected)):
            raise ValueError(f"expected must be above zero seconds, not {expected!r}")
        if not margin >= 1:
            raise ValueError(f"margin must be 1 or more, not {margin!r}: less would starve the rate")
        if floor < 1:
            raise ValueError(f"floor must be 1 or more, not {floor!r}: nothing could ever leave")
        if ceiling is None:
            ceiling = max(floor, 8, min(256, math.ceil(6 * qps)))
        if ceiling < floor:
            raise ValueError(f"ceiling ({ceiling}) must not be below floor ({floor})")
        self._qps = qps
        self._margin = margin
        self._floor = floor
        self._ceiling = ceiling
        self._latency = expected
        self._seen = 0

    @property
    def ceiling(self) -> int:
        """The cap is never higher."""
        return self._ceiling

    @property
    def latency(self) -> float:
        """The latency reckoned with now, seconds."""
        return self._latency

    def observe(self, latency: float) -> None:
        """Learns from one answer that took `latency` seconds; a negative or endless one is ignored."""
        if not (latency >= 0 and math.isfinite(latency)):
            return
        self._seen += 1
        # The first answers replace the assumption quickly: each of the first 32 has an equal say.
        weight = max(_WEIGHT, 1 / self._seen)
        if self._seen > 1:
            latency = min(latency, _LARGEST_STEP * self._latency)
        self._latency = max(self._latency + weight * (latency - self._latency), 1e-6)

    def limit(self) -> int:
        """Most calls that may be under way now."""
        mean = self._qps * self._latency
        return min(self._ceiling, max(self._floor, math.ceil(self._margin * mean + 2 * math.sqrt(mean))))
