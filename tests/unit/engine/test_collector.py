"""The garbage collector is held back during a run, and is as it was afterwards."""

import gc
from contextlib import suppress

from batchsearch.engine.run.collector import held_back


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
