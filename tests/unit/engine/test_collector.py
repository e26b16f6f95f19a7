"""The garbage collector is held back during a run, and is as it was afterwards."""

import gc
from contextlib import suppress

from batchsearch.engine.run.collector import come_seldom, held_back


def test_the_collector_is_as_it_was_after_a_run():
    """Thresholds and what is set aside are the caller's again, after an error as well."""
    before = gc.get_threshold()
    with suppress(KeyError), held_back():
        assert gc.get_threshold()[0] > before[0]
        assert gc.get_freeze_count() > 0
        {}["an error"]
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_a_collector_that_somebody_has_set_is_left_alone():
    """A program that tunes the collector, or has set objects aside, keeps it as it is."""
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        with held_back():
            assert gc.get_threshold()[0] < 10_000
        assert gc.get_freeze_count() == before
    finally:
        gc.unfreeze()


def test_a_command_that_has_not_set_aside_what_it_loaded_does_for_its_work():
    """What the command line sets is no reason to leave the collector alone: it is the same."""
    before = gc.get_threshold()
    come_seldom()
    try:
        set_by_command = gc.get_threshold()
        with held_back():
            assert (gc.get_threshold(), gc.get_freeze_count() > 0) == (set_by_command, True)
        assert (gc.get_threshold(), gc.get_freeze_count()) == (set_by_command, 0)
    finally:
        gc.set_threshold(*before)
