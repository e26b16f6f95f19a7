"""Lists: a path or address of an image a line, and no header. Blank lines, and lines after `#`, are none."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.image_folders import IMAGE
from batchsearch.manifest.formats.table_file import UnreadableError
from batchsearch.manifest.formats.unpacked import unpacked
from batchsearch.manifest.formats.value_table import RowError, ValueTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_LONGEST: Final = 64 * 1024


class ListFile(ValueTable):
    """One list; its only column is `image`."""

    def _named(self) -> Sequence[str]:
        return (IMAGE,)

    def _records(self) -> Iterator[tuple[int, Mapping[str, Any], int] | RowError]:
        number = 0
        with unpacked(self.path) as file:
            while line := file.readline(_LONGEST + 1):
                number += 1
                if number == 1:
                    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                        raise UnreadableError(None, "is UTF-16 text; save it as UTF-8")
                    line = line.removeprefix(codecs.BOM_UTF8)
                if len(line) > _LONGEST or b"\0" in line:
                    raise UnreadableError(number, "is no path and no address: is this file a list?")
                try:
                    text = line.decode().strip("\r\n")
                except UnicodeDecodeError:
                    yield RowError(number, "is not UTF-8 text; save the list as UTF-8")
                    continue
                text = _unquoted(text.strip())
                if text and not text.startswith("#"):
                    yield number, {IMAGE: text}, len(line)


def _unquoted(text: str) -> str:
    """What spreadsheets put in quotes, without them."""
    is_quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1].replace('""', '"') if is_quoted else text
