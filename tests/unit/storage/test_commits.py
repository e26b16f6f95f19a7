"""Records that cannot be written, and a writing thread that is gone: everybody is told, and nobody waits."""

import asyncio
import sqlite3
import threading
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from batchsearch.errors import OutputError
from batchsearch.storage.ledger.commits import GroupCommits, Record
from batchsearch.storage.ledger.entries import FinishedRow, UsageKey, Waiting, digest_of
from batchsearch.storage.ledger.store import Ledger
from batchsearch.storage.sealed_part import SealedPart

USAGE = UsageKey("2026-11-21", "demo", "SearchImageByPic", "calls")
PATIENCE = 20.0


def row(key, code=None):
    return FinishedRow(digest_of(key), code, None, b"{}", b"", b"c", has_history=False)


async def outcomes(*calls):
    """What became of calls that were made at once."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*calls, return_exceptions=True)


@asynccontextmanager
async def held_up(ledger):
    """The writing thread comes around only after the block: what is handed over within it is one group."""
    reached, go_on = threading.Event(), threading.Event()

    def wait(_connection):
        reached.set()
        go_on.wait(PATIENCE)

    waiting = ledger._commits.submit(Record(wait))
    await asyncio.to_thread(reached.wait, PATIENCE)
    try:
        yield
        # The tasks that the block made hand their records over now.
        await asyncio.sleep(0)
    finally:
        go_on.set()
    await waiting


BAD = {
    "half a surrogate pair": lambda ledger: ledger.finish(row("bad", "Vendor\ud800"), {}),
    "an unsupported type": lambda ledger: ledger.attempt(digest_of("bad"), 1, object(), {}),
    "a number that SQLite cannot hold": lambda ledger: ledger.finish(row("bad"), {USAGE: 2**70}),
    "usage that is none": lambda ledger: ledger.finish(row("bad"), {"calls": 1}),
    "a row that is finished": lambda ledger: ledger.finish(row("0"), {USAGE: 1}),
}


@pytest.mark.parametrize("why", BAD)
async def test_only_the_bad_record_of_a_group_fails(ledger, why):
    """Whatever is wrong with a record, those that share its transaction are kept, and counted once."""
    good = [ledger.finish(row(str(number)), {USAGE: 1}) for number in range(50)]
    *found, refused, last = await outcomes(*good, BAD[why](ledger), ledger.finish(row("last"), {USAGE: 1}))
    assert (found, last) == ([None] * 50, None)
    assert isinstance(refused, OutputError)
    assert "ledger.sqlite3: the ledger cannot be written" in str(refused)
    assert ledger.finished_count() == 51
    assert ledger.usage() == {USAGE: 51}
    assert ledger.waiting() == Waiting(51, 51 * 3)


async def test_what_would_end_a_thread_ends_only_its_record(ledger):
    """An exit in the middle of a record is told to whoever gave it; the thread goes on."""

    async def leaving():
        def leave(_connection):
            raise SystemExit(3)

        await ledger._commits.submit(Record(leave))

    found = await outcomes(leaving(), ledger.finish(row("a"), {}))
    assert isinstance(found[0], OutputError)
    assert found[1] is None
    await ledger.finish(row("b"), {})
    assert ledger.finished_count() == 2


async def test_a_disk_that_refuses_fails_the_group_and_tells_everyone(ledger, tmp_path):
    """A database that is full is nobody's fault: all that wait are told, and nothing of them is kept."""
    await ledger.finish(row("before"), {})
    writer = ledger._commits._connection
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    large = replace(row("large"), result=b"x" * 100_000)
    async with held_up(ledger):
        calls = [asyncio.ensure_future(ledger.finish(large, {}))]
        calls += [asyncio.ensure_future(ledger.finish(row(str(n)), {})) for n in range(5)]
    found = await outcomes(*calls)
    assert all(isinstance(error, OutputError) for error in found)
    assert "full" in str(found[0])
    assert ledger.finished_count() == 1
    assert ledger.waiting() == Waiting(1, 3)


async def test_what_comes_after_the_thread_died_is_refused_at_once(tmp_path):
    """A thread that is gone leaves nobody waiting: neither those in its queue nor those who come later."""
    connection = sqlite3.connect(tmp_path / "l", isolation_level=None, check_same_thread=False)

    def fails(_connection):
        raise MemoryError

    commits = GroupCommits(tmp_path / "l", connection, add_usage=lambda *_: None, after_failure=fails)
    doomed = [commits.submit(Record(lambda c: c.execute("not SQL"))) for _ in range(3)]
    for error in await outcomes(*doomed):
        assert isinstance(error, OutputError)
    commits._thread.join(PATIENCE)
    with pytest.raises(OutputError, match="can no longer be written: MemoryError"):
        commits.submit(Record(lambda _: None))
    commits.close()


async def test_a_closed_ledger_refuses(tmp_path):
    """Writing to a ledger after `close` is an error at once, and closing twice does nothing."""
    ledger = Ledger(tmp_path / "l")
    ledger.close()
    with pytest.raises(OutputError, match="the ledger is closed"):
        await ledger.finish(row("a"), {})
    with pytest.raises(OutputError, match="cannot be read"):
        ledger.finished_count()
    ledger.close()


def test_a_caller_whose_loop_is_gone_does_not_stop_the_thread(tmp_path):
    """Somebody who hands over and leaves does no harm to those who come after."""
    ledger = Ledger(tmp_path / "l")

    async def leaves():
        for number in range(100):
            ledger._commits.submit(
                Record(lambda c, n=number: c.execute("INSERT INTO meta VALUES (?, '')", (n,)))
            )

    async def stays():
        async with asyncio.timeout(PATIENCE):
            await ledger.finish(row("a"), {})

    asyncio.run(leaves())
    asyncio.run(stays())
    assert ledger.finished_count() == 1
    ledger.close()


async def test_a_part_that_lacks_rows_is_not_sealed(ledger):
    """Outcomes leave the ledger only with a part that holds as many: none can be lost by a wrong count."""
    for key in "abc":
        await ledger.finish(row(key), {})
    with pytest.raises(OutputError, match=r"has 2 rows where 3 wait"):
        await ledger.seal(SealedPart("part-000001.parquet", 2, 0, "r", "h", 1, 3))
    assert ledger.parts() == []
    assert ledger.waiting() == Waiting(3, 9)
    await ledger.seal(SealedPart("part-000001.parquet", 2, 0, "r", "h", 1, 2))
    assert ledger.waiting() == Waiting(1, 3)


async def test_what_waits_is_known_again_after_opening(tmp_path):
    """Rows and bytes that an earlier run left are counted from the file."""
    first = Ledger(tmp_path / "l")
    await first.finish(row("a"), {})
    first.close()
    again = Ledger(tmp_path / "l")
    assert again.waiting() == Waiting(1, 3)
    again.close()


async def test_pending_chunks_are_bounded_by_bytes(ledger):
    """A chunk ends with the row that reaches its bytes; a row larger than that is a chunk of its own."""
    sizes = [100, 100, 5_000, 10, 10, 10]
    for number, size in enumerate(sizes):
        await ledger.finish(replace(row(str(number)), result=b"x" * size, carried=b""), {})
    chunks = [[len(entry.result) for entry in chunk] for chunk in ledger.pending(100, chunk_bytes=150)]
    assert chunks == [[100, 100], [5_000], [10, 10, 10]]
    chunks = [[len(entry.result) for entry in chunk] for chunk in ledger.pending(100, most_bytes=5_200)]
    assert chunks == [[100, 100, 5_000]]
    assert [len(chunk) for chunk in ledger.pending(4, chunk=3)] == [3, 1]
