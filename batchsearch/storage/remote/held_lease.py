"""A lease while a run has it: renewed, asked after, and given up by itself before it lapses."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from batchsearch.errors import OutputError
from batchsearch.storage.stores.object_store import StoreError
from batchsearch.storage.stores.store_failures import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.storage.remote.lease import Lease
    from batchsearch.storage.remote.rhythm import Rhythm
    from batchsearch.storage.stores.address import StoreAddress

SAFE: Final = 2 / 3
"""Of the time after which a lease lapses: without a renewal for so long, its holder stops by itself."""


class HeldLease:
    """One run's hold on an output.

    Args:
        output: The output's address.
        rhythm: How often it is renewed, and when it lapses.
        clock: A steady clock, seconds.
    """

    def __init__(self, output: StoreAddress, rhythm: Rhythm, clock: Callable[[], float]) -> None:
        self._output = output
        self._rhythm = rhythm
        self._clock = clock
        self._lease: Lease | None = None
        self._beaten = 0.0

    def take(self, lease: Lease) -> None:
        """Take a lease; raises as it does."""
        began = self._clock()
        lease.take()
        self._lease, self._beaten = lease, began

    @property
    def lease(self) -> Lease:
        """The lease; raises OutputError where there is none."""
        if self._lease is None:
            raise OutputError(f"{self._output}: this run does not hold it")
        return self._lease

    @property
    def is_sure(self) -> bool:
        """Whether the output is surely this run's still: nobody else can have taken it over."""
        return self._lease is not None and self._clock() - self._beaten <= self._rhythm.lapse * SAFE

    def raise_if_unsure(self) -> None:
        """Raise OutputError where another run may have the output."""
        if not self.is_sure:
            silent = self._clock() - self._beaten
            raise OutputError(
                f"{self._output}: the store has not answered for {silent:.0f} s; this run stops before its "
                "lease lapses. What was answered is kept in the work folder; running again carries it there"
            )

    def beat(self) -> None:
        """Renew it."""
        began = self._clock()
        self.lease.renew()
        self._beaten = began

    def make_sure(self) -> None:
        """Go on only as the holder: asked of the store, and renewed if it is long since it was."""
        if self._clock() - self._beaten > self._rhythm.lapse / 3:
            self.beat()
        else:
            self.lease.hold()

    def give_up(self) -> None:
        """Let others have the output; never raises, since a lease that cannot be given up lapses."""
        lease, self._lease = self._lease, None
        if lease is not None:
            with suppress(StoreError):
                lease.give_up()


class PassingError(OutputError):
    """The store could not be reached; it may be again."""


def told_error(error: StoreError, output: StoreAddress) -> OutputError:
    """What a store refuses, as the error that ends the run or, where it passes, does not."""
    kept = "what was answered is kept in the work folder; running again carries it there"
    if error.failure is Failure.DENIED:
        return OutputError(
            f"{output}: the store refuses these credentials, which need to list, read, write and delete; "
            + kept
        )
    if error.failure is Failure.NO_BUCKET:
        return OutputError(f"{output}: the store has no such bucket; {kept}")
    kind = PassingError if error.failure is Failure.PASSING else OutputError
    return kind(f"{error.place}: {error.strerror}; the store was asked several times; {kept}")
