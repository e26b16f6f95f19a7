"""An event loop whose time passes only by waiting: hours of pacing in milliseconds, exactly repeatable."""

from __future__ import annotations

import asyncio
import functools
import random
import selectors
from contextlib import contextmanager

_TURN = 1e-9
"""Seconds that one turn of the loop takes: without it, a wait shorter than rounding would never end."""


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: where a real loop would sleep, its clock is set forward."""

    def __init__(self, lateness: float, seed: int) -> None:
        super().__init__()
        self.now = 1000.0
        self._lateness = lateness
        self._chance = random.Random(seed)

    def select(self, timeout=None):
        events = super().select(0)
        if timeout is None and not events:
            raise RuntimeError("everything waits and nothing will ever happen")
        if timeout and not events:
            self.now += timeout + self._chance.uniform(0, self._lateness)
        self.now += _TURN
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """`lateness` is how many seconds late timers may be, as they are in a real loop."""

    def __init__(self, lateness: float = 0.0, seed: int = 0) -> None:
        self._jumping = _JumpingSelector(lateness, seed)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def pass_time(self, seconds: float) -> None:
        """Time passes without the loop: as if something blocked it."""
        self._jumping.now += seconds


@contextmanager
def virtual_runner(lateness: float = 0.0, seed: int = 0):
    """An `asyncio.Runner` on a virtual loop."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lateness, seed)) as runner:
        yield runner


def in_virtual_time(test=None, *, lateness: float = 0.0):
    """A test that is a coroutine, run on a virtual loop."""
    if test is None:
        return functools.partial(in_virtual_time, lateness=lateness)

    @functools.wraps(test)
    def run(*given, **named):
        with virtual_runner(lateness, 3) as runner:
            runner.run(test(*given, **named))

    return run


def now() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()


def pass_time(seconds: float) -> None:
    """Time passes without the running loop: as if something blocked it."""
    asyncio.get_running_loop().pass_time(seconds)


async def slots(pacer, count):
    """So many slots, one after the other."""
    return [await pacer.slot() for _ in range(count)]
