"""Runs that can be stopped: by another thread, by a cancelled task, by Ctrl-C in a notebook."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from batchsearch.engine.job.stop_signals import StopSignals
from batchsearch.errors import ConfigError, ManifestError, StoppedEarlyError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")

_INTERRUPTED: Final = "interrupted"
_CANCELLED: Final = "cancelled"


class Stop:
    """Asks runs to stop in good order: nothing more is sent, and what was answered is kept.

    Running again resumes. Give one to `run` and ask from any thread, before the run has begun or while it
    works. Once asked it stays so.

    Examples:
        >>> from batchsearch import Stop
        >>> stop = Stop()
        >>> stop.asked
        False
        >>> stop.ask("the night is over")
        >>> stop.asked
        True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._why: str | None = None
        self._told: list[Callable[[str], object]] = []

    @property
    def asked(self) -> bool:
        """Whether anybody has asked."""
        return self._why is not None

    def ask(self, why: str = "asked to stop") -> None:
        """Ask; the first reason is the one that the summary's `message` gives."""
        with self._lock:
            if self._why is not None:
                return
            self._why = why
            told = list(self._told)
        for tell in told:
            tell(why)

    @contextmanager
    def telling(self, tell: Callable[[str], object]) -> Iterator[None]:
        """Call `tell` with the reason as soon as somebody asks, now if somebody has."""
        with self._lock:
            why = self._why
            self._told.append(tell)
        if why is not None:
            tell(why)
        try:
            yield
        finally:
            with self._lock:
                self._told.remove(tell)


async def stoppable(start: Callable[[StopSignals], Coroutine[Any, Any, T]], stop: Stop) -> T:
    """Await a run that stops in good order when asked, and when this task is cancelled.

    A second cancellation ends the run at once; it can be resumed all the same.

    Args:
        start: Given what tells which runner is to stop; the run.
        stop: Who may ask.

    Raises:
        StoppedEarlyError: It was asked before the first call.
        asyncio.CancelledError: This task was cancelled; the run has come to its end before.
    """
    signals = StopSignals()
    loop = asyncio.get_running_loop()
    run = asyncio.create_task(start(signals))

    def end(why: str) -> None:
        if signals.running is not None:
            signals.running(why)
        else:
            run.cancel()

    with stop.telling(lambda why: loop.call_soon_threadsafe(end, why)):
        try:
            return await asyncio.shield(run)
        except asyncio.CancelledError:
            if run.cancelled():
                raise StoppedEarlyError from None
            end(_CANCELLED)
            await _until_over(run)
            raise


async def _until_over(run: asyncio.Task[Any]) -> None:
    while not run.done():
        try:
            await asyncio.wait([run])
        except asyncio.CancelledError:
            run.cancel()
    if not run.cancelled():
        run.exception()  # seen: the cancellation is what the caller hears of


def in_own_thread(work: Callable[[], Coroutine[Any, Any, T]], stop: Stop) -> T:
    """Run a coroutine to its end in a thread and an event loop of its own; for callers that have a loop.

    Ctrl-C asks the run to stop in good order and is raised when it has; a second one stops it at once.

    Args:
        work: Makes the coroutine, in the thread.
        stop: Asked to stop at Ctrl-C.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        BaseException: What the coroutine raises.
    """
    ended: list[T] = []
    failed: list[BaseException] = []
    over = threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []

    async def main() -> T:
        task = asyncio.create_task(work())
        running.append((asyncio.get_running_loop(), task))
        return await task

    def run() -> None:
        try:
            ended.append(asyncio.run(main()))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            failed.append(error)
        finally:
            over.set()

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name="batchsearch", daemon=True).start()
    interrupts = 0
    while not over.is_set():
        try:
            over.wait()
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts == 1:
                stop.ask(_INTERRUPTED)
            elif running:
                loop, task = running[0]
                loop.call_soon_threadsafe(task.cancel)
    if interrupts:
        raise KeyboardInterrupt
    if failed:
        raise _plain(failed[0])
    return ended[0]


def _plain(error: BaseException) -> BaseException:
    """What ended a run; of a mistake in job or manifest the message matters, not where it showed."""
    if isinstance(error, ConfigError | ManifestError):
        error.__cause__ = None  # which leaves out the context, too
        return error.with_traceback(None)
    return error
