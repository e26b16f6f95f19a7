"""Real small file systems, full, read-only, gone or without power: the run stops, and goes on when mended."""

import contextlib
import json
import sqlite3

import pytest
from crash_rig.campaign import MOST_REPEATED, seeded
from crash_rig.checks import never_wrong, repeats, same_output, whole
from crash_rig.mounts import Ext4, fill, memory, remount, why_not
from crash_rig.power import acknowledged
from run_rig import command

from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.storage.ledger.damage import refusal

pytestmark = pytest.mark.timeout(300)

tmpfs = pytest.mark.skipif(why_not("mount", "umount") is not None, reason=str(why_not("mount", "umount")))
_EXT4_NEEDS = ("mount", "umount", "mkfs.ext4", "losetup")
ext4 = pytest.mark.skipif(why_not(*_EXT4_NEEDS) is not None, reason=str(why_not(*_EXT4_NEEDS)))


@pytest.fixture(scope="module")
def job(world, runs):
    """Some hundred rows of ten hits each: enough to fill a small disk."""
    return world.left_alone(runs, world.names_job(120, name="small-disk"))


def start(world, runs, job, folder, number):
    """The so-manieth run over an output folder; what it says goes to another disk."""
    output = world.place("said").with_suffix(".txt")
    arguments = ["run", job.file, "--no-progress", "--set", f"output.dir={folder}"]
    arguments += ["--log-level", "debug", "--log-format", "json"]
    return runs.start(arguments, output, environ=world.environ(number))


def message_of(process):
    """What the line for schedulers says of the failure."""
    lines = [json.loads(line) for line in process.text().splitlines() if line.startswith('{"status"')]
    assert lines, process.text()
    return lines[-1]["message"]


def finishes(world, runs, job, folder, runs_before, *, most=MOST_REPEATED):
    """Run again to the end: whole, the same rows, and no more calls repeated than were out."""
    process = start(world, runs, job, folder, runs_before)
    assert process.wait() == 0, process.text()
    same_output(folder, job)
    whole(folder)
    again = repeats(world.granted(), range(runs_before), job)
    assert max(again.values()) <= most, again


@tmpfs
@pytest.mark.parametrize("free", [180_000, 300_000, 420_000])
def test_a_disk_that_fills_up_stops_the_run(world, runs, job, free):
    """Full in the middle: exit code 5, the folder named, no call more; with room again the run goes on."""
    world.emulator.log.clear()
    with memory(world.place("full"), 16) as mounted:
        ballast, folder = fill(mounted, free), mounted / "out"
        process = start(world, runs, job, folder, 0)
        assert process.wait() == 74, process.text()
        assert str(folder) in message_of(process)
        assert "running again" in message_of(process)
        spent = len(world.granted())
        assert 0 < spent < job.rows
        # What the ledger does not have is what was out when it could no longer be written.
        assert spent - len(acknowledged([process.text().encode()])) <= MOST_REPEATED
        # Still full: it stops again, and makes no call for which there is no room.
        process = start(world, runs, job, folder, 1)
        assert process.wait() == 74, process.text()
        assert len(world.granted()) - spent <= MOST_REPEATED
        ballast.unlink()
        never_wrong(folder)
        finishes(world, runs, job, folder, 2)


@tmpfs
def test_a_disk_without_room_costs_no_call(world, runs, job):
    """Full from the start: nothing is asked of the service."""
    world.emulator.log.clear()
    with memory(world.place("no-room"), 1) as mounted:
        ballast, folder = fill(mounted, 0), mounted / "out"
        process = start(world, runs, job, folder, 0)
        assert process.wait() == 74, process.text()
        assert str(folder) in message_of(process)
        assert not world.granted()
        ballast.unlink()
    assert not world.granted()


@tmpfs
def test_a_read_only_disk_costs_no_call(world, runs, job):
    """An output that became read-only: refused before any call, and gone on with when it can be written."""
    world.emulator.log.clear()
    with memory(world.place("read-only"), 8) as mounted:
        folder = mounted / "out"
        process = start(world, runs, job, folder, 0)
        world.emulator.log.wait_for(30, action="SearchImageByName")
        process.kill()
        process.wait()
        remount(mounted, "ro")
        spent = len(world.granted())
        process = start(world, runs, job, folder, 1)
        assert process.wait() == 74, process.text()
        assert str(folder) in message_of(process)
        assert len(world.granted()) == spent
        remount(mounted, "rw")
        finishes(world, runs, job, folder, 2)


@ext4
def test_a_disk_that_is_gone_stops_the_run(world, runs, job):
    """Every write fails from some moment on: the run ends by itself, and goes on when the disk is back."""
    world.emulator.log.clear()
    with Ext4(world.place("gone")) as disk:
        folder = disk.folder / "out"
        process = start(world, runs, job, folder, 0)
        world.emulator.log.wait_for(40, action="SearchImageByName")
        kept = acknowledged([process.text().encode()])
        disk.power_goes()
        assert process.wait() == 74, process.text()
        assert str(folder) in message_of(process)
        told = acknowledged([process.text().encode()])
        assert len(world.granted()) - len(told) <= MOST_REPEATED
        disk.power_comes()
        never_wrong(folder)
        # A sync that is under way while the file system is torn off may say that it is done, and is not: what
        # was acknowledged before that moment is kept for certain.
        assert kept
        finishes(world, runs, job, folder, 1, most=MOST_REPEATED + len(told - kept))
        asked = {entry.product_id for run, entry in world.granted() if run == 1}
        assert not asked & {f"P{int(key[1:]):03}" for key in kept}


@ext4
def test_a_ledger_on_a_disk_that_is_gone_is_not_called_damaged(world):
    """What SQLite takes for a damaged file is the disk's trouble while the disk takes no data."""
    damaged = world.place("garbage")
    damaged.write_bytes(bytes(range(256)) * 16)
    with pytest.raises(sqlite3.DatabaseError) as told, contextlib.closing(sqlite3.connect(damaged)) as file:
        file.execute("SELECT * FROM sqlite_master")
    with Ext4(world.place("torn-off")) as disk:
        path = disk.folder / "ledger.sqlite3"
        assert type(refusal(path, "the ledger cannot be read", told.value)) is OutputDamagedError
        disk.power_goes()
        lost = refusal(path, "the ledger cannot be read", told.value)
        assert type(lost) is OutputError
        assert "its disk fails: [Errno 5]" in str(lost)


@ext4
def test_a_real_file_system_keeps_what_was_acknowledged(world, runs, job):
    """Power of a journalling file system goes at seeded moments: no acknowledged row is paid for again."""
    rng = seeded("real power")
    with Ext4(world.place("power")) as disk:
        for number in range(4):
            folder = disk.folder / f"out-{number}"
            world.emulator.log.clear()
            told, most_too_late = set(), 0
            for run in range(2):
                process = start(world, runs, job, folder, run)
                process.ended(rng.uniform(0.0, job.seconds))
                kept = acknowledged([process.text().encode()])
                told |= kept
                disk.power_goes()
                process.kill()
                process.wait()
                # What a sync that was under way says is done, and is not.
                too_late = acknowledged([process.text().encode()]) - kept
                most_too_late = max(most_too_late, len(too_late))
                disk.power_comes()
                never_wrong(folder)
            finishes(world, runs, job, folder, 2, most=MOST_REPEATED + most_too_late)
            asked = {entry.product_id for run, entry in world.granted() if run == 2}
            assert not asked & {f"P{int(key[1:]):03}" for key in told if key != "unknown"}


@tmpfs
def test_a_full_disk_under_the_embedded_instance_ends_the_run_at_once(make_job, tmp_path):
    """Exit code 74, the file named; no outage is waited for, and with room again the same job goes on."""
    rows = [{"id": f"r{n:02}", "product": f"P{n:02}", "pic": "a", "image": f"p{n:02}.jpg"} for n in range(40)]
    with memory(tmp_path / "full", 2) as mounted:
        job = make_job(
            rows,
            instance__endpoint="emulator",
            instance__qps="unlimited",
            instance__custom_qps=False,
            emulator={"data": str(mounted / "instance")},
            dedup={"product_column": "product", "pic_name_column": "pic", "sync": "add"},
        )
        ballast = fill(mounted, 150_000)
        ran = command("dedup", job, "--no-progress")
        assert ran.returncode == 74, ran.stderr
        assert str(mounted / "instance" / "demo.sqlite3") in ran.stderr
        assert "disk is full" in ran.stderr
        ballast.unlink()
        ran = command("dedup", job, "--no-progress")
        assert ran.returncode == 0, ran.stderr
