"""Large images wait for room, small ones and second ones of one thread do not, and room comes back."""

import threading

import pytest
from image_files import saved
from PIL import Image

from batchsearch.emulator.search import image_reading
from batchsearch.emulator.search.image_reading import ImageRefusedError, decode_image
from batchsearch.emulator.search.pixel_budget import LARGE, PixelBudget


@pytest.fixture
def given_back():
    return []


@pytest.fixture
def budget(given_back):
    return PixelBudget(2 * LARGE, lambda: given_back.append(1))


def in_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_who_finds_no_room_waits_until_there_is_some(budget, given_back):
    """A third large image is let in by the end of one, and each one's end is told."""
    held = [budget.claim(LARGE), budget.claim(LARGE)]
    got, asked = threading.Event(), threading.Event()

    def third():
        asked.set()
        claim = budget.claim(LARGE)
        got.set()
        claim.release()

    thread = in_a_thread(third)
    assert asked.wait(30)
    assert not got.is_set()
    held.pop().release()
    thread.join(30)
    assert got.is_set()
    assert len(given_back) == 2
    held.clear()
    assert len(given_back) == 3


def test_nobody_waits_without_need(budget):
    """Small images, one larger than all room, and another one of who has one: each is let in at once."""
    assert budget.claim(LARGE - 1) is None
    huge = budget.claim(100 * LARGE)
    second = budget.claim(LARGE)
    done = []
    in_a_thread(lambda: done.append(budget.claim(LARGE - 1))).join(30)
    assert done == [None]
    huge.release()
    huge.release()
    second.release()
    done.clear()
    in_a_thread(lambda: done.append(budget.claim(2 * LARGE) is not None)).join(30)
    assert done == [True]


def a_file(side, form="JPEG", **how):
    return saved(Image.new("RGB", (side, side), "teal"), form, **how)


def test_an_image_gives_its_room_back_with_its_pixels(budget, given_back, monkeypatch):
    """Decoded, decoded once more, or refused on the way: nothing is kept when the image is gone."""
    monkeypatch.setattr(image_reading, "shared_budget", lambda: budget)
    data = a_file(1_500, form="PNG")
    image = decode_image(data, "generic")
    again = image_reading.DecodedImage(image.facts, image.sha256, data, "generic")
    assert again.image.size == (1_500, 1_500)
    assert not given_back
    del image
    assert len(given_back) == 1
    del again
    assert len(given_back) == 2
    with pytest.raises(ImageRefusedError):
        decode_image(data[: len(data) // 2], "generic")
    assert len(given_back) == 3


def test_a_photograph_takes_the_room_of_what_is_decoded_of_it(budget, given_back, monkeypatch):
    """A large JPEG that is decoded smaller claims so much; a progressive one is held whole all the same."""
    monkeypatch.setattr(image_reading, "shared_budget", lambda: budget)
    assert decode_image(a_file(1_500), "generic").image.size == (750, 750)
    assert not given_back
    assert decode_image(a_file(1_500, progressive=True), "generic").image.size == (750, 750)
    assert len(given_back) == 1
    assert decode_image(a_file(3_000), "generic").image.size == (750, 750)
    assert len(given_back) == 2
