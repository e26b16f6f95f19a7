"""Why a pair was decided as it was, in words: the reason, and each number beside its limit."""

import pytest

from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import PAIR_COLUMNS
from batchsearch.tasks.dedup.clusters.verdicts import REASONS
from batchsearch.tasks.report.summing_up.first_words import sentence_of_night
from batchsearch.tasks.report.summing_up.pair_decisions import (
    DecisionLimits,
    decision_of,
    is_open,
    numbers_of,
    reason_of,
)

LIMITS = DecisionLimits.of({"settings": {"colours": 0.55}})


def pair(**values):
    """A row of `pairs` with nothing but these values."""
    return {column.name: None for column in PAIR_COLUMNS} | {"accepted": False} | values


COLOURED = {"score": 0.91, "threshold": 0.8, "colour_distance": 0.71}
SHIFTED = {
    "verdict": "recoloured",
    "reason": "one photograph in other colours",
    "colour_shift": 12.3,
    "inliers": 44,
}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {**COLOURED, "verdict": "different", "reason": "colours differ"},
            "not accepted: different, colours differ; colours: distance 0.71, limit 0.55",
        ),
        ({"score": 0.71, "threshold": 0.8}, "not accepted: the score is too low; score 0.710, needed 0.800"),
        (
            {"score": 0.9, "threshold": 0.8, "accepted": True},
            "accepted: the score is high enough; score 0.900, needed 0.800",
        ),
        (
            {"score": 0.9, "threshold": 0.8},
            "not accepted: not among each other's best; score 0.900, needed 0.800",
        ),
        ({"accepted": True, "judged": "same", "score": 0.2}, "accepted: a person has said same"),
        (
            SHIFTED,
            "not accepted: recoloured, one photograph in other colours; colour differs by 12.3, limit 8",
        ),
    ],
)
def test_a_decision_is_told_with_what_decided_it(values, words):
    """Whether it was accepted, why, and the numbers that missed their limits; the score where none did."""
    assert decision_of(pair(**values), LIMITS) == words


def test_every_number_is_told_beside_its_limit():
    """All that was measured is there, whether it decided or not."""
    measured = {"overlap": 0.9, "agreement": 0.5, "light_shift": 3.0, "mirrored": True, "confidence": 0.07}
    assert [number.words for number in numbers_of(pair(**COLOURED, **SHIFTED, **measured), LIMITS)] == [
        "score 0.910, needed 0.800",
        "colours: distance 0.71, limit 0.55",
        "44 places agree in shape, at least 10 needed",
        "90% in common, at least 40% needed",
        "50% of the structure agrees, at least 72% needed",
        "colour differs by 12.3, limit 8",
        "light differs by 3.0, limit 11",
        "one is the other's mirror image",
        "confidence 0.07",
    ]


def test_one_variant_may_differ_twice_as_much():
    """An accepted pair over a limit was held against the limit for one variant."""
    found = numbers_of(pair(colour_shift=12.3, accepted=True), LIMITS)
    assert [number.words for number in found] == ["colour differs by 12.3, limit 16"]


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_of_a_night_is_told(reason):
    """Whatever reason a night writes, the decision has it."""
    assert reason in decision_of(pair(verdict="alike", reason=reason, score=0.5, threshold=0.8), LIMITS)
    assert reason_of(pair(verdict="alike", reason=reason)) == reason


def test_a_pair_is_for_people_until_somebody_has_decided():
    """Recoloured and alike ones are, unless they are accepted or judged."""
    assert is_open(pair(verdict="recoloured"))
    assert is_open(pair(verdict="alike"))
    assert not is_open(pair(verdict="alike", accepted=True))
    assert not is_open(pair(verdict="alike", judged="different"))
    assert not is_open(pair(verdict="same_photo"))


@pytest.mark.parametrize(
    ("record", "counts", "words"),
    [
        ({"products": 225}, (200, 26, 12, 0), "174 of 225 products are duplicates; 12 clusters need you."),
        ({"products": 3}, (2, 1, 0, 1), "1 of 3 products is a duplicate; 1 pair needs you."),
        ({}, (4, 2, 1, 2), "2 products are duplicates; 1 cluster and 2 pairs need you."),
        ({"products": 9}, (0, 0, 0, 0), "None of 9 products is a duplicate; nothing needs you."),
    ],
)
def test_the_verdict_is_one_sentence(record, counts, words):
    """How many products are duplicates, and who is needed."""
    members, clusters, flagged, open_pairs = counts
    said = sentence_of_night(
        record, written=True, members=members, clusters=clusters, flagged=flagged, open_pairs=open_pairs
    )
    assert said == words
