"""Pacers that share a file, in virtual time."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from itertools import pairwise

import pytest
from pacing_virtual_time import virtual_runner

from batchsearch.pacing import shared_file
from batchsearch.pacing.shared import SharedPacer, SlotBoardError
from batchsearch.pacing.shared_file import FileBoard, file_for


@pytest.fixture
def runner():
    with virtual_runner() as made:
        yield made


@pytest.fixture
def sharing(runner, tmp_path):
    """Makes pacers as so many processes would have them: each with a connection of its own."""
    made = []

    def make(qps=10, **options):
        clock = runner.get_loop().time
        made.append(
            SharedPacer(qps, FileBoard(tmp_path / "rate.sqlite", clock=clock), clock=clock, **options)
        )
        return made[-1]

    yield make
    for pacer in made:
        runner.run(pacer.close())


async def slots(pacer, count):
    return [await pacer.slot() for _ in range(count)]


def test_together_they_keep_one_rate_evenly(runner, sharing):
    """Three processes together leave as evenly, and as fast, as one would alone."""

    async def work():
        return await asyncio.gather(*(slots(sharing(), 20) for _ in range(3)))

    each = runner.run(work())
    times = sorted(at for one in each for at in one)
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[10:], strict=False))
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.09
    assert times[-1] - times[0] == pytest.approx(5.9, abs=0.1)
    assert max(len([at for at in one if at < times[30]]) for one in each) <= 11


def test_a_crowd_does_not_push_in(runner, sharing):
    """A process with one caller is served in its turn beside a process with fifty."""

    async def work():
        crowd = sharing()
        waiting = [asyncio.ensure_future(crowd.slot()) for _ in range(50)]
        await asyncio.sleep(1)
        asked = runner.get_loop().time()
        got = await sharing().slot()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return got - asked

    assert runner.run(work()) < 0.25


def test_a_dead_process_wastes_one_slot_at_most(runner, sharing, tmp_path):
    """A reservation whose holder was killed passes by; the next slots come as if it had been used."""

    async def work():
        pacer = sharing()
        first = await pacer.slot()
        dead = FileBoard(tmp_path / "rate.sqlite", clock=runner.get_loop().time)
        await dead.reserve(0.1, 0.0)
        await dead.close()
        return [at - first for at in await slots(pacer, 3)]

    assert runner.run(work()) == pytest.approx([0.2, 0.3, 0.4], abs=0.01)


def test_a_cancelled_callers_place_goes_to_the_next(runner, sharing):
    """The place reserved by a caller that gives up is used by the one behind it."""

    async def work():
        pacer = sharing()
        first = await pacer.slot()
        gives_up = asyncio.ensure_future(pacer.slot())
        stays = asyncio.ensure_future(pacer.slot())
        await asyncio.sleep(0.05)
        gives_up.cancel()
        return await stays - first

    assert runner.run(work()) == pytest.approx(0.1, abs=0.01)


def test_a_place_held_too_long_is_let_go(runner, sharing):
    """A process that was stopped lines up again instead of leaving at a time that is not its own."""

    async def work():
        stopped, other = sharing(), sharing()
        await stopped.slot()
        waiting = asyncio.ensure_future(stopped.slot())
        await asyncio.sleep(0.01)
        runner.get_loop().pass_time(0.75)
        begun = runner.get_loop().time()
        got = await slots(other, 2)
        return begun, sorted([await waiting, *got])

    begun, times = runner.run(work())
    assert times[0] >= begun
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.09


def test_all_learn_from_each_ones_denials(runner, sharing):
    """What one process is denied slows the others too, as soon as they take a slot."""

    async def work():
        denied, other = sharing(), sharing()
        for pacer in (denied, other) * 5:
            pacer.granted(await pacer.slot(), 0.01)
        for _ in range(3):
            denied.denied(await denied.slot(), 0.01)
        before = other.rate
        await denied.slot()
        await other.slot()
        return before, other.rate

    before, after = runner.run(work())
    assert before == pytest.approx(10)
    assert after < 10


def test_retry_after_holds_every_process(runner, sharing):
    """When the service asks one process to wait, none calls before that time."""

    async def work():
        told, other = sharing(), sharing()
        slot = await told.slot()
        told.denied(slot, 0.0, retry_after=5.0)
        waiting = asyncio.ensure_future(told.slot())
        await asyncio.sleep(0)
        return min(await other.slot(), await waiting) - slot

    assert runner.run(work()) == pytest.approx(5.0, abs=0.01)


def test_late_departures_count_for_all(runner, sharing):
    """A call that leaves late in one process keeps the second of the others, too."""

    async def work():
        late, other = sharing(2), sharing(2)
        left = []
        for number in range(12):
            pacer = (late, other)[number % 2]
            slot = await pacer.slot()
            if pacer is late and number % 4 == 0:
                runner.get_loop().pass_time(0.1)
            pacer.departed(slot)
            left.append(runner.get_loop().time())
        return left

    left = runner.run(work())
    assert all(later - earlier >= 1.0 for earlier, later in zip(left, left[2:], strict=False))


class BusyMachine(FileBoard):
    """The file on a machine that puts processes aside, now and then, right after they were on the board."""

    def __init__(self, path, loop, chance):
        super().__init__(path, clock=loop.time)
        self._loop, self._chance = loop, chance

    def put_aside(self):
        if self._chance.random() < 0.4:
            self._loop.pass_time(self._chance.choice((0.0007, 0.004, 0.03, 0.3)))

    async def take(self, visit):
        taken = await super().take(visit)
        self.put_aside()
        return taken

    async def tell(self, source, notes):
        await super().tell(source, notes)
        self.put_aside()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("qps", [2, 10])
def test_no_second_holds_more_than_the_rate_on_a_busy_machine(runner, tmp_path, qps, seed):
    """Whenever a process is put aside, no second of slots, nor of departures, holds more than the rate."""
    loop, chance = runner.get_loop(), random.Random(seed)
    slots_at, left = [], []

    async def process():
        board = BusyMachine(tmp_path / "rate.sqlite", loop, chance)
        pacer = SharedPacer(qps, board, clock=loop.time)
        for _ in range(25):
            slot = await pacer.slot()
            slots_at.append(slot)
            board.put_aside()
            left.append(loop.time())
            pacer.departed(slot)
            await asyncio.sleep(0)
        await pacer.close()

    async def work():
        await asyncio.gather(*(process() for _ in range(3)))

    runner.run(work())
    for times in (sorted(slots_at), sorted(left)):
        assert len(times) == 75
        assert min(later - earlier for earlier, later in zip(times, times[qps:], strict=False)) >= 1.0


def test_a_departure_that_comes_too_late_to_be_told_is_given_up(runner, tmp_path):
    """Put aside for more than a second a process lets its slot go: others may have filled the second."""
    loop = runner.get_loop()

    async def work():
        board = BusyMachine(tmp_path / "rate.sqlite", loop, random.Random(0))
        board.put_aside = lambda: None
        pacer = SharedPacer(10, board, clock=loop.time)
        await pacer.slot()
        aside = iter((1.5,))
        board.put_aside = lambda: loop.pass_time(next(aside, 0.0))
        await pacer.slot()
        await pacer.close()

    runner.run(work())
    connection = sqlite3.connect(tmp_path / "rate.sqlite")
    assert connection.execute("SELECT count(*) FROM note WHERE kind = 0").fetchone()[0] == 3
    connection.close()


def test_a_board_that_comes_back_is_used_again(runner, tmp_path):
    """While the file cannot be used callers wait; when it can, they go on."""

    async def work():
        clock = runner.get_loop().time
        pacer = SharedPacer(10, FileBoard(tmp_path / "gone" / "rate.sqlite", clock=clock), clock=clock)
        waiting = asyncio.ensure_future(pacer.slot())
        await asyncio.sleep(3)
        (tmp_path / "gone").mkdir()
        got = await waiting
        await pacer.close()
        return got

    assert runner.run(work()) > 1003


def test_a_board_that_stays_away_ends_the_run(runner, tmp_path):
    """After a minute without the file the run ends, resumable, and says which file."""

    async def work():
        clock = runner.get_loop().time
        await SharedPacer(10, FileBoard(tmp_path / "gone" / "rate.sqlite", clock=clock), clock=clock).slot()

    with pytest.raises(SlotBoardError, match="cannot hold the shared rate") as caught:
        runner.run(work())
    assert caught.value.exit_code == 4
    assert str(tmp_path / "gone" / "rate.sqlite") in str(caught.value)


def test_a_spoilt_file_is_named(runner, tmp_path):
    """A file that is no database is reported with its path and what to do."""
    (tmp_path / "rate.sqlite").write_bytes(b"something else entirely" * 100)
    with pytest.raises(SlotBoardError, match="remove the file"):
        runner.run(FileBoard(tmp_path / "rate.sqlite").reserve(0.1, 0.0))


def test_a_file_kept_locked_is_named(runner, tmp_path, monkeypatch):
    """A visit that never gets its turn says so, and lets the event loop go on meanwhile."""
    monkeypatch.setattr(shared_file, "_TRIES", 3)
    board = FileBoard(tmp_path / "rate.sqlite")
    runner.run(board.reserve(0.1, 0.0))
    holder = sqlite3.connect(tmp_path / "rate.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(SlotBoardError, match="keeps the shared rate locked"):
        runner.run(board.reserve(0.1, 0.0))
    holder.close()
    runner.run(board.close())


def test_notes_do_not_pile_up(runner, sharing, tmp_path):
    """However long a night, the file stays small."""

    async def work():
        pacer = sharing(20)
        for _ in range(1500):
            pacer.granted(await pacer.slot(), 0.01)

    runner.run(work())
    connection = sqlite3.connect(tmp_path / "rate.sqlite")
    assert connection.execute("SELECT count(*) FROM note").fetchone()[0] <= 2002
    connection.close()


def test_file_is_named_by_what_is_shared(tmp_path):
    """The same instance is the same file, another instance or budget another one."""
    query = file_for("host", "shoes", "query", folder=tmp_path)
    assert query == file_for("host", "shoes", "query", folder=tmp_path)
    assert query != file_for("host", "shoes", "add", folder=tmp_path)
    assert query != file_for("host", "shoesquery", folder=tmp_path)
    assert query.parent == tmp_path


def test_file_lies_in_a_private_folder(tmp_path, monkeypatch):
    """The usual folder is made for this user alone; one that others could write to is refused."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = file_for("host").parent
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(SlotBoardError, match="only this user can write to"):
        file_for("host")
