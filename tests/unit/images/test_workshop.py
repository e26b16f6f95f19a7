"""One way from a reference to what is made of its image."""

import asyncio
import re
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import batchsearch
from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.outcome import Rejected, Unreachable
from batchsearch.images.workshop import AT_ONCE_BYTES, FETCHES_BESIDE, open_workshop
from batchsearch.manifest.rows import ImageReference


def length(data, _repair):
    """The simplest task."""
    return len(data)


class InPlace(Executor):
    """Works at once, in the calling thread, and counts."""

    def __init__(self):
        self.tasks = 0

    def submit(self, fn, /, *args, **kwargs):
        self.tasks += 1
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


async def test_a_file_is_read_and_worked_on_in_one_hop_to_the_given_executor(tmp_path):
    """An executor of any kind does the processor's work, one task an image."""
    (tmp_path / "a.jpg").write_bytes(b"image")
    executor = InPlace()
    async with open_workshop(tmp_path, ImageSettings(), executor=executor) as workshop:
        assert await workshop.make(ImageReference(path="a.jpg"), length) == 5
    assert executor.tasks == 1


async def test_what_cannot_be_read_is_an_ending_and_no_task_is_asked(tmp_path):
    """A task sees whole files only; why there is none comes back as it is."""
    async with open_workshop(tmp_path, ImageSettings()) as workshop:
        for reference in (ImageReference(path="gone.jpg"), ImageReference(url="ftp://host/a.jpg")):
            found = await workshop.make(reference, lambda *_: unwanted())
            assert isinstance(found, Rejected)
        found = await workshop.make(ImageReference(url="s3:///"), lambda *_: unwanted())
        assert isinstance(found, Rejected | Unreachable)


def unwanted():
    """Fails the test: a task was asked that must not be."""
    raise AssertionError("a task was given an image that cannot be read")


async def test_no_more_images_are_in_memory_than_there_is_room_for(tmp_path):
    """However many are asked for at once, `size` and a few on their way are held."""
    settings = ImageSettings(threads=2)
    held, most = 0, 0
    all_in = asyncio.Event()
    async with open_workshop(tmp_path, settings) as workshop:

        async def fetch(reference):
            nonlocal held, most
            held += 1
            most = max(most, held)
            if held == 2 + FETCHES_BESIDE:
                all_in.set()
            await all_in.wait()
            held -= 1
            return reference.data

        workshop.fetch = fetch
        found = await asyncio.gather(
            *(workshop.make(ImageReference(data=b"image"), length) for _ in range(4 * FETCHES_BESIDE))
        )
    assert found == [5] * (4 * FETCHES_BESIDE)
    assert most == 2 + FETCHES_BESIDE


async def test_without_patience_a_folder_that_has_gone_is_how_the_image_ends(tmp_path):
    """Pages are made of what is there now: nothing is waited for."""
    root = tmp_path / "images"
    root.mkdir()
    with ThreadPoolExecutor(1) as threads:
        async with open_workshop(root, ImageSettings(), executor=threads, patience=None) as workshop:
            root.rmdir()
            found = await workshop.make(ImageReference(path="a.jpg"), length)
    assert isinstance(found, Unreachable)
    assert found.here == "root"


def test_images_are_fetched_and_decoded_in_the_workshop_only():
    """No module beside it makes a fetcher or decoders of its own."""
    root = Path(batchsearch.__file__).parent
    made = re.compile(r"(?<![\w.`])(?:Fetcher|Decoders)\(")
    makers = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        if made.search(file.read_text(encoding="utf-8"))
    }
    assert makers == {"images/workshop.py"}


class Quick:
    """A task that needs no thread for what is short."""

    def __call__(self, data, _repair):
        """In a thread."""
        return "slowly", len(data)

    def at_once(self, data):
        """Where it is asked."""
        return ("at once", len(data)) if len(data) == 5 else None


async def test_a_small_file_from_a_network_needs_no_hop_where_its_task_knows_how(tmp_path):
    """What a task cannot do at once, what is large and what is on a disk goes to the executor."""
    executor = InPlace()
    async with open_workshop(tmp_path, ImageSettings(), executor=executor) as workshop:
        fetched = b"image"

        async def fetch(reference):
            return reference if reference.path else fetched

        workshop.fetch = fetch
        there = ImageReference(url="https://host/a.jpg")
        assert await workshop.make(there, Quick()) == ("at once", 5)
        assert executor.tasks == 0
        assert await workshop.make(there, length) == 5
        fetched = b"images"
        assert await workshop.make(there, Quick()) == ("slowly", 6)
        fetched = bytes(AT_ONCE_BYTES + 1)
        assert await workshop.make(there, Quick()) == ("slowly", AT_ONCE_BYTES + 1)
        (tmp_path / "a.jpg").write_bytes(b"image")
        assert await workshop.make(ImageReference(path="a.jpg"), Quick()) == ("slowly", 5)
    assert executor.tasks == 4
