"""Faults on demand: which requests a plan harms, and how plans are read."""

from __future__ import annotations

import random

import pytest

from batchsearch.emulator.faults import (
    Decision,
    ErrorAnswer,
    FaultPlan,
    FaultRule,
    Faults,
    InBodyFailure,
    Latency,
    NotJson,
    Reset,
    Stall,
    Truncate,
    WrongTypes,
    parse_plan,
    with_wrong_types,
)

SEARCH = "SearchImageByPic"


def decisions(*rules: FaultRule, seed: int = 1, count: int = 100) -> list[Decision]:
    faults = Faults(FaultPlan(rules, seed))
    return [faults.decide(SEARCH, "demo") for _ in range(count)]


def test_no_rules_harm_nothing():
    """An empty plan lets every request through."""
    assert set(decisions()) == {Decision()}


def test_the_same_seed_harms_the_same_requests():
    """A plan is repeatable: seed and order of requests decide, another seed decides otherwise."""
    rule = FaultRule(ErrorAnswer("SearchTimeout"), probability=0.3)
    assert decisions(rule, seed=7) == decisions(rule, seed=7)
    assert decisions(rule, seed=7) != decisions(rule, seed=8)
    assert 15 <= sum(decision.harm is not None for decision in decisions(rule, seed=7)) <= 45


def test_a_rule_can_be_scripted_to_single_requests():
    """`calls`, `skip` and `times` say exactly which of the fitting requests are harmed."""
    only = decisions(FaultRule(Reset(), calls=frozenset({2, 5})), count=6)
    assert [decision.harm is not None for decision in only] == [False, True, False, False, True, False]
    limited = decisions(FaultRule(Reset(), skip=2, times=2), count=6)
    assert [decision.harm is not None for decision in limited] == [False, False, True, True, False, False]


def test_a_rule_fits_only_its_operations_and_instances():
    """Requests of other operations or instances are neither harmed nor counted."""
    rule = FaultRule(Reset(), operations=frozenset({"AddImage"}), instances=frozenset({"demo"}), times=1)
    faults = Faults(FaultPlan((rule,)))
    asked = [(SEARCH, "demo"), ("AddImage", "other"), ("AddImage", "demo"), ("AddImage", "demo")]
    assert [faults.decide(*request).harm for request in asked] == [None, None, Reset(), None]


def test_delays_add_up_and_the_first_harm_wins():
    """Latency rules add their delays; of several harms the first counts, the others stay unused."""
    rules = (
        FaultRule(Latency(seconds=0.5)),
        FaultRule(Latency(seconds=0.25)),
        FaultRule(Reset(), times=1),
        FaultRule(Truncate(), times=1),
    )
    assert decisions(*rules, count=3) == [
        Decision(0.75, Reset()),
        Decision(0.75, Truncate()),
        Decision(0.75, None),
    ]


@pytest.mark.parametrize(
    "latency",
    [
        Latency("constant", 0.2),
        Latency("uniform", 0.1, high=0.3),
        Latency("exponential", 0.2),
        Latency("lognormal", 0.2, sigma=0.4),
    ],
)
def test_delays_follow_their_distribution(latency):
    """The median delay lies where the distribution puts it, and no delay is beyond the cap or negative."""
    chance = random.Random(3)
    delays = sorted(latency.draw(chance) for _ in range(2001))
    median = {"exponential": 0.1386}.get(latency.kind, 0.2)
    assert delays[1000] == pytest.approx(median, rel=0.1)
    assert delays[0] >= 0
    capped = Latency(latency.kind, latency.seconds, high=latency.high, cap=0.01)
    assert max(capped.draw(chance) for _ in range(100)) <= 0.01


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("error", ErrorAnswer()),
        ("reset", Reset()),
        ("stall", Stall()),
        ("truncate", Truncate()),
        ("not_json", NotJson()),
        ("wrong_types", WrongTypes()),
        ("in_body_failure", InBodyFailure()),
    ],
)
def test_each_harm_is_read_by_its_name_and_logged_under_it(name, effect):
    """The name that a plan's file uses is the name in the request log."""
    plan = parse_plan({"seed": 3, "rules": [{name: None, "probability": 0.5}]})
    assert plan == FaultPlan((FaultRule(effect, probability=0.5),), 3)
    assert Decision(0.0, effect).name == name


def test_a_plan_is_read_whole():
    """Every setting of a rule can be given as plain data."""
    plan = parse_plan(
        {
            "seed": 9,
            "rules": [
                {"latency": {"kind": "lognormal", "seconds": 0.2, "sigma": 0.3}, "operations": [SEARCH]},
                {"error": {"code": "DeniedRequest", "retry_after": 0.5}, "calls": [1, 2], "instances": ["a"]},
                {"reset": {"handled": True}, "skip": 3, "times": 1},
            ],
        }
    )
    assert plan.seed == 9
    assert plan.rules == (
        FaultRule(Latency("lognormal", 0.2, sigma=0.3), operations=frozenset({SEARCH})),
        FaultRule(
            ErrorAnswer("DeniedRequest", retry_after=0.5),
            calls=frozenset({1, 2}),
            instances=frozenset({"a"}),
        ),
        FaultRule(Reset(handled=True), skip=3, times=1),
    )
    assert parse_plan({}) == FaultPlan()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"rule": []}, "unknown 'rule'"),
        ({"rules": "reset"}, "must be a list"),
        ({"rules": ["reset"]}, "rule 1 must be a mapping"),
        ({"rules": [{"reset": {}}, {}]}, "rule 2 needs exactly one of"),
        ({"rules": [{"reset": {}, "stall": {}}]}, "rule 1 needs exactly one of"),
        ({"rules": [{"stall": {"second": 3}}]}, "rule 1, stall: unknown 'second'"),
        ({"rules": [{"stall": 3}]}, "rule 1, stall must be a mapping"),
        ({"rules": [{"reset": {}, "probably": 1}]}, "rule 1: unknown 'probably'"),
        ({"rules": [{"reset": {}, "probability": 2}]}, "probability must be from 0 to 1"),
    ],
)
def test_a_plan_that_cannot_be_read_says_where(value, message):
    """The error names the rule and what is wrong with it."""
    with pytest.raises(ValueError, match=message):
        parse_plan(value)


def test_wrong_types_replace_remove_and_add_fields():
    """Dotted paths reach into lists and parts; the original is left as it was."""
    answer = {"Auctions": [{"Score": 1.0}, {"Score": 0.5}], "Head": {"DocsFound": 2}, "Msg": "success"}
    changed = with_wrong_types(
        answer,
        {"Auctions.*.Score": "x", "Head.DocsFound": "<absent>", "Msg": None, "New": 1, "No.Such": 3},
    )
    assert changed == {"Auctions": [{"Score": "x"}, {"Score": "x"}], "Head": {}, "Msg": None, "New": 1}
    assert answer["Auctions"][0]["Score"] == 1.0
