"""Sealing: which outcomes make a part, and what a failure does."""

import asyncio
import gc
import json
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts_rig import writer_of

from batchsearch.engine.parts.exchange import Generations
from batchsearch.engine.parts.sealer import Sealer, Writers
from batchsearch.errors import OutputError
from batchsearch.storage.ledger.entries import AnswerKey, FinishedRow, digest_of
from batchsearch.storage.parts.part_files import PartWriter

CARRIED = pa.schema([("sku", pa.string())])
PATIENCE = 20.0


def row(key, *, size=0, answers=None):
    hit = {"row_key": key, "rank": 1, "custom_content": "x" * size}
    return FinishedRow(
        digest_of(key),
        None,
        None,
        json.dumps({"row_key": key}).encode(),
        json.dumps(hit).encode() + b"\n",
        pa.record_batch([[key]], schema=CARRIED).serialize().to_pybytes(),
        has_history=False,
        answer=answers and AnswerKey(answers, 1.0),
    )


class Gate(PartWriter):
    """A writer that waits in its thread until it may write, and counts what it was asked for."""

    asked = 0

    def __init__(self, folder, **schemas):
        super().__init__(folder, **schemas)
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()

    def write(self, name, chunks):
        self.asked += 1
        self.reached.set()
        assert self.open.wait(PATIENCE)
        return super().write(name, chunks)


@pytest.fixture
def writer(tmp_path):
    return writer_of(tmp_path, CARRIED, Gate)


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def sealer(ledger, writer, log, tmp_path):
    def made(rows=1_000, seconds=1_000.0, **options):
        staged = Writers.of(tmp_path, "SearchImageByPic", CARRIED).staged
        staged.prepare()
        generations = Generations(ledger, tmp_path, writer.schemas, log)
        return Sealer(
            ledger,
            Writers(writer, staged),
            generations,
            rows_per_part=rows,
            seconds=seconds,
            log=log,
            **options,
        )

    return made


async def finished(ledger, sealer, *rows):
    for each in rows:
        await ledger.finish(each, {})
        sealer.added()


def keys(tmp_path):
    return [
        pq.read_table(path, columns=["row_key"])["row_key"].to_pylist()
        for path in sorted((tmp_path / "results").glob("part-*.parquet"))
    ]


class Log:
    """Counts parts as they are announced, and lets a test wait for them."""

    def __init__(self):
        self._changed = asyncio.Condition()
        self._notices = set()
        self.parts = []

    def debug(self, event, **about):
        assert event == "part_sealed"
        self.parts.append(about["part"])
        self._notices.add(asyncio.ensure_future(self._announce()))

    async def _announce(self):
        async with self._changed:
            self._changed.notify_all()

    async def until(self, count):
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.parts) >= count)


async def reached(writer):
    """The writer is in its thread, about to write."""
    assert await asyncio.to_thread(writer.reached.wait, PATIENCE)


async def test_enough_rows_make_a_part_and_the_rest_waits(ledger, sealer, log, tmp_path):
    """Full parts are sealed while the run goes on; what fills none waits for more."""
    sealing = sealer(rows=2)
    running = asyncio.create_task(sealing.run())
    await finished(ledger, sealing, *(row(str(n)) for n in range(5)))
    await log.until(2)
    assert keys(tmp_path) == [["0", "1"], ["2", "3"]]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await sealing.finish()
    assert keys(tmp_path) == [["0", "1"], ["2", "3"], ["4"]]


async def test_enough_bytes_make_a_part_however_few_rows(ledger, sealer, log, tmp_path):
    """Rows with much in them fill a part before their number does."""
    sealing = sealer(bytes_per_part=25_000)
    running = asyncio.create_task(sealing.run())
    await finished(ledger, sealing, *(row(str(n), size=10_000) for n in range(5)))
    await log.until(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await sealing.finish()
    assert keys(tmp_path) == [["0", "1", "2"], ["3", "4"]]


async def test_time_makes_one_part_of_what_waits(ledger, sealer, writer, log, tmp_path):
    """Rows that come while a part is written for its time wait for the next time: no part of one row each."""
    sealing = sealer(seconds=0.0)
    writer.open.clear()
    await finished(ledger, sealing, row("a"))
    running = asyncio.create_task(sealing.run())
    await reached(writer)
    sealing._seconds = 1_000.0
    reading = ledger.pending

    def pending(*arguments, **options):
        chunks = list(reading(*arguments, **options))
        asyncio.run_coroutine_threadsafe(finished(ledger, sealing, row("b")), loop).result(PATIENCE)
        return chunks

    loop = asyncio.get_running_loop()
    ledger.pending = pending
    writer.open.set()
    await log.until(1)
    async with sealing._one_at_a_time:
        assert writer.asked == 1
    assert keys(tmp_path) == [["a"]]
    assert ledger.waiting().rows == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_an_earlier_run_left_is_sealed(ledger, sealer, tmp_path):
    """Outcomes that nobody announced are sealed all the same: the ledger knows them."""
    for key in "abc":
        await ledger.finish(row(key), {})
    await sealer(rows=2).finish()
    assert keys(tmp_path) == [["a", "b"], ["c"]]
    assert ledger.waiting().rows == 0


async def test_an_output_without_rows_gets_one_empty_part_and_only_one(ledger, sealer, tmp_path):
    """A run that has nothing left seals the columns once; rows that come later have the next part."""
    await sealer().finish()
    assert keys(tmp_path) == []
    await sealer().finish(at_least_one=True)
    await sealer().finish(at_least_one=True)
    assert keys(tmp_path) == [[]]
    await ledger.finish(row("a", answers=b"request"), {})
    await sealer().finish(at_least_one=True)
    assert keys(tmp_path) == [[], ["a"]]
    assert ledger.answer(b"request").parts == (("", "part-000002.parquet"),)


async def test_answers_are_found_in_the_part_that_holds_them(ledger, sealer):
    """Parts of any size, cut by rows or bytes, are found by the number of the outcome."""
    await finished(ledger, sealer(), *(row(str(n), answers=b"r%d" % n) for n in range(5)))
    await sealer(rows=2).finish()
    found = [ledger.answer(b"r%d" % n).parts for n in range(5)]
    assert found == [(("", f"part-00000{number}.parquet"),) for number in (1, 1, 2, 2, 3)]


async def test_a_failure_ends_the_sealing_and_finishing_as_well(ledger, sealer, writer, tmp_path):
    """A part that cannot be written is an error of `run`; `finish` says so again and writes nothing."""
    (tmp_path / "results" / "part-000001.parquet").mkdir()
    sealing = sealer(rows=1)
    await finished(ledger, sealing, row("a"))
    with pytest.raises(OutputError, match="Is a directory"):
        await asyncio.wait_for(sealing.run(), PATIENCE)
    with pytest.raises(OutputError, match="Is a directory"):
        await sealing.finish(at_least_one=True)
    assert writer.asked == 1
    assert ledger.waiting().rows == 1


async def test_a_failure_after_the_sealing_was_cancelled_is_an_error_of_finish(
    ledger, sealer, writer, tmp_path
):
    """What nobody awaits any more is not lost: it comes out of `finish`, and nowhere else."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about))
    (tmp_path / "results" / "part-000001.parquet").mkdir()
    writer.open.clear()
    sealing = sealer(rows=1)
    await finished(ledger, sealing, row("a"))
    running = asyncio.create_task(sealing.run())
    await reached(writer)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
    finishing = asyncio.create_task(sealing.finish())
    writer.open.set()
    with pytest.raises(OutputError, match="Is a directory"):
        await finishing
    assert writer.asked == 1
    del running, finishing
    gc.collect()
    assert complaints == []


async def test_a_part_being_written_when_sealing_is_cancelled_is_written_once(
    ledger, sealer, writer, tmp_path
):
    """`finish` waits for the part that is being written, and writes only what it left."""
    writer.open.clear()
    sealing = sealer(rows=1)
    await finished(ledger, sealing, row("a"))
    running = asyncio.create_task(sealing.run())
    await reached(writer)
    await finished(ledger, sealing, row("b"))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    first = asyncio.create_task(sealing.finish())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    writer.open.set()
    await sealing.finish()
    assert sorted(key for part in keys(tmp_path) for key in part) == ["a", "b"]
    assert sum(part.rows for part in ledger.parts()) == 2
    assert writer.asked == len(ledger.parts()) == 2
