"""Hundreds of kills: by time, at every place, three deep, of forked runs and of fresh processes."""

import sys

import pytest
from crash_rig.campaign import RENEWAL, Campaign, compaction_kills, deep_kills, first_kills, seeded
from crash_rig.fork_server import FreshStarter

pytestmark = pytest.mark.timeout(900)


def test_two_hundred_and_fifty_seeded_kills(campaign, jobs, capsys):
    """After each of 250 kills the output is that of a quiet run, and calls stay within the bound."""
    rng = seeded("many kills")
    for job, kills in [
        *first_kills(rng, jobs, timed=60, each_point=6),
        *deep_kills(rng, jobs, 30),
    ]:
        campaign.scenario(job, kills)
    with capsys.disabled():
        sys.stdout.write(f"\n{campaign.tally}\n")
    assert sum(campaign.tally.kills.values()) >= 250


def test_fresh_processes_die_like_forked_ones(world, jobs, capsys):
    """`python -m batchsearch`, started anew each time and killed, behaves as the forked runs do."""
    campaign = Campaign(world, FreshStarter(world.environ()))
    rng = seeded("fresh processes")
    for job, kills in [*first_kills(rng, jobs, timed=6, each_point=1), *deep_kills(rng, jobs, 2)]:
        campaign.scenario(job, kills)
    with capsys.disabled():
        sys.stdout.write(f"\n{campaign.tally}\n")
    assert sum(campaign.tally.kills.values()) >= 26


def test_compactions_and_renewals_are_killed_at_every_step(campaign, jobs, capsys):
    """Whatever step of exchanging parts a kill hits, the exchange is finished or never was."""
    for job, kills, finished_by in compaction_kills(seeded("compactions"), jobs, 24):
        campaign.compacting(job, kills, finished_by=finished_by)
    for point in RENEWAL:
        campaign.renewing(jobs[1], point)
    with capsys.disabled():
        sys.stdout.write(f"\n{campaign.tally}\n")
    assert sum(campaign.tally.kills.values()) >= 34
