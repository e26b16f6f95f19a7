"""How many images go to the workers at once, and in what portions (pure).

One task of the cluster is a bundle of images: its own cost, a millisecond here and one at the scheduler, is
then shared. An image never waits for others to fill a bundle: while workers are free, what waits is spread
over them, and bundles grow only when all are busy.
"""

from __future__ import annotations

import math
from typing import Final

BUNDLES_A_THREAD: Final = 2
"""Bundles for each thread of the workers: one is worked on, one is there when it is done."""
MOST_IMAGES: Final = 16
"""Most images of a bundle: few, so that a lost worker costs little and no image waits for many others."""
MOST_BYTES: Final = 256 * 1024 * 1024
"""Bytes of images that may be on their way back, as far as can be known before."""
MOST_INLINE: Final = 4 * 1024 * 1024
"""Bytes after which a bundle whose images are in the manifest is full."""
MOST_ANSWERED: Final = 32 * 1024 * 1024
"""Bytes after which a worker brings what it has, and leaves the rest for another bundle."""
_GUESS: Final = 256 * 1024
"""What an image is taken to weigh before one has come back, bytes."""
_FORGETTING: Final = 0.98


class Flow:
    """Decides what goes out, from what is out and what has come back.

    Args:
        threads: Threads of all workers.
        most_bytes: As `MOST_BYTES`.
    """

    def __init__(self, threads: int, *, most_bytes: int = MOST_BYTES) -> None:
        self.threads = threads
        self._most_bytes = most_bytes
        self._weight = float(_GUESS)
        self.bundles = 0
        self.images = 0

    @property
    def size(self) -> int:
        """How many images keep all workers busy, within the bytes that may be under way."""
        return max(1, min(self.threads * BUNDLES_A_THREAD * MOST_IMAGES, self._affordable()))

    @property
    def share(self) -> int:
        """Most images of a bundle while all workers have theirs: what may be under way is shared out."""
        return max(1, min(MOST_IMAGES, self._affordable() // self._slots()))

    def next_bundle(self, waiting: int) -> int:
        """How many of those that wait make the next bundle; 0: none may go now."""
        free = self._slots() - self.bundles
        room = max(self._affordable() - self.images, 0 if self.images else 1)
        if free <= 0 or not waiting or room <= 0:
            return 0
        return min(math.ceil(waiting / free), self.share, room)

    def sent(self, images: int) -> None:
        """A bundle has gone out."""
        self.bundles += 1
        self.images += images

    def back(self, images: int, weight: int, made: int) -> None:
        """A bundle is no longer out.

        Args:
            images: How many it had.
            weight: Bytes that came back.
            made: For how many of them.
        """
        self.bundles -= 1
        self.images -= images
        if made:
            # The heaviest of late, forgotten slowly: what comes next is seldom heavier.
            self._weight = max(self._weight * _FORGETTING, weight / made, 1.0)

    def _slots(self) -> int:
        return max(1, self.threads * BUNDLES_A_THREAD)

    def _affordable(self) -> int:
        return int(self._most_bytes / self._weight)
