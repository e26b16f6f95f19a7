"""What is remembered of images: made once, bounded, and never more than was asked."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from image_files import saved
from PIL import Image

from batchsearch.emulator.search import image_memory as memory
from batchsearch.emulator.search.image_memory import ImageMemory, Remembered
from batchsearch.emulator.search.image_reading import ImageRefusedError, decode_image


def jpeg(shade=0, size=(200, 150)):
    return saved(Image.new("RGB", size, (shade, 80, 120)), "JPEG")


def test_a_value_is_made_once():
    """Whoever asks later gets what was made first."""
    made = []
    remembered = Remembered(3)
    assert [remembered.of("a", lambda: made.append(1) or "first") for _ in range(3)] == ["first"] * 3
    assert made == [1]


def test_no_more_is_kept_than_allowed():
    """What makes room is chosen by chance, so that a long procession finds some of what it left."""
    remembered = Remembered(2, chance=lambda most: most - 1)
    for name in "abc":
        remembered.of(name, lambda name=name: name.upper())
    assert len(remembered) == 2
    assert remembered.of("a", lambda: "anew") == "A"
    assert remembered.of("b", lambda: "anew") == "anew"


def test_those_who_ask_meanwhile_wait_for_the_one_who_makes_it():
    """Two threads that need the same value do not both make it."""
    began, may_end, made = threading.Event(), threading.Event(), []

    def make():
        began.set()
        may_end.wait()
        made.append(1)
        return "value"

    remembered = Remembered(3)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(remembered.of, "a", make)
        began.wait()
        second = pool.submit(remembered.of, "a", make)
        may_end.set()
        assert (first.result(), second.result(), made) == ("value", "value", [1])


def test_what_could_not_be_made_is_tried_again():
    """An error is raised to whoever asked, and kept for nobody."""

    def fails():
        raise OSError("no")

    remembered = Remembered(3)
    with pytest.raises(OSError, match="no"):
        remembered.of("a", fails)
    assert remembered.of("a", lambda: "value") == "value"


def test_a_image_seen_before_is_the_same_without_decoding(monkeypatch):
    """Sides, format, hash and pixels of the second sight are those of the first, pixels only on demand."""
    decoded = []
    monkeypatch.setattr(memory, "decode_image", lambda *given: decoded.append(1) or decode_image(*given))
    known = ImageMemory()
    first, second = (known.image(jpeg(), "generic") for _ in range(2))
    assert decoded == [1]
    assert (first.facts, first.sha256) == (second.facts, second.sha256)
    assert (second.width, second.height, second.format) == (200, 150, "JPEG")
    assert first.image.tobytes() == second.image.tobytes()


def test_a_image_that_was_refused_is_refused_again():
    """The second time it is refused with the same code and words, from memory."""
    known = ImageMemory()
    refusals = []
    for _ in range(2):
        with pytest.raises(ImageRefusedError) as refused:
            known.image(jpeg()[:-60] + b"x", "generic")
        refusals.append((refused.value.code, str(refused.value)))
    assert refusals[0] == refusals[1]
    for data in (b"", b"no image"):
        with pytest.raises(ImageRefusedError) as anew:
            known.image(data, "generic")
        with pytest.raises(ImageRefusedError) as plain:
            decode_image(data, "generic")
        assert str(anew.value) == str(plain.value)


def test_kinds_of_instances_are_told_apart():
    """What one kind of instance takes another may refuse: each is asked by its own rules."""
    known = ImageMemory()
    small = jpeg(size=(150, 150))
    kinds = {kind: _taken(known, small, kind) for kind in ("generic", "fabric")}
    assert kinds == {kind: _taken(ImageMemory(), small, kind) for kind in kinds}


def _taken(known, data, kind):
    try:
        return known.image(data, kind).facts
    except ImageRefusedError as refused:
        return refused.code
