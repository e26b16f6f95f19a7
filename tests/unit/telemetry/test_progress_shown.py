"""Progress as it appears: a bar on a terminal, events elsewhere."""

import io
import json
import sys
from datetime import UTC, datetime

import pytest
from rich.console import Console

from batchsearch.telemetry.logs import configure, logger
from batchsearch.telemetry.progress import EventLines, Progress, progress_for
from batchsearch.telemetry.stats import Stats
from batchsearch.telemetry.terminal_bar import TerminalBar

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def stats():
    found = Stats(total=100, ok=40, tier=5)
    for number in range(20):
        found.sent(number / 5)
        found.answered(0.1, None, denied=False, now=number / 5, sent_bytes=1)
        found.finished(None, number / 5)
    return found


def events(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_lines_come_at_a_bounded_pace(capsys, stats):
    """However often it is told, one event an interval; each has all that a person needs."""
    configure("json", "info")
    now = [0.0]
    with Progress(EventLines(30), clock=lambda: now[0], wall=lambda: NOW) as progress:
        for _ in range(400):
            now[0] += 0.25
            progress.update(stats)
    found = events(capsys)
    assert [event["event"] for event in found] == ["progress"] * 3
    assert {"done", "total", "rate", "mean_rate", "tier", "denied_share", "in_flight", "codes"} <= set(
        found[0]
    )
    assert {"done_at", "ends", "left_at_end", "seconds_since_success"} <= set(found[0])
    assert (found[0]["done"], found[0]["tier"]) == (40, 5)


def drawn(stats, *, width=100, environ=()):
    """What the bar leaves on a terminal, without its control sequences."""
    screen = Terminal()
    console = Console(file=screen, force_terminal=True, width=width, height=20, _environ=dict(environ))
    with Progress(TerminalBar(console), clock=lambda: 4.0, wall=lambda: NOW) as bar:
        bar.update(stats)
    return screen.getvalue()


def test_the_bar_has_pace_failures_and_end_below_it(stats):
    """Three lines under the bar, the failures only when there are any."""
    stats.failed, stats.codes["InvalidImage"] = 2, 2
    shown = drawn(stats)
    assert "42/100" in shown
    assert "calls/s of 5" in shown
    assert "failed 2: 2 InvalidImage" in shown
    assert "done about" in shown


def test_no_color_takes_the_colours_away(stats):
    """With NO_COLOR set no sequence sets a colour."""
    coloured, plain = drawn(stats), drawn(stats, environ={"NO_COLOR": "1"}.items())
    assert "\x1b[38;" in coloured or "\x1b[3" in coloured
    assert "\x1b[38;" not in plain
    assert not any(f"\x1b[{colour}m" in plain for colour in range(30, 38))


def test_a_narrow_terminal_cuts_lines_and_wraps_none(stats):
    """Each line takes one row, so that redrawing stays in place."""
    shown = drawn(stats, width=40)
    assert "…" in shown


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_log_lines_have_no_colours_when_none_are_wanted(monkeypatch, environ):
    """NO_COLOR, or a terminal that knows none: plain text, though stderr is a terminal."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    configure("console", "info")
    logger().info("run_started", rows=3)
    assert "run_started" in screen.getvalue()
    assert "\x1b" not in screen.getvalue()


def test_log_lines_have_colours_on_a_terminal(monkeypatch):
    """The test above can fail: without NO_COLOR there are some."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    configure("console", "info")
    logger().info("run_started", rows=3)
    assert "\x1b[" in screen.getvalue()


def test_logs_and_bar_share_the_terminal_ungarbled(monkeypatch, stats):
    """A log line that comes while the bar is up stands above it, whole and on a line of its own."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    configure("console", "info")
    with Progress(TerminalBar()) as bar:
        for number in range(5):
            stats.ok += 1
            bar.update(stats)
            logger().warning("run_waiting", seconds=number, waiting_for="the disk")
    lines = [line for line in screen.getvalue().replace("\r", "\n").split("\n") if "run_waiting" in line]
    assert len(lines) == 5
    assert all("seconds=" in line and "waiting_for='the disk'" in line for line in lines)
    assert not any("rows" in line or "calls/s" in line for line in lines)


@pytest.mark.parametrize(
    ("is_terminal", "term", "options", "kinds"),
    [
        (True, "xterm", {}, [TerminalBar]),
        (True, "dumb", {}, [EventLines]),
        (True, "xterm", {"as_events": True}, [EventLines]),
        (False, "xterm", {}, [EventLines]),
        (True, "xterm", {"wanted": False}, []),
    ],
)
def test_the_progress_suits_where_stderr_goes(monkeypatch, is_terminal, term, options, kinds):
    """A bar only where lines can be drawn again and nobody parses them."""
    monkeypatch.setattr(sys, "stderr", Terminal() if is_terminal else io.StringIO())
    monkeypatch.setenv("TERM", term)
    assert [type(each) for each in progress_for(**options).surfaces] == kinds
