"""Small copies of images beside an instance's items: kept on request, bounded, gone with their items."""

import io
from contextlib import closing

import numpy as np
import pytest
from image_files import saved
from PIL import Image
from sqlite_rig import executed

from batchsearch.emulator.search.catalogue import Catalogue
from batchsearch.emulator.search.image_copies import SIDE, ImageCopies
from batchsearch.emulator.search.image_reading import decode_image
from batchsearch.emulator.search.item_changes import Change
from batchsearch.emulator.search.records import NewItem


def image(seed, size=(640, 400)):
    """Noise in large cells, in another colour for each seed."""
    cells = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    drawn = Image.fromarray(cells).resize(size, Image.Resampling.NEAREST)
    return decode_image(saved(drawn), "generic")


def opened(data=None, copies_bytes=10_000_000, capacity=100):
    return Catalogue(
        name="demo", service_type="generic", capacity=capacity, data=data, copies_bytes=copies_bytes
    )


def add(catalogue, product_id, seed=0, pic_name="a.jpg"):
    catalogue.add(NewItem(product_id, pic_name), image(seed), crop=False, region=None)


def pixel(jpeg):
    with Image.open(io.BytesIO(jpeg)) as found:
        assert found.format == "JPEG"
        return found.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))


def test_a_copy_is_small_and_shows_the_image():
    """At most 256 pixels a side in the image's own shape, and nothing of the file itself."""
    with closing(opened()) as catalogue:
        add(catalogue, "P1")
        jpeg = catalogue.image_copy("P1", "a.jpg")
        with Image.open(io.BytesIO(jpeg)) as found:
            assert found.size == (SIDE, 160)
        expected = image(0).image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        assert np.abs(np.subtract(pixel(jpeg), expected)).max() <= 6
        assert catalogue.image_copy("P1", "b.jpg") is None


def test_a_copy_follows_its_item():
    """Replaced with it, gone with it, by whatever way it goes."""
    with closing(opened()) as catalogue:
        for number in range(4):
            add(catalogue, f"P{number}", seed=number)
        before = catalogue.image_copy("P1", "a.jpg")
        add(catalogue, "P1", seed=9)
        assert pixel(catalogue.image_copy("P1", "a.jpg")) != pixel(before)
        catalogue.delete("P2", None)
        catalogue.change_all([Change(None, "P3", "a.jpg")], also=lambda *_: None)
        add(catalogue, "P2", seed=2, pic_name="other.jpg")
        assert catalogue.image_copy("P2", "a.jpg") is catalogue.image_copy("P3", "a.jpg") is None
        assert catalogue.image_copy("P2", "other.jpg") is not None


def test_images_of_a_batch_task_have_copies_too():
    """What is added with many others is shown like what is added alone."""
    with closing(opened()) as catalogue:
        addition = catalogue.addition(NewItem("P1", "a.jpg"), image(1), crop=False, region=None)
        catalogue.change_all([Change(addition)], also=lambda *_: None)
        assert catalogue.image_copy("P1", "a.jpg") == addition.copy is not None


def test_copies_outlive_the_process_unless_they_are_not_wanted(tmp_path):
    """They are in a file beside the items; an instance that keeps none removes it, and what is in it."""
    with closing(opened(tmp_path)) as catalogue:
        add(catalogue, "P1")
    with closing(opened(tmp_path)) as catalogue:
        assert catalogue.image_copy("P1", "a.jpg") is not None
    with closing(opened(tmp_path, copies_bytes=0)) as catalogue:
        assert catalogue.image_copy("P1", "a.jpg") is None
        add(catalogue, "P2")
    assert [path.name for path in tmp_path.glob("*images*")] == []
    with closing(opened(tmp_path)) as catalogue:
        assert catalogue.image_copy("P1", "a.jpg") is catalogue.image_copy("P2", "a.jpg") is None
        assert catalogue.count() == 2


def test_what_is_known_elsewhere_is_not_copied():
    """While a table's images are added no copy is made, and an earlier one of the item goes."""
    with closing(opened()) as catalogue:
        add(catalogue, "P1")
        catalogue.keeps_copies = False
        add(catalogue, "P1", seed=1)
        assert catalogue.image_copy("P1", "a.jpg") is None


def test_the_oldest_copies_make_room():
    """All together never take more than they may; one that alone is too large is not kept."""
    copies = ImageCopies(None, 100)
    for number in range(1, 8):
        copies.keep(number, bytes(30))
        assert copies.size <= 100
    assert [number for number in range(1, 8) if copies.get(number)] == [5, 6, 7]
    copies.keep(6, bytes(10))
    assert copies.size == 70
    copies.keep(7, bytes(101))
    assert (copies.get(7), copies.size) == (None, 40)
    copies.close()
    assert copies.get(5) is None
    copies.keep(9, b"late")


@pytest.mark.parametrize("broken", [b"no database at all" * 100, None])
def test_a_file_that_cannot_be_used_refuses_no_item(tmp_path, broken):
    """Copies are a convenience: without them the instance works as ever."""
    place = tmp_path / "demo.images.sqlite3"
    if broken is None:
        place.mkdir()
    else:
        place.write_bytes(broken)
    with closing(opened(tmp_path)) as catalogue:
        add(catalogue, "P1")
        assert catalogue.count() == 1
        assert catalogue.image_copy("P1", "a.jpg") is None


def test_size_is_known_again_after_a_restart(tmp_path):
    """The bound holds over restarts: what is there is counted when the file is opened."""
    first = ImageCopies(tmp_path / "c.sqlite3", 100)
    first.keep(1, bytes(60))
    first.close()
    again = ImageCopies(tmp_path / "c.sqlite3", 100)
    assert again.size == 60
    again.keep(2, bytes(60))
    again.close()
    assert executed(tmp_path / "c.sqlite3", "SELECT id FROM copies") == [(2,)]
