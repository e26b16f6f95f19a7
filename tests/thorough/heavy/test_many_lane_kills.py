"""Ten workers killed under two lanes, at seeded moments."""

import random
import sys

import pytest

pytest.importorskip("distributed")

from crash_rig.lane_world import Killer, LaneWorld, hearing

pytestmark = pytest.mark.timeout(300)
KILLS = 10


async def test_lanes_lose_ten_workers(tmp_path, monkeypatch, capsys):
    """Rows once, equal to a run's that was left alone; calls in flight repeated; no second above the tier."""
    with LaneWorld(tmp_path, 150, monkeypatch) as world:
        for _ in range(3):
            world.start_worker()
        reference = await world.left_alone()
        with hearing(Killer(world, random.Random(20261127), KILLS)) as killer:
            summary = await world.run(killer)
        assert (summary.exit_code, summary.done) == (0, 300)
        assert killer.killed == KILLS
        again = world.check(reference, KILLS)
    with capsys.disabled():
        sys.stdout.write(f"\n{KILLS} workers killed under two lanes; {again} calls repeated\n")
