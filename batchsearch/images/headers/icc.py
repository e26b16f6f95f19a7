"""Colour profiles: what the first bytes and the description of one say (ICC.1, clauses 7 and 9).

One rule decides here for all formats, whether an image passes or is written anew: a profile that can be
used and is not sRGB is converted; one that calls itself sRGB, or cannot be used, changes nothing.
"""

from __future__ import annotations

from typing import Final

MAX_PROFILE: Final = 4 << 20
"""Longest profile that is used, bytes: those of presses have half a megabyte."""
SPACES: Final = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}
"""Samples of a pixel: the colour space that a profile must be for to be used with it."""
_HEADER: Final = 128
_SIGNATURE: Final = b"acsp"
_MAX_TAGS: Final = 100


def is_usable(profile: bytes, components: int) -> bool:
    """Whether this is a profile, and for pixels of so many samples."""
    return (
        _HEADER < len(profile) <= MAX_PROFILE
        and profile[36:40] == _SIGNATURE
        and profile[16:20] == SPACES.get(components)
    )


def is_srgb(profile: bytes) -> bool:
    """Whether a profile calls itself sRGB, as those of 39 photographs in 40 do."""
    if profile[16:20] != b"RGB ":
        return False
    description = _description(profile).lower()
    return description.startswith(("srgb", "c2")) and "linear" not in description


def differs(profile: bytes, components: int) -> bool:
    """Whether pixels with this profile look other than the same numbers in sRGB."""
    return is_usable(profile, components) and not is_srgb(profile)


def _description(profile: bytes) -> str:
    """The profile's name for people, in the first language; empty where it has none."""
    count = min(int.from_bytes(profile[128:132], "big"), _MAX_TAGS)
    for at in range(132, 132 + 12 * count, 12):
        if profile[at : at + 4] == b"desc":
            start = int.from_bytes(profile[at + 4 : at + 8], "big")
            return _text(profile[start : start + int.from_bytes(profile[at + 8 : at + 12], "big")])
    return ""


def _text(tag: bytes) -> str:
    """A description's text: one line of ASCII in version 2, UTF-16 by language in version 4."""
    if tag.startswith(b"mluc"):
        length, start = int.from_bytes(tag[20:24], "big"), int.from_bytes(tag[24:28], "big")
        return tag[start : start + length].decode("utf-16-be", "replace")
    if tag.startswith(b"desc"):
        return tag[12 : 12 + int.from_bytes(tag[8:12], "big")].split(b"\0")[0].decode("latin-1")
    return ""
