"""How often a run that holds an output in a store does what, and by which clock."""

from __future__ import annotations

import time
from dataclasses import dataclass

from batchsearch.storage.remote.lease import LAPSE


def steady_seconds() -> float:
    """Seconds of a clock that also goes on while the machine sleeps, where it has one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a mirror does what, seconds.

    Attributes:
        beat: Between renewals of the lease.
        lapse: A lease that was not renewed for so long has lapsed. Without a renewal for two thirds of it
            the holder stops by itself.
        carry: Between carryings, at least.
        rest: Between carryings, at least so many times as long as the last one took: a large ledger is
            carried less often.
    """

    beat: float = 20.0
    lapse: float = LAPSE
    carry: float = 60.0
    rest: float = 10.0

    @classmethod
    def of(cls, *, lease: float, carry: float) -> Rhythm:
        """The rhythm of a lease that lapses after so many seconds, renewed nine times as often."""
        return cls(beat=lease / 9, lapse=lease, carry=carry)
