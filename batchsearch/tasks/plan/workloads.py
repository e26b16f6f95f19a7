"""What is to be done of a size on paper: images made ready, calls made, images compared (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.engine.run.stages import admitted_at_once
from batchsearch.images.cluster.bundles import MOST_IMAGES
from batchsearch.pacing.in_flight import InFlightLimit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.tasks.plan.seen_images import SeenImages

_MS_AN_HOUR: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Lane:
    """The rows of one instance.

    Attributes:
        calls: Calls that they take.
        rate: Calls per second that it may be sent; infinite for an embedded instance without a tier.
    """

    calls: int
    rate: float

    @property
    def admitted(self) -> int:
        """Rows that it has under way at once, by the rules of a run."""
        if math.isinf(self.rate):
            return admitted_at_once(self.rate, 0)
        return admitted_at_once(self.rate, InFlightLimit(self.rate).ceiling)

    def seconds(self, granted: float) -> float:
        """How long the calls take by their rate, a share of which is granted."""
        return 0.0 if math.isinf(self.rate) else self.calls / (self.rate * granted)


@dataclass(frozen=True, slots=True)
class Workload:
    """What is to be done.

    Attributes:
        work: What kind of work, for people: `check`, `run`, `compare images`, or a run of a night's upkeep.
        images: How many images.
        lanes: The calls, by instance; none for work without calls.
        image_mb: Megabytes of an image as it is stored.
        sent_mb: Megabytes of an image as it is sent.
        worker_ms: A worker's CPU for an image.
        owner_ms: The owner's CPU for an image and its call.
        remote: Images come from a store or a server, a request each.
    """

    work: str
    images: int
    lanes: tuple[Lane, ...]
    image_mb: float
    sent_mb: float
    worker_ms: float
    owner_ms: float
    remote: bool = True

    @property
    def calls(self) -> int:
        """All calls."""
        return sum(lane.calls for lane in self.lanes)

    @property
    def admitted(self) -> float:
        """Rows that the instances have under way at once; a check looks as far ahead as it may."""
        return sum(lane.admitted for lane in self.lanes) if self.lanes else math.inf

    @property
    def core_hours(self) -> float:
        """CPU of the workers."""
        return self.images * self.worker_ms / _MS_AN_HOUR

    @property
    def owner_hours(self) -> float:
        """CPU of those that call."""
        return self.images * self.owner_ms / _MS_AN_HOUR


def loads_of(
    images: int,
    rates: Sequence[float],
    figures: Mapping[str, float],
    *,
    calls: Sequence[int] | None = None,
    seen: SeenImages | None = None,
    remote: bool = True,
    dedup: bool = True,
) -> tuple[Workload, ...]:
    """The kinds of work on so many images: their check, their calls, and their comparison.

    Args:
        images: How many.
        rates: Calls per second of each instance.
        figures: By name; see `measured_figures`.
        calls: Calls of each instance; one for each image, shared out evenly, when None.
        seen: What was found of the job's own images; else the figures say what they are like.
        remote: Images come from a store or a server.
        dedup: They are compared as well.
    """
    if seen is not None and seen.images:
        image_mb, sent_mb = seen.source_bytes / seen.images / 1e6, seen.sent_bytes / seen.images / 1e6
        repaired = seen.repaired / seen.images
    else:
        image_mb, repaired = figures["image_mb"], figures["repaired"]
        sent_mb = image_mb * (1 - repaired) + min(figures["sent_mb"], image_mb) * repaired
    fetch_ms = figures["image_ms"] + figures["image_mb_ms"] * image_mb
    prepare_ms = fetch_ms + repaired * figures["repair_ms"]
    if seen is not None and seen.cpu_ms is not None:
        prepare_ms = seen.cpu_ms
    shared = shares_of(images, len(rates)) if calls is None else calls
    lanes = tuple(Lane(count, rate) for count, rate in zip(shared, rates, strict=True))
    owner_ms = (
        figures["task_ms"] / MOST_IMAGES
        + figures["travel_mb_ms"] * sent_mb
        + (figures["call_ms"] + figures["call_mb_ms"] * sent_mb) * sum(shared) / max(images, 1)
    )
    check = Workload("check", images, (), image_mb, 0.0, prepare_ms, 0.0, remote)
    run = Workload("run", images, lanes, image_mb, sent_mb, prepare_ms, owner_ms, remote)
    looks_ms = fetch_ms + figures["look_ms"] + figures["pairs"] * figures["pair_ms"]
    compare = Workload("compare images", images, (), image_mb, 0.0, looks_ms, 0.0, remote)
    return (check, run, compare) if dedup else (check, run)


def shares_of(count: int, parts: int) -> tuple[int, ...]:
    """So many rows, shared out evenly."""
    return tuple(count // parts + (place < count % parts) for place in range(parts))
