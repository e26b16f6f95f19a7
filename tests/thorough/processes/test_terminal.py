"""Commands as somebody at a terminal sees them: real pseudo-terminals, of a stated width."""

import asyncio
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import unicodedata
from dataclasses import dataclass

import pytest
from run_rig import drained, harm, put_all

from batchsearch.config.load import load_job
from batchsearch.emulator.faults import NotJson, WrongTypes
from batchsearch.engine.run.job import run_job
from batchsearch.service.codes.lookup import advice_on, meaning_of

CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
COLOUR = re.compile(r"\x1b\[(?:3[0-7]|9[0-7]|38;)")

ROWS = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(4)]
GONE = [{"id": f"gone{n}", "image": f"gone{n}.jpg"} for n in range(3)]
CATALOGUE = [{"id": f"P{n}", "pic_name": "front", "image": f"p{n % 3:02}.jpg"} for n in range(4)]


@dataclass
class Shown:
    """What a terminal was sent, and how the command ended."""

    exit_code: int
    raw: str
    other: str

    @property
    def text(self):
        """All of it without control sequences: what was drawn over is in it, too."""
        return CONTROLS.sub("", self.raw).replace("\r", "\n")

    @property
    def page(self):
        """Lines of what stays: what comes after the bar has been taken away."""
        return CONTROLS.sub("", self.raw.rpartition("\x1b[?25h")[2]).replace("\r", "").split("\n")


def columns_of(line):
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in line)


def on_terminal(*arguments, columns=80, stdout=None, stderr=None, **environment):
    """Run the command line on a terminal; `stdout` or `stderr` may go elsewhere, which is then `other`."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "batchsearch", *map(str, arguments)],
        stdin=theirs,
        stdout=stdout or theirs,
        stderr=stderr or theirs,
        env={**kept, "TERM": "xterm-256color", "BATCHSEARCH_LOG_LEVEL": "", **environment},
    )
    os.close(theirs)
    written = drained(ours)
    pipe = process.stdout or process.stderr
    other = pipe.read().decode() if pipe else ""
    if pipe:
        pipe.close()
    encoding = environment.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    return Shown(process.wait(), written.decode(encoding), other)


@pytest.fixture
def job(signed_in, make_job):
    return make_job(
        [*ROWS, *GONE], instance__endpoint=signed_in.endpoint, output__dir="out", max_failed="100%"
    )


@pytest.fixture
def ran(job):
    """The output folder of a run that is over."""
    assert asyncio.run(run_job(load_job(job).settings)).exit_code == 0
    return job.parent / "out"


def test_a_run_ends_with_a_page_and_no_json(job):
    """A terminal shows counts, each failure's code, count, meaning and advice, and what to do next."""
    shown = on_terminal("run", job)
    assert shown.exit_code == 0
    page = "\n".join(shown.page)
    assert "{" not in page
    assert "7: 4 ok, 3 failed, 0 left" in page
    place = next(number for number, line in enumerate(shown.page) if "Local.ImageMissing" in line)
    assert shown.page[place].split() == ["3", "Local.ImageMissing"]
    assert shown.page[place + 1].strip() == meaning_of("Local.ImageMissing")
    assert shown.page[place + 2].strip() == f"→ {advice_on('Local.ImageMissing')}"
    assert f"batchsearch report {job.parent / 'out'}" in page
    assert f"batchsearch retry {job.parent / 'out'} --codes Local.ImageMissing" in page


def test_json_is_there_for_who_asks(job):
    """`--json` puts the summary in the page's place, on a terminal as well."""
    shown = on_terminal("run", job, "--json", "--no-progress")
    assert json.loads(shown.text)["rows"] == 7


def test_a_pipe_still_gets_json(job):
    """With stdout in a pipe a program reads its line, while a person reads the page on the terminal."""
    shown = on_terminal("run", job, stdout=subprocess.PIPE)
    assert json.loads(shown.other)["rows"] == 7
    assert "7: 4 ok, 3 failed" in "\n".join(shown.page)


def test_the_page_finds_the_terminal_that_there_is(job):
    """With stderr in a file the page is on the terminal that stdout is, and in the file."""
    shown = on_terminal("run", job, stderr=subprocess.PIPE)
    assert "7: 4 ok, 3 failed" in shown.text
    assert "{" not in shown.text
    assert "7: 4 ok, 3 failed" in shown.other


@pytest.mark.parametrize("columns", [80, 50])
def test_a_page_is_as_wide_as_the_terminal(job, columns):
    """Lines go on below their text; only what has no space in it may be longer."""
    shown = on_terminal("run", job, columns=columns)
    for line in shown.page:
        assert columns_of(line) <= columns or len(line.split()) == 1 or "/" in line, line
    advice = next(line for line in shown.page if line.strip().startswith("→"))
    assert len(advice) - len(advice.lstrip()) == 13


def test_no_color_is_respected(job):
    """With NO_COLOR neither bar nor page has a colour; without there are some."""
    assert COLOUR.search(on_terminal("run", job).raw)
    again = on_terminal("retry", job.parent / "out", "--failed", NO_COLOR="1")
    assert "Local.ImageMissing" in again.text
    assert not COLOUR.search(again.raw)


def test_a_terminal_without_utf_8_is_written_plainly(job):
    """Signs that the terminal lacks are written with others, never as escapes."""
    shown = on_terminal("run", job, PYTHONIOENCODING="ascii")
    assert shown.exit_code == 0
    assert "-> Correct the reference" in shown.text
    assert "\\u" not in shown.text


def test_a_dumb_terminal_gets_no_control_sequence(job):
    """TERM=dumb: lines, and nothing that draws."""
    shown = on_terminal("run", job, TERM="dumb")
    assert "7: 4 ok, 3 failed" in shown.text
    assert "\x1b" not in shown.raw


def test_the_bar_is_there_before_the_first_call(signed_in, make_job, tmp_path):
    """From its beginning a run shows what it does: it starts, reads, indexes, then works on rows."""
    catalogue = tmp_path / "catalogue.csv"
    catalogue.write_text("product_id,pic_name,image\nP1,a,p00.jpg\nP2,a,p01.jpg\n")
    indexed = {"manifest": {"path": str(catalogue)}, "root": str(tmp_path / "nowhere")}
    job = make_job(ROWS, instance__endpoint="emulator", emulator={"catalogue": indexed})
    root = next(line.split(": ")[1] for line in job.read_text().splitlines() if line.startswith("  root:"))
    job.write_text(job.read_text().replace(str(tmp_path / "nowhere"), root))
    shown = on_terminal("run", job)
    assert shown.exit_code == 0, shown.text
    steps = ["starting", "reading the manifest", "starting the embedded", "indexing the catalogue", "rows "]
    places = [shown.text.index(step) for step in steps]
    assert places == sorted(places)
    assert "indexing" not in "\n".join(shown.page)


def test_a_night_of_dedup_has_no_silent_phase(make_job):
    """Looking at images, adding, searching, comparing and writing are each shown while they last."""
    job = make_job(
        CATALOGUE,
        instance__endpoint="emulator",
        dedup={"sync": "add", "threshold": 0.3, "precheck": "report", "verify": 10},
    )
    shown = on_terminal("dedup", job)
    assert shown.exit_code == 0, shown.text
    for step in ("getting ready", "looking at images", "reading the manifest", "rows ", "comparing images"):
        assert step in shown.text
    assert "{" not in "\n".join(shown.page)
    assert f"batchsearch report {job.parent / 'out'}" in "\n".join(shown.page)


def test_an_outage_is_named(signed_in, make_job):
    """The bar and the last word say which endpoint does not answer and why."""
    job = make_job(ROWS, calls__max_attempts=3, calls__max_outage_seconds=1)
    shown = on_terminal("run", job, columns=100)
    assert shown.exit_code == 4
    assert "no answer from 127.0.0.1:9: connection refused (Transport.ConnectFailed)" in shown.text
    page = " ".join(" ".join(shown.page).split())
    assert "service or network is down; 127.0.0.1:9: connection refused (Transport.ConnectFailed)" in page


@pytest.mark.parametrize(
    "command",
    [
        ["verify", "OUT"],
        ["status", "OUT"],
        ["usage", "OUT"],
        ["compact", "OUT"],
        ["recover", "OUT"],
        ["diff", "OUT", "OUT"],
        ["plan", "JOB"],
        ["check", "JOB"],
        ["retry", "OUT", "--failed"],
    ],
    ids=lambda command: command[0],
)
def test_no_command_prints_json_on_a_terminal(command, job, ran):
    """What is JSON for a program is a page for people; nothing is wider than the terminal."""
    places = {"OUT": ran, "JOB": job}
    shown = on_terminal(*(places.get(each, each) for each in command))
    assert shown.exit_code == 0, shown.text
    assert any(line.strip() for line in shown.page)
    for line in shown.page:
        assert "{" not in line
        assert columns_of(line) <= 80 or "/" in line, line


def test_an_error_is_a_wrapped_message(make_job):
    """What ends a command is told in lines that fit, and not as JSON."""
    shown = on_terminal("run", make_job([{"id": 1, "photo": "p00.jpg"}]))
    assert shown.exit_code == 65
    assert "{" not in "\n".join(line for line in shown.page if "columns:" not in line)
    assert all(columns_of(line) <= 80 or "/" in line for line in shown.page)


EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[8m\x9b31m\x08\x7f"
HOSTILE = {
    "a success": WrongTypes(
        {
            "RequestId": EVIL,
            "Auctions.*.ProductId": EVIL,
            "PicInfo.Region": EVIL,
            "Instance.Name": EVIL,
            "Instance.Region": EVIL,
        }
    ),
    "a refusal": NotJson(
        400, json.dumps({"Code": EVIL, "Message": EVIL, "RequestId": EVIL}), "application/json"
    ),
    "a page": NotJson(502, EVIL),
}


@pytest.mark.parametrize("answer", HOSTILE)
@pytest.mark.parametrize(
    "asked", [["ping", "JOB"], ["instance", "show", "JOB"], ["search", "IMAGE", "JOB"], ["run", "JOB"]]
)
def test_a_terminal_obeys_nothing_that_the_service_says(signed_in, make_job, images, asked, answer):
    """Control characters in names, ids and messages are spelt out, whatever command shows them."""
    put_all(signed_in, images, range(3), "P{:02}")
    harm(signed_in, HOSTILE[answer])
    job = make_job(
        ROWS, instance__endpoint=signed_in.endpoint, calls__max_attempts=1, calls__max_outage_seconds=1
    )
    places = {"JOB": job, "IMAGE": images / "p00.jpg"}
    shown = on_terminal(*(places.get(each, each) for each in asked), columns=200)
    assert "owned" in shown.raw or answer == "a page" or asked == ["run", "JOB"], shown.raw
    for evil in ("\x1b]", "\x07", "\x1b[2J", "\x1b[8m", "\x9b", "\x08", "\x7f"):
        assert evil not in shown.raw, shown.raw


def test_every_command_with_a_summary_takes_json():
    """Whatever hands a line of JSON to programs gives it to a person who asks."""
    from batchsearch.cli import COMMANDS, cli

    asked = [
        name
        for name in COMMANDS
        if any("--json" in option.opts for option in cli.get_command(None, name).params)
    ]
    summaries = {"run", "dedup", "compare", "check", "retry", "demo", "verify", "recover", "compact", "plan"}
    assert summaries | {"usage", "status", "diff"} <= set(asked)
