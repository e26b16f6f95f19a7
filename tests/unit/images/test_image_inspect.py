"""What the structure scan reads, and what it costs."""

import io
import struct

import numpy as np
import pytest
from image_files import saved
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.inspect import inspect
from batchsearch.images.prepare import prepare
from batchsearch.images.rules import rules_for
from batchsearch.images.verdict import Pass, Repair, judge


def plain(kind, size=(160, 120), mode="RGB", **options):
    return saved(Image.new(mode, size, 90), kind, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_format_and_sides_are_read_without_a_decoder(kind):
    """Every readable format is known by its content, with its stored sides."""
    seen = inspect(plain(kind))
    assert (seen.format, seen.width, seen.height, seen.flaw) == (kind, 160, 120, None)


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_sides_are_read_from_both_bitstreams(lossless):
    """Lossy and lossless WebP give their sides, up to the largest that the format holds."""
    seen = inspect(plain("WEBP", (16383, 101), lossless=lossless))
    assert (seen.width, seen.height) == (16383, 101)


def test_frames_are_counted_where_that_is_cheap():
    """Animations and pages are counted from their blocks."""
    frames = [Image.fromarray(np.full((120, 160), level, np.uint8)) for level in (1, 90, 200)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert inspect(data).frames == 3, kind


def test_depth_profile_and_passes_are_read():
    """Bits, components, an embedded profile and progressive storage are told."""
    seen = inspect(plain("JPEG", mode="L", progressive=True, icc_profile=b"profile" * 100))
    assert (seen.bits, seen.components, seen.icc, seen.progressive) == (8, 1, True, True)
    assert inspect(plain("PNG", mode="I;16")).bits == 16


def test_a_bigtiff_is_read():
    """The 64-bit variant has the same fields in wider words."""
    seen = inspect(plain("TIFF", big_tiff=True))
    assert (seen.format, seen.width, seen.height, seen.flaw) == ("TIFF", 160, 120, None)


def test_a_tiff_whose_directories_form_a_ring_ends():
    """A directory that names itself as the next one is read once."""
    data = bytearray(plain("TIFF"))
    start = struct.unpack("<I", data[4:8])[0]
    entries = struct.unpack("<H", data[start : start + 2])[0]
    data[start + 2 + 12 * entries : start + 6 + 12 * entries] = struct.pack("<I", start)
    assert inspect(bytes(data)).frames == 1


def test_an_icc_profile_alone_keeps_nothing_from_passing():
    """A compliant image with a colour profile goes out as it is."""
    data = plain("JPEG", icc_profile=b"profile" * 100)
    assert judge(inspect(data), len(data), rules_for("generic", ImageSettings())) == Pass()


def test_every_reason_for_a_repair_is_named():
    """A repair lists all that keeps the file from passing."""
    data = plain("PNG", (5000, 200), mode="RGBA")
    assert judge(inspect(data), 5_000_000, rules_for("generic", ImageSettings())) == Repair(
        ("alpha", "sides", "bytes")
    )


@pytest.mark.parametrize(
    "head",
    [
        b"\xff\xd8\xff\xe0\0\2" * 3_000_000,
        b"\x89PNG\r\n\x1a\n" + bytes(12_000_000),
        b"GIF89a" + b"\1\1" * 9_000_000,
    ],
)
def test_endless_structures_are_given_up(head):
    """A file of nothing but headers ends as damaged after a bounded walk."""
    assert inspect(head).flaw is not None


def _box(kind, body):
    return struct.pack(">I", 8 + len(body)) + kind + body


def _children(data, at, end):
    """Kind and content of each box in a stretch."""
    found = []
    while at < end:
        length = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + length]))
        at += length
    return found


def avif_inside_meta(image):
    """An AVIF whose coded image stands in `idat` inside `meta`, as some encoders write stills."""
    data = saved(image, "AVIF", quality=90)
    top = dict(_children(data, 0, len(data)))
    coded = top[b"mdat"]
    boxes = []
    for kind, body in _children(top[b"meta"], 4, len(top[b"meta"])):
        if kind == b"iloc":
            # Version 1: one item of one extent, by construction method 1, at the beginning of `idat`.
            entry = struct.pack(">HHHHII", 1, 1, 0, 1, 0, len(coded))
            boxes.append(_box(b"iloc", b"\1\0\0\0\x44\0" + struct.pack(">H", 1) + entry))
        else:
            boxes.append(_box(kind, body))
    meta = _box(b"meta", top[b"meta"][:4] + b"".join(boxes) + _box(b"idat", coded))
    return _box(b"ftyp", top[b"ftyp"]) + meta


def test_an_avif_with_its_data_inside_meta_is_whole():
    """`idat` inside `meta` holds the image as well as `mdat` does."""
    image = Image.fromarray(np.tile(np.arange(160, dtype=np.uint8), (120, 1))).convert("RGB")
    data = avif_inside_meta(image)
    seen = inspect(data)
    assert (seen.format, seen.width, seen.height, seen.flaw) == ("AVIF", 160, 120, None)
    made = prepare(data, rules_for("generic", ImageSettings()))
    sent = np.asarray(Image.open(io.BytesIO(made.data)).convert("RGB")).astype(int)
    assert np.abs(sent - np.asarray(image).astype(int)).mean() < 5


def test_an_avif_without_any_data_is_cut_off():
    """Sizes alone make no image, and an empty box none either."""
    data = avif_inside_meta(Image.new("RGB", (160, 120), "teal"))
    at = data.index(b"idat")
    length = int.from_bytes(data[at - 4 : at], "big")
    without = bytearray(data[: at - 4] + data[at - 4 + length :])
    meta = without.index(b"meta") - 4
    without[meta : meta + 4] = struct.pack(">I", int.from_bytes(without[meta : meta + 4], "big") - length)
    assert inspect(bytes(without)).flaw.kind == "truncated"
