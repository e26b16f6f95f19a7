"""Files that are not read are named as what they are."""

import struct

import pytest
from image_files import saved
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.prepare import Rejected, prepare
from batchsearch.images.rules import rules_for

RULES = rules_for("generic", ImageSettings())


def noise(kind, mode="RGB", size=(160, 120), **options):
    return saved(Image.effect_noise(size, 60).convert(mode), kind, **options)


FILES = {
    "tga": (noise("TGA"), "TGA"),
    "tga packed": (noise("TGA", compression="tga_rle"), "TGA"),
    "tga grey": (noise("TGA", "L"), "TGA"),
    "tga palette": (noise("TGA", "P"), "TGA"),
    "tga alpha": (noise("TGA", "RGBA"), "TGA"),
    "tga without its ending": (noise("TGA")[:-26], "TGA"),
    "pcx": (noise("PCX"), "PCX"),
    "pcx grey": (noise("PCX", "L"), "PCX"),
    "icns": (noise("ICNS", "RGBA", (128, 128)), "ICNS"),
    "sgi": (noise("SGI"), "SGI"),
    "sgi grey": (noise("SGI", "L"), "SGI"),
    "cr2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(200), "Canon RAW (CR2)"),
    "cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(200), "Canon RAW (CR3)"),
    "crw": (b"II\x1a\0\0\0HEAPCCDR" + bytes(200), "Canon RAW (CRW)"),
    "raf": (b"FUJIFILMCCD-RAW 0201" + bytes(200), "Fujifilm RAW (RAF)"),
    "orf": (b"IIRO\x08\0\0\0" + bytes(200), "Olympus RAW (ORF)"),
    "rw2": (b"IIU\0\x18\0\0\0" + bytes(200), "Panasonic RAW (RW2)"),
    "x3f": (b"FOVb\0\0\2\0" + bytes(200), "Sigma RAW (X3F)"),
    "jxr": (b"II\xbc\1" + bytes(200), "JPEG XR"),
    "cursor": (b"\0\0\2\0\1\0\x20\x20" + bytes(200), "CUR"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_read_is_named(name):
    """The message and the source's format say what to convert."""
    data, kind = FILES[name]
    made = prepare(data, RULES)
    assert isinstance(made, Rejected)
    assert (made.code, made.message) == ("Local.ImageFormatUnsupported", f"{kind} is not read")
    assert made.source.format == kind


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100), "a film"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "a Matroska or WebM film"),
        (b"\n\x05\x01\x08hello, this is no PCX file at all\n" * 3, "no known format"),
        (bytes(64), "no known format"),
        (struct.pack("<20H", *range(3, 23)), "no known format"),
    ],
)
def test_what_is_no_image_is_not_taken_for_one(data, words):
    """Bytes that fit no format's header are no image; a film is called one."""
    made = prepare(data, RULES)
    assert made.code == "Local.NotAnImage"
    assert words in made.message


def test_text_is_no_image():
    """Neither text nor JSON is taken for a header without a name of its own."""
    for text in (b"hello, world\n" * 50, b'{"image": "x.jpg"}' * 9, b"id,image\n1,0.jpg\n" * 9):
        assert prepare(text, RULES).code == "Local.NotAnImage"
