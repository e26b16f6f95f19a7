"""Runs whose power goes: recorded, cut off at a moment, left with what a disk would have, and run again."""

import copy
import json
import random
import shutil
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
        before: The disk before it.
        records: What it did.
    """

    def __init__(self, folder, before, records):
        self.folder = folder
        self.before = before
        self.records = records

    def cut_at(self, moment):
        """The disk after so many records; the row keys that were acknowledged until then."""
        disk = copy.deepcopy(self.before)
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


def run_arguments(job, folder):
    """A run of a job into a folder."""
    return ["run", job.file, "--no-progress", "--set", f"output.dir={folder}", *_LOGGING]


def recorded_command(recorder, arguments, folder):
    """Do a command to its end, and record what it does to a folder, or to what is below it."""
    log, before = folder.with_suffix(".disk"), Disk(folder)
    process = recorder.start(arguments, folder.with_suffix(".txt"), record=(folder, log))
    assert process.wait() == 0, process.text()
    return Recorded(folder, before, read(log))


def model_is_right(recorded):
    """The model with nothing lost is the folder as it is: no change went past the recorder."""
    disk, _ = recorded.cut_at(len(recorded.records))
    found = disk.left(random.Random(0), files="all", names="all")
    assert found == as_it_is(recorded.folder)


class Power:
    """Loses power, and has runs recover.

    Args:
        world: Where.
        runs: Starts runs.
        recorder: Starts runs that are recorded.
        rng: Chance.
    """

    def __init__(self, world, runs, recorder, rng):
        self._world = world
        self._runs = runs
        self._recorder = recorder
        self._rng = rng

    def recovers(self, job, recorded, moment, left, *, promised=frozenset(), below=""):
        """Cut a recorded command off, lay out what is left, run the job to its end, and compare.

        Args:
            job: The job.
            recorded: What was done.
            moment: The power goes after so many records.
            left: One of `LEFT`.
            promised: Rows that had been acknowledged before it began.
            below: Where the output folder is in what was recorded.

        Returns:
            How many rows had been acknowledged when the power went.
        """
        folder, said = self._left(job, recorded, moment, left)
        self._finishes(job, folder / below, said | promised)
        shutil.rmtree(folder)
        return len(said | promised)

    def deep(self, job, times):
        """Lose the power of a run, of the run that recovers from it, and so on; then recover to the end.

        Returns:
            How many rows had been acknowledged when the power went for the last time.
        """
        folder, promised = self._world.place(f"{job.name}-deep"), set()
        prepare(folder)
        for _ in range(times):
            recorded = recorded_command(self._recorder, run_arguments(job, folder), folder)
            moment = self._rng.randint(0, len(recorded.records))
            folder, said = self._left(job, recorded, moment, self._rng.choice(LEFT))
            promised |= said
            shutil.rmtree(recorded.folder)
        self._finishes(job, folder, promised)
        shutil.rmtree(folder)
        return len(promised)

    def _left(self, job, recorded, moment, left):
        disk, said = recorded.cut_at(moment)
        folder = self._world.place(f"{job.name}-power")
        found = disk.left(self._rng, files=left[0], names=left[1])
        restore(PurePosixPath(recorded.folder), found, folder)
        never_wrong(folder)
        return folder, said

    def _finishes(self, job, folder, promised):
        """The output becomes whole, and no acknowledged row is called for again."""
        self._world.emulator.log.clear()
        output = self._world.place("said").with_suffix(".txt")
        process = self._runs.start(run_arguments(job, folder), output)
        assert process.wait() == 0, process.text()
        same_output(folder, job)
        whole(folder)
        asked = {entry.product_id for _, entry in self._world.granted()}
        acknowledged_products = {f"P{int(key[1:]):03}" for key in promised if key != "unknown"}
        assert not asked & acknowledged_products, "a row that was acknowledged was called for again"


def interesting(recorded, rng, moments):
    """Moments at which to cut: around what makes things durable, and anywhere."""
    syncs = [number for number, record in enumerate(recorded.records) if record.kind not in (MARK, WRITTEN)]
    chosen = {0, len(recorded.records)}
    while len(chosen) < min(moments, len(recorded.records)):
        near = rng.choice(syncs) + rng.randint(-1, 1) if syncs and rng.random() < 0.6 else None
        anywhere = rng.randint(0, len(recorded.records))
        chosen.add(min(len(recorded.records), max(0, near if near is not None else anywhere)))
    return sorted(chosen)
