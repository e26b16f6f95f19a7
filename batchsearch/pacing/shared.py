"""One rate for several processes: slots are reserved, and taken, on a board that all of them see.

The board is a file for the processes of one host (`shared_file`) or a Redis server for several hosts
(`shared_redis`). A slot costs two short visits and one sleep, never polling:

1. **reserve**: only the caller in front of a process's own queue reserves, and gets the place after the
   last one reserved by anybody: evenly spaced, first come first served, a process with a thousand
   callers no better off than one with a single caller;
2. sleep until it is due;
3. **take**: the board writes the departure down, unless the last full second already holds QPS of them;
   then it says how long to wait. So the second is kept by what has really left, however late some
   process woke up;
4. **leave in time**: what was written down holds for `SlotBoard.slack`. A process that was put aside for
   longer first tells a later time, before anybody can have filled the second, or lets the slot go.

A process that is killed holds one reservation at the most. Its time passes and the slot is wasted; nobody
waits for it, and there is nothing to clean up.

Every process hears of all departures and answers, with the next slot it takes, and so learns as fast as
one alone would and from the true spacing: that between the calls of all.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from batchsearch.errors import BatchsearchError, ExitCode
from batchsearch.pacing.pacer import MAX_HOLD, Pacer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")

_PATIENCE: Final = 60.0
"""Seconds without a board before the run is given up; it can be resumed."""

_LAPSE: Final = 0.05
"""A slot that is this many seconds old, or older than the spacing, is let go: the caller lines up again."""

_STALE: Final = 0.9
"""Seconds after which a departure that was written down may no longer be moved: the place that it takes in
the others' second may be given away a full second after it, not before."""

_MOST_OPEN: Final = 4096


class SlotBoardError(BatchsearchError):
    """The file or server through which processes share a rate cannot be used; the run can be resumed."""

    exit_code = ExitCode.INCOMPLETE


class Kind(IntEnum):
    """What a process tells the others."""

    LEFT = 0
    GRANTED = 1
    DENIED = 2
    LATE = 3


class Note(NamedTuple):
    """One event on the board: what became of the call whose slot was taken at `slot`, board time."""

    kind: Kind
    slot: float
    at: float


@dataclass(frozen=True, slots=True)
class Reserved:
    """A reservation.

    Attributes:
        due: Board time of the slot.
        wait: Seconds until then.
    """

    due: float
    wait: float


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of taking a slot.

    Attributes:
        wait: Seconds to wait before asking again; 0 if the call may leave now.
        at: Board time.
        since: The same moment by this process's monotonic clock, or an earlier one.
        seen: Number of the latest note, to be given with the next visit.
        news: Notes of the others since the last visit, in order.
    """

    wait: float
    at: float
    since: float
    seen: int
    news: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Visit:
    """What a process brings along when it takes a slot.

    Attributes:
        due: Board time that the slot was reserved for.
        calls: Most departures in one second.
        source: Who this is; its own notes are not told back to it.
        seen: Number of the latest note it knows.
        hold: Seconds that the service asked everybody to wait from now; 0 if it did not.
        notes: What it has to tell.
    """

    due: float
    calls: int
    source: str
    seen: int
    hold: float
    notes: Sequence[Note]


class SlotBoard(Protocol):
    """Where processes line up. All times are the board's own clock, seconds.

    The visits raise `SlotBoardError` if the board cannot be reached at present.

    Attributes:
        slack: Seconds by which the second kept is longer, for what passes between the writing down of a
            departure and the departure. What takes longer is written down again.
    """

    slack: float

    async def reserve(self, interval: float, hold: float) -> Reserved:
        """Reserves the next place: `interval` seconds after the last one, not before a `hold` ends."""

    async def take(self, visit: Visit) -> Taken:
        """Writes a departure down, or says how long to wait."""

    async def tell(self, source: str, notes: Sequence[Note]) -> None:
        """Writes down what cannot wait for the next slot."""

    async def close(self) -> None:
        """Lets go of file or connection; a later visit opens it again."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """A slot that was taken.

    Attributes:
        at: Its board time, which names it on the board.
        since: The same by this process's clock, or earlier.
        until: By this process's clock, how long what the board holds of its departure is true.
    """

    at: float
    since: float
    until: float

    def on_board(self, now: float) -> float:
        """The board time of a moment, or a later one."""
        return self.at + (now - self.since)


class SharedPacer(Pacer):
    """A `Pacer` whose rate is shared with every other process that uses the same board.

    Args:
        qps: Purchased queries per second; all processes should say the same.
        board: Where they line up.
        share: Part of the tier that all of them together may use.
        adaptive: Whether denials widen the spacing.
        clock: Monotonic seconds of this process.

    Raises:
        ValueError: As `Pacer`.
    """

    def __init__(
        self,
        qps: float,
        board: SlotBoard,
        *,
        share: float = 1.0,
        adaptive: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(qps, share=share, adaptive=adaptive, clock=clock)
        self._board = board
        self._name = uuid.uuid4().hex[:12]
        self._seen = 0
        self._notes: list[Note] = []
        self._reserved: Reserved | None = None
        self._due = 0.0
        self._slots: dict[float, _Slot] = {}
        self._telling: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Lets go of the board, once it was told everything."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(task for task in self._telling if task.get_loop() is loop))
        await self._board.close()

    def departed(self, slot_at: float) -> None:
        """As `Pacer.departed`; the others are told at once."""
        now = self._clock()
        slot = self._slots.get(slot_at)
        if slot is None or now <= slot.until:
            return
        note = Note(Kind.LATE, slot.at, slot.on_board(now))
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # from another thread: with this process's next slot
            self._notes.append(note)
            return
        task = loop.create_task(self._tell(note))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, note: Note) -> None:
        try:
            await self._board.tell(self._source(), [note])
        except SlotBoardError:
            self._notes.append(note)

    def granted(self, slot_at: float, latency: float) -> None:
        """As `Pacer.granted`, for all processes."""
        self._answered(Kind.GRANTED, slot_at, latency)

    def denied(self, slot_at: float, latency: float, retry_after: float | None = None) -> None:
        """As `Pacer.denied`, for all processes."""
        if retry_after is not None and retry_after > 0:
            self._hold_until = max(self._hold_until, self._clock() + min(retry_after, MAX_HOLD))
        self._answered(Kind.DENIED, slot_at, latency)

    def _answered(self, kind: Kind, slot_at: float, latency: float) -> None:
        with self._lock:
            slot = self._slots.pop(slot_at, None)
            if slot is not None and self._controller is not None:
                note = Note(kind, slot.at, slot.at + latency)
                self._hear(note)
                self._notes.append(note)

    def _hear(self, note: Note) -> None:
        if self._controller is None:
            return
        if note.kind is Kind.LEFT:
            self._controller.departed(note.slot)
        elif note.kind is Kind.GRANTED:
            self._controller.granted(note.slot, note.at)
        elif note.kind is Kind.DENIED:
            self._controller.denied(note.slot, note.at)

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> float:  # noqa: ARG002 - a board belongs to no loop
        while True:
            if self._reserved is None:
                self._reserved = await self._patiently(self._reserve)
                self._due = self._clock() + self._reserved.wait
            late = self._clock() - self._due
            if late < 0:
                await asyncio.sleep(-late)
            elif late > max(_LAPSE, self._interval()):
                self._reserved = None
            else:
                taken = await self._patiently(self._take_reserved)
                if taken.wait > 0:
                    self._due = self._clock() + taken.wait
                    continue
                self._reserved = None
                slot_at = await self._leave(taken)
                if slot_at is not None:
                    return slot_at

    async def _reserve(self) -> Reserved:
        return await self._board.reserve(self._interval(), self._hold())

    async def _take_reserved(self) -> Taken:
        assert self._reserved is not None  # noqa: S101 - only called with one, see _serve
        with self._lock:
            notes, self._notes = self._notes, []
        visit = Visit(
            due=self._reserved.due,
            calls=self._calls,
            source=self._source(),
            seen=self._seen,
            hold=self._hold(),
            notes=notes,
        )
        try:
            taken = await self._board.take(visit)
        except SlotBoardError:
            self._notes[:0] = notes
            raise
        with self._lock:
            self._seen = taken.seen
            for note in taken.news:
                self._hear(note)
        return taken

    async def _leave(self, taken: Taken) -> float | None:
        """The slot's time, once what the board holds of its departure is true; None when it came too late.

        This process may have been put aside between the writing down and now. Then the others must know
        before they fill the second: a later departure is told, with time enough to hear that it was.
        """
        allowed = self._board.slack / 2
        slot = _Slot(taken.at, taken.since, taken.since + allowed)
        while True:
            with self._lock:
                now = self._clock()
                if now <= slot.until:
                    self._slots[now] = slot
                    if len(self._slots) > _MOST_OPEN:
                        del self._slots[next(iter(self._slots))]
                    if self._controller is not None:
                        self._controller.departed(slot.at)
                    return now
            if now - slot.since > _STALE:
                return None
            told = now + allowed
            try:
                await self._board.tell(self._source(), [Note(Kind.LATE, slot.at, slot.on_board(told))])
            except SlotBoardError:
                return None
            if (heard := self._clock()) - slot.since > _STALE:
                return None
            slot = replace(slot, until=told)
            allowed = max(allowed, 2 * (heard - now))

    def _source(self) -> str:
        return f"{self._name}-{os.getpid()}"  # a fork is somebody else

    def _hold(self) -> float:
        return max(0.0, self._hold_until - self._clock())

    async def _patiently(self, visit: Callable[[], Awaitable[T]]) -> T:
        """Repeats a visit while the board cannot be reached, for a minute: a restart must not end a night."""
        begun, pause = self._clock(), 0.05
        while True:
            try:
                return await visit()
            except SlotBoardError:
                if self._clock() - begun > _PATIENCE:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, 5.0)
