"""What a command does beside its calls, step by step, told to whoever shows how far it is.

Reading a manifest, indexing a catalogue, comparing images: each may take minutes. Whoever does it opens a
`step`; whoever shows it listens with `heard_by`. Between them nothing is passed on: the listener belongs to
the context, which tasks and `asyncio.to_thread` take along.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Listener(Protocol):
    """Shows steps; called from any thread, often, and must be cheap."""

    def step(self, what: str, done: int, total: int | None) -> None:
        """A step is so far.

        Args:
            what: What happens, such as `reading the manifest`.
            done: How much of it is done.
            total: How much there is; None where nobody knows yet.
        """


_LISTENER: ContextVar[Listener | None] = ContextVar("batchsearch_steps", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Steps inside are told to `listener`."""
    before = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(before)


class Step:
    """One step on its way.

    Args:
        what: What happens.
        total: How much there is; None where nobody knows yet.
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        self._listener = _LISTENER.get()
        self._what = what
        self._total = total
        self._done = 0
        self._tell()

    def advance(self, by: int = 1) -> None:
        """So much more is done."""
        self._done += by
        self._tell()

    def to(self, done: int) -> None:
        """So much is done in all."""
        self._done = done
        self._tell()

    def _tell(self) -> None:
        if self._listener is not None:
            self._listener.step(self._what, self._done, self._total)


def step(what: str, total: int | None = None) -> Step:
    """Begin a step: it is shown from now on, until the next one begins."""
    return Step(what, total)
