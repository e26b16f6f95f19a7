"""Asking runs to stop, and where their events go, without any run."""

import asyncio
import logging

import pytest
import structlog
from run_rig import unconfigured

from batchsearch import StoppedEarlyError
from batchsearch.python_api.event_logging import LOGGER, events_to_logging
from batchsearch.python_api.stopping import Stop, in_own_thread, stoppable

__all__ = ["unconfigured"]


def test_the_first_reason_counts():
    """Who asks later is not heard; listeners that come later are told at once."""
    stop, told = Stop(), []
    with stop.telling(told.append):
        stop.ask("one")
        stop.ask("two")
        with stop.telling(told.append):
            assert told == ["one", "one"]


def test_a_listener_that_is_gone_is_not_told():
    """A run that is over is left alone."""
    stop, told = Stop(), []
    with stop.telling(told.append):
        pass
    stop.ask()
    assert told == []


async def test_asked_before_the_first_call_is_stopped_early():
    """While nothing can be stopped in good order the run is cancelled, and says so in its own words."""
    stop = Stop()

    async def forever(_signals):
        stop.ask()
        await asyncio.Event().wait()

    with pytest.raises(StoppedEarlyError):
        await stoppable(forever, stop)


async def test_a_cancelled_caller_hears_of_the_cancellation():
    """Even when the run ends with an error of its own on the way."""
    began = asyncio.Event()

    async def fails_when_stopped(_signals):
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise LookupError("while stopping")

    task = asyncio.create_task(stoppable(fails_when_stopped, Stop()))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_thread_gives_back_what_it_made_or_raised():
    """Results and exceptions come out as if there were no thread."""

    async def seven():
        return 7

    async def wrong():
        raise LookupError("wrong")

    assert in_own_thread(seven, Stop()) == 7
    with pytest.raises(LookupError, match="wrong"):
        in_own_thread(wrong, Stop())


def test_a_context_is_carried_into_the_thread():
    """What structlog has bound around a run is on the run's events."""

    async def bound():
        return structlog.contextvars.get_contextvars()

    with structlog.contextvars.bound_contextvars(night="n1"):
        assert in_own_thread(bound, Stop()) == {"night": "n1"}


def test_events_go_to_logging_and_structlog_is_as_before(unconfigured, caplog, capfd):
    """Inside, events are records of the logger `batchsearch`; outside nothing has changed."""
    caplog.set_level(logging.INFO, LOGGER.name)
    with events_to_logging(), events_to_logging():
        structlog.get_logger().info("run_started", rows=3)
        structlog.get_logger().debug("row_finished")
    assert [record.getMessage() for record in caplog.records] == ["event='run_started' rows=3"]
    assert capfd.readouterr() == ("", "")
    assert not structlog.is_configured()


def test_a_programs_own_structlog_is_left_alone(unconfigured):
    """Configured before or meanwhile, it stays what the program made it."""
    seen = []

    def take(_logger, _method, event):
        seen.append(event)
        raise structlog.DropEvent

    structlog.configure(processors=[take])
    with events_to_logging():
        structlog.get_logger().info("run_started")
    assert [event["event"] for event in seen] == ["run_started"]
    assert structlog.is_configured()
    structlog.reset_defaults()
    with events_to_logging():
        structlog.configure(processors=[structlog.processors.JSONRenderer()])
    assert structlog.is_configured()


def test_without_logging_nothing_is_printed(unconfigured):
    """Even a warning of a program that has not configured `logging` stays silent."""
    assert any(isinstance(handler, logging.NullHandler) for handler in LOGGER.handlers)
