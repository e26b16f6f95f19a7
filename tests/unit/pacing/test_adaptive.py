"""What the spacing controller concludes from single answers and short histories."""

from __future__ import annotations

import numpy as np
import pytest

from batchsearch.pacing.adaptive import SpacingController


def called(controller, at, denied, latency=0.1):
    """One call as soon as the controller allows, denied or not by its time; its time, and whether it was."""
    at += controller.interval
    controller.departed(at)
    deny = denied(at)
    (controller.denied if deny else controller.granted)(at, at + latency)
    return at, deny


def play(controller, at, calls, denied=lambda number: False, latency=0.1):
    """Plays `calls` calls as fast as the controller allows; returns the time of the last one."""
    for number in range(calls):
        at, _ = called(controller, at, lambda _, number=number: denied(number), latency)
    return at


@pytest.mark.parametrize("shortest", [1.0, 0.2, 0.1])
def test_starts_at_the_tier_and_stays_there(shortest):
    """While nothing is denied calls leave at exactly the tier, from the first one on."""
    controller = SpacingController(shortest)
    at = 0.0
    for _ in range(300):
        assert controller.interval == shortest
        at = play(controller, at, 1)


def test_first_denial_slows_at_once():
    """One denial widens the spacing before the next call."""
    controller = SpacingController(0.1)
    at = play(controller, 0.0, 20)
    play(controller, at, 1, lambda number: True)
    assert controller.margin > 0


@pytest.mark.parametrize("shortest", [1.0, 0.1])
def test_stray_denial_costs_few_slots(shortest):
    """One denial after long quiet costs no more than a handful of slots, all told."""
    controller = SpacingController(shortest)
    at = play(controller, 0.0, 1000)
    end = play(controller, at, 400, lambda number: number == 0)
    assert controller.margin == 0
    assert (end - at) / shortest - 400 < 4


@pytest.mark.parametrize(("shortest", "slowest"), [(1.0, 5.0), (0.2, 2.0), (0.1, 1.4)])
def test_denials_without_end_leave_a_call_now_and_then(shortest, slowest):
    """While everything is denied calls leave seldom, but never so seldom that the end is missed for long."""
    controller = SpacingController(shortest)
    at = play(controller, 0.0, 400, lambda number: True)
    last = play(controller, at, 20, lambda number: True)
    assert 2 * shortest <= (last - at) / 20 <= slowest


def test_denials_in_a_row_widen_the_spacing_quickly():
    """Six denials in a row, at any spacing, leave less than a third of the tier."""
    controller = SpacingController(0.1)
    play(controller, 0.0, 6, lambda number: True)
    assert controller.interval > 0.3


@pytest.mark.parametrize("shortest", [1.0, 0.2, 0.1])
def test_an_outage_does_not_make_what_was_learned_forgotten(shortest):
    """After two minutes of denials the first grants bring back the margin from before, not the tier."""
    controller = SpacingController(shortest)
    at = play(controller, 0.0, 600, lambda number: controller.margin < 0.08 and number % 2 == 0, 0.0)
    learned = controller.margin
    begun = at
    while at < begun + 120:
        at = play(controller, at, 1, lambda number: True)
    at = play(controller, at, 12)
    assert 0.05 < learned < 0.2
    assert 0.05 < controller.margin < 0.3
    assert controller.interval < 1.3 * shortest


def test_denials_in_bursts_are_known_as_such_after_a_few():
    """After some bursts of 6 s in every 20 the next one is recognised at once, and its end too."""
    controller = SpacingController(0.1)
    at, in_bursts, outside = 0.0, 0, 0
    while at < 300:
        at, deny = called(controller, at, lambda at: at % 20 < 6, 0.05)
        if at >= 100:
            in_bursts += deny
            outside += not deny
    # Ten bursts of 60 slots, and 1,400 slots between them.
    assert in_bursts < 150
    assert outside > 1_150


def test_half_of_the_tier_is_found():
    """Where the second holds half of what was bought, little more than every other slot is left unused."""
    controller = SpacingController(0.1)
    at, tokens, filled, granted, denied = 0.0, 5.0, 0.0, 0, 0
    while at < 300:
        at += controller.interval
        controller.departed(at)
        tokens, filled = min(5.0, tokens + 5.0 * (at - filled)), at
        grant = tokens >= 1
        tokens -= grant
        (controller.granted if grant else controller.denied)(at, at + 0.05)
        if at >= 60:
            granted += grant
            denied += not grant
    # 240 seconds at five a second.
    assert granted - denied >= 0.9 * 1_200


def test_a_late_grant_does_not_end_a_bad_time():
    """Grants of calls that left before the denied ones say nothing about now."""
    late, none = SpacingController(0.1), SpacingController(0.1)
    for controller in (late, none):
        at = play(controller, 0.0, 300)
        for slot in (at + 0.1, at + 0.2):
            controller.departed(slot)
        at = play(controller, at + 0.2, 6, lambda number: True, latency=0.01)
    late.granted(300 * 0.1 + 0.1, at + 0.05)
    late.granted(300 * 0.1 + 0.2, at + 0.06)
    assert late.expected_denials > 0.9 * none.expected_denials


def test_keeps_the_space_that_helps():
    """Where calls are denied below a tenth of extra space and only there, it settles a little above it."""
    controller = SpacingController(0.1)
    at, left = 0.0, 0
    for number in range(3000):
        even = number % 2 == 0
        at, deny = called(controller, at, lambda _, even=even: controller.margin < 0.1 and even, 0.0)
        left += number >= 1000 and deny
    assert 0.08 < controller.margin < 0.2
    assert left < 60


def test_grants_after_a_pause_prove_nothing_about_full_speed():
    """A grant of a lone call is no evidence that the tier would be granted."""
    lone, busy = SpacingController(0.1), SpacingController(0.1)
    for controller in (lone, busy):
        play(controller, 0.0, 40, lambda number: number % 2 == 0)
    at = 100.0
    for _ in range(30):
        at += 5.0
        lone.departed(at)
        lone.granted(at, at)
    play(busy, 100.0, 30)
    assert lone.expected_denials >= busy.expected_denials or lone.margin >= busy.margin


def test_answers_may_come_late_and_out_of_order():
    """An answer counts for the spacing its call left with, not for that of the moment it comes back."""
    controller = SpacingController(0.1)
    sent = []
    at = 0.0
    for _ in range(10):
        at += controller.interval
        controller.departed(at)
        sent.append(at)
    for slot in reversed(sent[:4] + sent[6:]):
        controller.granted(slot, at + 0.3)
    controller.denied(sent[5], at + 0.3)
    controller.denied(sent[4], at + 0.3)
    assert controller.margin > 0


def test_unknown_calls_are_taken_at_the_present_spacing():
    """An answer to a call that was never reported does no harm."""
    controller = SpacingController(0.1)
    controller.granted(123.0, 124.0)
    assert controller.margin == 0
    controller.denied(125.0, 126.0)
    assert controller.margin > 0


def test_unanswered_calls_are_forgotten_in_the_end():
    """Calls that never get an answer don't pile up."""
    controller = SpacingController(0.001)
    for number in range(10_000):
        controller.departed(number * 0.001)
    assert len(controller._open) == 4096


def test_equal_events_give_equal_spacing():
    """Nothing is left to chance: two controllers told the same decide the same."""
    first, second = SpacingController(0.2), SpacingController(0.2)
    for controller in (first, second):
        play(controller, 0.0, 500, lambda number: number % 7 == 0)
    assert first.margin == second.margin
    assert np.array_equal(first._weights, second._weights)


def test_many_grants_are_learned_from_together_as_one_by_one():
    """Above what can be bought, grants close to each other teach nearly what each would have taught alone."""
    together, one_by_one = SpacingController(1 / 1000), SpacingController(1 / 1000)
    one_by_one._together = 0.0
    for number in range(1_000):
        at = number / 1000
        for controller in (together, one_by_one):
            controller.departed(at)
            # Answers overtake each other, and in the middle some are denied.
            answered = controller.denied if 400 < number < 500 and number % 10 == 0 else controller.granted
            answered(at, at + 0.003 * (number % 3))
    assert together.expected_denials == pytest.approx(one_by_one.expected_denials, rel=0.1)
    assert together.margin == pytest.approx(one_by_one.margin, abs=0.02)
