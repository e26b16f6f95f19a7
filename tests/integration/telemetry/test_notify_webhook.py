"""Notifications to a real receiver on loopback."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest
from aiohttp import web
from run_rig import harm
from web_rig import web_server

from batchsearch.config.sections.notify_settings import NOTIFY_VARIABLE, NotifySettings
from batchsearch.emulator.faults import ErrorAnswer
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ManifestError
from batchsearch.telemetry.logs import configure
from batchsearch.telemetry.notify.message import of_summary
from batchsearch.telemetry.notify.webhook import webhook_of

ROWS = [{"id": f"r{n:02}", "image": f"p{n:02}.jpg"} for n in range(5)]
PLAIN = {
    "exit_code": 0,
    "run_id": "r",
    "operation": "o",
    "instance": "i",
    "status": "done",
    "rows": 1,
    "done": 1,
    "ok": 1,
    "failed": 0,
    "codes": {},
    "calls": 1,
    "denied": 0,
    "message": "",
}


class Receiver:
    """Answers with the statuses it is given, the last one for ever; keeps what it was sent."""

    def __init__(self):
        self.statuses = [204]
        self.received = []
        self.paths = []

    async def take(self, request):
        self.paths.append(request.path)
        self.received.append(await request.json())
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == "hang":
            await asyncio.Event().wait()
        headers = {"Location": self.elsewhere} if status in (302, 307) else {}
        return web.Response(status=status, headers=headers)


@pytest.fixture
async def receiver():
    found = Receiver()
    async with web_server(found.take, "/{anything:.*}") as host:
        found.url = f"http://{host}/hook"
        found.elsewhere = found.url + "/elsewhere"
        yield found


async def test_the_end_is_told_with_the_summary(run_here, receiver):
    """One POST, after the run: kind, text and the summary as in summary.json."""
    _, summary = await run_here(ROWS, notify__webhook=receiver.url)
    [told] = receiver.received
    assert (told["kind"], told["exit_code"], told["run_id"]) == ("done", 0, summary.run_id)
    assert told["summary"] == json.loads(summary.as_json())
    assert told["text"].startswith("SearchImageByPic on demo: done. 5 ok")


async def test_only_failures_are_told_if_asked(signed_in, load, run_here, receiver):
    """A good night is silent, a bad one is not."""
    await run_here(ROWS, notify__webhook=receiver.url, notify__when="failed")
    assert receiver.received == []
    harm(signed_in, ErrorAnswer("NoPermission"), of="SearchImageByPic")
    given = {"instance__endpoint": signed_in.endpoint, "notify__webhook": receiver.url}
    await run_job(load(ROWS, **given, notify__when="failed", output__dir="other"))
    [told] = receiver.received
    assert (told["kind"], told["exit_code"]) == ("failed", 5)
    assert "NoPermission" in told["message"]


async def test_a_run_that_an_error_ends_is_told(load, receiver):
    """Before there is a summary there is still somebody to tell."""
    settings = load([ROWS[0], ROWS[0]], notify__webhook=receiver.url)
    with pytest.raises(ManifestError):
        await run_job(settings)
    [told] = receiver.received
    assert (told["kind"], told["exit_code"], told["summary"]) == ("failed", 65, None)
    assert "r00" in told["message"]


async def sent(receiver, **settings):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    hook = webhook_of(NotifySettings(webhook=receiver.url, **settings), {})
    return await hook.notify(of_summary(PLAIN, output="/out"), sleep=sleep), pauses


async def test_passing_trouble_is_tried_again(receiver):
    """Server errors and too many requests: a few attempts, with pauses that double."""
    receiver.statuses = [503, 429, 200]
    assert await sent(receiver) == (True, [1.0, 2.0])
    assert len(receiver.received) == 3


async def test_attempts_are_bounded_and_the_outcome_stands(receiver, capsys):
    """A receiver that never takes it costs its attempts and a warning, nothing else."""
    configure("json", "info", {})
    receiver.statuses = [500]
    assert await sent(receiver, attempts=4) == (False, [1.0, 2.0, 4.0])
    [event] = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (event["event"], event["host"], event["reason"]) == (
        "notify_failed",
        "127.0.0.1",
        "HTTP status 500",
    )


@pytest.mark.parametrize("status", [400, 404, 410])
async def test_a_refusal_is_final(receiver, status):
    """What is refused for good is not repeated."""
    receiver.statuses = [status]
    assert await sent(receiver) == (False, [])
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [302, 307])
async def test_redirections_are_not_followed(receiver, status):
    """The summary goes where the operator said, or nowhere."""
    receiver.statuses = [status]
    assert await sent(receiver) == (False, [])
    assert receiver.paths == ["/hook"]


async def test_a_receiver_that_hangs_costs_its_timeout(receiver):
    """Each attempt ends by itself."""
    receiver.statuses = ["hang"]
    taken, pauses = await sent(receiver, timeout=0.2, attempts=2)
    assert (taken, pauses) == (False, [1.0])


async def test_a_receiver_that_is_not_there_does_not_fail_the_run(load_here, monkeypatch, capsys):
    """Nobody listens: the run is done all the same, and the secret address is in no event."""
    configure("json", "debug", {})
    monkeypatch.setenv(NOTIFY_VARIABLE, "http://127.0.0.1:9/services/planted-secret-path")
    settings = load_here(ROWS, notify__attempts=1)
    assert (await run_job(settings)).exit_code == 0
    shown = capsys.readouterr().err
    assert '"notify_failed"' in shown
    assert "planted-secret-path" not in shown


async def test_a_signal_before_the_first_call_is_told(receiver, make_job):
    """SIGTERM while the run waits for its window: incomplete, nothing spent."""
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    window = {"start": f"{now + timedelta(minutes=5):%H:%M}", "end": f"{now + timedelta(hours=2):%H:%M}"}
    job = make_job(ROWS, window=window, notify__webhook=receiver.url)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "batchsearch", "run", str(job), "--log-format", "json"),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    )
    assert json.loads(await process.stderr.readline())["event"] == "run_started"
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 4
    [told] = receiver.received
    assert (told["kind"], told["exit_code"]) == ("incomplete", 4)
