"""Real processes that share one rate."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_rig import program

from batchsearch.errors import MissingExtraError
from batchsearch.pacing.shared import SharedPacer, SlotBoardError
from batchsearch.pacing.shared_redis import RedisBoard

ROOT = Path(__file__).parents[3]
BENCHMARK = ROOT / "tests" / "benchmarks" / "shared_rate.py"

WORKER = """
import asyncio, sys
from pathlib import Path
from batchsearch.pacing.shared import SharedPacer
from batchsearch.pacing.shared_file import FileBoard

async def work():
    pacer = SharedPacer(10, FileBoard(Path(sys.argv[1])))
    while True:
        print(await pacer.slot(), flush=True)

asyncio.run(work())
"""


def environment():
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def benchmark(*arguments):
    ran = program(BENCHMARK, "--seconds", 3, *arguments, env=environment(), timeout=60)
    assert ran.stdout, ran.stderr
    return json.loads(ran.stdout)


def check(found):
    assert found["fullest_second"] <= 10
    assert found["granted"] <= 31
    assert min(found["each"]) >= found["granted"] / 4


def test_three_processes_share_a_file():
    """Three processes on one host together use the tier, never exceed it, and each gets its part."""
    check(benchmark())


def test_killed_process_leaves_the_rate_to_the_others(tmp_path):
    """After kill -9 of one of three, the others go on and still never exceed the rate."""
    command = [sys.executable, "-c", WORKER, str(tmp_path / "rate.sqlite")]
    workers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) for _ in range(3)
    ]
    try:
        for worker in workers:
            worker.stdout.readline()  # all are up
        workers[0].send_signal(signal.SIGKILL)
        workers[0].wait()
        killed = time.monotonic()
        others = [[float(worker.stdout.readline()) for _ in range(15)] for worker in workers[1:]]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
            worker.stdout.close()
    assert all(times[-1] > killed for times in others), "each of the others goes on"
    times = sorted(at for each in others for at in each)
    assert max(sum(begin <= at < begin + 1 for at in times) for begin in times) <= 10


@pytest.fixture
def redis_server(tmp_path):
    """A Redis server of this test's own, from the system's packages."""
    pytest.importorskip("redis")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        for line in server.stdout:
            if "Ready to accept connections" in line:
                break
        yield f"redis://127.0.0.1:{port}/0"
        with contextlib.suppress(ProcessLookupError):
            server.terminate()


def test_three_processes_share_a_redis_server(redis_server):
    """Three processes that know only the same Redis server together use the tier and never exceed it."""
    check(benchmark("--redis", redis_server))


async def test_denials_and_holds_travel_through_redis(redis_server):
    """What one host is denied slows the other, and a wait that the service asks for holds both."""
    board = RedisBoard(redis_server, "host", "shoes")
    denied = SharedPacer(10, board)
    other = SharedPacer(10, RedisBoard(redis_server, "host", "shoes"))
    elsewhere = SharedPacer(10, RedisBoard(redis_server, "host", "bags"))
    for pacer in (denied, other):
        pacer.granted(await pacer.slot(), 0.01)
    for _ in range(3):
        denied.denied(await denied.slot(), 0.01)
    slot = await denied.slot()
    denied.departed(slot)
    await other.slot()
    assert other.rate < 10
    asked = time.monotonic()
    await board.reserve(0.1, hold=0.7)
    assert await other.slot() - asked >= 0.65
    await board.reserve(0.1, hold=3600)
    held = asyncio.ensure_future(other.slot())
    await elsewhere.slot()
    assert not held.done()
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    for pacer in (denied, other, elsewhere):
        await pacer.close()


async def test_unreachable_redis_is_reported_without_its_address():
    """A server that cannot be reached is an error that says what to do and shows no password."""
    pytest.importorskip("redis")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        board = RedisBoard(f"redis://:very-secret@127.0.0.1:{closed.getsockname()[1]}/0", "host")
        with pytest.raises(SlotBoardError, match="check that it runs") as caught:
            await board.reserve(0.1, 0.0)
        await board.close()
    assert "very-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_address_that_is_none_is_refused():
    """An address of another kind is refused at once and not quoted."""
    pytest.importorskip("redis")
    with pytest.raises(SlotBoardError, match="looks like redis://"):
        RedisBoard("http://user:very-secret@host", "host")


def test_missing_extra_is_named(monkeypatch):
    """Without the extra, the error says what to install."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(MissingExtraError, match=r"batchsearch\[redis\]"):
        RedisBoard("redis://127.0.0.1/0", "host")
