"""Lanes whose workers are killed, or stopped and woken again, on machines of their own over one store."""

import asyncio
import random

import pytest

pytest.importorskip("distributed")

from cluster_rig import DaskCluster
from crash_rig.lane_world import IN_FLIGHT, After, Killer, LaneWorld, Stopper, hearing

from batchsearch.engine.job.stop_signals import StopSignals

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Two instances of thirty rows each, two workers, and what runs make of the rows that are left alone."""
    with (
        pytest.MonkeyPatch.context() as patched,
        LaneWorld(tmp_path_factory.mktemp("lanes"), 30, patched) as made,
    ):
        made.start_worker()
        made.start_worker()
        yield made, asyncio.run(made.left_alone())


@pytest.fixture
def world(alone, request):
    """The world, with an output of the test's own."""
    alone[0].into(request.node.name)
    return alone[0]


async def test_lanes_lose_their_workers(world, alone):
    """Killed while they run and while they move, lanes end as if nothing had happened but calls in flight."""
    with hearing(Killer(world, random.Random(18), 3)) as killer:
        summary = await world.run(killer)
    assert (summary.exit_code, summary.done) == (0, 60)
    assert killer.killed == 3
    assert world.check(alone[1], killer.killed) <= 3 * IN_FLIGHT


async def test_an_owner_that_was_stopped_makes_no_call_any_more(world, alone):
    """Woken when its lease has lapsed and another one calls, it calls no more: the tier holds."""
    with hearing(Stopper(world, "first")) as stopper:
        summary = await world.run(stopper, silence=2.5)
    assert (summary.exit_code, summary.done) == (0, 60)
    assert stopper.woken
    world.check(alone[1], 1)


async def test_lanes_that_are_told_to_stop_repeat_no_call(world, alone):
    """Stopped as SIGTERM stops a run, they end in good order and go on where they were."""
    signals = StopSignals()
    summary = await world.run(After(world, 20, lambda: signals.stop("SIGTERM")), signals=signals)
    assert summary.exit_code == 4
    assert "SIGTERM" in summary.message
    assert 20 <= summary.done < 60
    whole = await world.run()
    assert (whole.exit_code, whole.done, whole.resumed) == (0, 60, summary.done)
    assert world.check(alone[1], 0, lapsed=False) == 0


async def test_lanes_whose_scheduler_is_lost_stop_and_go_on_elsewhere(world, alone, tmp_path):
    """Nobody asks after them any more, so they stop; on another cluster the same job goes on."""
    with DaskCluster(2, {"XDG_CACHE_HOME": str(tmp_path)}) as lost:
        summary = await world.run(After(world, 20, lost.kill_scheduler), silence=2.5, address=lost.address)
    assert summary.exit_code == 4
    assert "scheduler does not answer" in summary.message
    whole = await world.run()
    assert (whole.exit_code, whole.done) == (0, 60)
    assert world.check(alone[1], 2, lapsed=False) <= 2 * IN_FLIGHT
