"""Numbers that a header claims are bounded where they are read, and decoding by what it costs."""

import json
import struct
import zlib

import numpy as np
import pyarrow as pa
import pytest
from image_files import saved
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.emulator.search.image_reading import ImageRefusedError, decode_image
from batchsearch.engine.rows.outcome_columns import image_fields
from batchsearch.images.decoding.cost import decoding_cost
from batchsearch.images.headers import tiff as tiff_headers
from batchsearch.images.headers.jpeg import MAX_SCANS
from batchsearch.images.headers.structure_facts import MAX_SIDE, Inspection
from batchsearch.images.inspect import inspect
from batchsearch.images.prepare import Prepared, Rejected, prepare
from batchsearch.images.rules import rules_for
from batchsearch.storage.parts.results_and_hits import own_results_schema

HUGE = 2**31
RULES = rules_for("generic", ImageSettings())


def png(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">II", width, height) + b"\x08\2\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def tiff(width, height, *, kind=4):
    word = {3: "H", 4: "I", 16: "Q"}[kind]
    fields = ((256, kind, width), (257, kind, height), (273, 4, 8), (279, 4, 1))
    if kind == 16:
        body = struct.pack("<Q", len(fields))
        body += b"".join(struct.pack("<HHQQ", tag, kind, 1, value) for tag, kind, value in fields)
        return b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + body + bytes(8)
    body = struct.pack("<H", len(fields))
    for tag, each, value in fields:
        body += struct.pack("<HHI", tag, each, 1) + struct.pack(f"<{word}", value).ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", 8) + body + bytes(4)


def bmp(width, height):
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 100, 0, 0, 54) + head + bytes(40)


def jp2(width, height):
    size = struct.pack(">HHIIIIIIIIH", 47, 0, width, height, 0, 0, width, height, 0, 0, 3) + b"\7\1\1" * 3
    return b"\xff\x4f\xff\x51" + size + bytes(20) + b"\xff\xd9"


def boxed(brand, width, height):
    def box(kind, body):
        return struct.pack(">I", 8 + len(body)) + kind + body

    size = box(b"ispe", struct.pack(">III", 0, width, height))
    return box(b"ftyp", brand + bytes(4)) + box(b"meta", bytes(4) + box(b"ipco", size)) + box(b"mdat", b"x")


def gif(width, height):
    frame = b"\x2c" + struct.pack("<HHHH", width, height, width, height) + b"\0\2\1\0\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0" + frame + b"\x3b"


CLAIMS = {
    "png": png(HUGE, 1),
    "png tall": png(1, 2**32 - 1),
    "png square": png(2**32 - 1, 2**32 - 1),
    "tiff": tiff(HUGE, 1),
    "tiff tall": tiff(1, 2**32 - 1),
    "bigtiff": tiff(2**64 - 1, 2**64 - 1, kind=16),
    "ppm": b"P6 2147483648 1 255\n" + bytes(30),
    "ppm long": b"P6 9999999999 9999999999 255\n" + bytes(30),
    "pgm": b"P5 1 4294967296 255\n" + bytes(30),
    "pbm": b"P4 9999999999 1\n" + bytes(30),
    "ppm as text": b"P3 9999999999 3 255\n1 2 3",
    "bmp": bmp(2**31 - 1, -(2**31)),
    "jpeg2000": jp2(2**32 - 1, 2**32 - 1),
    "avif": boxed(b"avif", 2**32 - 1, 2**32 - 1),
    "heif": boxed(b"heic", HUGE, 7),
    "gif": gif(65535, 65535),
    "webp": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff" * 6,
}


@pytest.mark.parametrize("name", CLAIMS)
def test_no_header_puts_an_unbounded_number_into_an_outcome(name):
    """Whatever a file of a few bytes claims of itself, its row has the right code and can be written."""
    made = prepare(CLAIMS[name], RULES)
    assert isinstance(made, Rejected)
    assert made.code == "Local.ImageTooManyPixels", made.message
    assert made.source is not None
    assert max(made.source.width, made.source.height) <= MAX_SIDE
    fields = json.loads(json.dumps(image_fields("", made.source, None)))
    table = pa.Table.from_pylist([fields], schema=own_results_schema("SearchImageByPic"))
    assert table.column("source_format")[0].as_py() == made.source.format


@pytest.mark.parametrize("flip", range(8 * 8))
def test_a_flipped_bit_of_a_png_header_stays_an_outcome_that_can_be_written(flip):
    """Any bit of either side may turn over on a disk."""
    data = bytearray(saved(Image.new("RGB", (160, 120), "teal"), "PNG"))
    data[16 + flip // 8] ^= 1 << flip % 8
    made = prepare(bytes(data), RULES)
    assert isinstance(made, Rejected)
    assert max(made.source.width, made.source.height) <= MAX_SIDE


def jpeg(width, height, **facts):
    return Inspection("JPEG", width, height, **facts)


def test_a_phones_largest_jpeg_is_within_the_default():
    """200 megapixels that are shrunk while they are decoded cost less than 80, snapped or not."""
    for settings in ({}, {"snap": False}, {"max_side": 1024}):
        rules = rules_for("generic", ImageSettings(**settings))
        wanted = (rules.target_side, rules.target_side * 3 // 4)
        assert decoding_cost(jpeg(16320, 12240), wanted) <= rules.max_pixels
    # One that comes in passes is held whole; so is every other format.
    assert decoding_cost(jpeg(16320, 12240, progressive=True), (1024, 768)) == 16320 * 12240
    assert decoding_cost(Inspection("PNG", 16320, 12240), (1024, 768)) == 16320 * 12240


def test_a_canvas_beyond_the_limit_is_sent_where_decoding_it_is_cheap():
    """A 108-megapixel JPEG goes out shrunk, its facts those of the file."""
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8))
    data = saved(small.resize((12000, 9000), Image.Resampling.NEAREST), "JPEG", quality=50)
    made = prepare(data, rules_for("generic", ImageSettings(max_side=1024)))
    assert isinstance(made, Prepared), made
    assert (made.source.width, made.source.height) == (12000, 9000)
    assert max(made.sent.width, made.sent.height) <= 1024


def test_the_message_says_which_setting_to_raise_and_to_what():
    """A PNG of 100 megapixels is refused with the limit, and sent with the limit that the message names."""
    image = Image.new("1", (12000, 8400))
    image.paste(1, (0, 0, 6000, 8400))
    data = saved(image, "PNG")
    refused = prepare(data, RULES)
    assert refused.code == "Local.ImageTooManyPixels"
    assert "worth 101 megapixels, images.max_megapixels is 80; 101 would allow it" in refused.message
    made = prepare(data, rules_for("generic", ImageSettings(max_megapixels=101, max_side=500)))
    assert isinstance(made, Prepared), made


def test_the_largest_jpeg_canvas_is_refused():
    """A JPEG of 4 gigapixels costs too much to decode at any scale."""
    data = bytearray(saved(Image.new("RGB", (160, 120), "teal"), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xdc\xff\xdc"
    made = prepare(bytes(data), rules_for("generic", ImageSettings(max_side=100)))
    assert made.code == "Local.ImageTooManyPixels"


def with_scans(count, *, progressive):
    """A JPEG whose last scan is there many times."""
    data = saved(Image.new("RGB", (160, 120), "teal"), "JPEG", progressive=progressive)
    if not progressive:
        # One component in the first scan: the others would follow in scans of their own.
        start = data.index(b"\xff\xda")
        data = data[:start] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + data[start + 14 :]
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


@pytest.mark.parametrize("progressive", [True, False])
def test_a_jpeg_of_too_many_scans_is_refused_on_both_sides(progressive):
    """Thousands of passes over one canvas cost minutes: no decoder starts, here or in the instance."""
    data = with_scans(3000, progressive=progressive)
    made = prepare(data, RULES)
    assert (made.code, made.message) == ("Local.ImageBroken", f"JPEG: more than {MAX_SCANS} scans")
    with pytest.raises(ImageRefusedError, match="scans") as refused:
        decode_image(data, "generic")
    assert refused.value.code == "UnsupportedPicFormat"


@pytest.mark.parametrize("count", [1, 40])
def test_a_progressive_jpeg_of_ordinary_or_many_scans_passes(count):
    """What encoders write, and some more, is sent untouched and read by the embedded instance."""
    data = with_scans(count, progressive=True)
    assert inspect(data).progressive
    assert prepare(data, RULES).data is data
    assert decode_image(data, "generic").width == 160


def text_png(kind):
    """A PNG with 3 MB of text, packed into a few kilobytes."""
    data = saved(Image.effect_noise((160, 120), 60).convert("RGB"), "PNG")
    packed = zlib.compress(b"x" * 3_000_000)
    body = {
        b"iTXt": b"Comment\0\1\0\0\0" + packed,
        b"zTXt": b"Comment\0\0" + packed,
        b"iCCP": b"profile\0\0" + packed,
    }[kind]
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize("kind", [b"iTXt", b"zTXt", b"iCCP"])
@pytest.mark.parametrize("side", [200, 100])
def test_texts_of_a_png_decide_nothing(kind, side):
    """A long packed text is not unpacked: the image is sent, shrunk or as it is, and read by the instance."""
    rules = rules_for("generic", ImageSettings(max_side=side, too_small="pad"))
    made = prepare(text_png(kind), rules)
    assert isinstance(made, Prepared), made
    assert decode_image(made.data, "generic").width == made.sent.width


def test_unpacking_is_not_repeated_as_often_as_a_file_asks(monkeypatch):
    """A PNG of very many packed profiles has a few of them unpacked, whatever is done with it."""
    unpacked = []
    real = zlib.decompressobj

    def counting():
        unpacked.append(1)
        return real()

    monkeypatch.setattr("batchsearch.images.headers.png.zlib.decompressobj", counting)
    packed = zlib.compress(b"x" * 2_000_000)
    data = saved(Image.effect_noise((160, 120), 60).convert("RGB"), "PNG")
    chunks = b""
    for kind, body in ((b"iCCP", b"p\0\0" + packed), (b"zTXt", b"Raw profile type exif\0\0" + packed)):
        chunks += (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        ) * 500
    made = prepare(data[:33] + chunks + data[33:], rules_for("generic", ImageSettings(max_side=120)))
    assert isinstance(made, Prepared), made
    assert len(unpacked) <= 10


def test_a_tiff_of_endless_directories_is_read_in_bounds(monkeypatch):
    """Thousands of directories, each with very many others below it, cost a bounded number of reads."""
    looked_at = []
    real = tiff_headers._Reader.fields

    def counting(self, directory, wanted, **bounds):
        found = real(self, directory, wanted, **bounds)
        looked_at.append(sum(map(len, found.values())))
        return found

    monkeypatch.setattr(tiff_headers._Reader, "fields", counting)
    count = 3_000
    body = b""
    for number in range(count):
        at = 8 + number * 30
        fields = struct.pack("<HHII", 254, 4, 1, 1) + struct.pack("<HHII", 330, 4, 200_000, 8 + count * 30)
        body += struct.pack("<H", 2) + fields + struct.pack("<I", at + 30 if number + 1 < count else 0)
    seen = inspect(b"II*\0" + struct.pack("<I", 8) + body + bytes(800_000))
    assert seen.flaw is not None
    assert 1_000 <= len(looked_at) <= 5_000
    assert max(looked_at) <= 100
