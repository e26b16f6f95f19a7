"""The sign of life of a running run, and what is made of it from outside."""

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from batchsearch.config.sections.metrics_settings import MetricsSettings
from batchsearch.errors import ConfigError, OutputError
from batchsearch.storage.ledger.lock import OutputLock
from batchsearch.storage.ledger.store import Ledger
from batchsearch.tasks.status.run_status import STATES, look_at
from batchsearch.tasks.status.status_page import status_as_json, status_page
from batchsearch.telemetry.heartbeat import HEARTBEAT_FILE, Beat, Owner, read_beat, write_beat
from batchsearch.telemetry.observers import _Beats, watching
from batchsearch.telemetry.reading import Reading
from batchsearch.telemetry.stats import Stats

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
QUIET = MetricsSettings(opentelemetry=False)


@pytest.fixture
def folder(tmp_path):
    """An output folder with a ledger."""
    (tmp_path / "ledger").mkdir()
    Ledger(tmp_path / "ledger" / "ledger.sqlite3").close()
    return tmp_path


def beat(run="run-1", pid=None, **given):
    owner = Owner(run, pid or os.getpid(), "elsewhere", "SearchImageByPic", "demo", NOW - timedelta(hours=1))
    reading = Reading(NOW, total=100, done=40, ok=38, failed=2, codes={"A": 2}, calls=50, tier=5, rate=4.9)
    return Beat(owner, replace(reading, **given.pop("reading", {})), **given)


def state(folder, now=NOW):
    [run] = look_at(folder, now)
    return run.state


def test_a_beat_is_read_as_it_was_written(tmp_path):
    """Whole, and nothing else is left in the folder."""
    write_beat(tmp_path, beat(ended=True, exit_code=4, why="it is 06:00"))
    assert read_beat(tmp_path).as_dict() == beat(ended=True, exit_code=4, why="it is 06:00").as_dict()
    assert [path.name for path in tmp_path.iterdir()] == [HEARTBEAT_FILE]


def test_a_beat_replaces_the_last_one_as_a_whole(tmp_path):
    """A reader that holds the old file still reads the old one to its end."""
    write_beat(tmp_path, beat())
    with (tmp_path / HEARTBEAT_FILE).open() as before:
        write_beat(tmp_path, beat(run="run-2"))
        assert json.load(before)["run_id"] == "run-1"
    assert read_beat(tmp_path).owner.run_id == "run-2"


def test_a_folder_that_takes_no_file_stops_nothing(tmp_path):
    """The ledger will say what is wrong with the disk."""
    write_beat(tmp_path / "gone", beat())
    assert read_beat(tmp_path / "gone") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"run_id": 1}', "\x00\xff", "[" * 100_000])
def test_a_file_that_is_no_beat_is_none(tmp_path, text):
    """Whatever stands in the file, status goes on without it."""
    (tmp_path / HEARTBEAT_FILE).write_text(text, encoding="utf-8")
    assert read_beat(tmp_path) is None


async def test_a_late_beat_does_not_undo_the_last_one(tmp_path):
    """A slow disk may finish an old write after the run has ended: the end stays what is read."""
    beats = _Beats(tmp_path)
    beats._write(2, beat(ended=True, exit_code=0))
    beats._write(1, beat())
    assert read_beat(tmp_path).ended


async def test_a_watched_run_beats_and_says_how_it_ended(tmp_path):
    """There from the start; at the end marked, with exit code and reason."""
    stats = Stats(total=3)
    async with watching(tmp_path, Owner.here("run-1", "o", "i"), stats, QUIET) as watch:
        assert read_beat(tmp_path).ended is False
        stats.ok = 3
        watch.ended(4, "see https://host/x?Signature=leak")
    last = read_beat(tmp_path)
    assert (last.ended, last.exit_code, last.reading.done) == (True, 4, 3)
    assert last.why == "see https://host/x?…"


@pytest.mark.parametrize(
    ("error", "exit_code"), [(OutputError("the disk is full"), 74), (ZeroDivisionError("secret"), 70)]
)
async def test_an_error_ends_the_beat_with_its_exit_code(tmp_path, error, exit_code):
    """Our own errors say why; a defect's text could hold anything and is not kept."""
    with pytest.raises(type(error)):
        async with watching(tmp_path, Owner.here("run-1", "o", "i"), Stats(), QUIET):
            raise error
    last = read_beat(tmp_path)
    assert (last.ended, last.exit_code) == (True, exit_code)
    assert "secret" not in last.why


def test_a_fresh_beat_is_a_running_run(folder):
    """Believed without touching the lock, so that no starting run is ever in the way."""
    write_beat(folder / "ledger", beat())
    with OutputLock(folder / "ledger" / "lock", "run-1"):
        assert state(folder) == "running"


def test_a_held_lock_with_an_old_beat_is_a_silent_run(folder):
    """The process is there but stopped, or its disk hangs."""
    write_beat(folder / "ledger", beat())
    with OutputLock(folder / "ledger" / "lock", "run-1"):
        [run] = look_at(folder, NOW + timedelta(minutes=3))
    assert run.state == "silent"
    assert "has not reported for 3 min 00 s" in status_page([run])


def test_a_free_lock_with_an_unended_beat_is_a_dead_run(folder):
    """Killed: nobody holds the folder, and nobody has said that it is over. Since when is told."""
    write_beat(folder / "ledger", beat())
    (folder / "ledger" / "lock").write_text('{"run": "run-1", "pid": 1, "host": "elsewhere"}')
    [run] = look_at(folder, NOW + timedelta(hours=2))
    assert run.state == "dead"
    assert run.last_sign == NOW
    assert "2 h 00 min ago" in status_page([run])
    assert "resume" in status_page([run])


def test_a_process_that_is_gone_is_dead_at_once(folder):
    """On the same host nobody waits for the beat to grow old."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    owner = replace(beat().owner, pid=process.pid, host=os.uname().nodename)
    write_beat(folder / "ledger", replace(beat(), owner=owner))
    assert state(folder) == "dead"


def test_a_run_that_has_not_beaten_yet_is_opening(folder):
    """The lock comes before the manifest's check; an earlier run's last beat is not its own."""
    write_beat(folder / "ledger", beat(ended=True, exit_code=0))
    with OutputLock(folder / "ledger" / "lock", "run-2"):
        [run] = look_at(folder, NOW)
    assert (run.state, run.beat) == ("opening", None)
    assert f"process {os.getpid()}" in status_page([run])


def test_a_run_killed_before_its_first_beat_is_dead(folder):
    """Its name is still in the lock's file; the earlier run's end says nothing of it."""
    write_beat(folder / "ledger", beat(ended=True, exit_code=0))
    since = (NOW - timedelta(minutes=5)).isoformat()
    (folder / "ledger" / "lock").write_text(
        json.dumps({"run": "run-2", "pid": 1, "host": "x", "since": since})
    )
    [run] = look_at(folder, NOW)
    assert (run.state, run.beat, run.last_sign) == ("dead", None, NOW - timedelta(minutes=5))


def test_a_run_that_has_ended_has_its_summary(folder):
    """Exit code from the beat, the rest from summary.json."""
    write_beat(folder / "ledger", beat(ended=True, exit_code=3))
    (folder / "summary.json").write_text('{"exit_code": 3}')
    [run] = look_at(folder, NOW)
    assert (run.state, run.summary) == ("ended", {"exit_code": 3})
    assert "with exit code 3" in status_page([run])


def test_an_output_of_before_there_were_beats_is_told_from_its_ledger(folder):
    """No beat, no lock: the ledger still knows how many rows have their outcome."""
    [run] = look_at(folder, NOW)
    assert (run.state, run.outcomes) == ("ended", 0)
    assert "0 have their outcome" in status_page([run])


def test_looking_takes_no_lock_that_a_run_would_notice(folder):
    """While somebody looks at a dead run, the lock is free again at once, and the file is as it was."""
    lock = folder / "ledger" / "lock"
    lock.write_text("kept")
    look_at(folder, NOW)
    assert lock.read_text() == "kept"
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_dedup_folder_tells_of_each_run_in_it(tmp_path):
    """`search` and `sync` inside; the state of the whole is that of the busiest."""
    for name, ended in (("search", True), ("sync", False)):
        (tmp_path / name / "ledger").mkdir(parents=True)
        write_beat(tmp_path / name / "ledger", beat(ended=ended, exit_code=0 if ended else None))
    runs = look_at(tmp_path, NOW)
    assert [run.state for run in runs] == ["ended", "running"]
    told = json.loads(status_as_json(runs))
    assert (told["state"], len(told["runs"])) == ("running", 2)
    assert told["runs"][1]["progress"]["rate"] == 4.9


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_folder_where_no_run_was_is_told_so(tmp_path, name):
    """A mistyped folder is a mistake of the caller, exit code 64."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"output\.dir"):
        look_at(tmp_path / name, NOW)


def test_the_page_of_a_running_run_has_all_that_is_asked_for(folder):
    """Rows, calls, pace, what waits, failures by code, the end; no control characters from outside."""
    reading = {"codes": {"A\x1b[31m": 2}, "seconds_left": 60.0, "mean_rate": 4.8, "last_success": NOW}
    write_beat(folder / "ledger", beat(reading=reading))
    page = status_page(look_at(folder, NOW))
    for text in ("running for 1 h", "40 of 100 (40.0%)", "4.90 calls/s of 5", "being prepared", "done about"):
        assert text in page
    assert "\x1b" not in page


def test_every_state_is_explained():
    """The closed list of states is documented."""
    assert set(STATES) == {"opening", "running", "silent", "dead", "ended"}
