"""A want of file descriptors is this machine's: it is waited out and charged to nothing."""

import os
import resource
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from web_rig import web_server

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.descriptors import Shortage, is_exhausted, none_left
from batchsearch.errors import ExitCode, MachineError
from batchsearch.images.fetching.fetch import Fetcher
from batchsearch.images.fetching.patience import fetch_patiently, made_patiently, read_here
from batchsearch.images.outcome import Unreachable
from batchsearch.manifest.rows import ImageReference
from batchsearch.service.http_exchange import Lost, Reply, Timeouts, exchange, new_session


class Full:
    """Takes every descriptor that this process may have; gives them back when somebody waits."""

    def __init__(self, stack):
        self._stack = stack
        self.waits = []

    async def sleep(self, seconds):
        self.waits.append(seconds)
        self._stack.close()


@contextmanager
def nothing_left():
    """A process that has as many files open as it may."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, limit[1]))
        while True:
            try:
                held = os.open(os.devnull, os.O_RDONLY)
            except OSError:
                break
            stack.callback(os.close, held)
        yield Full(stack)


@pytest.fixture
async def address():
    """Where somebody answers `image` to everything."""

    async def answer(_):
        return web.Response(body=b"picture")

    async with web_server(answer) as host:
        yield f"http://{host}/x"


async def test_files_are_read_once_there_are_descriptors_again(tmp_path):
    """A row whose file cannot be opened for want of a descriptor ends as if there had been one."""
    (tmp_path / "x.jpg").write_bytes(b"picture")
    fetcher = Fetcher(tmp_path, ImageSettings())
    reference = ImageReference(path="x.jpg")

    async def read():
        return read_here(fetcher, reference)

    with nothing_left() as full:
        assert none_left()
        assert await made_patiently(read, sleep=full.sleep) == b"picture"
    assert full.waits
    assert not none_left()


async def test_addresses_are_fetched_once_there_are_descriptors_again(tmp_path, address):
    """A host that cannot be asked for want of a socket is asked afterwards; no attempt is counted."""
    async with Fetcher(tmp_path, ImageSettings(allow_hosts=("127.0.0.1",))) as fetcher:
        with nothing_left() as full:
            found = await fetch_patiently(fetcher, ImageReference(url=address), lambda: 0.5, sleep=full.sleep)
    assert found == b"picture"
    assert full.waits


async def test_a_name_that_cannot_be_looked_up_for_want_of_a_descriptor_is_no_unknown_name(tmp_path):
    """Libraries tell a want of descriptors as something else: it is tried out."""
    async with Fetcher(tmp_path, ImageSettings()) as fetcher:
        with nothing_left():
            found = await fetcher.fetch(ImageReference(url="http://images.example/x.jpg"))
    assert isinstance(found, Unreachable)
    assert found.here == "descriptors"


async def test_calls_wait_as_well(address):
    """A call that cannot leave for want of a socket leaves later, and once."""
    async with new_session(connections=2) as session:
        with nothing_left() as full:
            found = await exchange(
                session, "POST", address, headers={}, body=b"x", timeouts=Timeouts(), sleep=full.sleep
            )
        assert isinstance(found, Reply)
        assert found.body == b"picture"
        assert full.waits
        refused = await exchange(
            session, "GET", "http://127.0.0.1:9/x", headers={}, body=b"", timeouts=Timeouts()
        )
    assert isinstance(refused, Lost)


async def test_waiting_has_an_end():
    """After its patience a want ends the run, resumable, and says what to do."""
    now = 0.0

    async def sleep(seconds):
        nonlocal now
        now += seconds

    shortage = Shortage(sleep, clock=lambda: now, patience=60.0)

    async def wait_on():
        while True:
            await shortage.wait()

    with pytest.raises(MachineError, match="ulimit -n") as caught:
        await wait_on()
    assert caught.value.exit_code is ExitCode.INCOMPLETE
    assert 60.0 <= now < 63.0


async def test_a_folder_that_went_away_ends_the_run_and_no_row(tmp_path):
    """Images whose root has gone are waited for; in the end the run stops with the folder's name."""
    root = tmp_path / "mount"
    root.mkdir()
    fetcher = Fetcher(root, ImageSettings())
    root.rmdir()

    async def read():
        return read_here(fetcher, ImageReference(path="x.jpg"))

    async def mounted(_):
        root.mkdir()
        (root / "x.jpg").write_bytes(b"picture")

    with pytest.raises(MachineError, match="mount: the images' folder cannot be opened"):
        await made_patiently(read, patience=0.0)
    assert await made_patiently(read, sleep=mounted) == b"picture"


def test_other_errors_are_no_want():
    """Only EMFILE and ENFILE, at any depth, are."""
    deep = RuntimeError("outer")
    deep.__cause__ = OSError(24, "Too many open files")
    assert is_exhausted(deep)
    assert not is_exhausted(OSError(13, "Permission denied"))
    assert not is_exhausted(None)
