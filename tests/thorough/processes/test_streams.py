"""Streams that are full, closed, unread or poor in characters decide nothing: real descriptors."""

import asyncio
import json
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from run_rig import program

from batchsearch.config.load import load_job
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ExitCode

ROWS = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(3)]
SPELT_OUT = {"PYTHONIOENCODING": "ascii"}
OLD_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

PRINTERS = ["codes", "schema results", "--help", "completion bash", "config schema"]
OF_A_JOB = ["config check {job}", "plan {job}", "status {out}", "usage {out}", "diff {out} {out}"]
DOERS = [
    "check {job}",
    "verify {out}",
    "report {out}",
    "report {out} --parquet {out}/../facts",
    "compact {out}",
]


@pytest.fixture
def command(tmp_path):
    """Runs a command as a shell does, with a redirection: its exit code, stdout and stderr."""
    told = tmp_path / "code"

    def run(arguments, redirection="", **environment):
        status = "${PIPESTATUS[0]}" if redirection.startswith("|") else "$?"
        line = f"{sys.executable} -m batchsearch {arguments} {redirection}; echo {status} > '{told}'"
        ran = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            check=False,
        )
        said = ran.stderr.decode()
        assert "Traceback" not in said
        assert "Exception ignored" not in said
        return int(told.read_text()), ran.stdout.decode(), said

    return run


@pytest.fixture
def job(signed_in, make_job):
    """A job over three rows."""
    return make_job(ROWS, instance__endpoint=signed_in.endpoint)


@pytest.fixture
def done(job, tmp_path):
    """The same, run to its end: what commands may name."""
    assert asyncio.run(run_job(load_job(job).settings)).exit_code == ExitCode.DONE
    return {"job": job, "out": tmp_path / "out"}


@pytest.mark.parametrize(
    ("logs", "redirection"),
    [
        ("console", "2>/dev/full"),
        ("json", "2>/dev/full"),
        ("console", "2>&-"),
        ("json", "2> >(head -c 1 >/dev/null)"),
        ("console", "2> >(true)"),
        ("console", ">/dev/full"),
        ("console", "| head -c 1"),
        ("json", "| true"),
        ("console", ">&- 2>&- <&-"),
        ("json", ">/dev/full 2>/dev/full"),
    ],
)
def test_a_run_is_done_whoever_reads_its_streams(job, command, tmp_path, redirection, logs):
    """Neither log nor summary decide: rows have outcomes, the exit code says so, the summary is on disk."""
    code, _, _ = command(f"run {job} --log-format {logs}", redirection)
    assert code == ExitCode.DONE
    assert pq.read_table(tmp_path / "out" / "results").num_rows == len(ROWS)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["status"] == "done"


@pytest.mark.parametrize("redirection", [">/dev/full", ">&- 2>&-"])
def test_a_run_that_cannot_begin_keeps_its_code(job, command, redirection):
    """A bad job file is 64, also where nobody can be told."""
    assert command(f"run {job} --set instance.qqs=1", redirection)[0] == ExitCode.BAD_CONFIG


def test_a_product_that_cannot_be_written_is_74(done, command):
    """What is asked for on stdout and is lost on a full disk is a failure that says why: try again."""
    for arguments in (*PRINTERS, *OF_A_JOB, "report {out} --no-page --markdown -"):
        code, _, said = command(arguments.format(**done), ">/dev/full")
        assert code == ExitCode.OUTPUT_FAILED, arguments
        assert "cannot be written to stdout: No space left on device" in said


@pytest.mark.parametrize(
    ("redirection", "commands"),
    [
        ("| true", ("codes", "--help", *OF_A_JOB, *DOERS)),
        (">&- 2>&- <&-", ("plan {job}", "check {job}", "verify {out}")),
        ("2>/dev/full", ("plan {job}", "check {job}", "verify {out}")),
    ],
)
def test_a_reader_that_has_enough_is_no_error(done, command, redirection, commands):
    """`head` may leave, and stderr may be nowhere: the command did what it was asked."""
    for arguments in commands:
        assert command(arguments.format(**done), redirection)[0] == ExitCode.DONE, arguments


def test_a_deed_stands_without_its_line_on_stdout(done, command):
    """What a command did, or found, is its exit code; that its line was lost is said on stderr."""
    for arguments in DOERS:
        code, _, said = command(arguments.format(**done), ">/dev/full")
        assert code == ExitCode.DONE, arguments
        assert "cannot be written to stdout" in said


def test_a_watch_without_a_reader_ends(done, command):
    """`status --watch` into a reader that leaves does not print for ever."""
    heartbeat = done["out"] / "ledger" / "heartbeat.json"
    beat = json.loads(heartbeat.read_text())
    heartbeat.write_text(json.dumps({**beat, "ended": False, "exit_code": None, "pid": os.getpid()}))
    assert command("status {out} --watch --every 0.1".format(**done), "| true")[0] == ExitCode.DONE


@pytest.mark.parametrize(
    ("environment", "commands"),
    [
        (SPELT_OUT, ("run {job}", "codes", "plan {job}", "status {out}", *DOERS)),
        (OLD_LOCALE, ("run {job}", "codes", "report {out}")),
    ],
)
def test_characters_that_an_encoding_lacks_are_spelt_out(done, command, environment, commands):
    """An old locale or an odd terminal costs no exit code and no traceback."""
    for arguments in commands:
        assert command(arguments.format(**done), **environment)[0] == ExitCode.DONE, arguments


def test_the_summary_is_json_in_any_encoding(signed_in, make_job, tmp_path, command):
    """What the encoding lacks is escaped as JSON escapes it: the line says the same to every reader."""
    job = make_job(ROWS, instance__endpoint=signed_in.endpoint, output__dir="каталог é 🖼")
    code, out, _ = command(f"run {job}", **SPELT_OUT)
    assert code == ExitCode.DONE
    assert out.isascii()
    assert json.loads(out)["results"] == str(tmp_path / "каталог é 🖼" / "results")


def test_a_file_is_never_opened_where_a_stream_was(tmp_path):
    """Closed at the start, 0, 1 and 2 go to the null device: what is written to stderr is in no file."""
    script = (
        "import os\n"
        "from batchsearch.streams import make_safe\n"
        "make_safe()\n"
        f"found = open({str(tmp_path / 'found')!r}, 'w')\n"
        "print(found.fileno(), *(os.readlink(f'/proc/self/fd/{n}') for n in range(3)), file=found)\n"
    )
    subprocess.run(["bash", "-c", f'{sys.executable} -c "$0" >&- 2>&- <&-', script], check=True)
    number, *others = (tmp_path / "found").read_text().split()
    assert int(number) > 2
    assert others == ["/dev/null"] * 3


def test_an_unforeseen_error_is_70_and_asks_for_a_report(job):
    """1 is no code of the table; a defect says that it is one, in JSON too, and shows no secret."""
    script = (
        "import batchsearch.engine.run.job as job\n"
        "def broken(*_, **__):\n"
        "    raise RuntimeError('at https://example.com/x?Signature=abcdefghij')\n"
        "job.run_to_end = broken\n"
        "from batchsearch.__main__ import main\n"
        "main()\n"
    )
    ran = program("-c", script, "run", job)
    assert ran.returncode == ExitCode.DEFECT
    assert "please report it" in ran.stderr
    assert "RuntimeError" in ran.stderr
    assert "abcdefghij" not in ran.stderr + ran.stdout
    assert json.loads(ran.stdout)["exit_code"] == ExitCode.DEFECT
