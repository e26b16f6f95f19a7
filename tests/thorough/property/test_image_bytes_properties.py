"""No bytes, however damaged, get past the checks wrongly or raise."""

import io
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.inspect import inspect
from batchsearch.images.prepare import Prepared, Rejected, prepare
from batchsearch.images.rules import rules_for
from batchsearch.service.codes.table import codes_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::RuntimeWarning:PIL")

RULES = rules_for("generic", ImageSettings(verify="decode"))
TRUSTING = rules_for("generic", ImageSettings(max_megapixels=2))


@cache
def samples():
    """A small file of every format, by name."""
    rng = np.random.default_rng(3)
    pixels = np.kron(rng.integers(0, 256, (13, 17, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    image = Image.fromarray(pixels)
    turned = Image.Exif()
    turned[0x112] = 6

    def several():
        return {"save_all": True, "append_images": [image.rotate(180)]}

    made = {
        "jpeg": ("JPEG", {}),
        "jpeg-exif": ("JPEG", {"exif": turned}),
        "jpeg-progressive": ("JPEG", {"progressive": True}),
        "mpo": ("MPO", several()),
        "png": ("PNG", {}),
        "png-exif": ("PNG", {"exif": turned}),
        "apng": ("PNG", several()),
        "webp": ("WEBP", {}),
        "webp-exif": ("WEBP", {"exif": turned, "lossless": True}),
        "webp-animated": ("WEBP", several()),
        "gif": ("GIF", {}),
        "gif-animated": ("GIF", several()),
        "bmp": ("BMP", {}),
        "tiff": ("TIFF", {}),
        "tiff-lzw": ("TIFF", {"compression": "tiff_lzw", "tiffinfo": {0x112: 8}}),
        "tiff-jpeg": ("TIFF", {"compression": "jpeg"}),
        "tiff-pages": ("TIFF", several()),
        "ppm": ("PPM", {}),
        "jpeg2000": ("JPEG2000", {}),
        "avif": ("AVIF", {"speed": 10}),
    }
    files = {}
    for name, (kind, options) in made.items():
        files[name] = _saved(image, kind, **options)
    files["ppm-text"] = b"P3 136 104 255\n" + b" ".join(b"%d" % level for level in pixels.ravel())
    files["png-palette"] = _saved(image.quantize(32), "PNG")
    files["tiff-deep"] = _saved(Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257), "TIFF")
    return files


def _saved(image, kind, **options):
    buffer = io.BytesIO()
    # A copy: an encoder's settings stay with an image and disturb the next format.
    image.copy().save(buffer, kind, **options)
    return buffer.getvalue()


NAMES = st.sampled_from(sorted(samples()))
WHOLE_TO_THE_END = {"jpeg", "jpeg-exif", "jpeg-progressive", "png", "png-exif", "apng", "webp", "webp-exif"}


def check(result, rules):
    """A result is a known refusal, or an image that opens and complies; its facts fit their columns."""
    for facts in (result.source, getattr(result, "sent", None)):
        assert facts is None or 0 <= min(facts.width, facts.height) <= max(facts.width, facts.height) < 2**31
    if isinstance(result, Rejected):
        assert result.code in {code.name for code in codes_of("local", owner="image")}
        assert result.message
        return
    assert isinstance(result, Prepared)
    with Image.open(io.BytesIO(result.data)) as image:
        image.load()
        assert image.size == (result.sent.width, result.sent.height)
    assert rules.min_side <= min(image.size)
    assert max(image.size) <= rules.max_side
    assert len(result.data) <= rules.max_bytes


@st.composite
def mutated(draw):
    """A file with some bytes changed, and perhaps a stretch taken out, doubled or zeroed."""
    data = bytearray(samples()[draw(NAMES)])
    for _ in range(draw(st.integers(1, 6))):
        # Most of what a reader decides on stands in front.
        span = draw(st.sampled_from((32, 200, len(data))))
        data[draw(st.integers(0, min(span, len(data)) - 1))] = draw(st.integers(0, 255))
    start = draw(st.integers(0, len(data)))
    stretch = bytes(data[start : start + draw(st.integers(0, 64))])
    match draw(st.integers(0, 3)):
        case 1:
            del data[start : start + len(stretch)]
        case 2:
            data[start:start] = stretch
        case 3:
            data[start : start + len(stretch)] = bytes(len(stretch))
    return bytes(data)


@given(mutated())
@settings(max_examples=250, deadline=None)
def test_no_damage_raises_and_what_passes_complies(data):
    """A damaged file ends as a known refusal or as an image that opens and keeps the rules."""
    check(prepare(data, RULES), RULES)


@given(mutated())
@settings(max_examples=150, deadline=None)
def test_no_damage_makes_the_structure_scan_raise(data):
    """The structure scan describes any file without an exception, for any frame."""
    seen = inspect(data, frame=1)
    assert seen.flaw is not None or (seen.width > 0 and seen.height > 0)


@given(NAMES, st.floats(0, 1, exclude_max=True))
@settings(max_examples=150, deadline=None)
def test_a_truncated_file_is_never_sent_untouched(name, share):
    """A file cut anywhere is refused, or repaired out of what is whole in it; never passed."""
    data = samples()[name]
    result = prepare(data[: int(len(data) * share)], TRUSTING)
    check(result, TRUSTING)
    if isinstance(result, Prepared):
        assert result.transforms
        assert name not in WHOLE_TO_THE_END


@given(st.binary(max_size=300), st.sampled_from([b"", *(data[:40] for data in samples().values())]))
@settings(max_examples=150, deadline=None)
def test_bytes_behind_any_beginning_never_raise(body, head):
    """Arbitrary bytes, alone or behind the beginning of a real file, end as an outcome."""
    check(prepare(head + body, TRUSTING), TRUSTING)


@given(NAMES)
@settings(max_examples=25, deadline=None)
def test_the_same_file_is_prepared_to_the_same_bytes(name):
    """Preparing is deterministic, so equal images make equal request keys."""
    data = samples()[name]
    assert prepare(data, TRUSTING) == prepare(data, TRUSTING)
