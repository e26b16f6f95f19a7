"""What a silent run waits for, in words."""

from dataclasses import replace

import pytest

from batchsearch.telemetry.watchdog import Snapshot, why_waiting

QUIET = Snapshot(
    in_flight=0,
    oldest_call=0,
    ready=0,
    preparing=0,
    repeating=0,
    committing=0,
    until_probe=0,
    silent_for=0,
    denied_share=0,
    rate=10,
    tier=10,
    most_in_flight=20,
)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({}, "the manifest"),
        ({"committing": 3}, "the disk: 3 outcomes"),
        ({"silent_for": 42, "until_probe": 3, "repeating": 5}, "nothing but failures for 42 s"),
        (
            {"in_flight": 20, "oldest_call": 17, "ready": 9},
            "20 calls are out, the oldest for 17 s and no more",
        ),
        (
            {"in_flight": 2, "oldest_call": 1, "denied_share": 0.9, "rate": 4},
            "90% of the latest calls were denied",
        ),
        ({"ready": 7, "rate": 1, "tier": 1}, "7 rows are ready"),
        ({"preparing": 4}, "4 rows are being fetched"),
        ({"repeating": 4}, "4 rows wait before their call is repeated"),
    ],
)
def test_the_nearest_cause_is_named(seen, said):
    """Each way of waiting has its own words, with the numbers that show it."""
    assert said in why_waiting(replace(QUIET, **seen))
