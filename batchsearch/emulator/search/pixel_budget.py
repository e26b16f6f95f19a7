"""How many pixels of large images are in memory at once, and that what they took goes back to the system.

Sixteen clients with images of 4096 x 4096 pixels are a gigabyte of pixels. So whoever wants to decode a large
image waits until there is room; small ones never wait. Who has an image already does not wait for another
one: two that each held one would wait for each other for ever.
"""

from __future__ import annotations

import threading
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Final

from batchsearch.kept_memory import give_memory_back

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_PIXELS: Final = 36_000_000
"""Pixels of large images in memory at once: two of the largest, some 200 MB with what goes beside."""

LARGE: Final = 2_000_000
"""Pixels of an image from which on it counts."""

_LONGEST_WAIT: Final = 60.0
"""Seconds; then somebody keeps images that nobody will let go, and an answer is better than none."""


class PixelBudget:
    """Gives room for pixels; any thread may ask.

    Args:
        most: Pixels at once; one image alone may have more.
        given_back: Called whenever a large image is gone. Each thread has memory of its own, and would keep
            what its image took.
    """

    def __init__(self, most: int, given_back: Callable[[], None]) -> None:
        self._most = most
        self._given_back = given_back
        self._taken = 0
        self._holders: Counter[int] = Counter()
        # Room is given back wherever an image ends, maybe within a call of this class.
        self._room = threading.Condition(threading.RLock())

    def claim(self, pixels: int) -> Claim | None:
        """Room for an image, once there is some; None for a small one, which needs none."""
        if pixels < LARGE:
            return None
        holder = threading.get_ident()
        with self._room:
            self._room.wait_for(lambda: self._may(holder, pixels), _LONGEST_WAIT)
            self._taken += pixels
            self._holders[holder] += 1
        return Claim(self, holder, pixels)

    def _may(self, holder: int, pixels: int) -> bool:
        return not self._taken or self._holders[holder] > 0 or self._taken + pixels <= self._most

    def give_back(self, holder: int, pixels: int) -> None:
        """Let others have this room; for `Claim`."""
        self._given_back()
        with self._room:
            self._taken -= pixels
            self._holders[holder] -= 1
            if not self._holders[holder]:
                del self._holders[holder]
            self._room.notify_all()


class Claim:
    """Room for one image's pixels; given back when it is let go, or when nobody knows it any more."""

    __slots__ = ("_budget", "_holder", "_pixels")

    def __init__(self, budget: PixelBudget, holder: int, pixels: int) -> None:
        """See `PixelBudget.claim`."""
        self._budget = budget
        self._holder = holder
        self._pixels = pixels

    def release(self) -> None:
        """Give the room back, once."""
        pixels, self._pixels = self._pixels, 0
        if pixels:
            self._budget.give_back(self._holder, pixels)

    def __del__(self) -> None:
        """The image is gone."""
        self.release()


@cache
def shared_budget() -> PixelBudget:
    """The process's one budget."""
    return PixelBudget(MOST_PIXELS, give_memory_back)
