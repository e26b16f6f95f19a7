"""Pacers that share a file, in virtual time."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from itertools import pairwise

import pytest
from pacing_virtual_time import in_virtual_time, now, pass_time, slots

from batchsearch.pacing import shared_file
from batchsearch.pacing.shared import SharedPacer, SlotBoardError
from batchsearch.pacing.shared_file import FileBoard, file_for


@pytest.fixture
def rate(tmp_path):
    """The file that is shared."""
    return tmp_path / "rate.sqlite"


@pytest.fixture
def sharing(rate):
    """Makes pacers as so many processes would have them: each with a connection of its own."""
    made = []

    def make(qps=10):
        made.append(SharedPacer(qps, FileBoard(rate, clock=now), clock=now))
        return made[-1]

    yield make
    for pacer in made:
        asyncio.run(pacer.close())


def notes(rate, kind="kind"):
    """How many notes the file has."""
    with closing(sqlite3.connect(rate)) as connection:
        return connection.execute(f"SELECT count(*) FROM note WHERE kind = {kind}").fetchone()[0]


@in_virtual_time
async def test_together_they_keep_one_rate_evenly(sharing):
    """Three processes together leave as evenly, and as fast, as one would alone."""
    each = await asyncio.gather(*(slots(sharing(), 20) for _ in range(3)))
    times = sorted(at for one in each for at in one)
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[10:], strict=False))
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.09
    assert times[-1] - times[0] == pytest.approx(5.9, abs=0.1)
    assert max(len([at for at in one if at < times[30]]) for one in each) <= 11


@in_virtual_time
async def test_a_crowd_does_not_push_in(sharing):
    """A process with one caller is served in its turn beside a process with fifty."""
    crowd = sharing()
    waiting = [asyncio.ensure_future(crowd.slot()) for _ in range(50)]
    await asyncio.sleep(1)
    asked = now()
    got = await sharing().slot()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert got - asked < 0.25


@in_virtual_time
async def test_a_dead_process_wastes_one_slot_at_most(sharing, rate):
    """A reservation whose holder was killed passes by; the next slots come as if it had been used."""
    pacer = sharing()
    first = await pacer.slot()
    dead = FileBoard(rate, clock=now)
    await dead.reserve(0.1, 0.0)
    await dead.close()
    assert [at - first for at in await slots(pacer, 3)] == pytest.approx([0.2, 0.3, 0.4], abs=0.01)


@in_virtual_time
async def test_a_cancelled_callers_place_goes_to_the_next(sharing):
    """The place reserved by a caller that gives up is used by the one behind it."""
    pacer = sharing()
    first = await pacer.slot()
    gives_up = asyncio.ensure_future(pacer.slot())
    stays = asyncio.ensure_future(pacer.slot())
    await asyncio.sleep(0.05)
    gives_up.cancel()
    assert await stays - first == pytest.approx(0.1, abs=0.01)


@in_virtual_time
async def test_a_place_held_too_long_is_let_go(sharing):
    """A process that was stopped lines up again instead of leaving at a time that is not its own."""
    stopped, other = sharing(), sharing()
    await stopped.slot()
    waiting = asyncio.ensure_future(stopped.slot())
    await asyncio.sleep(0.01)
    pass_time(0.75)
    begun = now()
    got = await slots(other, 2)
    times = sorted([await waiting, *got])
    assert times[0] >= begun
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.09


@in_virtual_time
async def test_all_learn_from_each_ones_denials(sharing):
    """What one process is denied slows the others too, as soon as they take a slot."""
    denied, other = sharing(), sharing()
    for pacer in (denied, other) * 5:
        pacer.granted(await pacer.slot(), 0.01)
    for _ in range(3):
        denied.denied(await denied.slot(), 0.01)
    before = other.rate
    await denied.slot()
    await other.slot()
    assert before == pytest.approx(10)
    assert other.rate < 10


@in_virtual_time
async def test_retry_after_holds_every_process(sharing):
    """When the service asks one process to wait, none calls before that time."""
    told, other = sharing(), sharing()
    slot = await told.slot()
    told.denied(slot, 0.0, retry_after=5.0)
    waiting = asyncio.ensure_future(told.slot())
    await asyncio.sleep(0)
    assert min(await other.slot(), await waiting) - slot == pytest.approx(5.0, abs=0.01)


@in_virtual_time
async def test_late_departures_count_for_all(sharing):
    """A call that leaves late in one process keeps the second of the others, too."""
    late, other = sharing(2), sharing(2)
    left = []
    for number in range(12):
        pacer = (late, other)[number % 2]
        slot = await pacer.slot()
        if pacer is late and number % 4 == 0:
            pass_time(0.1)
        pacer.departed(slot)
        left.append(now())
    assert all(later - earlier >= 1.0 for earlier, later in zip(left, left[2:], strict=False))


class BusyMachine(FileBoard):
    """The file on a machine that puts processes aside, now and then, right after they were on the board."""

    def __init__(self, path, chance):
        super().__init__(path, clock=now)
        self._chance = chance

    def put_aside(self):
        if self._chance.random() < 0.4:
            pass_time(self._chance.choice((0.0007, 0.004, 0.03, 0.3)))

    async def take(self, visit):
        taken = await super().take(visit)
        self.put_aside()
        return taken

    async def tell(self, source, notes):
        await super().tell(source, notes)
        self.put_aside()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("qps", [2, 10])
@in_virtual_time
async def test_no_second_holds_more_than_the_rate_on_a_busy_machine(rate, qps, seed):
    """Whenever a process is put aside, no second of slots, nor of departures, holds more than the rate."""
    chance = random.Random(seed)
    slots_at, left = [], []

    async def process():
        board = BusyMachine(rate, chance)
        pacer = SharedPacer(qps, board, clock=now)
        for _ in range(25):
            slot = await pacer.slot()
            slots_at.append(slot)
            board.put_aside()
            left.append(now())
            pacer.departed(slot)
            await asyncio.sleep(0)
        await pacer.close()

    await asyncio.gather(*(process() for _ in range(3)))
    for times in (sorted(slots_at), sorted(left)):
        assert len(times) == 75
        assert min(later - earlier for earlier, later in zip(times, times[qps:], strict=False)) >= 1.0


@in_virtual_time
async def test_a_departure_that_comes_too_late_to_be_told_is_given_up(rate):
    """Put aside for more than a second a process lets its slot go: others may have filled the second."""
    board = BusyMachine(rate, random.Random(0))
    board.put_aside = lambda: None
    pacer = SharedPacer(10, board, clock=now)
    await pacer.slot()
    aside = iter((1.5,))
    board.put_aside = lambda: pass_time(next(aside, 0.0))
    await pacer.slot()
    await pacer.close()
    assert notes(rate, kind=0) == 3


@in_virtual_time
async def test_a_board_that_comes_back_is_used_again(tmp_path):
    """While the file cannot be used callers wait; when it can, they go on."""
    pacer = SharedPacer(10, FileBoard(tmp_path / "gone" / "rate.sqlite", clock=now), clock=now)
    waiting = asyncio.ensure_future(pacer.slot())
    await asyncio.sleep(3)
    (tmp_path / "gone").mkdir()
    got = await waiting
    await pacer.close()
    assert got > 1003


@in_virtual_time
async def test_a_board_that_stays_away_ends_the_run(tmp_path):
    """After a minute without the file the run ends, resumable, and says which file."""
    gone = tmp_path / "gone" / "rate.sqlite"
    with pytest.raises(SlotBoardError, match="cannot hold the shared rate") as caught:
        await SharedPacer(10, FileBoard(gone, clock=now), clock=now).slot()
    assert caught.value.exit_code == 4
    assert str(gone) in str(caught.value)


@in_virtual_time
async def test_a_spoilt_file_is_named(rate):
    """A file that is no database is reported with its path and what to do."""
    rate.write_bytes(b"something else entirely" * 100)
    with pytest.raises(SlotBoardError, match="remove the file"):
        await FileBoard(rate).reserve(0.1, 0.0)


@in_virtual_time
async def test_a_file_kept_locked_is_named(rate, monkeypatch):
    """A visit that never gets its turn says so, and lets the event loop go on meanwhile."""
    monkeypatch.setattr(shared_file, "_TRIES", 3)
    board = FileBoard(rate)
    await board.reserve(0.1, 0.0)
    holder = sqlite3.connect(rate, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(SlotBoardError, match="keeps the shared rate locked"):
        await board.reserve(0.1, 0.0)
    holder.close()
    await board.close()


@in_virtual_time
async def test_notes_do_not_pile_up(sharing, rate):
    """However long a night, the file stays small."""
    pacer = sharing(20)
    for _ in range(1500):
        pacer.granted(await pacer.slot(), 0.01)
    assert notes(rate) <= 2002


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
