"""Memory that a process has let go, kept by it for the next one who asks.

Features of an image take some 18 MB for some milliseconds. Linux's C library gives such pieces back to the
system at once, and gets them again with every page to be filled with zeros: up to a tenth of a night's time.
What is kept so is bounded by what was used at once, and `give_memory_back` returns it.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_TRIM_THRESHOLD: Final = -1  # of <malloc.h>: the free end of the heap that is kept
_MMAP_THRESHOLD: Final = -3  # likewise: larger pieces than this come from the system each time
KEPT: Final = 256 * 2**20
_LARGEST_PIECE: Final = 32 * 2**20  # the largest that the library takes


def keep_memory(most: int = KEPT) -> bool:
    """From here on memory stays with the process; for a command's process, whose memory is its own affair.

    Args:
        most: Bytes that are kept, above what is used.

    Returns:
        Whether this system's C library could be told so.
    """
    if not sys.platform.startswith("linux"):
        return False
    with suppress(OSError, AttributeError):
        tell = ctypes.CDLL(None).mallopt
        return bool(tell(_MMAP_THRESHOLD, _LARGEST_PIECE)) and bool(tell(_TRIM_THRESHOLD, most))
    return False


def give_memory_back() -> None:
    """Give what is free of this process's memory back to the system, where its C library can be told so."""
    trim = _trimmer()
    if trim is not None:
        trim(0)


@cache
def _trimmer() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError, AttributeError):
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
        return found
    return None
