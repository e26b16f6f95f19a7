"""One run's hold on an output in a store: taken, kept alive, carried now and then and at the end, let go.

How it is used, by whoever opens the output::

    mirror = Mirror(...)
    with OutputLock(work_folder / "ledger" / "lock", run_id):   # one run per work folder
        async with mirror.held():      # the lease; the work folder is now what the store has, or ahead of it
            ledger = Ledger(...)       # open it only now: taking may have put another one there
            ...                        # work, with `mirror.watch()` as a task that ends it
            await mirror.finish()      # the last outcomes are sealed, `summary.json` is written
        # the lease is gone; what a run that failed had answered is in the work folder
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.path_spellings import in_shell
from batchsearch.storage.output_layout import SUMMARY
from batchsearch.storage.remote.answer_journal import AnswerGroups, AnswerJournal, replayed, take_error
from batchsearch.storage.remote.cargo import INDEXES, LEASES, LEDGER, Cargo, bring_down, read_index
from batchsearch.storage.remote.held_lease import SAFE, HeldLease, PassingError, told_error
from batchsearch.storage.remote.lease import Lease, Owner
from batchsearch.storage.remote.output_index import Index, Moment
from batchsearch.storage.remote.rhythm import Rhythm, steady_seconds
from batchsearch.storage.remote.snapshot import changes_of
from batchsearch.storage.remote.work_folder import Note, read_note, write_note
from batchsearch.storage.stores.object_store import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from batchsearch.storage.ledger.store import Ledger
    from batchsearch.storage.remote.answer_journal import JournalRecord
    from batchsearch.storage.sealed.inventory import SealedFile
    from batchsearch.storage.stores.address import StoreAddress
    from batchsearch.storage.stores.object_store import ObjectStore

Found = TypeVar("Found")

EXTRAS: Final = (SUMMARY, "without_image.csv")
"""Files that are sent at the end under their own names."""

_LOOK_SECONDS: Final = 2.0
_MOST_LISTED: Final = 10


@dataclass(frozen=True, slots=True)
class Taken:
    """What taking an output found.

    Attributes:
        generation: Which run over this output this is, from 1.
        fetched: Files brought down, the ledger among them; 0 where the work folder had all.
        resumed: Whether the store held an output already.
    """

    generation: int
    fetched: int
    resumed: bool


class Mirror:
    """Carries a work folder's output to a store, for one run.

    Every method raises `OutputError` when the store stays out of reach or refuses, or the lease is lost.

    Args:
        store: Where the output is.
        output: Its address.
        folder: The work folder.
        run: The run's name.
        files_of: The files that a ledger counts, given the path of a copy of it; None while parts are being
            exchanged, which is waited for.
        rhythm: How often what is done.
        log: Told of `output_taken`, `output_carried` and `output_store_slow`; a structlog logger.
        clock: A steady clock, seconds.
        journal_seconds: How long answers are gathered before they are kept in the journal; None keeps none.
    """

    def __init__(
        self,
        store: ObjectStore,
        output: StoreAddress,
        folder: Path,
        *,
        run: str,
        files_of: Callable[[Path], Sequence[SealedFile] | None],
        rhythm: Rhythm | None = None,
        log: Any = None,
        clock: Callable[[], float] = steady_seconds,
        journal_seconds: float | None = None,
    ) -> None:
        self._store = store
        self._output = output
        self._folder = folder
        self._run = run
        self._rhythm = rhythm or Rhythm()
        self._log = log
        self._clock = clock
        self._cargo = Cargo(store, output, folder, files_of)
        self._note = Note("", str(output))
        self._held = HeldLease(output, self._rhythm, clock)
        self._sequence = 0
        self._has_index = False
        self._carried_changes: tuple[int, ...] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._journal = AnswerJournal(store, output)
        self._journal_seconds = journal_seconds
        self._groups = AnswerGroups(journal_seconds or 0.0, self._keep_records)

    @property
    def address(self) -> str:
        """Where the output is, as a job file has it."""
        return str(self._output)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Taken]:
        """Hold the output: `take` before, `release` after."""
        try:
            yield await self.take()
        finally:
            await self.release()

    async def take(self) -> Taken:
        """Become the one run over this output, and make the work folder what the store has or ahead of it.

        Call it with the work folder's lock held, and before its ledger is opened.

        Raises:
            OutputInUseError: Another run holds the output; the message says who.
            OutputError: The store cannot be used, the work folder is another output's, or the store has lost
                what this folder had carried there. Nothing was sent to the service.
        """
        try:
            taken = await self._in_thread(self._take)
        except BaseException:
            await self.release()
            raise
        self._beating = asyncio.create_task(self._keep_beating())
        return taken

    def _take(self) -> Taken:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._note = read_note(self._folder, str(self._output))
        write_note(self._folder, self._note)
        owner = Owner(
            token=secrets.token_hex(16),
            run=self._run,
            host=socket.gethostname(),
            pid=os.getpid(),
            work=self._note.work,
            folder=str(self._folder),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            lapse=self._rhythm.lapse,
        )
        lease = Lease(
            self._store,
            self._output.below(*LEASES),
            self._output.below(*INDEXES),
            owner,
            shown=str(self._output),
        )
        self._held.take(lease)
        index = read_index(self._store, self._output)
        self._cargo.look()
        self._refuse_without_index(index)
        fetched = self._made_equal(index)
        if (self._folder / LEDGER).exists():
            # Under this run's own number, so that nothing that an earlier one still writes can count.
            self._carry()
        if self._log is not None:
            facts = {"generation": lease.generation, "fetched": fetched}
            self._log.info("output_taken", output=str(self._output), **facts)
        return Taken(lease.generation, fetched, index is not None)

    def _refuse_without_index(self, index: Index | None) -> None:
        """Refuse an output that has lost its index: a new one would take all of it for leftovers."""
        if index is not None:
            self._cargo.know(index)
            self._cargo.begun()
            self._has_index = True
            return
        there = self._cargo.unindexed()
        if there:
            listed = "\n  ".join([*there[:_MOST_LISTED], *(["…"] if there[_MOST_LISTED:] else [])])
            raise OutputDamagedError(
                f"{self._output}: has parts, but no index that names them (`_carried/index` is missing):\n"
                f"  {listed}\nNothing was changed and no call was made. Put the index back; or let "
                f"`batchsearch recover {in_shell(self._output)}` make it anew from the ledger that was "
                "carried there; or give the job another `output.dir`."
            )

    def _made_equal(self, index: Index | None) -> int:
        """Bring the work folder to where the store is, unless it is there or ahead; the files fetched."""
        has_ledger = (self._folder / LEDGER).exists()
        if index is None:
            if has_ledger and self._note.carried is not None:
                raise OutputError(
                    f"{self._output}: holds nothing of this output any more, though the work folder had "
                    f"carried it there; put it back, or remove {self._folder} to begin anew"
                )
            return 0
        if has_ledger and self._note.is_ahead_of(index):
            return 0
        fetched = bring_down(self._store, self._output, index, self._folder)
        self._noted(replace(self._note, carried=index.moment, sending=None))
        return fetched

    @property
    def is_held(self) -> bool:
        """Whether the output is surely this run's still: nobody else can have taken it over.

        To be asked before every call: a process that was stopped for a while, or whose machine slept, asks it
        before anything of its own tells it.
        """
        return self._held.is_sure

    @property
    def keeps_answers(self) -> bool:
        """Whether an answer counts only once it is in the store."""
        return self._journal_seconds is not None

    async def take_up(self, ledger: Ledger) -> None:
        """Put into the ledger what the journal has beyond it; to be called once, before anything else."""
        records = await self._in_thread(self._journal.read)
        count = await replayed(ledger, records)
        if count and self._log is not None:
            self._log.info("answers_taken_up", output=str(self._output), rows=count)

    async def keep(self, record: JournalRecord) -> None:
        """Keep an answer in the journal; returns when it is in the store.

        Whoever else asks meanwhile shares one object, so that the store is asked a few times a second at
        most.
        """
        await self._groups.keep(record)

    async def _keep_records(self, records: Sequence[JournalRecord]) -> None:
        """Keep records, however slow the store is, as long as the output is surely this run's."""

        def put() -> None:
            self._journal.put(self._held.lease.generation, records)

        while True:
            try:
                await self._in_thread(put, alone=False)
            except PassingError as error:
                if not self.is_held:
                    raise
                self._warn(error)
            else:
                return

    async def watch(self) -> None:
        """Carry what is new now and then, and see that the lease lives, until cancelled.

        Run it beside the work and end the work when it ends: it ends only by raising, and from then on
        nothing that the work does would reach the store.

        Raises:
            OutputError: The lease is lost, or the store has been out of reach for too long.
        """
        carrying = asyncio.create_task(self._keep_carrying())
        try:
            while not carrying.done():
                self._raise_if_lost()
                await asyncio.wait([carrying], timeout=min(_LOOK_SECONDS, self._rhythm.beat))
            await carrying
        finally:
            carrying.cancel()

    def _raise_if_lost(self) -> None:
        if self._beating is not None and self._beating.done() and not self._beating.cancelled():
            error = self._beating.exception()
            if error is not None:
                raise error
        self._held.raise_if_unsure()

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(self._rhythm.beat)
            try:
                await self._in_thread(self._held.beat, alone=False)
            except PassingError as error:
                self._warn(error)

    async def _keep_carrying(self) -> None:
        carried, pause = self._clock(), self._rhythm.carry
        while True:
            await asyncio.sleep(pause)
            if self._carried_changes == changes_of(self._folder / LEDGER):
                carried = self._clock()
                continue
            began = self._clock()
            try:
                await self._in_thread(self._carry)
            except PassingError as error:
                if self._clock() - carried > pause + self._rhythm.lapse * SAFE:
                    raise
                self._warn(error)
                continue
            carried = self._clock()
            pause = max(self._rhythm.carry, self._rhythm.rest * (carried - began))

    def _warn(self, error: Exception) -> None:
        if self._log is not None:
            self._log.warning("output_store_slow", output=str(self._output), error=str(error))

    async def carry(self) -> bool:
        """Carry what is new: files, a copy of the ledger, then the index that names them.

        Returns:
            Whether it was carried: not while parts are being exchanged.
        """
        return await self._in_thread(self._carry)

    def _carry(self) -> bool:
        generation = self._held.lease.generation
        changes = changes_of(self._folder / LEDGER)
        # What is in the journal by now is in the ledger as well, and so in the copy of it that follows.
        in_ledger = self._journal.mark()
        moment = Moment(generation, self._sequence + 1)
        if not self._has_index:
            self._cargo.begin()
        index = self._cargo.pack(moment, self._note.work, self._run)
        if index is None:
            return False
        self._noted(replace(self._note, sending=moment))
        self._held.make_sure()
        self._cargo.publish(index)
        if not self._has_index:
            self._cargo.begun()
            self._has_index = True
        self._sequence = moment.sequence
        self._noted(replace(self._note, carried=moment, sending=None))
        self._held.make_sure()
        self._cargo.tidy(index)
        self._journal.forget(in_ledger)
        self._carried_changes = changes
        if self._log is not None:
            facts = {"files": len(index.files), "sequence": moment.sequence}
            self._log.debug("output_carried", output=str(self._output), **facts)
        return True

    async def finish(self) -> None:
        """Carry everything, for a run that comes to its end; then `summary.json`, for whoever looks."""
        await self._in_thread(self._finish)

    def _finish(self) -> None:
        if self._carried_changes != changes_of(self._folder / LEDGER) and not self._carry():
            raise OutputError(f"{self._folder}: its parts are being exchanged; run again to carry them")
        self._held.make_sure()
        for name in EXTRAS:
            self._cargo.send_extra(name)

    async def release(self) -> None:
        """Let others have the output; never raises, since a lease that cannot be given up lapses."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        async with self._one_at_a_time:
            await asyncio.to_thread(self._held.give_up)

    def _noted(self, note: Note) -> None:
        write_note(self._folder, note)
        self._note = note

    async def _in_thread(self, step: Callable[[], Found], *, alone: bool = True) -> Found:
        """Do something in a worker thread, to its end even if its caller is cancelled.

        Args:
            step: What.
            alone: Not while another step goes on; while parts are sent the heart beats and answers are kept.
        """

        async def done() -> Found:
            async with self._one_at_a_time if alone else nullcontext():
                try:
                    return await asyncio.to_thread(step)
                except StoreError as error:
                    raise told_error(error, self._output) from error
                except OSError as error:
                    place = error.filename or self._folder
                    what = error.strerror or type(error).__name__
                    raise OutputError(f"{place}: cannot be carried to the store: {what}") from error

        task = asyncio.ensure_future(done())
        task.add_done_callback(take_error)
        return await asyncio.shield(task)
