"""TIFF as its fields declare it: depth, polarity, colour maps, and the page that is meant."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.inspect import inspect
from batchsearch.images.prepare import Prepared, Rejected, prepare
from batchsearch.images.rules import rules_for

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 13: 4, 16: 8}
CODES = {1: "B", 2: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
LEVELS = np.tile(np.linspace(0, 255, 200).round().astype(np.uint16), (120, 1))
"""A ramp from black to white, 8 bits."""


def rules(**settings):
    return rules_for("generic", ImageSettings(**settings))


class Writer:
    """Puts a TIFF together from pixels and directories, in either byte order, classic or BigTIFF."""

    def __init__(self, order="<", *, big=False):
        self.order, self.big = order, big
        mark = b"II" if order == "<" else b"MM"
        self.data = bytearray(mark + struct.pack(order + "H", 43 if big else 42))
        self.data += struct.pack(order + "HHQ", 8, 0, 0) if big else bytes(4)
        self.link = 8 if big else 4

    def put(self, content):
        """Appends bytes; returns where they are."""
        self.data += bytes(len(self.data) % 2)
        place = len(self.data)
        self.data += content
        return place

    def directory(self, fields, *, chained=True):
        """Appends a directory (tag -> type, values), linked to the one before if it is in the chain."""
        word, entry = ("Q", "HHQ") if self.big else ("I", "HHI")
        width = struct.calcsize(self.order + word)
        body = struct.pack(self.order + ("Q" if self.big else "H"), len(fields))
        for tag, (kind, values) in sorted(fields.items()):
            packed = struct.pack(f"{self.order}{len(values)}{CODES[kind]}", *values)
            if len(packed) > width:
                packed = struct.pack(self.order + word, self.put(packed))
            body += struct.pack(self.order + entry, tag, kind, len(values)) + packed.ljust(width, b"\0")
        place = self.put(body + bytes(width))
        if chained:
            self.data[self.link : self.link + width] = struct.pack(self.order + word, place)
            self.link = len(self.data) - width
        return place

    def page(self, pixels, size, bits, *, photometric=1, samples=1, chained=True, **more):
        """Appends one uncompressed strip and its directory."""
        fields = {
            256: (4, (size[0],)),
            257: (4, (size[1],)),
            258: (3, (bits,) * samples),
            259: (3, (1,)),
            262: (3, (photometric,)),
            273: (4, (self.put(pixels),)),
            277: (3, (samples,)),
            278: (4, (size[1],)),
            279: (4, (len(pixels),)),
            **{int(name[1:]): value for name, value in more.items()},
        }
        return self.directory(fields, chained=chained)


def rgb(size, colours):
    """Raw pixels: one colour on the left half, another on the right one."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, : size[0] // 2], pixels[:, size[0] // 2 :] = colours
    return pixels.tobytes()


def twelve_bits(levels):
    """Two samples in three bytes, the upper bits first."""
    first, second = levels.astype(int).reshape(-1, 2).T
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8).tobytes()


def sent(data, **settings):
    """What is sent for a file, height x width x 3."""
    made = prepare(data, rules(**settings))
    assert isinstance(made, Prepared), made
    return np.asarray(Image.open(io.BytesIO(made.data)).convert("RGB")).astype(int)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_twelve_bits_keep_their_brightness(order, photometric):
    """Grey of 12 bits goes out from black to white, in both byte orders and whichever end is zero."""
    levels = LEVELS.astype(int) * 4095 // 255
    writer = Writer(order)
    writer.page(
        twelve_bits(4095 - levels if photometric == 0 else levels), (200, 120), 12, photometric=photometric
    )
    assert np.abs(sent(bytes(writer.data))[:, :, 0] - LEVELS).mean() < 2


@pytest.mark.parametrize("order", ["<", ">"])
def test_deep_grey_that_counts_from_white_is_no_negative(order):
    """16-bit grey with white at zero goes out as it looks."""
    writer = Writer(order)
    pixels = (65535 - LEVELS.astype(int) * 257).astype(order + "u2").tobytes()
    writer.page(pixels, (200, 120), 16, photometric=0)
    assert np.abs(sent(bytes(writer.data))[:, :, 0] - LEVELS).mean() < 2


def test_floats_that_count_from_white_are_no_negative():
    """Float grey with white at zero goes out as it looks."""
    writer = Writer()
    pixels = (1 - LEVELS / 255).astype("<f4").tobytes()
    writer.page(pixels, (200, 120), 32, photometric=0, _339=(3, (3,)))
    assert np.abs(sent(bytes(writer.data))[:, :, 0] - LEVELS).mean() < 2


def test_a_declared_highest_sample_is_white():
    """12 bits in 16, with the highest sample declared, go out from black to white; without, as 16 bits."""
    levels = LEVELS.astype(int) * 4095 // 255
    pixels = levels.astype("<u2").tobytes()
    declared, silent = Writer(), Writer()
    declared.page(pixels, (200, 120), 16, _281=(3, (4095,)))
    silent.page(pixels, (200, 120), 16)
    assert np.abs(sent(bytes(declared.data))[:, :, 0] - LEVELS).mean() < 2
    assert sent(bytes(silent.data)).max() < 24


def test_a_highest_sample_that_pixels_pass_is_not_believed():
    """A declared highest sample below what is there changes nothing."""
    writer = Writer()
    writer.page((LEVELS.astype(int) * 257).astype("<u2").tobytes(), (200, 120), 16, _281=(3, (4095,)))
    assert np.abs(sent(bytes(writer.data))[:, :, 0] - LEVELS).mean() < 2


@pytest.mark.parametrize("scale", [1, 257])
@pytest.mark.parametrize("big", [False, True])
def test_colour_maps_of_eight_and_sixteen_bits_are_told_apart(scale, big):
    """A palette has its colours, whether the map's values reach 255 or 65,535."""
    palette = [(200, 30, 30), (20, 60, 220), *[(0, 0, 0)] * 254]
    colours = tuple(colour[band] * scale for band in range(3) for colour in palette)
    index = np.zeros((120, 200), np.uint8)
    index[:, 100:] = 1
    writer = Writer(big=big)
    writer.page(index.tobytes(), (200, 120), 8, photometric=3, _320=(3, colours))
    pixels = sent(bytes(writer.data))
    assert np.abs(pixels[60, 40] - palette[0]).max() < 8
    assert np.abs(pixels[60, 160] - palette[1]).max() < 8


RED_BLUE = ((200, 30, 30), (20, 60, 220))
GREEN = ((30, 160, 40), (30, 170, 40))


@pytest.mark.parametrize(("order", "big"), [("<", False), ("<", True), (">", False)])
@pytest.mark.parametrize("place", ["child", "next", "old"])
def test_a_thumbnail_in_front_is_not_the_image(order, big, place):
    """The full-resolution page is sent, whether it comes next or stands below the thumbnail."""
    writer = Writer(order, big=big)
    size = (320, 240)
    more = {"photometric": 2, "samples": 3}
    marks = {"_255": (3, (2,))} if place == "old" else {"_254": (4, (1,))}
    if place == "child":
        child = writer.page(rgb(size, RED_BLUE), size, 8, chained=False, _254=(4, (0,)), **more)
        marks["_330"] = (13, (child,))
    writer.page(rgb((160, 120), GREEN), (160, 120), 8, **marks, **more)
    if place != "child":
        writer.page(rgb(size, RED_BLUE), size, 8, **more)
    data = bytes(writer.data)
    seen = inspect(data)
    assert (seen.width, seen.height, seen.frames, seen.flaw) == (320, 240, 1, None)
    pixels = sent(data)
    assert pixels.shape == (240, 320, 3)
    assert np.abs(pixels[120, 40] - RED_BLUE[0]).max() < 8


def test_pages_are_counted_without_thumbnails():
    """`images.frame` numbers the pages themselves; one beyond the last is the last page."""
    writer = Writer()
    more = {"photometric": 2, "samples": 3}
    for colours in (RED_BLUE, GREEN):
        writer.page(rgb((200, 120), colours), (200, 120), 8, **more)
        writer.page(rgb((100, 60), ((9, 9, 9),) * 2), (100, 60), 8, _254=(4, (1,)), **more)
    data = bytes(writer.data)
    assert inspect(data).frames == 2
    for frame in (1, 7):
        assert np.abs(sent(data, frame=frame)[60, 100] - GREEN[0]).max() < 8


def test_a_file_of_nothing_but_thumbnails_is_its_first_page():
    """Where every page calls itself reduced, there is nothing better to take."""
    writer = Writer()
    writer.page(rgb((160, 120), RED_BLUE), (160, 120), 8, photometric=2, samples=3, _254=(4, (1,)))
    assert sent(bytes(writer.data)).shape == (120, 160, 3)


def test_a_ring_of_pages_below_pages_ends():
    """A directory that names itself, below it and after it, is read once."""
    writer = Writer()
    place = writer.page(
        rgb((160, 120), RED_BLUE), (160, 120), 8, photometric=2, samples=3, _254=(4, (1,)), _330=(13, (0,))
    )
    at = writer.data.rindex(struct.pack("<HHI", 330, 13, 1))
    writer.data[at + 8 : at + 12] = struct.pack("<I", place)
    writer.data[writer.link : writer.link + 4] = struct.pack("<I", place)
    assert inspect(bytes(writer.data)).frames == 1


@pytest.mark.parametrize("photometric", [32803, 34892])
@pytest.mark.parametrize("named", [True, False])
def test_what_a_sensor_saw_is_called_a_raw_file(photometric, named):
    """A DNG or another camera's file is named as what it is, and its thumbnail is not sent for it."""
    writer = Writer()
    child = writer.page(bytes(320 * 240 * 2), (320, 240), 16, photometric=photometric, chained=False)
    version = {"_50706": (1, (1, 4, 0, 0))} if named else {}
    writer.page(
        rgb((160, 120), GREEN), (160, 120), 8, photometric=2, samples=3, _254=(4, (1,)), _330=(4, (child,)),
        **version,
    )  # fmt: skip
    made = prepare(bytes(writer.data), rules())
    assert isinstance(made, Rejected)
    assert (made.code, made.message) == (
        "Local.ImageFormatUnsupported",
        f"{'DNG' if named else 'camera RAW'} is not read",
    )


def test_a_bigtiff_in_the_order_that_the_decoder_does_not_know_is_named():
    """A big-endian BigTIFF is whole, and not read: its code says that."""
    writer = Writer(">", big=True)
    writer.page(rgb((160, 120), GREEN), (160, 120), 8, photometric=2, samples=3)
    made = prepare(bytes(writer.data), rules())
    assert (made.code, made.message) == (
        "Local.ImageFormatUnsupported",
        "BigTIFF in big-endian order is not read",
    )


def test_pixels_of_an_unknown_kind_are_said_to_be_so():
    """A whole TIFF that the decoder has no way to read is not called broken."""
    writer = Writer()
    writer.page(bytes(200 * 120 * 2), (200, 120), 10)
    made = prepare(bytes(writer.data), rules())
    assert (made.code, made.message) == (
        "Local.ImageFormatUnsupported",
        "TIFF with pixels of 1x10 bits is not read",
    )
