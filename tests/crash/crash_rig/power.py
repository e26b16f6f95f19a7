"""Runs whose power goes: recorded, cut off at a moment, left with what a disk would have, and run again."""

import copy
import json
import random
import shutil
import signal
from pathlib import PurePosixPath

from .checks import never_wrong, same_output, whole
from .disk_log import MARK, WRITTEN, read
from .disk_model import Disk, as_it_is, restore

LEFT = (("none", "none"), ("all", "none"), ("none", "all"), ("some", "some"), ("some", "some"))
"""What of the unsynced writes and names is there: the extremes, and chance twice."""


_LOGGING = ("--log-level", "debug", "--log-format", "json")


class Recorded:
    """A run that was recorded.

    Args:
        folder: Its output folder.
        disk: The disk before it.
        records: What it did.
    """

    def __init__(self, folder, disk, records):
        self.folder = folder
        self.records = records
        self._before = disk

    def cut_at(self, moment):
        """The disk after so many records; the row keys that were acknowledged until then."""
        disk = copy.deepcopy(self._before)
        for record in self.records[:moment]:
            disk.apply(record)
        return disk, acknowledged(disk.said)


def acknowledged(said):
    """Keys of the rows of which the run had said that they are finished."""
    keys = set()
    for line in b"".join(said).decode("utf-8", "replace").splitlines():
        if '"row_finished"' in line and line.endswith("}"):
            keys.add(json.loads(line)["row"])
    return keys


def prepare(folder):
    """Make an output folder's folders ahead, as an earlier run has them."""
    for name in ("ledger", "results", "hits"):
        (folder / name).mkdir(parents=True)


def run_recorded(world, runs, job, folder, *, crash_at=""):
    """Run a job to its end, or to its crash, and record what it does to its output folder."""
    log, output = folder.with_suffix(".disk"), folder.with_suffix(".txt")
    before = Disk(folder)
    process = runs.start(
        ["run", job.file, "--no-progress", "--set", f"output.dir={folder}", *_LOGGING],
        output,
        crash_at=crash_at,
        record=(folder, log),
    )
    code = process.wait()
    assert code in {0, -signal.SIGKILL}, process.text()
    return Recorded(folder, before, read(log))


def model_is_right(recorded):
    """The model with nothing lost is the folder as it is: no change went past the recorder."""
    disk, _ = recorded.cut_at(len(recorded.records))
    found = disk.left(random.Random(0), files="all", names="all")
    assert found == as_it_is(recorded.folder)


def recovers(world, runs, job, recorded, moment, rng, left):
    """Cut a recorded run off, lay out what is left, run it to its end, and compare.

    Returns:
        Rows that were acknowledged when the power went.
    """
    disk, promised = recorded.cut_at(moment)
    folder = world.place(f"{job.name}-power")
    restore(PurePosixPath(recorded.folder), disk.left(rng, files=left[0], names=left[1]), folder)
    never_wrong(folder)
    finishes(world, runs, job, folder, promised)
    return len(promised)


def finishes(world, runs, job, folder, promised):
    """Run what is left to its end: the output is whole, and no acknowledged row is called for again."""
    world.emulator.log.clear()
    arguments = ["run", job.file, "--no-progress", "--set", f"output.dir={folder}"]
    process = runs.start(arguments, folder.with_suffix(".txt"))
    assert process.wait() == 0, process.text()
    same_output(folder, job)
    whole(folder)
    asked = {entry.product_id for _, entry in world.granted()}
    promised_products = {f"P{int(key[1:]):03}" for key in promised if key != "unknown"}
    assert not asked & promised_products, "a row that was acknowledged was called for again"
    shutil.rmtree(folder)


def deep(world, runs, recorder, job, rng, times):
    """Lose the power of a run, of the run that recovers from it, and so on; then run to the end, and compare.

    Returns:
        Rows that had been acknowledged when the power went for the last time.
    """
    folder, promised = world.place(f"{job.name}-deep"), set()
    prepare(folder)
    for _ in range(times):
        recorded = run_recorded(world, recorder, job, folder)
        moment = rng.randint(0, len(recorded.records))
        disk, said = recorded.cut_at(moment)
        promised |= said
        files, names = rng.choice(LEFT)
        found = disk.left(rng, files=files, names=names)
        folder = world.place(f"{job.name}-deep")
        restore(PurePosixPath(recorded.folder), found, folder)
        never_wrong(folder)
        shutil.rmtree(recorded.folder)
    finishes(world, runs, job, folder, promised)
    return len(promised)


def interesting(recorded, rng, moments):
    """Moments at which to cut: around what makes things durable, and anywhere."""
    syncs = [number for number, record in enumerate(recorded.records) if record.kind not in (MARK, WRITTEN)]
    chosen = {0, len(recorded.records)}
    while len(chosen) < min(moments, len(recorded.records)):
        near = rng.choice(syncs) + rng.randint(-1, 1) if syncs and rng.random() < 0.6 else None
        anywhere = rng.randint(0, len(recorded.records))
        chosen.add(min(len(recorded.records), max(0, near if near is not None else anywhere)))
    return sorted(chosen)
