"""The power goes at many moments: of a run, of recoveries three deep, of a compaction."""

import shutil

import pytest
from crash_rig import disk_log
from crash_rig.campaign import seeded
from crash_rig.power import (
    LEFT,
    Power,
    interesting,
    model_is_right,
    prepare,
    recorded_command,
    run_arguments,
)

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(disk_log.compiler() is None, reason="no C compiler: nothing can be recorded"),
]


@pytest.fixture
def power(world, runs, recorder):
    """Loses power by the same chance in every test."""
    return Power(world, runs, recorder, seeded("much power"))


def test_eighty_moments_of_a_run(world, recorder, power, jobs):
    """Wherever the power goes, acknowledged rows are there, and nothing is doubled."""
    folder = world.place("recorded")
    prepare(folder)
    recorded = recorded_command(recorder, run_arguments(jobs[1], folder), folder)
    model_is_right(recorded)
    for number, moment in enumerate(interesting(recorded, seeded("moments"), 80)):
        power.recovers(jobs[1], recorded, moment, LEFT[number % len(LEFT)])


def test_power_losses_three_deep(power, jobs):
    """The power goes in a run, in the run that recovers, and in the one that recovers from that."""
    for _ in range(10):
        power.deep(jobs[1], 3)


def test_forty_moments_of_a_compaction(world, recorder, power, jobs):
    """A compaction without power is finished later or never was; every row stays, and costs no call."""
    job, folder = jobs[1], world.place("compacting")
    shutil.copytree(job.reference, folder)
    recorded = recorded_command(recorder, ["compact", folder, "--rows", "20"], folder)
    model_is_right(recorded)
    everything = frozenset(f"n{number:03}" for number in range(job.rows - 1))
    for number, moment in enumerate(interesting(recorded, seeded("compaction"), 40)):
        power.recovers(job, recorded, moment, LEFT[number % len(LEFT)], promised=everything)


def test_the_first_run_of_a_new_output_folder(world, recorder, power, jobs):
    """Folders that a run has made are as durable as what it has put into them."""
    outer = world.place("new")
    outer.mkdir()
    job, folder = jobs[1], outer / "deeper" / "out"
    recorded = recorded_command(recorder, run_arguments(job, folder), outer)
    for moment in interesting(recorded, seeded("new folder"), 12):
        power.recovers(job, recorded, moment, ("all", "none"), below="deeper/out")
