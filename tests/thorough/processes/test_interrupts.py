"""A signal at any moment of a command: real processes that are signalled while a given module is imported."""

import json
import signal

import pytest
from run_rig import LOGGED, command, keys_of, program, started, until_at_work

from batchsearch.errors import ExitCode
from batchsearch.first_moments import INCOMPLETE, STOPPED_EARLY

ROWS = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(3)]

SIGNALLED = """
import os, signal, sys
wanted, number = sys.argv[1], int(sys.argv[2])
sys.argv[1:3] = []
class Signaller:
    def find_spec(self, name, path, target=None):
        if name == wanted:
            os.kill(os.getpid(), number)
        return None
sys.meta_path.insert(0, Signaller())
from batchsearch.__main__ import main
main()
"""


def test_the_first_moments_know_the_table():
    """The one code that is written where the table is not imported yet is the table's."""
    assert INCOMPLETE == ExitCode.INCOMPLETE


def signalled(module, number, *arguments, before=""):
    return program("-c", before + SIGNALLED, module, int(number), *arguments)


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("batchsearch.interrupts", signal.SIGINT),
        ("batchsearch.streams", signal.SIGINT),
        ("batchsearch.cli", signal.SIGTERM),
        ("click", signal.SIGINT),
        ("pydantic", signal.SIGINT),
        ("structlog", signal.SIGHUP),
        ("numpy", signal.SIGINT),
        ("pyarrow.parquet", signal.SIGINT),
        ("batchsearch.engine.run.job", signal.SIGINT),
    ],
)
def test_a_signal_during_imports_ends_in_good_order(make_job, tmp_path, module, number):
    """Whatever is being imported: one line, exit code 4, no traceback, nothing begun."""
    ran = signalled(module, number, "run", make_job(ROWS))
    assert ran.returncode == ExitCode.INCOMPLETE
    assert ran.stderr == f"batchsearch: {STOPPED_EARLY}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("module", "number"), [("aiohttp", signal.SIGTERM), ("batchsearch.engine.run.assembly", signal.SIGINT)]
)
def test_a_signal_while_the_way_of_calls_is_imported_stops_the_run(make_job, tmp_path, module, number):
    """What is imported once there is something to call: the run has begun and ends as runs do, with 4."""
    ran = signalled(module, number, "run", make_job(ROWS))
    assert ran.returncode == ExitCode.INCOMPLETE
    begun, *ended = ran.stderr.splitlines()
    assert "run_started" in begun
    assert ended == [f"batchsearch: {STOPPED_EARLY}"]
    assert not list((tmp_path / "out" / "results").glob("*.parquet"))


@pytest.mark.parametrize(
    ("looking", "number"), [("plan", signal.SIGINT), ("plan", signal.SIGHUP), ("check", signal.SIGTERM)]
)
def test_a_signal_ends_every_command_without_a_traceback(make_job, looking, number):
    """Commands that only look end with 4 as well; their temporary files go with them."""
    script = (
        "import os\n"
        "from batchsearch.manifest import source\n"
        "was = source.Manifest.check\n"
        "def check(self, *args, **kwargs):\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    return was(self, *args, **kwargs)\n"
        "source.Manifest.check = check\n"
        "from batchsearch.__main__ import main\n"
        "main()\n"
    )
    ran = program("-c", script, looking, make_job(ROWS))
    assert ran.returncode == ExitCode.INCOMPLETE
    assert "Traceback" not in ran.stderr
    assert "stopped" in ran.stderr


def test_nohup_is_respected(signed_in, make_job):
    """A SIGHUP that was ignored when the process began stays ignored: the run goes on to its end."""
    ignored = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    job = make_job(ROWS, instance__endpoint=signed_in.endpoint)
    ran = signalled("pyarrow", signal.SIGHUP, "run", job, before=ignored)
    assert ran.returncode == ExitCode.DONE, ran.stderr
    assert json.loads(ran.stdout)["ok"] == len(ROWS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_a_run_in_good_order(emulator, make_job, number):
    """The closed terminal too: what is out is answered and kept, exit code 4, and again resumes."""
    rows = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(40)]
    job = make_job(rows, instance__endpoint=emulator.endpoint, instance__qps=4)
    with started("run", job, *LOGGED, env=keys_of(emulator)) as process:
        until_at_work(process)
        process.send_signal(number)
        out, _ = process.communicate()
    summary = json.loads(out)
    assert process.returncode == ExitCode.INCOMPLETE
    assert summary["message"] == signal.Signals(number).name
    assert 0 < summary["done"] < 40
    again = command("run", job, "--set", "instance.qps=1000", env=keys_of(emulator))
    assert again.returncode == ExitCode.DONE, again.stderr
    assert json.loads(again.stdout)["ok"] == 40


def test_a_signal_while_the_result_is_handed_on_changes_nothing(signed_in, make_job):
    """A process manager that signals twice gets the run's own exit code, and its summary."""
    script = (
        "import os\n"
        "from batchsearch.telemetry.summary import Summary\n"
        "was = Summary.as_text\n"
        "def as_text(self):\n"
        f"    os.kill(os.getpid(), {int(signal.SIGTERM)})\n"
        "    return was(self)\n"
        "Summary.as_text = as_text\n"
        "from batchsearch.__main__ import main\n"
        "main()\n"
    )
    job = make_job(ROWS, instance__endpoint=signed_in.endpoint)
    ran = program("-c", script, "run", job)
    assert ran.returncode == ExitCode.DONE, ran.stderr
    assert json.loads(ran.stdout)["ok"] == len(ROWS)
