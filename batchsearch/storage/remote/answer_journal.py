"""What was answered since the last carrying, kept in the store before it counts: no call of it is repeated.

::

    output/_carried/journal/<generation>-<number>.z     outcomes and attempts, JSON lines, deflated

Objects are written once and read by whoever takes the output over: first the index and its ledger come down,
then what the journal has beyond them is put into that ledger, in order. What is there already stays as it is,
so that reading one twice, or one that a run wrote which had lost its lease, changes nothing. Objects are
removed when an index names a ledger that holds what they say.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
import zlib
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.storage.ledger.entries import AnswerKey, FinishedRow, UsageKey
from batchsearch.storage.remote.lease import numbered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from batchsearch.storage.ledger.store import Ledger
    from batchsearch.storage.stores.address import StoreAddress
    from batchsearch.storage.stores.object_store import ObjectStore

_FOLDER: Final = ("_carried", "journal")
_NAME: Final = re.compile(r"(\d{8})-(\d{8})\.z")
_BYTES: Final = ("digest", "result", "hits", "carried", "request", "source")


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt that did not end its row; see `Ledger.attempt`."""

    digest: bytes
    number: int
    detail: str
    page: tuple[int, bytes] | None = None
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """What a ledger was told, and what it had cost."""

    what: FinishedRow | Attempted
    usage: Mapping[UsageKey, int]


class AnswerJournal:
    """The journal of an output, for the run that holds it; used by one thread at a time.

    Args:
        store: Where the output is.
        output: Its address.
    """

    def __init__(self, store: ObjectStore, output: StoreAddress) -> None:
        self._store = store
        self._folder = output.below(*_FOLDER)
        self._known: list[StoreAddress] = []
        self._read = False
        self._number = 0

    def put(self, generation: int, records: Iterable[JournalRecord]) -> None:
        """Keep records; on return they are durable.

        Raises:
            StoreError: The store does not take them.
        """
        place = self._folder.below(numbered(generation, f"-{self._number + 1:08d}.z"))
        self._store.put(place, packed(records))
        self._number += 1
        self._known.append(place)

    def read(self) -> list[JournalRecord]:
        """All that was kept and is not in an index yet, in order.

        Raises:
            OutputDamagedError: An object is not what a run writes.
            StoreError: The store cannot be read.
        """
        found: list[JournalRecord] = []
        for facts in self._store.listing(self._folder):
            if _NAME.fullmatch(facts.address.path.rpartition("/")[2]):
                try:
                    found += unpacked(self._store.read(facts))
                except (ValueError, KeyError, TypeError, zlib.error) as error:
                    raise OutputDamagedError(
                        f"{facts.address}: cannot be read ({type(error).__name__}); remove it, and the calls "
                        "whose answers it holds are made once more"
                    ) from error
                self._known.append(facts.address)
        self._read = True
        return found

    def mark(self) -> int:
        """How much there is now: what `forget` takes, once a later copy of the ledger is in the index."""
        return len(self._known) if self._read else 0

    def forget(self, mark: int) -> None:
        """Remove what an index has made needless.

        Raises:
            StoreError: The store refuses.
        """
        self._store.delete(self._known[:mark])
        del self._known[:mark]


async def replayed(ledger: Ledger, records: Iterable[JournalRecord]) -> int:
    """Put into a ledger what it does not have of a journal.

    Returns:
        How many outcomes that were.

    Raises:
        OutputError: The ledger cannot be read or written.
    """
    count = 0
    attempts = {digest: len(history.attempts) for digest, history in ledger.histories().items()}
    for record in records:
        what = record.what
        state = ledger.states([what.digest]).get(what.digest)
        if isinstance(what, Attempted):
            if (state is None or state.finished_at < what.at) and attempts.get(what.digest, 0) < what.number:
                await ledger.attempt(what.digest, what.number, what.detail, record.usage, page=what.page)
                attempts[what.digest] = what.number
        elif state is None or (what.replaces and state.finished_at < what.finished_at):
            await ledger.finish(replace(what, replaces=state is not None, has_history=True), record.usage)
            attempts.pop(what.digest, None)
            count += 1
    return count


def packed(records: Iterable[JournalRecord]) -> bytes:
    """Records as an object holds them."""
    return zlib.compress("\n".join(json.dumps(_plain(record)) for record in records).encode())


def unpacked(data: bytes) -> list[JournalRecord]:
    """The records that an object holds.

    Raises:
        ValueError: It is none; as do KeyError, TypeError and zlib.error say.
    """
    return [_record(json.loads(line)) for line in zlib.decompress(data).splitlines()]


def _plain(record: JournalRecord) -> dict[str, Any]:
    what = record.what
    usage = [
        [key.day, key.instance, key.operation, key.counter, amount] for key, amount in record.usage.items()
    ]
    if isinstance(what, Attempted):
        page = None if what.page is None else [what.page[0], _text(what.page[1])]
        said: dict[str, Any] = {"number": what.number, "detail": what.detail, "page": page, "at": what.at}
        return {"attempt": {"digest": _text(what.digest), **said}, "usage": usage}
    values = asdict(what)
    for name in _BYTES:
        values[name] = _text(values[name])
    if what.answer is not None:
        values["answer"] = [_text(what.answer.request_key), what.answer.answered_at]
    return {"finish": values, "usage": usage}


def _record(values: dict[str, Any]) -> JournalRecord:
    usage = {UsageKey(*each[:4]): int(each[4]) for each in values["usage"]}
    if "attempt" in values:
        said = values["attempt"]
        page = None if said["page"] is None else (int(said["page"][0]), _bytes(said["page"][1]) or b"")
        digest = _bytes(said["digest"]) or b""
        return JournalRecord(Attempted(digest, said["number"], said["detail"], page, said["at"]), usage)
    said = values["finish"]
    for name in _BYTES:
        said[name] = _bytes(said[name])
    if said["answer"] is not None:
        said["answer"] = AnswerKey(_bytes(said["answer"][0]) or b"", said["answer"][1])
    return JournalRecord(FinishedRow(**said), usage)


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b85encode(data).decode("ascii")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b85decode(text)


class AnswerGroups:
    """Gathers records for a moment, so that the store is asked a few times a second at most.

    Args:
        seconds: How long a group is gathered.
        put: Keeps a group; raises OutputError where that cannot be.
    """

    def __init__(self, seconds: float, put: Callable[[Sequence[JournalRecord]], Awaitable[None]]) -> None:
        self._seconds = seconds
        self._put = put
        self._records: list[JournalRecord] = []
        self._kept: asyncio.Future[None] | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def keep(self, record: JournalRecord) -> None:
        """Keep a record; returns when it is in the store."""
        self._records.append(record)
        if self._kept is None:
            self._kept = asyncio.get_running_loop().create_future()
            self._kept.add_done_callback(take_error)
        kept = self._kept
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep_groups())
        await asyncio.shield(kept)

    async def _keep_groups(self) -> None:
        while self._kept is not None:
            await asyncio.sleep(self._seconds)
            # Whoever comes from now on is of the next group.
            records, kept = self._records, self._kept
            self._records, self._kept = [], None
            try:
                await self._put(records)
            except OutputError as error:
                kept.set_exception(error)
            else:
                kept.set_result(None)


def take_error(task: asyncio.Future[Any]) -> None:
    """Have an error that nobody waits for any more not be told as a lost one."""
    if not task.cancelled():
        task.exception()
