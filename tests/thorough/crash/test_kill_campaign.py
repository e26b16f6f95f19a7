"""Runs killed at seeded moments and places, again and again: the same output as if nothing had happened."""

import pytest
from crash_rig.campaign import Campaign, Kill, compaction_kills, deep_kills, first_kills, seeded

SEED = 20261121

pytestmark = pytest.mark.timeout(300)


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


def test_a_compaction_that_is_killed_is_finished_or_never_was(campaign, jobs):
    """Killed at each of its steps, a compaction loses no row and doubles none, whoever finishes it."""
    for job, kills, finished_by in compaction_kills(seeded(SEED), jobs, 6):
        campaign.compacting(job, kills, finished_by=finished_by)
    assert sum(campaign.tally.kills.values()) >= 6, campaign.tally
