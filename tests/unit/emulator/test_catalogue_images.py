"""What the emulated service accepts as an image."""

import hashlib
import struct
import zlib

import numpy as np
import pytest
from image_files import saved as encoded
from PIL import Image

from batchsearch.emulator.search.image_reading import ImageRefusedError, decode_image
from batchsearch.service.facts import MAX_IMAGE_BYTES


def plain(size=(160, 120), colour=(200, 30, 60), mode="RGB"):
    return Image.new(mode, size, colour)


def refusal(data, service_type="generic"):
    with pytest.raises(ImageRefusedError) as caught:
        decode_image(data, service_type)
    return caught.value.code


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
def test_the_documented_formats_are_read(form):
    """Each format of the page is decoded to RGB with its size, its name and the digest of its bytes."""
    data = encoded(plain(), form)
    image = decode_image(data, "generic")
    assert (image.width, image.height, image.format) == (160, 120, form)
    assert image.image.mode == "RGB"
    assert image.sha256 == hashlib.sha256(data).hexdigest()
    assert np.abs(np.asarray(image.image)[60, 80].astype(int) - (200, 30, 60)).max() < 8


@pytest.mark.parametrize("form", ["ICO", "TGA", "JPEG2000", "DDS"])
def test_other_formats_are_refused(form):
    """A format that the page does not name is no image, whatever Pillow could do with it."""
    assert refusal(encoded(plain(), form)) == "UnsupportedPicFormat"


@pytest.mark.parametrize(
    "data", [b"not a picture at all", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"P6\n", b"II*\0"]
)
def test_what_cannot_be_decoded_is_refused(data):
    """Text, and headers with nothing behind them, are refused as a format."""
    assert refusal(data) == "UnsupportedPicFormat"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_a_truncated_image_is_refused(form):
    """Half of a file is no image."""
    rng = np.random.default_rng(1)
    data = encoded(Image.fromarray(rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)), form)
    assert refusal(data[: len(data) // 2]) == "UnsupportedPicFormat"


@pytest.mark.parametrize(
    ("service_type", "size", "accepted"),
    [
        ("generic", (100, 100), True),
        ("generic", (99, 100), False),
        ("product", (100, 4096), True),
        ("product", (100, 4097), False),
        ("fabric", (448, 448), True),
        ("fabric", (448, 447), False),
        ("trademark", (200, 4095), True),
        ("trademark", (200, 4096), False),
        ("trademark", (199, 300), False),
    ],
)
def test_sides_follow_the_service_type(service_type, size, accepted):
    """Each service type takes exactly the sides that its page gives."""
    data = encoded(plain(size))
    if accepted:
        assert decode_image(data, service_type).image.size == size
    else:
        assert refusal(data, service_type) == "UnsupportedPicPixels"


def test_a_huge_canvas_is_refused_from_its_header():
    """A few hundred bytes that claim billions of pixels cost nothing and are refused as pixels."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    for side in (5_000, 10_000, 60_000):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
        assert refusal(data) == "UnsupportedPicPixels"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [0, 2, 6, 9])
def test_rotation_settings_are_refused(form, orientation):
    """An EXIF orientation other than 1 is refused in every format that can carry one."""
    exif = Image.Exif()
    exif[274] = orientation
    assert refusal(encoded(plain(), form, exif=exif)) == "IncorrectOrientation"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_upright_orientation_is_accepted(form):
    """Orientation 1 says that there is nothing to rotate."""
    exif = Image.Exif()
    exif[274] = 1
    assert decode_image(encoded(plain(), form, exif=exif), "generic").width == 160


def test_too_many_bytes_are_refused():
    """One byte more than 4 MB is too much, and 4 MB are not."""
    data = encoded(plain(), "JPEG")
    assert decode_image(data.ljust(MAX_IMAGE_BYTES, b"\0"), "generic").format == "JPEG"
    assert refusal(data.ljust(MAX_IMAGE_BYTES + 1, b"\0")) == "InvalidPicContent"
    assert refusal(b"") == "InvalidPicContent"


def test_transparency_is_seen_over_white():
    """What is transparent is white, in every way of being transparent."""
    palette = plain().convert("P")
    clear = {
        "alpha": encoded(Image.new("RGBA", (160, 120), (10, 20, 30, 0))),
        "grey alpha": encoded(Image.new("LA", (160, 120), (10, 0))),
        "palette": encoded(palette, transparency=palette.getpixel((0, 0))),
        "colour key": encoded(plain(), transparency=(200, 30, 60)),
    }
    for way, data in clear.items():
        assert decode_image(data, "generic").image.getpixel((5, 5)) == (255, 255, 255), way


def test_sixteen_bits_are_scaled():
    """Wide grey is scaled to 8 bits, not cut to white."""
    ramp = np.full((120, 160), 0x8080, dtype=np.uint16)
    image = decode_image(encoded(Image.fromarray(ramp), "PNG"), "generic")
    assert image.image.getpixel((5, 5)) == (128, 128, 128)


def test_other_colour_modes_become_rgb():
    """CMYK, grey and two-colour images are read as RGB."""
    white = {
        "CMYK": encoded(Image.new("CMYK", (160, 120), (0, 0, 0, 0)), "JPEG"),
        "L": encoded(Image.new("L", (160, 120), 255)),
        "1": encoded(Image.new("1", (160, 120), 1)),
        "F": encoded(Image.new("F", (160, 120), 3.5), "TIFF"),
    }
    for mode, data in white.items():
        assert decode_image(data, "generic").image.mode == "RGB", mode
    assert min(decode_image(white["CMYK"], "generic").image.getpixel((5, 5))) > 250


def test_an_animation_is_its_first_frame():
    """Only the first frame of an animation counts."""
    frames = [plain(colour=colour) for colour in ((250, 0, 0), (0, 250, 0))]
    for form in ("GIF", "WEBP"):
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
        red, green, _ = decode_image(data, "generic").image.getpixel((5, 5))
        assert red > 200, form
        assert green < 50, form


def test_a_phones_double_image_is_a_jpeg():
    """The JPEG with another image behind it that phones write is read as the JPEG that it begins with."""
    data = encoded(plain(), "MPO", save_all=True, append_images=[plain(colour=(0, 0, 0))])
    assert decode_image(data, "generic").format == "JPEG"


def with_scans(data, number):
    """The JPEG with its last scan repeated."""
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * number + data[-2:]


def test_scans_without_end_are_refused_before_they_are_decoded():
    """A progressive JPEG is read up to 64 scans; thousands of them, which cost minutes, are not decoded."""
    data = encoded(plain(), "JPEG", progressive=True)
    scans = data.count(b"\xff\xda")
    assert decode_image(with_scans(data, 64 - scans), "generic").format == "JPEG"
    assert refusal(with_scans(data, 65 - scans)) == "UnsupportedPicFormat"
    assert refusal(with_scans(data, 5000)) == "UnsupportedPicFormat"


def test_scans_of_a_preview_are_not_the_images():
    """What looks like scans in a JPEG's metadata limits nothing."""
    data = encoded(plain(), "JPEG", comment=b"\xff\xda" * 100, exif=b"Exif\0\0" + b"\xff\xda" * 100)
    assert decode_image(data, "generic").format == "JPEG"


def test_strips_of_jpeg_in_a_tiff_have_a_scan_each():
    """A TIFF of many small JPEG strips is read; one whose strips hold scans without end is not."""
    noise = Image.effect_noise((160, 2000), 60).convert("RGB")
    data = encoded(noise, "TIFF", compression="jpeg", strip_size=160 * 8 * 3)
    assert data.count(b"\xff\xda") > 64
    assert decode_image(data, "generic").format == "TIFF"
    assert refusal(data + b"\xff\xda" * 64 * 2000) == "UnsupportedPicFormat"


def test_damaged_files_never_raise_anything_else():
    """Whatever a damaged file makes a decoder do, it ends as an image or as a refusal."""
    rng = np.random.default_rng(3)
    noise = Image.fromarray(rng.integers(0, 255, (110, 110, 3), dtype=np.uint8))
    outcomes = set()
    for form in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"):
        whole = encoded(noise, form)
        for _ in range(30):
            data = bytearray(whole)
            for place in rng.integers(0, min(len(data), 400), 4):
                data[place] = rng.integers(0, 256)
            try:
                outcomes.add(decode_image(bytes(data), "generic").format)
            except ImageRefusedError as error:
                outcomes.add(error.code)
    assert "UnsupportedPicFormat" in outcomes


@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        ((1_119, 2_000), (1_119, 2_000)),
        ((1_120, 2_001), (560, 1_001)),
        ((2_240, 2_700), (560, 675)),
        ((4_096, 4_096), (1_024, 1_024)),
    ],
)
def test_a_large_jpeg_is_decoded_no_smaller_than_it_is_looked_at(size, decoded):
    """Its sides stay those of the file, and neither side of its pixels falls below what is enough."""
    image = decode_image(encoded(plain(size), "JPEG"), "generic")
    assert (image.width, image.height) == size
    assert image.image.size == decoded
    assert decode_image(encoded(plain((1_400, 1_400)), "PNG"), "generic").image.size == (1_400, 1_400)


@pytest.mark.parametrize(("mode", "form"), [("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "MPO")])
def test_jpegs_of_every_kind_are_decoded_small(mode, form):
    """Grey, four colours, several images in one file: each ends as RGB of the same colour."""
    image = decode_image(
        encoded(plain((1_400, 1_400), 0 if mode != "RGB" else (0, 0, 0), mode), form), "generic"
    )
    assert (image.image.size, image.image.mode, image.format) == ((700, 700), "RGB", "JPEG")


def test_a_large_jpeg_that_is_cut_off_is_refused():
    """Decoding at a smaller scale reads the file to its end, too."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (1_400, 1_400, 3), np.uint8))
    data = encoded(noise, "JPEG")
    assert refusal(data[: len(data) // 2]) == "UnsupportedPicFormat"
