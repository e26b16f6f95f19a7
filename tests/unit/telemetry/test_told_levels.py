"""Whether an event would be written is asked of whichever logger there is."""

import logging

import pytest
import structlog

from batchsearch.telemetry.logs import is_told


class OfTheLibrary:
    """A logger that knows the standard library's name for it alone, as some of structlog's do."""

    def __init__(self, level):
        self._level = level

    def isEnabledFor(self, level):  # noqa: N802 - the standard library's name
        return level >= self._level


@pytest.mark.parametrize(
    "logger",
    [
        OfTheLibrary(logging.INFO),
        structlog.make_filtering_bound_logger(logging.INFO)(structlog.PrintLogger(), [], {}),
    ],
)
def test_a_level_is_asked_of_any_logger(logger):
    """Both names for the question are understood."""
    assert is_told(logger, logging.INFO)
    assert not is_told(logger, logging.DEBUG)


def test_a_logger_that_cannot_be_asked_is_told_everything():
    """Nothing is kept from it."""
    assert is_told(object(), logging.DEBUG)
