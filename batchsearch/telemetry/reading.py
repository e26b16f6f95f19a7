"""A run at one moment, in numbers: what progress shows, the heartbeat keeps and `status` reads (pure)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from batchsearch.redaction import redacted
from batchsearch.telemetry.stats import counters_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.telemetry.stats import Stats

_LONGEST_CODE: Final = 80
_MOST_CODES: Final = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """A run at one moment.

    Attributes:
        moment: When, UTC.
        total: Rows of the manifest.
        done: Rows that have their outcome, earlier runs included.
        ok: Of these, with success.
        failed: Of these, with a code.
        codes: How many with each code.
        resumed: Rows that earlier runs had finished.
        calls: HTTP requests sent by this run.
        denied: Of these, refused by flow control.
        retries: Of these, repeats.
        denied_share: Part of the answers of the last half minute that were denials, 0 to 1.
        rate: Calls a second over the last half minute.
        mean_rate: Calls a second from the first call to the last; None when they are too few.
        tier: Calls a second that the job may spend; None for no limit.
        in_flight: Calls that wait for an answer.
        preparing: Rows whose images are being fetched and checked.
        ready: Requests that wait for a slot.
        repeating: Rows that wait before their call is repeated.
        committing: Outcomes that wait for the ledger.
        spared: Rows that needed no call of their own: refused before, or answered by another call.
        hits: Rows of `hits` written.
        seconds_left: How long the rest takes at this pace; None when nothing moves.
        ends: When the window or the deadline ends the run, UTC; None when nothing does.
        last_success: When a call or a row last ended well, UTC; None when none has.
        trouble: Endpoints that do not answer now, and why; empty when all do.
    """

    moment: datetime
    total: int = 0
    done: int = 0
    ok: int = 0
    failed: int = 0
    codes: Mapping[str, int] = field(default_factory=dict)
    resumed: int = 0
    calls: int = 0
    denied: int = 0
    retries: int = 0
    denied_share: float = 0.0
    rate: float = 0.0
    mean_rate: float | None = None
    tier: float | None = 0.0
    in_flight: int = 0
    preparing: int = 0
    ready: int = 0
    repeating: int = 0
    committing: int = 0
    spared: int = 0
    hits: int = 0
    seconds_left: float | None = None
    ends: datetime | None = None
    last_success: datetime | None = None
    trouble: str = ""

    @property
    def done_at(self) -> datetime | None:
        """When the last row will have its outcome at this pace; None when nobody can say."""
        if self.seconds_left is None:
            return None
        try:
            return self.moment + timedelta(seconds=self.seconds_left)
        except OverflowError:
            return None

    @property
    def left_at_end(self) -> int | None:
        """Rows that the run's end will leave undone at this pace; None when there is no end, or no pace."""
        if self.ends is None or self.seconds_left is None:
            return None
        over = self.seconds_left - (self.ends - self.moment).total_seconds()
        if over <= 0 or self.seconds_left <= 0:
            return 0
        left = self.total - self.done
        return min(left, math.ceil(left * over / self.seconds_left))

    def since_success(self, now: datetime) -> float | None:
        """Seconds since the last success; None when there was none."""
        return None if self.last_success is None else max(0.0, (now - self.last_success).total_seconds())

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into JSON: times in ISO 8601, rates to a hundredth."""
        values = asdict(self)
        for name, value in values.items():
            if isinstance(value, datetime):
                values[name] = value.isoformat(timespec="milliseconds")
            elif isinstance(value, float):
                values[name] = round(value, 4 if name == "denied_share" else 2)
        done_at = self.done_at
        values["done_at"] = None if done_at is None else done_at.isoformat(timespec="seconds")
        values["left_at_end"] = self.left_at_end
        return values


def reading_of(stats: Stats, now: float, moment: datetime) -> Reading:
    """A run as its counters have it.

    Args:
        stats: The counters.
        now: Steady clock, the one that they were counted by.
        moment: Wall clock, UTC, at the same instant.
    """
    codes = stats.all_codes
    failed = codes.total()
    last = stats.last_success
    counted = counters_of(stats, Reading) | {"ok": stats.done - failed, "failed": failed}
    return Reading(
        moment=moment,
        **counted,
        done=stats.done,
        codes=_ordered(codes),
        denied_share=stats.denied_share(now),
        rate=stats.rate(now),
        mean_rate=stats.mean_rate(),
        tier=stats.tier,
        spared=stats.coalesced + stats.reused + stats.rejected,
        seconds_left=stats.seconds_left(now),
        ends=stats.ends,
        last_success=None if last is None else moment - timedelta(seconds=max(0.0, now - last)),
        trouble=redacted("; ".join(stats.troubles.values())),
    )


def reading_from(values: Mapping[str, Any]) -> Reading:
    """A reading from its plain values, as a file has them; what it does not have keeps its default.

    Raises:
        ValueError: A value is none that a reading can have.
    """
    found: dict[str, Any] = {}
    for each in fields(Reading):
        value = values.get(each.name)
        if value is not None:
            found[each.name] = _READ[str(each.type).partition(" | ")[0]](each.name, value)
    if "moment" not in found:
        raise ValueError("moment is missing")
    return Reading(**found)


def _ordered(codes: Mapping[str, int]) -> dict[str, int]:
    """The most frequent first; an endless number of codes is a joke of the other side, and is cut."""
    ranked = sorted(codes.items(), key=lambda item: (-item[1], item[0]))
    return {code[:_LONGEST_CODE]: count for code, count in ranked[:_MOST_CODES]}


def _moment(name: str, value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except TypeError:
        raise ValueError(f"{name} is no time") from None
    if moment.tzinfo is None:
        raise ValueError(f"{name} has no time zone")
    return moment


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is no number")
    return float(value)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is no whole number")  # noqa: TRY004 - one kind of error for one file
    return value


def _counts(name: str, value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} are no counts")  # noqa: TRY004 - one kind of error for one file
    return _ordered({str(code): _count(name, count) for code, count in value.items()})


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")  # noqa: TRY004 - one kind of error for one file
    return value


_READ: Final = {
    "str": _text,
    "datetime": _moment,
    "float": _number,
    "int": _count,
    "Mapping[str, int]": _counts,
}
"""How each kind of field is read back, by its annotation."""
