"""What a job will take: counts, time, bytes and money, from what was found in its rows (pure)."""

from __future__ import annotations

import json
import math
from bisect import insort
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.engine.rows.page_plan import Page
    from batchsearch.engine.rows.pending_row import Failure
    from batchsearch.tasks.plan.batch_way import BatchWay
    from batchsearch.tasks.plan.seen_images import SeenImages

NIGHT_HOURS: Final = 8.0
"""A night when the job sets no window."""

EXAMPLES: Final = 3
"""Rows named for each code."""

HOURS_A_MONTH: Final = 730.0
"""A twelfth of a year, which a monthly price is spread over."""

UNREADABLE: Final = frozenset(
    {
        "Local.NoImage",
        "Local.ImageMissing",
        "Local.ImageOutsideRoot",
        "Local.ImageReferenceInvalid",
        "Local.ImageAddressRefused",
        "Local.ImageFileTooLarge",
    }
)
"""Local codes of rows whose image could not be read at all; those of origin `transport` are too."""

_Z_95: Final = 1.96


@dataclass(frozen=True, slots=True)
class Needed:
    """What different requests take together.

    Attributes:
        requests: How many there are.
        calls: Calls that they take.
        bytes: Bytes that they upload.
    """

    requests: int
    calls: int
    bytes: int

    def scaled(self, scale: float, most: int) -> Needed:
        """What `scale` times as many take, `most` requests at most."""
        requests = min(round(self.requests * scale), most)
        share = requests / self.requests if self.requests else 0.0
        return Needed(requests, round(self.calls * share), round(self.bytes * share))


@dataclass(frozen=True, slots=True)
class Refused:
    """Rows that will get this code without a call.

    Attributes:
        code: `Local.…`, or `Transport.…` for images that could not be reached now.
        rows: How many; scaled up when rows were sampled.
        examples: Row keys of the first few.
    """

    code: str
    rows: int
    examples: tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """What became of the rows looked at so far, rows in any order.

    Attributes:
        looked_at: Rows prepared.
        reused: Of the valid ones, those that an earlier answer covers.
        largest: Most bytes of one request.
    """

    looked_at: int = 0
    reused: int = 0
    largest: int = 0
    _refused: dict[tuple[bool, str], int] = field(default_factory=dict)
    _examples: dict[tuple[bool, str], list[tuple[int, str]]] = field(default_factory=dict)

    def refuse(self, failure: Failure, row_number: int, row_key: str) -> None:
        """Count a row that gets a code instead of a call."""
        unreadable = failure.origin == "transport" or failure.code in UNREADABLE
        kind = (unreadable, failure.code)
        self._refused[kind] = self._refused.get(kind, 0) + 1
        named = self._examples.setdefault(kind, [])
        insort(named, (row_number, row_key))
        del named[EXAMPLES:]

    def refused(self, *, unreadable: bool, scale: float = 1.0) -> tuple[Refused, ...]:
        """The codes of rows that could not be read, or of those read that may not be sent; commonest first.

        Args:
            unreadable: Which of the two.
            scale: What a row looked at stands for.
        """
        found = [
            Refused(code, round(rows * scale), tuple(key for _, key in self._examples[unread, code]))
            for (unread, code), rows in self._refused.items()
            if unread == unreadable
        ]
        return tuple(sorted(found, key=lambda refused: (-refused.rows, refused.code)))


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast calls may be made.

    Attributes:
        qps: Purchased calls per second; infinite for an embedded instance that goes as fast as it can.
        share: The part of them that the job may use.
        night_hours: Hours in which calls are made each night.
        has_window: The job's own window says so.
    """

    qps: float
    share: float = 1.0
    night_hours: float = NIGHT_HOURS
    has_window: bool = False

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.qps * self.share

    @property
    def unlimited(self) -> bool:
        """Whether no rate says how long calls take."""
        return math.isinf(self.qps)

    def hours(self, calls: int) -> float:
        """Hours that so many calls take by their rate; none where there is no rate."""
        return calls / self.rate / 3600

    def nights(self, calls: int) -> float:
        """Nights that so many calls take."""
        return self.hours(calls) / self.night_hours

    def share_of_month(self, calls: int) -> float:
        """The part that so many calls take of all slots that the tier holds in a month."""
        return calls / (self.qps * HOURS_A_MONTH * 3600)

    @property
    def calls_a_night(self) -> int | None:
        """Calls that one night holds; None where no rate says how many."""
        return None if self.unlimited else math.floor(self.rate * self.night_hours * 3600)


@dataclass(frozen=True, slots=True)
class Price:
    """What the instance costs.

    Attributes:
        monthly: For a month of the whole tier.
        currency: In what; empty when the job file does not say.
    """

    monthly: float
    currency: str = ""

    def of_slots(self, share_of_month: float) -> float:
        """The part of the price that goes with a part of the month's slots."""
        return self.monthly * share_of_month


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job will take if it runs now. With a sample, counts below `to_do` are scaled up.

    Attributes:
        operation: Operation called.
        instance: Instance name.
        manifest: The manifest's path.
        output: The output folder.
        rows: Rows of the manifest.
        done: Rows that have their outcome already.
        looked_at: Rows prepared for this plan; fewer than `to_do` when they are a sample.
        unreadable: Rows whose image cannot be read, by code.
        invalid: Rows read that may not be sent, by code.
        reused: Valid rows that an answer of an earlier run covers.
        needed: What the different requests of all others take.
        pages: Pages of results that a request asks for at most; each is a call.
        largest: Most bytes of one request.
        by_address: Images are uploaded before their call, and counted without it.
        pace: How fast calls may be made.
        price: What the instance costs, when the job file says.
        instances: The plans of its instances, when it has several.
        batch: The same by batch tasks; None where the job has no bucket for them.
        seen: What the images that were looked at are like.
    """

    operation: str
    instance: str
    manifest: str
    output: str
    rows: int
    done: int
    looked_at: int
    unreadable: tuple[Refused, ...]
    invalid: tuple[Refused, ...]
    reused: int
    needed: Needed
    pages: int
    largest: int
    by_address: bool
    pace: Pace
    price: Price | None = None
    instances: tuple[Plan, ...] = ()
    batch: BatchWay | None = None
    seen: SeenImages | None = None

    @property
    def to_do(self) -> int:
        """Rows without an outcome."""
        return self.rows - self.done

    @property
    def sampled(self) -> bool:
        """Whether only some of the rows to do were looked at."""
        return self.looked_at < self.to_do

    @property
    def readable(self) -> int:
        """Rows to do whose images can be read."""
        return max(0, self.to_do - sum(refused.rows for refused in self.unreadable))

    @property
    def valid(self) -> int:
        """Rows to do that may be sent."""
        return max(0, self.readable - sum(refused.rows for refused in self.invalid))

    @property
    def valid_margin(self) -> int:
        """By how much `valid` may be off, 19 times of 20, because rows were sampled."""
        if not self.sampled or not self.looked_at:
            return 0
        # Wilson's margin: it does not vanish when every row of the sample was valid.
        n, share = self.looked_at, self.valid / self.to_do
        spread = math.sqrt(share * (1 - share) / n + _Z_95**2 / (4 * n * n))
        return math.ceil(self.to_do * _Z_95 * spread / (1 + _Z_95**2 / n))

    @property
    def repeats(self) -> int:
        """Valid rows whose request another row makes."""
        return max(0, self.valid - self.reused - self.needed.requests)

    @property
    def calls(self) -> int:
        """Calls: slots used when each is granted at once."""
        return self.needed.calls

    @property
    def at_most(self) -> bool:
        """Whether fewer calls may do: a request's later pages may not exist, a sample hides repeats."""
        return self.sampled or self.pages > 1

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into JSON."""
        hours = self.pace.hours(self.calls)
        values: dict[str, Any] = {
            "operation": self.operation,
            "instance": self.instance,
            "manifest": self.manifest,
            "output": self.output,
            "estimated": self.sampled,
            "sample": {"rows": self.looked_at, "of": self.to_do} if self.sampled else None,
            "rows": self.rows,
            "done": self.done,
            "to_do": self.to_do,
            "readable": self.readable,
            "valid": self.valid,
            "valid_margin": self.valid_margin,
            "unreadable": [asdict(refused) for refused in self.unreadable],
            "invalid": [asdict(refused) for refused in self.invalid],
            "repeats": self.repeats,
            "reused": self.reused,
            "requests": self.needed.requests,
            "pages_per_request": self.pages,
            "calls": self.calls,
            "calls_at_most": self.at_most,
            "slots": self.calls,
            "qps": None if self.pace.unlimited else self.pace.qps,
            "share": self.pace.share,
            "hours": None if self.pace.unlimited else round(hours, 4),
            "night_hours": round(self.pace.night_hours, 4),
            "nights": None if self.pace.unlimited else round(self.pace.nights(self.calls), 4),
            "calls_per_night": self.pace.calls_a_night,
            "upload_bytes": self.needed.bytes,
            "upload_bytes_per_second": round(self.needed.bytes / (hours * 3600)) if hours else 0,
            "largest_request_bytes": self.largest,
            "money": None,
            "batch": None if self.batch is None else self.batch.as_dict(),
        }
        if self.price is not None:
            share = self.pace.share_of_month(self.calls)
            values["money"] = {
                "amount": round(self.price.of_slots(share), 4),
                "currency": self.price.currency,
                "monthly_price": self.price.monthly,
                "share_of_month": round(share, 6),
            }
        if self.instances:
            values["instances"] = [plan.as_dict() for plan in self.instances]
        return values

    def as_json(self) -> str:
        """One JSON object."""
        return json.dumps(self.as_dict(), ensure_ascii=False, indent=2)


def is_sampled(position: int, sample: int, of: int) -> bool:
    """Whether the row at `position`, from 0, of `of` rows is one of `sample` rows spread evenly over them.

    Exactly `min(sample, of)` positions are; they lie in the middle of as many equal stretches.
    """
    if sample >= of:
        return True
    return ((position + 1) * sample + of // 2) // of > (position * sample + of // 2) // of


def sizes_of_pages(operation: str, body_bytes: int, pages: Sequence[Page], first: int = 0) -> list[int]:
    """Bytes of the bodies of a request's pages, from that of one: they differ by the digits of two numbers.

    Args:
        operation: A name in `OPERATIONS`.
        body_bytes: Body of page `first`.
        pages: All pages of the request.
        first: The first page that is still to be asked for.
    """
    in_form = {parameter.key for parameter in OPERATIONS[operation].parameters if parameter.place == "form"}

    def digits(page: Page) -> int:
        numbers = {"start": page.start, "num": page.num}
        return sum(
            len(str(value)) for name, value in numbers.items() if value is not None and name in in_form
        )

    return [body_bytes + digits(page) - digits(pages[first]) for page in pages[first:]]
