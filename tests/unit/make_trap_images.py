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


def repaired(
    word: str, pixels: np.ndarray, files: dict[str, bytes], tolerance: float = 4.0, **settings: object
) -> list[Trap]:
    """Files that become one image by one transform."""
    return [Trap(name, data, "repair", word, pixels, tolerance, settings) for name, data in files.items()]


def refused(code: str, files: dict[str, bytes]) -> list[Trap]:
    """Files that are sent to nobody, and why."""
    return [Trap(name, data, code) for name, data in files.items()]


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
        exif = b"Exif\0\0" + block
        files = {
            "jpeg": jpeg_with(save(stored, "JPEG", quality=95), (0xE1, exif)),
            "png": png_with(save(stored, "PNG"), png_chunk(b"eXIf", block)),
            "webp": webp_with(stored, exif=exif),
        }
        if value in {3, 6}:
            files["lzw tiff"] = tiff(stored, value, compression="tiff_lzw")
            files["avif"] = save(stored, "AVIF", quality=95, exif=exif)
        traps += [
            Trap(f"{name} orientation {value}", data, **verdict, **word) for name, data in files.items()
        ]
        plain_tiff = {**verdict, "expect": "repair"}
        traps.append(Trap(f"tiff orientation {value}", tiff(stored, value), **plain_tiff, **word))
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
    text, raw = PngImagePlugin.PngInfo(), PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp_packet(8).decode())
    block = (b"Exif\0\0" + exif_block(6)).hex()
    raw.add_text("Raw profile type exif", f"\nexif\n{len(block) // 2:8}\n{block}\n", zip=True)
    files = {f"jpeg {name}": jpeg_with(jpeg, *segments) for name, segments in blocks.items()} | {
        "png XMP": save(upright, "PNG", pnginfo=text),
        "png EXIF as text": save(upright, "PNG", pnginfo=raw),
        "tiff orientation 9": tiff(upright, 9),
    }
    return repaired("metadata", array(upright), files)


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
    swapped_small = array(upright.resize((200, 133), Image.Resampling.BICUBIC))[:, :, ::-1]
    palette = upright.quantize(64)
    grey_files = {
        "png 16-bit grey": save(deep, "PNG"),
        "tiff 16-bit grey": tiff(deep),
        "tiff float": tiff(Image.fromarray((level / 255).astype(np.float32))),
        "tiff 32-bit": tiff(Image.fromarray(level.astype(np.int32) * 257)),
    }
    bit_files = {"png 1-bit": save(bits, "PNG"), "tiff 1-bit group 4": tiff(bits, compression="group4")}
    ink_files = {
        "jpeg cmyk profile": save(ink, "JPEG", quality=95, icc_profile=profile),
        "tiff cmyk profile": tiff(ink, icc_profile=profile),
    }
    unusable = save(ink, "JPEG", quality=95, icc_profile=b"x" * 200)
    other = swapped_profile()
    other_jpeg = save(upright, "JPEG", quality=95, icc_profile=other)
    simple = {
        "ppm as text": text.encode(),
        "ppm": save(upright, "PPM"),
        "bmp": save(upright, "BMP"),
    }
    passing = {
        "jpeg progressive": save(upright, "JPEG", progressive=True, quality=95),
        "png interlaced rgb": save(upright, "PNG"),
        "webp lossless": webp_with(upright, lossless=True),
    }
    ink_pixels = array(ink.convert("RGB"))
    return [
        *repaired("deep->8bit", grey_pixels, grey_files),
        *repaired("1bit->grey", array(bits), bit_files, 12),
        *repaired("", grey_pixels, {"ppm 16-bit": header + big_endian, "pgm": save(grey, "PPM")}),
        *repaired("", array(upright), simple),
        *repaired("", array(bits), {"pbm": save(bits, "PPM")}, 12),
        *repaired("palette->rgb", array(palette), {"png palette": save(palette, "PNG")}, 6),
        *repaired("cmyk->srgb", ink_pixels, {"jpeg cmyk": save(ink, "JPEG", quality=95)}),
        *repaired("cmyk->srgb", array(through), ink_files),
        *repaired("icc:unusable", ink_pixels, {"jpeg unusable profile": unusable}),
        *repaired("lab->srgb", array(upright), {"tiff lab": tiff(upright.convert("LAB"))}),
        *repaired("icc->srgb", swapped, {"tiff other rgb": tiff(upright, icc_profile=other)}, 6),
        *repaired("icc->srgb", swapped_small, {"jpeg other rgb, shrunk": other_jpeg}, 6, max_side=200),
        Trap("jpeg grey", save(grey, "JPEG"), "pass", pixels=grey_pixels),
        Trap("png grey", save(grey, "PNG"), "pass", pixels=grey_pixels),
        *(Trap(name, data, "pass", pixels=array(upright)) for name, data in passing.items()),
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
    on_white = {
        "png alpha": save(clear, "PNG"),
        "webp alpha": save(clear, "WEBP", lossless=True),
        "tiff alpha": tiff(clear),
        "png colour key": save(Image.fromarray(keyed), "PNG", transparency=(1, 2, 3)),
    }
    key_of_16_bits = save(Image.fromarray(deep), "PNG", transparency=7)
    palettes = {
        "gif transparent": save(palette, "GIF", transparency=int(index)),
        "png palette alpha": save(palette, "PNG", transparency=int(index)),
    }
    unseen = {"png wholly transparent": save(hidden, "PNG"), "png white logo": save(logo, "PNG")}
    seen = {"png white logo on what shows it": save(logo, "PNG")}
    on_red = {"png alpha over red": save(clear, "PNG")}
    return [
        *repaired(done, array(white), on_white),
        *repaired(done, array(grey_white), {"png grey alpha": save(grey_alpha, "PNG")}),
        *repaired("deep->8bit", array(grey_white), {"png 16-bit colour key": key_of_16_bits}),
        *repaired(done, gif_pixels, palettes, 6),
        *refused("Local.ImageBlank", unseen),
        *repaired(done, array(blank), {"png white logo, sent": save(logo, "PNG")}, blank="send"),
        *repaired("alpha->#000000", array(on_black), seen, blank="contrast"),
        *repaired("alpha->#ff0000", array(red), on_red, 6, background="#ff0000"),
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
    cut = {f"{name} cut in half": data[: len(data) // 2] for name, data in whole.items()}
    cut["jpeg zero-filled tail"] = jpeg[: len(jpeg) // 2] + bytes(len(jpeg) // 2)
    broken = {
        "jpeg without height": no_height,
        "jpeg said to be lossless": lossless,
        "jpeg said to have 12 bits": twelve_bits,
        "png header checksum": bytes(flipped_header),
        "png image checksum": bytes(flipped_pixels),
    }
    longer = {
        "jpeg with bytes after its end": jpeg + b"appended",
        "png with bytes after its end": png + b"appended",
    }
    return [
        *repaired("", array(upright), longer),
        *refused("Local.ImageBroken", broken),
        *refused("Local.ImageTruncated", cut),
    ]


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
    bombs = {
        "png bomb": png_bomb,
        "jpeg bomb": jpeg_bomb,
        "gif frame larger than its screen": gif_bomb,
        "ppm bomb": b"P6 60000 60000 255\n",
        "bmp bomb": save(scene(), "BMP").replace(struct.pack("<i", HEIGHT), struct.pack("<i", 2**30), 1),
    }
    enlarged = array(small.resize((167, 100), Image.Resampling.BICUBIC))
    shorter = array(large.resize((4096, 279)))
    narrow, slow = save(large, "JPEG"), save(noise, "JPEG", quality=95)
    return [
        *refused("Local.ImageTooManyPixels", bombs),
        Trap("too small", save(small, "JPEG"), "Local.ImageTooSmall"),
        *repaired("pad:150x90->150x100", padded, {"too small, padded": save(small, "PNG")}, too_small="pad"),
        *repaired(
            "resize:150x90->167x100",
            enlarged,
            {"too small, enlarged": save(small, "PNG")},
            too_small="enlarge",
        ),
        Trap("too thin", thin, "Local.ImageAspect"),
        *repaired("resize:4400x300->4096x279", shorter, {"too long": save(large, "JPEG", quality=95)}),
        Trap("max_side keeps the short side", narrow, "repair", "resize:4400x300->1467x100", settings=fabric),
        Trap("too many bytes", save(noise, "PNG"), "repair"),
        Trap("too many bytes for a slow line", slow, "repair", settings={"upload_kbps": 512}),
    ]


def _no_images() -> list[Trap]:
    other = {
        "web page": b"<!DOCTYPE html><html><body>404</body></html>",
        "archive": b"PK\x03\x04" + bytes(100),
        "text": b"hello, world\n" * 50,
    }
    unsupported = {
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 200 200\n",
        "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        "pdf": b"%PDF-1.7\n",
        "icon": save(scene(), "ICO"),
        "dds": save(scene(), "DDS"),
    }
    begun = {"three bytes of a jpeg": b"\xff\xd8\xff", "two bytes of a jpeg": b"\xff\xd8"}
    return [
        *refused("Local.ImageEmpty", {"nothing": b""}),
        *refused("Local.NotAnImage", other),
        *refused("Local.ImageFormatUnsupported", unsupported),
        *refused("Local.ImageTruncated", begun),
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
