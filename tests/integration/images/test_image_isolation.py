"""Decoders in processes of their own: same results, and crashes that cost one image."""

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from image_files import saved
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.decoding import isolate as isolate_module
from batchsearch.images.decoding.isolate import Decoders
from batchsearch.images.prepare import Prepared, Rejected, prepare
from batchsearch.images.rules import rules_for

RULES = rules_for("generic", ImageSettings(max_side=256))


def tiff(level=90, size=(300, 200), **options):
    return saved(Image.new("RGB", size, (level, 40, 90)), "TIFF", **options)


@pytest.fixture
def decoders():
    with Decoders(ImageSettings()) as decoders:
        yield decoders


def pids(decoders):
    return [child._process.pid for child in decoders._idle]


def test_a_child_gives_what_a_thread_gives(decoders):
    """The bytes, facts and transforms are the same wherever an image is decoded."""
    data = tiff(tiffinfo={0x112: 6})
    result = prepare(data, RULES, repair=decoders.repair)
    assert isinstance(result, Prepared)
    assert result == prepare(data, RULES)
    assert len(pids(decoders)) == 1


def test_a_child_is_used_again(decoders):
    """One child serves one image after the other."""
    for level in (10, 20, 30):
        assert isinstance(prepare(tiff(level), RULES, repair=decoders.repair), Prepared)
        if level == 10:
            first = pids(decoders)
    assert pids(decoders) == first


def test_familiar_formats_stay_in_the_thread(decoders):
    """JPEG and its like start no process unless all are to be isolated."""
    data = saved(Image.new("RGB", (300, 200), "teal"), "BMP")
    assert isinstance(prepare(data, RULES, repair=decoders.repair), Prepared)
    assert pids(decoders) == []
    with Decoders(ImageSettings(isolate="always")) as every:
        assert isinstance(prepare(data, RULES, repair=every.repair), Prepared)
        assert len(pids(every)) == 1


def test_a_refusal_comes_back_as_one(decoders):
    """What the decoder cannot read is refused with the same code as in a thread."""
    data = bytearray(tiff(compression="tiff_lzw"))
    data[8:60] = bytes(52)
    result = prepare(bytes(data), RULES, repair=decoders.repair)
    assert isinstance(result, Rejected)
    assert result.code == prepare(bytes(data), RULES).code == "Local.ImageBroken"


def test_a_crash_costs_its_image_only(decoders):
    """A child that is killed by a signal is reported, and the next image gets a new one."""
    assert isinstance(prepare(tiff(1), RULES, repair=decoders.repair), Prepared)
    child = decoders._idle[0]
    os.kill(child._process.pid, signal.SIGSEGV)
    child._process.wait()
    result = prepare(tiff(2), RULES, repair=decoders.repair)
    assert isinstance(result, Rejected)
    assert result.code == "Local.ImageDecoderFailed"
    assert "SIGSEGV" in result.message
    assert isinstance(prepare(tiff(2), RULES, repair=decoders.repair), Prepared)


def test_a_child_that_cannot_work_does_not_blame_the_image(decoders, monkeypatch):
    """A process that ends by an error of Python's, before any decoder ran, is this program's fault."""
    monkeypatch.setattr(isolate_module.sys, "executable", shutil.which("false"))
    result = prepare(tiff(), RULES, repair=decoders.repair)
    assert isinstance(result, Rejected)
    assert (result.code, "ended with 1" in result.message) == ("Local.InternalError", True)


def test_a_child_at_work_when_all_is_closed_ends_with_its_image():
    """A child that comes back after the end is not kept: nothing would ever end it."""
    decoders = Decoders(ImageSettings())
    assert isinstance(prepare(tiff(1), RULES, repair=decoders.repair), Prepared)
    [child] = decoders._idle
    decoders.close()
    assert child._process.returncode is not None
    assert isinstance(prepare(tiff(2), RULES, repair=decoders.repair), Prepared)
    assert decoders._idle == []


def test_a_hanging_decoder_is_stopped(decoders, monkeypatch):
    """A child that does not answer in time is killed, and its image refused."""
    assert isinstance(prepare(tiff(1), RULES, repair=decoders.repair), Prepared)
    child = decoders._idle[0]
    os.kill(child._process.pid, signal.SIGSTOP)
    decoders._timeout = 0.05
    result = prepare(tiff(2), RULES, repair=decoders.repair)
    assert isinstance(result, Rejected)
    assert result.code == "Local.ImageDecoderFailed"
    assert "stopped after" in result.message
    assert child._process.returncode == -signal.SIGKILL


def test_a_child_that_needs_too_much_memory_is_refused_it(monkeypatch):
    """The bound on memory makes a refusal of what would swap the machine to death."""
    monkeypatch.setattr(isolate_module, "MEMORY_BASE", 250 << 20)
    monkeypatch.setattr(isolate_module, "MEMORY_A_PIXEL", 0)
    large = tiff(size=(9000, 8000), compression="tiff_lzw")
    with Decoders(ImageSettings()) as decoders:
        result = prepare(large, RULES, repair=decoders.repair)
    assert isinstance(result, Rejected)
    assert result.code == "Local.ImageOutOfMemory"


@pytest.mark.parametrize(
    ("answer", "image"),
    [
        ({"geometry": [1, 2], "transforms": []}, b""),
        ({"transforms": []}, b""),
        ({"geometry": [300, 200, 1, 256, 171, None], "transforms": []}, b"not a picture"),
        ({"geometry": [300, 200, 1, 10, 10, None], "transforms": []}, b"\xff\xd8\xff\xd9"),
    ],
)
def test_answers_of_a_child_are_not_believed(decoders, monkeypatch, answer, image):
    """A child under somebody else's control cannot send an image that breaks the rules."""
    monkeypatch.setattr(isolate_module, "receive_frame", lambda *_: (answer, image))
    result = prepare(tiff(), RULES, repair=decoders.repair)
    assert isinstance(result, Rejected)
    assert result.code == "Local.ImageDecoderFailed"


def test_threads_have_children_of_their_own(decoders):
    """Several threads repair at once, and all children end with the context."""
    results = [None] * 3

    def work(slot):
        results[slot] = prepare(tiff(slot), RULES, repair=decoders.repair)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(work, range(3)))
    assert all(isinstance(result, Prepared) for result in results)
    children = list(decoders._idle)
    decoders.close()
    assert all(child._process.returncode is not None for child in children)
