"""The power goes: what was not synced is lost, wholly or in part; what was acknowledged is not."""

import pytest
from crash_rig import disk_log
from crash_rig.campaign import seeded
from crash_rig.power import (
    LEFT,
    Power,
    Recorded,
    interesting,
    model_is_right,
    prepare,
    recorded_command,
    run_arguments,
)

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        disk_log.compiler() is None, reason="no C compiler: what a run does to its disk cannot be recorded"
    ),
]


@pytest.fixture(scope="module")
def recorded(world, recorder, jobs):
    """The second job, run once from its first statement to its last, and recorded."""
    folder = world.place("recorded")
    prepare(folder)
    return recorded_command(recorder, run_arguments(jobs[1], folder), folder)


def test_the_model_of_the_disk_knows_every_change(recorded):
    """With nothing lost, the model's disk is byte for byte the real one: the recorder missed nothing."""
    model_is_right(recorded)


def test_after_a_power_loss_acknowledged_rows_are_there(world, runs, recorder, jobs, recorded):
    """Cut off anywhere, any part of the unsynced writes gone: no acknowledged row is lost or paid again."""
    rng = seeded("power")
    power = Power(world, runs, recorder, rng)
    most = 0
    for number, moment in enumerate(interesting(recorded, rng, 12)):
        most = max(most, power.recovers(jobs[1], recorded, moment, LEFT[number % len(LEFT)]))
    assert most == jobs[1].rows


def test_a_disk_that_lies_about_syncing_is_found_out(world, runs, recorder, jobs, recorded):
    """Were syncing left out, acknowledged rows would be lost: the test above can fail."""
    unsynced = [record for record in recorded.records if record.kind != disk_log.SYNCED]
    lying = Recorded(recorded.folder, recorded.before, unsynced)
    power = Power(world, runs, recorder, seeded("lies"))
    # What is lost first is the ledger, with what it had acknowledged: `verify` tells the parts without one.
    with pytest.raises(AssertionError, match=r"acknowledged|no ledger that knows them"):
        power.recovers(jobs[1], lying, len(unsynced), ("none", "all"))
