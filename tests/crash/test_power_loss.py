"""The power goes: what was not synced is lost, wholly or in part; what was acknowledged is not."""

import pytest
from crash_rig import disk_log
from crash_rig.campaign import seeded
from crash_rig.fork_server import ForkServer
from crash_rig.power import LEFT, interesting, model_is_right, prepare, recovers, run_recorded

pytestmark = pytest.mark.skipif(
    disk_log.compiler() is None, reason="no C compiler: what a run does to its disk cannot be recorded"
)


@pytest.fixture(scope="module")
def recorder(world, tmp_path_factory):
    """Starts runs that are recorded."""
    library = disk_log.build(tmp_path_factory.mktemp("recorder"))
    with ForkServer(world.environ(), preload=library) as server:
        yield server


@pytest.fixture(scope="module")
def recorded(world, recorder, jobs):
    """The second job, run once from its first statement to its last, and recorded."""
    folder = world.place("recorded")
    prepare(folder)
    return run_recorded(world, recorder, jobs[1], folder)


def test_the_model_of_the_disk_knows_every_change(recorded):
    """With nothing lost, the model's disk is byte for byte the real one: the recorder missed nothing."""
    model_is_right(recorded)


def test_after_a_power_loss_acknowledged_rows_are_there(world, runs, jobs, recorded):
    """Cut off anywhere, with any part of the unsynced writes gone: nothing acknowledged is lost or paid again."""
    rng = seeded("power")
    moments = interesting(recorded, rng, 14)
    most = 0
    for number, moment in enumerate(moments):
        most = max(most, recovers(world, runs, jobs[1], recorded, moment, rng, LEFT[number % len(LEFT)]))
    assert most == jobs[1].rows


def test_a_disk_that_lies_about_syncing_is_found_out(world, runs, jobs, recorded):
    """Were syncing left out, acknowledged rows would be lost: the test above can fail."""
    unsynced = [record for record in recorded.records if record.kind != disk_log.SYNCED]
    lying = type(recorded)(recorded.folder, recorded._before, unsynced)
    with pytest.raises(AssertionError, match="acknowledged"):
        recovers(world, runs, jobs[1], lying, len(unsynced), seeded("lies"), ("none", "all"))
