"""What a path may mean that no file has: blanks around it, backslashes, another Unicode form (pure).

Spreadsheets keep blanks, Windows writes backslashes, a Mac writes `é` as two characters. A file that has
exactly the written name always comes first.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import product
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

BLANKS: Final = "\t\n\v\f\r \x85\xa0\u2007\u2009\u200b\u200e\u200f\u202f\u2060\u3000\ufeff"
"""What is seen as nothing at the ends of a cell."""
_FORMS: Final[tuple[Literal["NFC", "NFD"], ...]] = ("NFC", "NFD")
_MOST_MIXED: Final = 4
_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")
_NAMED: Final = {
    " ": "a space",
    "\t": "a tab",
    "\n": "a line break",
    "\r": "a line break",
    "\xa0": "a no-break space",
}


def other_spellings(path: str) -> Iterator[str]:
    """Other paths that may be meant, the likeliest first, none of them twice."""
    seen = {path}
    bare = path.strip(BLANKS)
    for plain in (path, bare, bare.replace("\\", "/")):
        for spelling in (plain, *_forms(plain)):
            if spelling and spelling not in seen:
                seen.add(spelling)
                yield spelling


def remarks(path: str) -> str:
    """What is odd about a path that led to no file, as the end of a sentence; empty if nothing is."""
    found = []
    for sign, where in ((path[:1], "begins"), (path[-1:], "ends")):
        if sign and sign in BLANKS:
            found.append(f"it {where} with {_NAMED.get(sign, 'an invisible character')}")
    if _DRIVE.match(path) or path.startswith("\\\\"):
        found.append("it is a path of a Windows machine; write it relative to images.root")
    elif "\\" in path:
        found.append("it has backslashes, and was looked for with slashes, too")
    if not path.isascii():
        found.append("its accented letters were looked for in both Unicode forms (NFC, NFD)")
    return "".join(f"; {each}" for each in found)


def _forms(path: str) -> Iterator[str]:
    """The path in both Unicode forms; parts of it in different ones where folders came from elsewhere."""
    if path.isascii():
        return
    for form in _FORMS:
        yield unicodedata.normalize(form, path)
    parts = path.split("/")
    if 1 < sum(not part.isascii() for part in parts) <= _MOST_MIXED:
        choices = [
            [part] if part.isascii() else [unicodedata.normalize(form, part) for form in _FORMS]
            for part in parts
        ]
        yield from map("/".join, product(*choices))


def in_shell(path: object) -> str:
    """A path or an address as a command that is copied into a shell has to spell it."""
    import shlex

    return shlex.quote(str(path))
