"""Files of JSON lines as batch tasks make them: plain, gzipped or zipped, read a line at a time (leniently).

The form of the file behind `ErrorUrl` and `MetaUrl` is on no page (BATCH): what is read as JSON is read, and
what is not is told as text, with its number.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from batchsearch.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


PIECEWISE: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Ways of packing in a zip file that unpack a piece at a time; of others one piece may be gigabytes."""
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_LONGEST: Final = 1024 * 1024
"""Bytes of a line that is read; `increment.meta` lines have some thousand."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        number: From 1.
        text: As it is, at most so much as is read of a line.
        content: The JSON object that it is; None where it is none.
    """

    number: int
    text: str
    content: dict[str, Any] | None


def lines_in(path: Path) -> Iterator[Line]:
    """The lines of a file; blank ones are left out.

    Raises:
        OutputError: It cannot be read, or is cut off.
    """
    try:
        with _opened(path) as readline:
            number = 0
            while raw := readline(_LONGEST):
                number += 1
                whole = raw.endswith(b"\n") or len(raw) < _LONGEST
                while not whole:
                    rest = readline(_LONGEST)
                    whole = rest.endswith(b"\n") or len(rest) < _LONGEST
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8", "replace").strip()
                if text:
                    yield Line(number, text, _object(text))
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise OutputError(f"{path}: cannot be read: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[Callable[[int], bytes]]:
    """Gives the next line of what the file holds, or so many bytes of it; of a zip all members in turn."""
    with path.open("rb") as file:
        begin = file.read(4)
        file.seek(0)
        if begin.startswith(_GZIP):
            with gzip.open(file) as unpacked:
                yield unpacked.readline
        elif begin == _ZIP:
            with zipfile.ZipFile(file) as archive:
                yield _Members(archive).readline
        else:
            yield file.readline


class _Members:
    """The members of a zip, read as one."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = [each for each in archive.infolist() if not each.is_dir()]
        self._member: IO[bytes] = io.BytesIO()

    def readline(self, size: int, /) -> bytes:
        """The next line of the current member, or the first of the next one."""
        while True:
            line = self._member.readline(size)
            if line or not self._names:
                return line
            info = self._names.pop(0)
            if info.compress_type not in PIECEWISE:
                raise zipfile.BadZipFile(f"{info.filename[:80]!r} is packed in a way that is not read here")
            self._member = self._archive.open(info)


def _object(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
