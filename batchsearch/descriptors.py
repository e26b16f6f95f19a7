"""Whether this machine has file descriptors left: a want of them says nothing about a file or a host.

Files, sockets and pipes cannot be opened while a process (EMFILE) or the machine (ENFILE) has too many.
That passes as soon as some are closed, so it is waited out. Not every library passes the error on: a name
that cannot be looked up, or a certificate that cannot be checked, may be the same want. So it is tried out.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from batchsearch.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE})
"""System errors that mean it."""
PATIENCE: Final = 900.0
"""Seconds that a want of descriptors is waited out."""
_ENOUGH: Final = 4
"""Descriptors that one look at a name or a certificate takes."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_NO_DESCRIPTORS: Final = (
    "no file descriptors were left for long, so nothing could be opened; raise the limit (`ulimit -n 4096`) "
    "or close other programs, and run the same command again"
)


def is_exhausted(error: BaseException | None) -> bool:
    """Whether an error is a want of descriptors, or comes from one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in EXHAUSTED:
            return True
        error = error.__cause__ or error.__context__
    return False


def none_left() -> bool:
    """Whether no few descriptors can be had just now."""
    held: list[int] = []
    try:
        while len(held) < _ENOUGH:
            held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in EXHAUSTED
    finally:
        for each in held:
            with suppress(OSError):
                os.close(each)
    return False


class Shortage:
    """Waits out one want of this machine.

    Args:
        sleep: Waits so many seconds.
        clock: A steady clock, seconds.
        patience: Seconds until it is given up.
    """

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[object]],
        *,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        self._sleep = sleep
        self._clock = clock
        self._patience = patience
        self._since: float | None = None
        self._pause = _FIRST_PAUSE

    async def wait(self, what: str = _NO_DESCRIPTORS) -> None:
        """Wait a little, longer each time.

        Args:
            what: What is lacking and what to do.

        Raises:
            MachineError: It has lasted for too long.
        """
        now = self._clock()
        self._since = now if self._since is None else self._since
        if now - self._since >= self._patience:
            raise MachineError(what)
        await self._sleep(self._pause)
        self._pause = min(_LONGEST_PAUSE, 2 * self._pause)
