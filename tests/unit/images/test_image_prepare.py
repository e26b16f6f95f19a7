"""The outcomes of preparing that settings or the machine bring about."""

import errno
import io
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from image_files import saved
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.decoding import decode as decode_module
from batchsearch.images.prepare import Prepared, Rejected, prepare
from batchsearch.images.rules import rules_for


def noise(width, height, seed=1):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def rules(**settings):
    return rules_for("generic", ImageSettings(**settings))


def test_a_image_that_cannot_get_small_enough_has_its_own_code():
    """When neither quality nor size reaches the limit of bytes, the refusal says so."""
    wide = saved(noise(4096, 110), "PNG")
    result = prepare(wide, rules(max_upload_bytes=16_384))
    assert isinstance(result, Rejected)
    assert result.code == "Local.ImageTooManyBytes"


def test_bytes_are_saved_by_quality_before_size():
    """An image slightly over the limit keeps its sides and loses quality only."""
    data = saved(noise(600, 400), "JPEG", quality=95)
    result = prepare(data, rules(max_upload_bytes=len(data) // 2))
    assert isinstance(result, Prepared)
    assert (result.sent.width, result.sent.height) == (600, 400)
    assert 40 <= int(result.transforms[-1].removeprefix("encode:jpeg:q")) < 90
    assert result.sent.bytes > len(data) // 2 * 0.85


def test_bytes_are_saved_by_size_when_quality_is_not_enough():
    """An image far over the limit shrinks, and says both steps."""
    result = prepare(saved(noise(1200, 900), "JPEG", quality=95), rules(max_upload_bytes=60_000))
    assert isinstance(result, Prepared)
    assert result.sent.bytes <= 60_000
    assert result.sent.width < 1200
    assert result.transforms[0].startswith("resize:1200x900->")
    whole = f"0,{result.sent.width - 1},0,{result.sent.height - 1}"
    assert result.geometry.to_sent("0,1199,0,899") == whole


def test_a_large_jpeg_snaps_to_the_decoders_own_scale():
    """By default 4032 pixels come out as 1008 for 1024, and exactly so when asked for."""
    data = saved(Image.new("RGB", (4032, 3024), "teal"), "JPEG")
    assert prepare(data, rules(max_side=1024)).transforms[0] == "resize:4032x3024->1008x756"
    assert prepare(data, rules(max_side=1024, snap=False)).transforms[0] == "resize:4032x3024->1024x768"


@pytest.mark.parametrize("snap", [True, False])
def test_shrinking_while_decoding_looks_like_shrinking_afterwards(snap):
    """The cheap way and a full decode with the best filter give the same image."""
    x, y = np.meshgrid(np.linspace(0, 20, 2403), np.linspace(0, 14, 1801))
    waves = np.stack([np.sin(x) * 90 + 128, np.cos(y) * 90 + 128, np.sin(x + y) * 90 + 128], axis=2)
    data = saved(Image.fromarray(waves.astype(np.uint8)), "JPEG", quality=95)
    sent = Image.open(io.BytesIO(prepare(data, rules(max_side=620, snap=snap)).data))
    whole = Image.open(io.BytesIO(data)).resize(sent.size, Image.Resampling.LANCZOS)
    difference = np.abs(np.asarray(sent).astype(int) - np.asarray(whole).astype(int))
    assert difference.mean() < 1.5


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 3)])
def test_a_tiny_jpeg_can_be_padded(size):
    """Images of a few pixels are smaller than any scale of the decoder, and still padded."""
    result = prepare(saved(Image.new("RGB", size, "teal"), "JPEG"), rules(too_small="pad"))
    assert isinstance(result, Prepared)
    assert min(result.sent.width, result.sent.height) == 100


def test_verify_decode_finds_what_the_structure_hides():
    """A PNG whose image data is no valid stream passes by structure and fails when decoded."""
    module = pytest.importorskip("zlib")
    body = b"no zlib stream at all"
    header = b"\x00\x00\x00\xc8\x00\x00\x00\xc8\x08\x02\x00\x00\x00"

    def chunk(kind, content):
        return (
            len(content).to_bytes(4, "big") + kind + content + module.crc32(kind + content).to_bytes(4, "big")
        )

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    assert isinstance(prepare(data, rules()), Prepared)
    result = prepare(data, rules(verify="decode"))
    assert isinstance(result, Rejected)
    assert result.code == "Local.ImageBroken"


def test_lack_of_memory_is_the_rows_outcome():
    """MemoryError in a decoder costs the row, not the run."""

    def exhausted(*_):
        raise MemoryError

    result = prepare(saved(noise(200, 200), "BMP"), rules(), repair=exhausted)
    assert isinstance(result, Rejected)
    assert result.code == "Local.ImageOutOfMemory"
    assert result.source.format == "BMP"


def test_this_programs_own_error_is_not_a_broken_image():
    """What fails in this package's code is told as its fault, with the place, and asks for a report."""

    def faulty(*_):
        return decode_module._grid(None, None)

    result = prepare(saved(noise(200, 200), "BMP"), rules(), repair=faulty)
    assert isinstance(result, Rejected)
    assert result.code == "Local.InternalError"
    assert "AttributeError at batchsearch.images.decoding.decode (decode.py, line " in result.message
    assert "please report it" in result.message


def test_an_own_error_beside_a_decoder_is_not_a_broken_image(monkeypatch):
    """The step around the decoder is this package's; what the decoder itself raises speaks of the image."""
    data = saved(noise(200, 200), "BMP")
    monkeypatch.setattr(decode_module, "_grid", None)
    assert prepare(data, rules()).code == "Local.InternalError"
    monkeypatch.undo()
    assert prepare(data[:-3000], rules()).code in ("Local.ImageTruncated", "Local.ImageBroken")


def test_a_decoder_that_was_not_built_in_is_named(monkeypatch):
    """A Pillow without a format's library reads no such image: that is no damage of the image."""
    data = saved(noise(200, 200), "WEBP", lossless=True)
    monkeypatch.setattr(decode_module.features, "check", lambda name: name != "webp")
    result = prepare(data, rules(max_side=128))
    assert (result.code, "built without" in result.message) == ("Local.ImageFormatUnsupported", True)


@pytest.mark.parametrize("missing", ["absent", "refused", "no disk either"])
def test_images_are_written_where_no_file_in_memory_is_to_be_had(monkeypatch, missing):
    """MacOS has no memfd, a sandbox may refuse it, a disk may be full: the same bytes come out."""

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "refused")

    data = saved(noise(200, 200), "BMP")
    usual = prepare(data, rules())
    if missing == "absent":
        monkeypatch.delattr("os.memfd_create")
    else:
        monkeypatch.setattr("os.memfd_create", refuse)
    if missing == "no disk either":
        monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert prepare(data, rules()) == usual


def test_a_keyboard_interrupt_is_not_swallowed():
    """Only errors become outcomes: the user's interrupt goes through."""

    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(saved(noise(200, 200), "BMP"), rules(), repair=interrupted)


def test_threads_prepare_the_same_as_one():
    """Preparing in several threads at once changes no result."""
    files = [
        saved(noise(700 + 13 * seed, 500, seed), kind)
        for seed, kind in enumerate(["JPEG", "BMP", "GIF", "TIFF"])
    ]
    limits = rules(max_side=300)
    alone = [prepare(data, limits).sent.sha256 for data in files]
    together = [None] * 8

    def work(slot):
        together[slot] = prepare(files[slot % 4], limits).sent.sha256

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert together == alone * 2


def test_outcomes_never_show_the_image():
    """The representation of a prepared image has no bytes in it, however it is logged."""
    data = saved(noise(200, 200), "JPEG")
    assert repr(data[:20])[2:30] not in repr(prepare(data, rules()))


def test_heif_without_its_package_says_what_to_install(monkeypatch):
    """A phone's HEIF is recognised, and refused with the optional part that reads it."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    sides = b"\0\0\0\x14ispe\0\0\0\0" + (800).to_bytes(4, "big") + (600).to_bytes(4, "big")
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0\0\0\x1cmeta" + sides + b"\0\0\0\x0cmdat1234"
    result = prepare(data, rules())
    assert isinstance(result, Rejected)
    assert result.code == "Local.ImageFormatUnsupported"
    assert "batchsearch[heif]" in result.message
    assert (result.source.format, result.source.width, result.source.height) == ("HEIF", 800, 600)


def test_heif_is_read_where_its_package_is_installed():
    """With the optional part, HEIF is repaired like any other format."""
    pytest.importorskip("pillow_heif").register_heif_opener()
    result = prepare(saved(Image.new("RGB", (300, 200), "teal"), "HEIF"), rules())
    assert isinstance(result, Prepared)
    assert result.sent.format == "JPEG"
