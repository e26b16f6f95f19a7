"""Makes one image of every awkward kind, with what must become of it.

Every trap is built here from bytes or from pixels of which the right answer is known, so nothing in the
set depends on the code under test. Run as a script, it writes the files into a folder, for looking at.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

WIDTH, HEIGHT = 240, 160
INVERSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What makes the stored grid out of the upright image, for each orientation."""


@dataclass(frozen=True)
class Trap:
    """One file and the right answer.

    Attributes:
        name: What the trap is.
        data: The file.
        expect: `pass`, `repair`, or a local code.
        word: A transform that a repair must list.
        pixels: The upright image that must be sent, height x width x 3, if that is known.
        tolerance: Mean difference allowed, levels.
        settings: Image settings other than the defaults.
    """

    name: str
    data: bytes
    expect: str
    word: str = ""
    pixels: np.ndarray | None = None
    tolerance: float = 4.0
    settings: dict = field(default_factory=dict)


def scene(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """An image whose corners all differ: no turn, mirror or colour mistake goes unseen."""
    x = np.linspace(0, 1, width)[None, :]
    y = np.linspace(0, 1, height)[:, None]
    red = 40 + 180 * x + 0 * y
    green = 40 + 180 * y + 0 * x
    blue = 200 - 150 * x * y
    pixels = np.stack([red, green, blue], axis=2)
    pixels[: height // 4, : width // 4] = (220, 30, 30)
    pixels[-height // 5 :, : width // 6] = (30, 200, 40)
    pixels[: height // 6, -width // 5 :] = (250, 240, 60)
    return Image.fromarray(pixels.round().astype(np.uint8))


def array(image: Image.Image) -> np.ndarray:
    """An image's pixels as height x width x 3."""
    return np.asarray(image.convert("RGB")).astype(int)


def save(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image as a file of a format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif_block(value: object = 1, *, kind: int = 3, order: str = "<", gps: bool = False) -> bytes:
    """An EXIF block (without its `Exif` prefix) that declares an orientation as given."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    if kind == 2:
        content = struct.pack(order + "HHI4s", 0x112, 2, 4, str(value).encode().ljust(4, b"\0"))
    else:
        content = struct.pack(order + "HHIHH", 0x112, kind, 1, value, 0)
    entries = [content]
    if gps:
        entries.append(struct.pack(order + "HHI4s", 0x8298, 2, 4, b"HOME"))
    body = struct.pack(order + "H", len(entries)) + b"".join(entries) + b"\0\0\0\0"
    return magic + struct.pack(order + "I", 8) + body


def xmp_packet(value: int) -> bytes:
    """An XMP packet that declares an orientation."""
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>' % value


def jpeg_with(data: bytes, *segments: tuple[int, bytes]) -> bytes:
    """A JPEG with application segments put in after its start."""
    extra = b"".join(
        b"\xff" + bytes([marker]) + struct.pack(">H", 2 + len(body)) + body for marker, body in segments
    )
    return data[:2] + extra + data[2:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(data: bytes, *chunks: bytes) -> bytes:
    """A PNG with chunks put in after its header."""
    return data[:33] + b"".join(chunks) + data[33:]


def webp_with(image: Image.Image, **chunks: bytes) -> bytes:
    """A WebP with metadata."""
    return save(image, "WEBP", quality=95, **chunks)


def tiff(image: Image.Image, orientation: int | None = None, **options: object) -> bytes:
    """A TIFF, with an orientation tag if given."""
    if orientation is not None:
        options["tiffinfo"] = {0x112: orientation}
    return save(image, "TIFF", **options)


def cmyk_profile() -> bytes:
    """A small CMYK profile that darkens ink, so that using it is easy to tell from ignoring it."""
    grid = []
    for corner in range(16):
        cyan, magenta, yellow, black = ((corner >> shift) & 1 for shift in (3, 2, 1, 0))
        light = 100 * (1 - 0.9 * black) * (1 - 0.25 * cyan) * (1 - 0.35 * magenta) * (1 - 0.05 * yellow)
        green_red = (-40 * cyan + 65 * magenta) * (1 - black)
        blue_yellow = (-45 * cyan - 5 * magenta + 80 * yellow) * (1 - black)
        grid += [round(light * 2.55), round(green_red + 128), round(blue_yellow + 128)]
    identity = struct.pack(">9I", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + bytes(range(256)) * 4
    table += bytes(max(0, min(255, level)) for level in grid) + bytes(range(256)) * 3
    text = b"text\0\0\0\0test\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", 10) + b"test inks\0" + bytes(78)
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    return _profile(b"CMYK", b"Lab ", {b"desc": description, b"cprt": text, b"wtpt": white, b"A2B0": table})


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    offset = 128 + 4 + 12 * len(tags)
    directory, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        directory += name + struct.pack(">II", offset + len(body), len(content))
        body += padded
    head = bytearray(128)
    head[8:12] = b"\x02\x40\0\0"
    head[12:24] = b"prtr" + space + connection
    head[36:40] = b"acsp"
    head[68:80] = struct.pack(">3i", 63190, 65536, 54061)
    whole = bytes(head) + directory + body
    return struct.pack(">I", len(whole)) + whole[4:]


def swapped_profile() -> bytes:
    """A display profile whose red and blue are exchanged: using it is easy to tell from ignoring it."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    places = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, blue = places[b"rXYZ"], places[b"bXYZ"]
    data[red + 4 : red + 12], data[blue + 4 : blue + 12] = (
        data[blue + 4 : blue + 12],
        data[red + 4 : red + 12],
    )
    return bytes(data).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


def _orientations() -> list[Trap]:
    upright = scene()
    traps = []
    for value in range(1, 9):
        stored = upright.transpose(INVERSE[value]) if value > 1 else upright
        order = "<" if value % 2 else ">"
        block = exif_block(value, order=order)
        verdict = {"expect": "repair" if value > 1 else "pass", "pixels": array(upright)}
        word = {"word": f"orientation:{value}"} if value > 1 else {}
        jpeg = save(stored, "JPEG", quality=95)
        traps += [
            Trap(
                f"jpeg orientation {value}", jpeg_with(jpeg, (0xE1, b"Exif\0\0" + block)), **verdict, **word
            ),
            Trap(
                f"png orientation {value}",
                png_with(save(stored, "PNG"), png_chunk(b"eXIf", block)),
                **verdict,
                **word,
            ),
            Trap(f"webp orientation {value}", webp_with(stored, exif=b"Exif\0\0" + block), **verdict, **word),
            Trap(f"tiff orientation {value}", tiff(stored, value), **{**verdict, "expect": "repair"}, **word),
        ]
        if value in {3, 6}:
            compressed = tiff(stored, value, compression="tiff_lzw")
            traps.append(Trap(f"lzw tiff orientation {value}", compressed, **verdict, **word))
            avif = save(stored, "AVIF", quality=95, exif=b"Exif\0\0" + block)
            traps.append(Trap(f"avif orientation {value}", avif, **verdict, **word))
    return traps


def _doubtful_orientations() -> list[Trap]:
    upright = scene()
    jpeg = save(upright, "JPEG", quality=95)
    exif = 0xE1
    blocks = {
        "orientation 0": [(exif, b"Exif\0\0" + exif_block(0))],
        "orientation 9": [(exif, b"Exif\0\0" + exif_block(9))],
        "orientation as text": [(exif, b"Exif\0\0" + exif_block(6, kind=2))],
        "orientation in XMP only": [(exif, b"http://ns.adobe.com/xap/1.0/\0" + xmp_packet(6))],
        "two EXIF blocks": [(exif, b"Exif\0\0" + exif_block(1)), (exif, b"Exif\0\0" + exif_block(6))],
    }
    traps = [
        Trap(f"jpeg {name}", jpeg_with(jpeg, *segments), "repair", "metadata", array(upright))
        for name, segments in blocks.items()
    ]
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp_packet(8).decode())
    traps.append(Trap("png XMP", save(upright, "PNG", pnginfo=text), "repair", "metadata", array(upright)))
    raw = PngImagePlugin.PngInfo()
    block = (b"Exif\0\0" + exif_block(6)).hex()
    raw.add_text("Raw profile type exif", f"\nexif\n{len(block) // 2:8}\n{block}\n", zip=True)
    traps.append(
        Trap("png EXIF as text", save(upright, "PNG", pnginfo=raw), "repair", "metadata", array(upright))
    )
    traps.append(Trap("tiff orientation 9", tiff(upright, 9), "repair", "metadata", array(upright)))
    return traps


def _depths_and_colours() -> list[Trap]:
    upright = scene()
    grey = upright.convert("L")
    level = np.asarray(grey).astype(np.uint16)
    deep = Image.fromarray(level * 257)
    grey_pixels = array(grey)
    bits = upright.convert("1")
    big_endian = np.stack([level * 257] * 3, axis=2).astype(">u2").tobytes()
    header = f"P6\n# a comment\n{WIDTH} {HEIGHT}\n65535\n".encode()
    text = f"P3 {WIDTH} {HEIGHT} 255\n" + " ".join(map(str, array(upright).ravel()))
    ink = upright.convert("CMYK")
    profile = cmyk_profile()
    through = ImageCms.profileToProfile(
        ink, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    swapped = array(upright)[:, :, ::-1]
    small = {"max_side": 200}
    smaller = array(upright.resize((200, 133), Image.Resampling.BICUBIC))
    swapped_small = smaller[:, :, ::-1]
    return [
        Trap("png 16-bit grey", save(deep, "PNG"), "repair", "deep->8bit", grey_pixels),
        Trap("tiff 16-bit grey", tiff(deep), "repair", "deep->8bit", grey_pixels),
        Trap(
            "tiff float",
            tiff(Image.fromarray((level / 255).astype(np.float32))),
            "repair",
            "deep->8bit",
            grey_pixels,
        ),
        Trap(
            "tiff 32-bit",
            tiff(Image.fromarray(level.astype(np.int32) * 257)),
            "repair",
            "deep->8bit",
            grey_pixels,
        ),
        Trap("png 1-bit", save(bits, "PNG"), "repair", "1bit->grey", array(bits), 12),
        Trap("tiff 1-bit group 4", tiff(bits, compression="group4"), "repair", "1bit->grey", array(bits), 12),
        Trap("ppm 16-bit", header + big_endian, "repair", pixels=grey_pixels),
        Trap("ppm as text", text.encode(), "repair", pixels=array(upright)),
        Trap("pbm", save(bits, "PPM"), "repair", pixels=array(bits), tolerance=12),
        Trap("pgm", save(grey, "PPM"), "repair", pixels=grey_pixels),
        Trap("ppm", save(upright, "PPM"), "repair", pixels=array(upright)),
        Trap("bmp", save(upright, "BMP"), "repair", pixels=array(upright)),
        Trap(
            "png palette",
            save(upright.quantize(64), "PNG"),
            "repair",
            "palette->rgb",
            array(upright.quantize(64)),
            6,
        ),
        Trap("jpeg cmyk", save(ink, "JPEG", quality=95), "repair", "cmyk->srgb", array(ink.convert("RGB"))),
        Trap(
            "jpeg cmyk profile",
            save(ink, "JPEG", quality=95, icc_profile=profile),
            "repair",
            "cmyk->srgb",
            array(through),
        ),
        Trap("tiff cmyk profile", tiff(ink, icc_profile=profile), "repair", "cmyk->srgb", array(through)),
        Trap(
            "jpeg unusable profile",
            save(ink, "JPEG", quality=95, icc_profile=b"x" * 200),
            "repair",
            "icc:unusable",
            array(ink.convert("RGB")),
        ),
        Trap("tiff lab", tiff(upright.convert("LAB")), "repair", "lab->srgb", array(upright)),
        Trap(
            "tiff other rgb", tiff(upright, icc_profile=swapped_profile()), "repair", "icc->srgb", swapped, 6
        ),
        Trap(
            "jpeg other rgb, shrunk",
            save(upright, "JPEG", quality=95, icc_profile=swapped_profile()),
            "repair",
            "icc->srgb",
            swapped_small,
            6,
            settings=small,
        ),
        Trap("jpeg grey", save(grey, "JPEG"), "pass", pixels=grey_pixels),
        Trap("png grey", save(grey, "PNG"), "pass", pixels=grey_pixels),
        Trap(
            "jpeg progressive",
            save(upright, "JPEG", progressive=True, quality=95),
            "pass",
            pixels=array(upright),
        ),
        Trap("png interlaced rgb", save(upright, "PNG"), "pass", pixels=array(upright)),
        Trap("webp lossless", webp_with(upright, lossless=True), "pass", pixels=array(upright)),
    ]


def _transparency() -> list[Trap]:
    upright = scene()
    alpha = Image.new("L", upright.size, 255)
    alpha.paste(0, (0, 0, WIDTH // 2, HEIGHT // 2))
    clear = upright.copy()
    clear.putalpha(alpha)
    white = Image.new("RGB", upright.size, "white")
    white.paste(upright, None, alpha)
    red = Image.new("RGB", upright.size, (255, 0, 0))
    red.paste(upright, None, alpha)
    grey_alpha = clear.convert("LA")
    grey_white = Image.new("L", upright.size, 255)
    grey_white.paste(upright.convert("L"), None, alpha)
    keyed = array(upright).astype(np.uint8)
    keyed[: HEIGHT // 2, : WIDTH // 2] = (1, 2, 3)
    palette = upright.quantize(16)
    gif_pixels = array(palette)
    index = np.asarray(palette)[0, 0]
    gif_pixels[np.asarray(palette) == index] = 255
    done = "alpha->#ffffff"
    hidden, blank = upright.copy(), Image.new("RGB", upright.size, "white")
    hidden.putalpha(0)
    logo, on_black = blank.copy(), Image.new("RGB", upright.size)
    logo.putalpha(alpha)
    on_black.paste(blank, None, alpha)
    deep = np.asarray(upright.convert("L")).astype(np.uint16) * 257
    deep[: HEIGHT // 2, : WIDTH // 2] = 7
    return [
        Trap("png alpha", save(clear, "PNG"), "repair", done, array(white)),
        Trap("webp alpha", save(clear, "WEBP", lossless=True), "repair", done, array(white)),
        Trap("tiff alpha", tiff(clear), "repair", done, array(white)),
        Trap("png grey alpha", save(grey_alpha, "PNG"), "repair", done, array(grey_white)),
        Trap(
            "png colour key",
            save(Image.fromarray(keyed), "PNG", transparency=(1, 2, 3)),
            "repair",
            done,
            array(white),
        ),
        Trap(
            "png 16-bit colour key",
            save(Image.fromarray(deep), "PNG", transparency=7),
            "repair",
            "deep->8bit",
            array(grey_white),
        ),
        Trap("gif transparent", save(palette, "GIF", transparency=int(index)), "repair", done, gif_pixels, 6),
        Trap(
            "png palette alpha", save(palette, "PNG", transparency=int(index)), "repair", done, gif_pixels, 6
        ),
        Trap("png wholly transparent", save(hidden, "PNG"), "Local.ImageBlank"),
        Trap("png white logo", save(logo, "PNG"), "Local.ImageBlank"),
        Trap(
            "png white logo, sent",
            save(logo, "PNG"),
            "repair",
            done,
            array(blank),
            settings={"blank": "send"},
        ),
        Trap(
            "png white logo on what shows it",
            save(logo, "PNG"),
            "repair",
            "alpha->#000000",
            array(on_black),
            settings={"blank": "contrast"},
        ),
        Trap(
            "png alpha over red",
            save(clear, "PNG"),
            "repair",
            "alpha->#ff0000",
            array(red),
            6,
            {"background": "#ff0000"},
        ),
    ]


def _several_images() -> list[Trap]:
    first, second = scene(), scene().transpose(Image.Transpose.ROTATE_180)
    both = {"save_all": True, "append_images": [second]}
    files = {
        "gif": save(first, "GIF", **both),
        "webp": save(first, "WEBP", lossless=True, **both),
        "apng": save(first, "PNG", **both),
        "tiff": save(first, "TIFF", **both),
    }
    traps = []
    for name, data in files.items():
        traps += [
            Trap(f"{name} of two", data, "repair", "frame:0", array(first), 8),
            Trap(f"{name} of two, second", data, "repair", "frame:1", array(second), 8, {"frame": 5}),
        ]
    mpo = save(first, "MPO", quality=95, **both)
    return [*traps, Trap("mpo", mpo, "repair", pixels=array(first))]


def _structure() -> list[Trap]:
    upright = scene()
    jpeg, png = save(upright, "JPEG", quality=95), save(upright, "PNG")
    flipped_header = bytearray(png)
    flipped_header[29] ^= 1
    flipped_pixels = bytearray(png)
    flipped_pixels[len(png) // 2] ^= 1
    frame = jpeg.index(b"\xff\xc0")
    no_height = jpeg[: frame + 5] + b"\0\0" + jpeg[frame + 7 :]
    lossless = jpeg[: frame + 1] + b"\xc3" + jpeg[frame + 2 :]
    twelve_bits = jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :]
    traps = [
        Trap("jpeg with bytes after its end", jpeg + b"appended", "repair", pixels=array(upright)),
        Trap("png with bytes after its end", png + b"appended", "repair", pixels=array(upright)),
        Trap("jpeg without height", no_height, "Local.ImageBroken"),
        Trap("jpeg said to be lossless", lossless, "Local.ImageBroken"),
        Trap("jpeg said to have 12 bits", twelve_bits, "Local.ImageBroken"),
        Trap("png header checksum", bytes(flipped_header), "Local.ImageBroken"),
        Trap("png image checksum", bytes(flipped_pixels), "Local.ImageBroken"),
        Trap("jpeg zero-filled tail", jpeg[: len(jpeg) // 2] + bytes(len(jpeg) // 2), "Local.ImageTruncated"),
    ]
    whole = {
        "jpeg": jpeg,
        "png": png,
        "webp": webp_with(upright),
        "gif": save(upright, "GIF"),
        "bmp": save(upright, "BMP"),
        "tiff": tiff(upright),
        "ppm": save(upright, "PPM"),
        "jpeg2000": save(upright, "JPEG2000"),
        "avif": save(upright, "AVIF"),
    }
    traps += [
        Trap(f"{name} cut in half", data[: len(data) // 2], "Local.ImageTruncated")
        for name, data in whole.items()
    ]
    return traps


def _sizes() -> list[Trap]:
    enormous = struct.pack(">II", 65536, 65536)
    png_bomb = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", enormous + b"\x01\0\0\0\0")
    png_bomb += png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")
    jpeg = save(scene(), "JPEG")
    frame = jpeg.index(b"\xff\xc0")
    jpeg_bomb = jpeg[: frame + 5] + b"\xff\xdc\xff\xdc" + jpeg[frame + 9 :]
    gif = save(scene(), "GIF")
    image = gif.index(b"\x2c\0\0\0\0")
    gif_bomb = gif[: image + 5] + b"\xff\xff\xff\xff" + gif[image + 9 :]
    noise = Image.fromarray(np.random.default_rng(7).integers(0, 256, (1400, 2000, 3), dtype=np.uint8))
    small = scene(150, 90)
    padded = np.full((100, 150, 3), 255)
    padded[5:95] = array(small)
    thin = save(scene(6000, 120), "JPEG")
    large = scene(4400, 300)
    fabric = {"max_side": 1024}
    return [
        Trap("png bomb", png_bomb, "Local.ImageTooManyPixels"),
        Trap("jpeg bomb", jpeg_bomb, "Local.ImageTooManyPixels"),
        Trap("gif frame larger than its screen", gif_bomb, "Local.ImageTooManyPixels"),
        Trap("ppm bomb", b"P6 60000 60000 255\n", "Local.ImageTooManyPixels"),
        Trap(
            "bmp bomb",
            save(scene(), "BMP").replace(struct.pack("<i", HEIGHT), struct.pack("<i", 2**30), 1),
            "Local.ImageTooManyPixels",
        ),
        Trap("too small", save(small, "JPEG"), "Local.ImageTooSmall"),
        Trap(
            "too small, padded",
            save(small, "PNG"),
            "repair",
            "pad:150x90->150x100",
            padded,
            settings={"too_small": "pad"},
        ),
        Trap(
            "too small, enlarged",
            save(small, "PNG"),
            "repair",
            "resize:150x90->167x100",
            array(small.resize((167, 100), Image.Resampling.BICUBIC)),
            settings={"too_small": "enlarge"},
        ),
        Trap("too thin", thin, "Local.ImageAspect"),
        Trap(
            "too long",
            save(large, "JPEG", quality=95),
            "repair",
            "resize:4400x300->4096x279",
            array(large.resize((4096, 279))),
        ),
        Trap(
            "max_side keeps the short side",
            save(large, "JPEG"),
            "repair",
            "resize:4400x300->1467x100",
            settings=fabric,
        ),
        Trap("too many bytes", save(noise, "PNG"), "repair", pixels=None),
        Trap(
            "too many bytes for a slow line",
            save(noise, "JPEG", quality=95),
            "repair",
            settings={"upload_kbps": 512},
        ),
    ]


def _no_images() -> list[Trap]:
    return [
        Trap("nothing", b"", "Local.ImageEmpty"),
        Trap("web page", b"<!DOCTYPE html><html><body>404</body></html>", "Local.NotAnImage"),
        Trap("archive", b"PK\x03\x04" + bytes(100), "Local.NotAnImage"),
        Trap("text", b"hello, world\n" * 50, "Local.NotAnImage"),
        Trap(
            "postscript",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 200 200\n",
            "Local.ImageFormatUnsupported",
        ),
        Trap(
            "svg",
            b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
            "Local.ImageFormatUnsupported",
        ),
        Trap("pdf", b"%PDF-1.7\n", "Local.ImageFormatUnsupported"),
        Trap("icon", save(scene(), "ICO"), "Local.ImageFormatUnsupported"),
        Trap("dds", save(scene(), "DDS"), "Local.ImageFormatUnsupported"),
        Trap("three bytes of a jpeg", b"\xff\xd8\xff", "Local.ImageTruncated"),
        Trap("two bytes of a jpeg", b"\xff\xd8", "Local.ImageTruncated"),
    ]


@cache
def traps() -> tuple[Trap, ...]:
    """Every trap, made once in each process: every worker of the tests makes them to know their names."""
    return (
        *_orientations(),
        *_doubtful_orientations(),
        *_depths_and_colours(),
        *_transparency(),
        *_several_images(),
        *_structure(),
        *_sizes(),
        *_no_images(),
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "traps")
    folder.mkdir(parents=True, exist_ok=True)
    for trap in traps():
        (folder / (trap.name.replace(" ", "-").replace(",", "") + ".bin")).write_bytes(trap.data)
        print(f"{trap.name}: {trap.expect} {trap.word}")
