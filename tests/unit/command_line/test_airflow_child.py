"""`batchsearch` as a scheduler's child: its command line, what its lines and its end mean."""

import logging
import os
import signal
import stat
import sys
import threading

import pytest

from batchsearch.child.command import environment_of, job_arguments, settings_of, text_of
from batchsearch.child.ending import Ended, describe, meaning_of, result_of, small
from batchsearch.child.event_lines import event_of
from batchsearch.child.process import Child
from batchsearch.config.load import load_job
from batchsearch.errors import ConfigError


def test_arguments_are_what_the_command_line_takes(make_job):
    """Every value given as a setting arrives as itself, whatever its type."""
    rows = [{"id": "a", "image": "p00.jpg"}]
    settings = {
        "instance.qps": 5,
        "instance.custom_qps": False,
        "manifest.key": ["id"],
        "parameters.filter": 'str_attr = "a, b"',
        "reuse.max_age_hours": "12",
        "images.max_side": 800,
        "window": {"start": "22:00", "end": "06:00"},
    }
    arguments = job_arguments("run", str(make_job(rows)), settings=settings, options={"until": None})
    assert arguments[0] == "run"
    assert "--until" not in arguments
    overrides = [arguments[at + 1] for at, word in enumerate(arguments) if word == "--set"]
    job = load_job(make_job(rows), overrides=overrides, environ={}).settings
    assert (job.instance.qps, job.instance.custom_qps) == (5, False)
    assert tuple(job.manifest.key) == ("id",)
    assert job.parameters == {"filter": 'str_attr = "a, b"'}
    assert (job.reuse.max_age_hours, job.images.max_side) == (12, 800)
    assert job.window.start == "22:00"


def test_null_is_yamls():
    """None unsets a setting of the file."""
    assert text_of(None) == "null"


def test_overrides_come_as_a_mapping_or_as_texts():
    """Both mean the same; a later text wins."""
    assert settings_of({"a.b": 1}) == {"a.b": 1}
    assert settings_of(["a.b=1", "c=x=y", "a.b=2"]) == {"a.b": "2", "c": "x=y"}
    assert settings_of(None) == {}


@pytest.mark.parametrize("overrides", ["a=1", 5, ["a"], ["=1"]])
def test_overrides_that_are_neither_are_refused(overrides):
    """One text is not a list of texts; a text without a name sets nothing."""
    with pytest.raises(ConfigError, match=r"instance\.qps"):
        settings_of(overrides)


@pytest.mark.parametrize("name", ["access_key_secret", "instance.token", "calls.password"])
def test_a_credential_never_becomes_an_argument(name):
    """Every user of the host reads arguments; the message says where credentials go, not what was given."""
    with pytest.raises(ConfigError, match="ALIBABA_CLOUD_ACCESS_KEY_ID") as raised:
        settings_of({name: "hush"})
    assert "hush" not in str(raised.value)


def test_a_connections_key_stands_alone_in_the_environment():
    """The worker's own key, token or profile never mixes with it, and the scheduler's secrets stay."""
    worker = {
        "PATH": "/bin",
        "ALIBABA_CLOUD_SECURITY_TOKEN": "old",
        "ALIBABA_CLOUD_PROFILE": "mine",
        "AIRFLOW_CONN_X": "secret",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "secret",
        "BATCHSEARCH__INSTANCE__QPS": "5",
    }
    given = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "k", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s"}
    kept = {"PATH": "/bin", "BATCHSEARCH__INSTANCE__QPS": "5"}
    assert environment_of(worker, credentials=given, more=[("PATH", "/usr")]) == {
        **kept,
        **given,
        "PATH": "/usr",
    }
    own = {name: worker[name] for name in worker if name.startswith("ALIBABA")}
    assert environment_of(worker, credentials={}) == {**kept, **own}


@pytest.mark.parametrize(
    ("ended", "meaning"),
    [
        (Ended(0), "done"),
        (Ended(0, stopped=True), "done"),
        (Ended(3, {"status": "done, but"}), "final"),
        (Ended(4), "again"),
        (Ended(5, {"status": "ended by an error that no row can survive"}), "final"),
        (Ended(5, {"status": "failed"}), "final"),
        (Ended(5), "final"),
        (Ended(6), "final"),
        (Ended(70), "again"),
        (Ended(74, {"status": "failed"}), "again"),
        (Ended(64), "final"),
        (Ended(65), "final"),
        (Ended(64, stopped=True), "again"),
        (Ended(75), "again"),
        (Ended(1), "again"),
        (Ended(-9), "again"),
    ],
)
def test_what_an_end_means(ended, meaning):
    """The table of endings, line by line."""
    assert meaning_of(ended) == meaning


def test_what_is_accepted_is_done_unless_it_was_stopped():
    """A catalogue of several nights is not done in the morning; a task that was killed is not either."""
    assert meaning_of(Ended(4), accepted=(4,)) == "done"
    assert meaning_of(Ended(4, stopped=True), accepted=(4,)) == "again"


@pytest.mark.parametrize(
    ("ended", "text"),
    [
        (Ended(-9), "batchsearch run was killed by SIGKILL"),
        (Ended(-99), "batchsearch run was killed by signal 99"),
        (Ended(64, {"status": "failed", "message": "no `qps`"}), "exit code 64: no `qps`"),
        (Ended(3, {"status": "done", "codes": {"Local.ImageMissing": 2}}), "done; Local.ImageMissing: 2"),
        (Ended(1, None, ("Traceback", "Boom")), "exit code 1: Traceback\nBoom"),
        (Ended(4, stopped=True), "exit code 4 after it was told to stop"),
    ],
)
def test_the_message_says_how_and_why(ended, text):
    """Exit code or signal, then the reason from where there is one."""
    assert text in describe(ended, "run")


def test_a_message_is_bounded():
    """A scheduler's database need not hold a book."""
    assert len(describe(Ended(1, None, ("x" * 100_000,)), "run")) == 4000


@pytest.mark.parametrize("line", ["", "done", "[1]", '"a"', "{", "null"])
def test_only_an_object_is_a_result(line):
    """Whatever else a last line may be."""
    assert result_of(line) is None


def test_a_schedulers_database_gets_the_small_part():
    """Numbers, paths and counts by code are kept, a long list is not."""
    result = {"rows": 3, "codes": {"Local.ImageMissing": 2}, "listed": ["x" * 100] * 100, "message": None}
    assert small(result) == {"rows": 3, "codes": {"Local.ImageMissing": 2}, "message": None}


def test_an_event_is_one_line_with_its_facts():
    """Level and time are the log's own; text with spaces is quoted, control characters are spelt out."""
    event = event_of(
        '{"event": "run_ending", "level": "error", "timestamp": "t", "why": "a b", "n": 3, "x": "\\u001b["}'
    )
    assert event.level == logging.ERROR
    assert event.text.startswith('run_ending why="a b" n=3 x=')
    assert "\x1b" not in event.text


@pytest.mark.parametrize("line", ["Traceback", "{}", '{"event": 3}', "[]"])
def test_what_is_no_event_is_shown_as_it_is(line):
    """A traceback's line is not taken for an event."""
    assert event_of(line) is None


@pytest.fixture
def child(tmp_path):
    """Makes a child of a script that stands for an interpreter; the lines that it wrote to stderr."""
    lines = []

    def make(body):
        script = tmp_path / "python"
        script.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\n{body}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        made = Child(
            ["run", "job.yaml"],
            environment=dict(os.environ),
            on_line=lambda line: lines.append(line) or line.startswith("{"),
            folder=tmp_path,
            python=str(script),
        )
        return made, lines

    return make


def test_a_childs_end_and_last_line_are_told(child):
    """Its last line of stdout is the result, whatever came before; lines that are no events are kept."""
    made, lines = child(
        "print('noise'); print('{\"rows\": 3}'); print()\n"
        "print('{}', file=sys.stderr); print(*sys.argv[1:], os.getcwd(), file=sys.stderr); sys.exit(3)"
    )
    ended = made.run()
    assert (ended.exit_code, ended.result, ended.stopped) == (3, {"rows": 3}, False)
    assert lines[0] == "{}"
    assert ended.last_lines == (lines[1],)
    assert lines[1].startswith("-m batchsearch.child run job.yaml ")


def test_more_output_than_a_pipe_holds_blocks_nobody(child):
    """Megabytes on both streams are read as they come."""
    made, lines = child(
        "for n in range(30000):\n print('x' * 99); print('y' * 99, file=sys.stderr)\nprint('{}')"
    )
    ended = made.run()
    assert (ended.exit_code, ended.result, len(lines)) == (0, {}, 30_000)
    assert len(ended.last_lines) == 20


def test_a_signal_handler_may_stop_it(child):
    """`stop` is called in the midst of `run`, by a handler in the same thread, as a scheduler does."""
    made, lines = child("print('up', file=sys.stderr, flush=True); sys.stdin.read(); sys.exit(4)")
    before = signal.signal(signal.SIGUSR1, lambda *_: made.stop())
    made._on_line = lambda line: lines.append(line) or os.kill(os.getpid(), signal.SIGUSR1) or True
    try:
        ended = made.run()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (ended.exit_code, ended.stopped) == (4, True)


def test_a_child_that_does_not_stop_is_killed(child):
    """After the time it was given; what was answered is in the ledger."""
    made, _ = child("print('up', file=sys.stderr, flush=True); signal.pause()")
    made._stop_seconds = 0.1
    made._on_line = lambda line: threading.Thread(target=made.stop).start() or True
    assert made.run().exit_code == -signal.SIGKILL


def test_what_interrupts_the_waiting_stops_the_child(child):
    """A time limit that raises in the middle leaves no process behind."""
    made, _ = child("print('up', file=sys.stderr, flush=True); sys.stdin.read(); sys.exit(4)")

    def raise_it(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGUSR1, raise_it)
    made._on_line = lambda line: os.kill(os.getpid(), signal.SIGUSR1) or True
    try:
        with pytest.raises(TimeoutError):
            made.run()
    finally:
        signal.signal(signal.SIGUSR1, before)
    with pytest.raises(ChildProcessError):
        os.waitpid(made.pid, os.WNOHANG)


def test_what_the_child_leaves_behind_is_not_waited_for(child, monkeypatch):
    """A process that outlives the child and holds its pipes open keeps nobody."""
    made, _ = child(
        "if os.fork() == 0:\n os.execvp('sleep', ['sleep', '20'])\nprint('{\"rows\": 1}', flush=True)"
    )
    monkeypatch.setattr("batchsearch.child.process._STRAY_SECONDS", 0.5)
    assert made.run().result == {"rows": 1}
