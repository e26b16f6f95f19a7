"""A ledger in which one digit became another: sound to SQLite, and still not what was written."""

import random
from pathlib import Path

import pytest

from batchsearch.engine.run.job import run_job
from batchsearch.storage.ledger.checksum import NOTE
from batchsearch.storage.ledger.store import Ledger
from batchsearch.tasks.verify.folder_check import verify_folder


@pytest.fixture
async def finished(signed_in, load):
    """The folder of a run that has ended well, and its job."""
    rows = [{"id": str(number), "image": f"p{number:02}.jpg"} for number in range(8)]
    settings = load(rows, instance__endpoint=signed_in.endpoint)
    assert (await run_job(settings)).exit_code == 0
    return settings


def problems(folder):
    return set(verify_folder(folder).findings.counts)


async def test_any_flipped_bit_of_a_ledger_is_noticed(finished):
    """Wherever it is in the file: in a header, an unused byte, a counter, or a text."""
    folder = Path(finished.output.dir)
    ledger = folder / "ledger" / "ledger.sqlite3"
    assert problems(folder) == set()
    whole = ledger.read_bytes()
    chance = random.Random(5)
    for place in [*chance.sample(range(len(whole)), 12), len(whole) - 1]:
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << chance.randrange(8)
        ledger.write_bytes(bytes(spoilt))
        found = problems(folder)
        assert found & {"ledger_changed", "ledger_damaged"}, place
    ledger.write_bytes(whole)
    assert problems(folder) == set()
    assert (await run_job(finished)).calls == 0
    assert problems(folder) == set()


async def test_a_ledger_that_is_open_or_was_left_open_is_not_compared(finished):
    """The note is taken away before anything is written, and comes back with the next good ending."""
    folder = Path(finished.output.dir) / "ledger"
    assert (folder / NOTE).is_file()
    ledger = Ledger(folder / "ledger.sqlite3")
    try:
        assert not (folder / NOTE).exists()
        await ledger.set_meta("anything", "new")
    finally:
        ledger.close()
    assert (folder / NOTE).is_file()
    assert problems(folder.parent) == set()
