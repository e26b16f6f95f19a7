"""What a tired person needs to know of a run, in a few lines (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batchsearch.pages.durations import clock_time, duration
from batchsearch.streams import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from batchsearch.telemetry.reading import Reading

_MOST_CODES: Final = 4


def lines_of(reading: Reading, now: datetime) -> list[str]:
    """Pace, what does not answer, then failures by code if there are any, then how it will end.

    Args:
        reading: The run, at its own moment.
        now: Wall clock, UTC; later than the reading where that comes from a file.
    """
    lines = [pace_of(reading, now)]
    if reading.trouble:
        lines.append(f"no answer from {printable(reading.trouble)}")
    if reading.failed:
        lines.append(f"failed {reading.failed:,}: {codes_of(reading.codes)}")
    lines.append(end_of(reading, now))
    return lines


def pace_of(reading: Reading, now: datetime) -> str:
    """How fast calls are made, against the tier, and how they fare."""
    tier = "" if reading.tier is None else f" of {reading.tier:g}"
    parts = [f"{reading.rate:.2f} calls/s{tier}"]
    if reading.mean_rate is not None:
        parts.append(f"{reading.mean_rate:.2f} on average")
    parts.append(f"{reading.in_flight:,} in flight")
    if reading.denied:
        parts.append(f"{reading.denied_share:.1%} denied lately, {reading.denied:,} in all")
    silent = reading.since_success(now)
    if silent is not None:
        parts.append(f"last success {duration(silent)} ago")
    elif reading.calls:
        parts.append("no success yet")
    return ", ".join(parts)


def codes_of(codes: Mapping[str, int], most: int = _MOST_CODES) -> str:
    """Failures by code, the most frequent ones by name."""
    ranked = sorted(codes.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{count:,} {printable(code)}" for code, count in ranked[:most]]
    others = sum(count for _, count in ranked[most:])
    return ", ".join([*parts, f"{others:,} more"] if others else parts)


def end_of(reading: Reading, now: datetime) -> str:
    """When the rows will be done, and whether the window lasts so long."""
    done_at = reading.done_at
    if reading.done >= reading.total:
        text = "every row has its outcome"
    elif done_at is None:
        text = "no row was finished in the last minutes: no saying when it is done"
    else:
        ahead = (done_at - now).total_seconds()
        text = f"done about {clock_time(done_at, now)}, in {duration(ahead)}"
    if reading.ends is not None and reading.done < reading.total:
        text += f"; the run ends at {clock_time(reading.ends, now)}"
        if reading.left_at_end:
            text += f" with about {reading.left_at_end:,} rows left for another night"
    return text
