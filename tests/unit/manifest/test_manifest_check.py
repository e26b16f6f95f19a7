"""A check that nobody waits for any more."""

import asyncio
import threading
from pathlib import Path

import pytest

from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.engine.run.manifest_check import checked
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.manifest.whole_check import CheckStoppedError


def test_a_check_ends_with_whoever_waits_for_it():
    """Cancelled, the check's thread is told to stop before its work is done."""
    began, told = asyncio.Event(), threading.Event()
    loop = None

    class Endless:
        def check(self, stop):
            loop.call_soon_threadsafe(began.set)
            assert stop.wait(60)
            told.set()

    async def do():
        nonlocal loop
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(checked(Endless()))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(do())
    assert told.is_set()


def test_a_check_stops_between_pieces(tmp_path):
    """A manifest is not read on once it is told to stop."""
    (tmp_path / "m.csv").write_text("id\n1\n")
    manifest = Manifest.open(ManifestSettings(path="m.csv", key="id"), base=Path(tmp_path), wanted=Wanted())
    stop = threading.Event()
    assert manifest.check(stop) == 1
    stop.set()
    with pytest.raises(CheckStoppedError):
        manifest.check(stop)
