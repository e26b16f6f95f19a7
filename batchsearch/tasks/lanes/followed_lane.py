"""A lane as its client follows it from worker to worker, and what these have counted (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from batchsearch.tasks.lanes.lane_order import CALLED, LaneReading
from batchsearch.tasks.lanes.lanes_together import gone_on

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings
    from batchsearch.tasks.lanes.lane_order import LaneEnd

_MOVING: Final = ("in_flight", "preparing", "ready", "repeating", "committing")
"""Counters of what is on its way, which nothing is of a lane that no worker has."""


@dataclass(slots=True)
class FollowedLane:
    """A lane, as its client has it.

    Attributes:
        instance: The lane's instance.
        settings: Its settings.
        calls_left: Calls that it may still make; None for any.
        token: Of its last order; empty while no worker has it.
        worker: Likewise its worker.
        future: Likewise Dask's future.
        reading: The last that was heard of this worker's run.
        read_at: When, and when it was placed before.
        heard_at: When the worker last answered.
        not_before: It is not placed before then; 0 when it may be at once.
        refused_since: Since when an earlier holder's lease keeps it out.
        in_vain: How often it has moved without having got on, where nothing had kept it out.
        done_before: Rows that were done when it moved last.
        avoided: Workers that it does not go to again.
        before: What the workers had counted that it has moved from.
        end: How it ended.
        why_not: Why it does not end, where it is given up.
    """

    instance: str
    settings: JobSettings
    calls_left: int | None
    token: str = ""
    worker: str = ""
    future: Any = None
    reading: LaneReading | None = None
    read_at: float = 0.0
    heard_at: float = 0.0
    not_before: float = 0.0
    refused_since: float | None = None
    in_vain: int = 0
    done_before: int = 0
    avoided: set[str] = field(default_factory=set)
    before: list[LaneReading] = field(default_factory=list)
    end: LaneEnd | None = None
    why_not: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is given up."""
        return self.end is not None or bool(self.why_not)

    def leave(self, end: LaneEnd | None) -> None:
        """Keep what the worker has counted that it moves from; exactly, where that has summed it up.

        A worker that was lost while an earlier holder's lease still kept the lane out is no sign that the
        lane itself is at fault: machines may come and go many times within one lease.
        """
        found = self.reading
        if end is not None or found is not None or self.refused_since is None:
            done = found.done if found is not None else 0
            self.in_vain = 0 if done > self.done_before else self.in_vain + 1
            self.done_before = max(done, self.done_before)
            self.refused_since = None
        if end is not None and end.summary is not None:
            counted = {name: int(end.summary.get(name, 0)) for name in ("resumed", *CALLED)}
            found = found or LaneReading(earlier_codes=dict(end.summary.get("codes", {})))
            found = replace(found, counts={**found.counts, **counted})
        if found is not None:
            self.before.append(found)
        self.reading = None

    @property
    def shown(self) -> LaneReading | None:
        """What all of its workers have counted so far; between two workers nothing is on its way."""
        if self.reading is not None:
            return gone_on(self.reading, self.before)
        if not self.before:
            return None
        last = self.before[-1]
        still = replace(last, counts={**last.counts, **dict.fromkeys(_MOVING, 0)}, rate=0.0, row_rate=0.0)
        return gone_on(still, self.before[:-1])
