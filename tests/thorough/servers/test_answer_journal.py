"""Answers that are in the store before they count, over the S3 protocol of a real server."""

import asyncio
import zlib

import pytest
from store_rig import DayLater

from batchsearch.config.sections.store_settings import ConnectionsSettings, StoreConnection
from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.storage.ledger.entries import AnswerKey, FinishedRow, UsageKey, digest_of
from batchsearch.storage.ledger.store import Ledger
from batchsearch.storage.remote.answer_journal import Attempted, JournalRecord, packed, unpacked
from batchsearch.storage.remote.cargo import LEDGER
from batchsearch.storage.remote.mirror import Mirror
from batchsearch.storage.remote.rhythm import Rhythm
from batchsearch.storage.stores.address import parse_address
from batchsearch.storage.stores.object_store import ObjectStore, Patience

CALLS = UsageKey("2026-11-27", "shop", "SearchImageByPic", "calls")


def outcome(key, *, at=1.0, replaces=False, code=None):
    return JournalRecord(
        FinishedRow(
            digest_of(key),
            code,
            None if code is None else "api",
            f'{{"row_key": "{key}"}}'.encode(),
            b"",
            b"\x00\xff carried",
            has_history=False,
            answer=AnswerKey(bytes(32), at) if code is None else None,
            finished_at=at,
            request=bytes(16),
            replaces=replaces,
        ),
        {CALLS: 1},
    )


@pytest.fixture
def machine(s3_server, bucket, tmp_path):
    """Makes runs over one output, each on a machine of its own."""

    def made(name, *, lapsed=False, **rhythm):
        output = parse_address(f"s3://{bucket}/night")
        connections = ConnectionsSettings(s3=StoreConnection(endpoint=s3_server))
        store = ObjectStore("s3", connections, wanted_for="tests", writes=True, patience=Patience(2, (0.01,)))
        (tmp_path / name).mkdir(exist_ok=True)
        return Mirror(
            DayLater(store) if lapsed else store,
            output,
            tmp_path / name,
            run=name,
            files_of=lambda _: [],
            rhythm=Rhythm(**rhythm),
            journal_seconds=0.01,
        )

    return made


def told(ledger):
    """What a ledger says of rows, attempts and calls."""
    histories = {digest: len(history.attempts) for digest, history in ledger.histories().items()}
    return ledger.finished_count(), histories, dict(ledger.usage())


class Run:
    """A run on a machine: it holds the output, its ledger is open."""

    def __init__(self, mirror):
        self.mirror = mirror
        self.ledger = None

    async def __aenter__(self):
        await self.mirror.take()
        (self.mirror._folder / LEDGER).parent.mkdir(exist_ok=True)
        self.ledger = Ledger(self.mirror._folder / LEDGER)
        await self.mirror.take_up(self.ledger)
        return self

    async def __aexit__(self, *_):
        self.ledger.close()
        await self.mirror.release()

    async def dies(self):
        """As if it were killed: nothing more is carried, the lease stays."""
        self.ledger.close()
        self.mirror._beating.cancel()
        await asyncio.gather(self.mirror._beating, return_exceptions=True)

    async def answered(self, record):
        what = record.what
        if isinstance(what, Attempted):
            await self.ledger.attempt(what.digest, what.number, what.detail, record.usage, page=what.page)
        else:
            await self.ledger.finish(what, record.usage)
        await self.mirror.keep(record)


def test_records_come_back_as_they_were():
    """Bytes, nulls, pages and counters."""
    records = [
        outcome("a"),
        outcome("b", at=2.5, replaces=True, code="PictureError"),
        JournalRecord(Attempted(digest_of("c"), 2, "{}", (1, b"\x00page")), {}),
        JournalRecord(Attempted(digest_of("c"), 3, '{"é": 1}'), {CALLS: 2}),
    ]
    assert unpacked(packed(records)) == records


async def test_another_machine_has_every_answer_that_counted(machine):
    """What was kept after the last carrying is in its ledger, counted once, however often it is read."""
    first = await Run(machine("one")).__aenter__()
    await first.answered(outcome("before"))
    await first.mirror.carry()
    await asyncio.gather(*(first.answered(outcome(f"r{n}")) for n in range(5)))
    await first.answered(JournalRecord(Attempted(digest_of("x"), 1, "{}", (1, b"p")), {CALLS: 1}))
    await first.answered(outcome("r1", at=2.0, replaces=True))
    expected = told(first.ledger)
    await first.dies()
    for number in range(2):  # the second machine dies, too, before it has carried anything of its own
        other = await Run(machine(f"other-{number}", lapsed=True)).__aenter__()
        assert told(other.ledger) == expected
        await other.dies()
    last = await Run(machine("last", lapsed=True)).__aenter__()
    await last.mirror.carry()
    assert not last.mirror._store.listing(last.mirror._output.below("_carried", "journal"))
    await last.dies()
    async with Run(machine("again", lapsed=True)) as again:
        assert told(again.ledger) == expected


async def test_what_a_lapsed_holder_keeps_late_changes_nothing(machine):
    """The row has the outcome of the one that has taken over."""
    first = await Run(machine("one")).__aenter__()
    await first.mirror.carry()
    second = await Run(machine("two", lapsed=True)).__aenter__()
    await second.answered(outcome("r", at=5.0))
    await first.answered(outcome("r", at=9.0, code="Late"))
    expected = told(second.ledger)
    await second.mirror.carry()
    await second.dies()
    await first.dies()
    async with Run(machine("three", lapsed=True)) as third:
        assert told(third.ledger) == expected


async def test_an_answer_does_not_count_that_cannot_be_kept(machine):
    """Whoever waits for it is told that the store does not take it."""
    async with Run(machine("one")) as run:
        await run.mirror.carry()
        run.mirror._held._lease, lease = None, run.mirror._held._lease
        with pytest.raises(OutputError, match="does not hold it"):
            await run.answered(outcome("r"))
        run.mirror._held._lease = lease


async def test_a_journal_that_cannot_be_read_is_named(machine):
    """The object, and what becomes of its calls."""
    first = machine("one")
    await first.take()
    first._store.put(first._output.below("_carried", "journal", "00000001-00000001.z"), zlib.compress(b"{"))
    await first.release()
    with pytest.raises(OutputDamagedError, match=r"00000001-00000001\.z.*once more"):
        await Run(machine("two")).__aenter__()
