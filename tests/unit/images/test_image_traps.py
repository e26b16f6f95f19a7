"""The regression set of awkward images: verdict, pixels and rules of each."""

import io
from hashlib import sha256

import make_trap_images
import numpy as np
import pytest
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.prepare import Prepared, Rejected, passed, prepare
from batchsearch.images.rules import rules_for
from batchsearch.service.codes.table import codes_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

LOCAL_CODES = {code.name for code in codes_of("local", owner="image")}


TRAPS = make_trap_images.traps()


def test_what_is_told_at_once_is_what_preparing_says():
    """Without a thread an image passes exactly as it would with one; what needs more is left to one."""
    told = 0
    for trap in TRAPS:
        rules = rules_for("generic", ImageSettings(**trap.settings))
        quick = passed(trap.data, rules)
        if quick is not None:
            assert quick == prepare(trap.data, rules), trap.name
            assert quick.data is trap.data
            assert not quick.transforms
            told += 1
    assert 5 < told < len(TRAPS) - 20


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_every_trap_ends_as_it_must(trap):
    """Each awkward file passes, is repaired or is refused exactly as the set says."""
    rules = rules_for("generic", ImageSettings(**trap.settings))
    result = prepare(trap.data, rules)
    if trap.expect.startswith("Local."):
        assert isinstance(result, Rejected), result.transforms
        assert result.code == trap.expect, result.message
        assert result.code in LOCAL_CODES
        return
    assert isinstance(result, Prepared), f"{result.code}: {result.message}"
    if trap.expect == "pass":
        assert result.data is trap.data
        assert result.transforms == ()
    else:
        assert result.transforms[-1].startswith(("encode:jpeg:q", "trim:jpeg"))
        assert trap.word in ("", *result.transforms)
    _check_sent(result, rules)
    if trap.pixels is not None:
        sent = np.asarray(Image.open(io.BytesIO(result.data)).convert("RGB")).astype(int)
        assert sent.shape == trap.pixels.shape
        assert np.abs(sent - trap.pixels).mean() <= trap.tolerance


def _check_sent(result, rules):
    """What is sent opens strictly, complies with the rules, and is what its facts say."""
    with Image.open(io.BytesIO(result.data)) as image:
        image.load()
        assert image.format == result.sent.format
        assert image.size == (result.sent.width, result.sent.height)
        if result.transforms:
            assert not image.getexif()
            assert "icc_profile" not in image.info
    assert rules.min_side <= min(image.size)
    assert max(image.size) <= rules.max_side
    assert len(result.data) == result.sent.bytes <= rules.max_bytes
    assert result.sent.sha256 == sha256(result.data).hexdigest()
    geometry = result.geometry
    assert (geometry.sent_width, geometry.sent_height) == image.size


def test_the_set_covers_every_refusal_that_bytes_alone_can_cause():
    """No local code about an image's bytes is without a file that shows it."""
    by_fetching = {
        "Local.NoImage",
        "Local.ImageMissing",
        "Local.ImageReferenceInvalid",
        "Local.ImageOutsideRoot",
        "Local.ImageAddressRefused",
        "Local.ImageFileTooLarge",
    }
    # Shown by test_image_prepare and test_image_isolation: they need settings or a state of the machine.
    elsewhere = {"Local.ImageTooManyBytes", "Local.ImageOutOfMemory", "Local.ImageDecoderFailed"}
    shown = {trap.expect for trap in TRAPS if trap.expect.startswith("Local.")}
    assert shown == LOCAL_CODES - by_fetching - elsewhere


def test_metadata_that_identifies_people_stays_when_a_image_is_rewritten():
    """A re-encoded image carries no EXIF, so no place, owner or camera leaves the machine."""
    image = make_trap_images.save(make_trap_images.scene(), "JPEG")
    data = make_trap_images.jpeg_with(image, (0xE1, b"Exif\0\0" + make_trap_images.exif_block(6, gps=True)))
    assert b"HOME" in data
    result = prepare(data, rules_for("generic", ImageSettings()))
    assert b"HOME" not in result.data
    assert b"Exif" not in result.data
