"""JPEGs made plain without decoding them."""

import io

import numpy as np
import pytest
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.decoding.trim import can_trim, trimmed
from batchsearch.images.prepare import Prepared, prepare
from batchsearch.images.rules import rules_for

RULES = rules_for("generic", ImageSettings())
DECODING = rules_for("generic", ImageSettings(verify="decode"))


def image(seed=5, size=(240, 160)):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8))


def saved(image, kind="JPEG", **options):
    buffer = io.BytesIO()
    image.copy().save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data):
    with Image.open(io.BytesIO(data), formats=("JPEG", "MPO")) as opened:
        return np.asarray(opened.convert("RGB"))


def exif(orientation, owner="HOME ADDRESS"):
    block = Image.Exif()
    block[0x112] = orientation
    block[0x10E] = owner
    return block


KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "grey": {"grey": True},
    "optimized": {"optimize": True, "subsampling": 0},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rules", [RULES, DECODING], ids=["trusting", "decoding"])
def test_bytes_after_the_end_go_and_the_pixels_stay(kind, rules):
    """The file is sent without its appendix, bit for bit the same image."""
    options = dict(KINDS[kind])
    drawn = image().convert("L") if options.pop("grey", False) else image()
    plain = saved(drawn, **options)
    for appendix in (b"\0", b"film" * 500, plain + b"\n", b"\xff\xd9 ", b"\xff\xd8\xff"):
        result = prepare(plain + appendix, rules)
        assert isinstance(result, Prepared)
        assert result.transforms == ("trim:jpeg",)
        assert np.array_equal(pixels(result.data), pixels(plain))
        assert result.sent.bytes == len(result.data) <= len(plain)


def test_the_first_image_of_several_is_sent_alone():
    """MPO: the second image and its directory stay at home."""
    first, second = image(1), image(2)
    data = saved(first, "MPO", save_all=True, append_images=[second], quality=95)
    result = prepare(data, RULES)
    assert result.transforms == ("trim:jpeg",)
    assert b"MPF\0" not in result.data
    assert len(result.data) < len(data)
    assert np.array_equal(pixels(result.data), pixels(data))


def test_doubtful_metadata_and_what_identifies_people_are_left_out():
    """An orientation that does not exist goes with its whole block, comments and thumbnails too."""
    data = saved(image(), exif=exif(9), comment=b"my house")
    assert b"HOME" in data
    result = prepare(data, RULES)
    assert result.transforms == ("metadata", "trim:jpeg")
    assert b"HOME" not in result.data
    assert b"my house" not in result.data
    assert np.array_equal(pixels(result.data), pixels(data))


def test_what_says_how_the_pixels_look_is_kept():
    """The colour profile and Adobe's colour transform stay: without them the image would look different."""
    profile = b"ICC stand-in".ljust(70_000, b"x")
    ycc = saved(image(), icc_profile=profile, exif=exif(9))
    kept = trimmed(ycc)
    with Image.open(io.BytesIO(kept)) as opened:
        assert opened.info["icc_profile"] == profile
    rgb = saved(image(), keep_rgb=True, exif=exif(9))
    assert np.array_equal(pixels(trimmed(rgb)), pixels(rgb))


def test_trimming_may_save_the_bytes_that_were_too_many():
    """An image over the limit only by its appendix keeps its quality."""
    plain = saved(image())
    rules = rules_for("generic", ImageSettings(max_upload_bytes=len(plain) + 10))
    result = prepare(plain + bytes(5_000), rules)
    assert result.transforms == ("trim:jpeg",)


def test_what_has_to_be_decoded_anyway_is_not_trimmed():
    """A turned, large or otherwise awkward image is encoded anew, once."""
    turned = prepare(saved(image(), exif=exif(6)) + b"\0", RULES)
    assert turned.transforms == ("orientation:6", "encode:jpeg:q90")
    large = prepare(saved(image()) + b"\0", rules_for("generic", ImageSettings(max_side=200)))
    assert large.transforms[-1] == "encode:jpeg:q90"


@pytest.mark.parametrize(
    ("reasons", "possible"),
    [
        (("trailing",), True),
        (("metadata", "bytes"), True),
        (("bytes",), False),
        (("trailing", "orientation"), False),
        (("junk", "trailing"), False),
        ((), False),
    ],
)
def test_only_what_stands_around_the_image_can_be_trimmed(reasons, possible):
    """Every other reason needs a decoder."""
    assert can_trim(reasons) is possible


def test_a_image_that_broke_off_is_not_made_whole():
    """Half an image with another one behind it is not cut at the other one's end."""
    plain = saved(image())
    assert trimmed(plain[: len(plain) // 2] + plain + b"\0") is None
    for cut in range(0, len(plain), 97):
        assert trimmed(plain[:cut]) is None


def test_stuffing_and_restarts_are_no_end():
    """Image data holds 0xFF in many ways; only the end marker ends it."""
    plain = saved(image(7, (800, 600)), quality=100, restart_marker_blocks=1)
    assert plain.count(b"\xff\x00") > 100
    assert plain.count(b"\xff\xd3") > 100
    assert trimmed(plain + b"tail") == trimmed(plain)
    assert np.array_equal(pixels(trimmed(plain)), pixels(plain))
