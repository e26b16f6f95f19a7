"""Runs killed at seeded moments and places, again and again: the same output as if nothing had happened."""

import pytest
from crash_rig.campaign import Campaign, Kill, deep_kills, first_kills, seeded

SEED = 20261121


def scenarios(jobs, rng):
    return [*first_kills(rng, jobs, timed=8, each_point=1), *deep_kills(rng, jobs, 4)]


def test_seeded_kills_lose_double_and_overspend_nothing(campaign, jobs):
    """Killed by time, at every write phase and three deep in recovery, the output is that of a quiet run."""
    for job, kills in scenarios(jobs, seeded(SEED)):
        campaign.scenario(job, kills)
    assert sum(campaign.tally.kills.values()) >= 36, campaign.tally


def test_without_killing_the_campaign_fails(world, runs, jobs):
    """A campaign that kills nothing proves nothing, and says so."""
    harmless = Campaign(world, runs, killing=False)
    for kill in (Kill(share=0.5), Kill("ledger_commit_after", 3)):
        with pytest.raises(AssertionError, match="no run died by SIGKILL"):
            harmless.scenario(jobs[0], (kill,))
    assert not harmless.tally.kills
