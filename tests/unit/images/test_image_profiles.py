"""Colour profiles: one rule, whether an image passes or is written anew."""

import io
import struct
import zlib

import make_trap_images as traps
import numpy as np
import pytest
from PIL import Image, ImageCms

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.headers.icc import differs, is_srgb, is_usable
from batchsearch.images.inspect import inspect
from batchsearch.images.prepare import prepare
from batchsearch.images.rules import rules_for

RULES = rules_for("generic", ImageSettings())


OTHER = traps.swapped_profile()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def old_description(profile, text):
    """The profile with its description as version 2 writes it: one line of ASCII."""
    data = bytearray(profile)
    count = struct.unpack(">I", data[128:132])[0]
    place = next(at for at in range(132, 132 + 12 * count, 12) if data[at : at + 4] == b"desc")
    tag = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" + bytes(78)
    data[place + 4 : place + 12] = struct.pack(">II", len(data), len(tag))
    return bytes(data + tag)


def sent_pixels(data):
    made = prepare(data, RULES)
    return made, np.asarray(Image.open(io.BytesIO(made.data)).convert("RGB")).astype(int)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_and_the_same_turned_have_the_same_colours(kind):
    """A compliant image in another colour space is converted as one is that has to be turned."""
    upright = traps.scene()
    options = {"quality": 95} if kind != "PNG" else {}
    exif = Image.Exif()
    exif[0x112] = 6
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    plain, first = sent_pixels(traps.save(upright, kind, icc_profile=OTHER, **options))
    _, second = sent_pixels(traps.save(turned, kind, icc_profile=OTHER, exif=exif, **options))
    assert "icc->srgb" in plain.transforms
    assert np.abs(first - second).mean() < 3
    # The profile exchanges red and blue: what is sent looks as the file does in a program that uses it.
    assert np.abs(first - traps.array(upright)[:, :, ::-1]).mean() < 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "profile", [SRGB, old_description(SRGB, b"sRGB IEC61966-2.1"), old_description(SRGB, b"c2")]
)
def test_srgb_by_any_of_its_names_passes_untouched(kind, profile):
    """Most profiles are sRGB: such an image is sent as it is, profile and all."""
    data = traps.save(traps.scene(), kind, icc_profile=profile)
    assert inspect(data).icc
    assert prepare(data, RULES).data is data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("profile", [b"profile" * 100, OTHER.replace(b"acsp", b"nope"), OTHER[:100]])
def test_what_is_no_profile_changes_nothing(kind, profile):
    """A profile that no program could use keeps nothing from passing."""
    data = traps.save(traps.scene(), kind, icc_profile=profile)
    assert prepare(data, RULES).data is data


def test_a_profile_for_other_pixels_is_none():
    """A profile of inks on an RGB image, or of colours on a grey one, is passed over."""
    assert not is_usable(traps.cmyk_profile(), 3)
    assert not is_usable(OTHER, 1)
    assert is_usable(OTHER, 3)
    assert is_usable(traps.cmyk_profile(), 4)


def test_linear_light_is_not_srgb_by_its_name():
    """A profile that calls itself linear sRGB is converted."""
    linear = old_description(SRGB, b"sRGB built-in linear")
    assert not is_srgb(linear)
    assert differs(linear, 3)


@pytest.mark.parametrize("parts", [2, 3])
def test_a_jpegs_profile_is_put_together_from_its_parts(parts):
    """Parts in any order make one profile; with one missing there is none, as decoders have it."""
    jpeg = traps.save(traps.scene(), "JPEG", quality=95)
    size = -(-len(OTHER) // parts)
    pieces = [
        (0xE2, b"ICC_PROFILE\0" + bytes([number + 1, parts]) + OTHER[number * size : (number + 1) * size])
        for number in reversed(range(parts))
    ]
    assert "profile" in inspect(traps.jpeg_with(jpeg, *pieces)).notes
    missing = traps.jpeg_with(jpeg, *pieces[1:])
    assert "profile" not in inspect(missing).notes
    assert inspect(missing).icc


@pytest.mark.parametrize(
    "body", [b"", b"name", b"name\0", b"name\0\0", b"name\0\0nonsense", b"\0\0" + zlib.compress(b"")]
)
def test_a_damaged_profile_of_a_png_ends_nothing(body):
    """A chunk that holds no profile is one that cannot be used."""
    data = traps.png_with(traps.save(traps.scene(), "PNG"), traps.png_chunk(b"iCCP", body))
    seen = inspect(data)
    assert (seen.flaw, seen.notes, seen.icc) == (None, (), True)


def test_an_empty_profile_segment_of_a_jpeg_ends_nothing():
    """A segment that ends within its own head is passed over."""
    jpeg = traps.save(traps.scene(), "JPEG")
    for body in (b"ICC_PROFILE\0", b"ICC_PROFILE\0\1", b"ICC_PROFILE\0\1\1"):
        assert inspect(traps.jpeg_with(jpeg, (0xE2, body))).flaw is None
