"""Python's garbage collector, held back while many short-lived things are made.

It looks through all that a run has loaded, again and again, and finds next to nothing: what a row needs goes
away by itself. So what is there at the start is set aside, and the collector comes around less often.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SELDOM: Final = (20_000, 20, 20)
"""Objects more than before, and collections, between two collections: rings do not pile up."""
_BY_PYTHON: Final = 1_000
"""Python 3.12 sets some hundred objects aside by itself when it starts; a program sets all that it has."""


def come_seldom() -> None:
    """Let it come around seldom from now on: of what a command imports hardly any is garbage."""
    gc.set_threshold(*_SELDOM)


@contextmanager
def off_while_loading() -> Iterator[None]:
    """Keep it off while a process loads what it needs for its one command, and set that aside afterwards."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def held_back() -> Iterator[None]:
    """Hold it back within the block; where somebody has set it themselves, that stays."""
    before = gc.get_threshold()
    if gc.get_freeze_count() > _BY_PYTHON or not gc.isenabled() or before[0] > _SELDOM[0]:
        yield
        return
    gc.freeze()
    come_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
