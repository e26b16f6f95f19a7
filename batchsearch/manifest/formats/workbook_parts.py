"""The parts of a workbook, unpacked no further than a table needs.

A workbook is a zip file of XML. What is held in memory (texts that cells share, styles) and each row of a
sheet are bounded by what is really unpacked, whatever the file says of names, sizes and kinds: strangers
wrote it. Document types and entities, which no workbook needs, are refused wherever they stand.
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import IO, TYPE_CHECKING, Any, Final, cast

from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

from batchsearch.manifest.formats.value_table import LONGEST_ROW
from batchsearch.service.line_files import PIECEWISE

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

_MOST_HELD: Final = 256 * 1024 * 1024
"""Bytes of all parts that are held in memory."""
_MOST_STREAMED: Final = 8 * 1024 * 1024 * 1024
"""Bytes of one sheet."""
_AT_ONCE: Final = 64 * 1024
_ROW: Final = re.compile(rb"</?(?:[A-Za-z_][\w.-]{0,15}:)?row[\s/>]")
_FORBIDDEN: Final = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
_RAW: Final = re.compile(rb"<!(?:--|\[)")
"""Where a comment or raw text begins: what looks like a tag in it is none."""
_LONGEST_TAG: Final = 32
_TEXT: Final = f"{{{SHEET_MAIN_NS}}}si"


class TrapError(Exception):
    """A part that no spreadsheet writes; the message says what is wrong with it."""


class WorkbookReader(ExcelReader):  # type: ignore[misc] # the library has no types
    """Reads a workbook without its values: its sheets give them row by row.

    Args:
        file: Open, of bytes.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, read_only=True, data_only=True, keep_links=False)
        self.archive: _Parts = _Parts(file)

    def read_strings(self) -> None:
        """Read the texts that cells share, as they are written: the library would undo half of an escape."""
        kind = self.package.find(SHARED_STRINGS)
        if kind is None:
            return
        with self.archive.open(kind.PartName[1:]) as part:
            for _, node in iterparse(part):
                if node.tag == _TEXT:
                    self.shared_strings.append(Text.from_tree(node).content)
                    node.clear()

    def read_worksheets(self) -> None:
        """Note the sheets. What is opened from now on is read row by row."""
        self.archive.by_row = True
        super().read_worksheets()

    def read_chartsheet(self, sheet: Any, rel: Any) -> None:
        """A sheet that is a chart has no table."""


class _Parts(zipfile.ZipFile):
    """The file's parts; TrapError is raised while one is read that is a trap."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.by_row = False
        self._held = 0

    def open(self, name: str | zipfile.ZipInfo, *_: Any, **__: Any) -> IO[bytes]:
        """One part, to be read from its beginning."""
        return self._part(name, _Rows(self.hold).pass_on if self.by_row else self.hold)

    def read(self, name: str | zipfile.ZipInfo, *_: Any) -> bytes:
        """All of a part."""
        with self._part(name, self.hold) as part:
            return part.read()

    def hold(self, data: bytes) -> None:
        """Count what is held in memory."""
        self._held += len(data)
        if self._held > _MOST_HELD:
            raise TrapError(f"unpacks to more than {_MOST_HELD // 2**20:,} MiB; save the table as CSV")

    def _part(self, name: str | zipfile.ZipInfo, watch: Callable[[bytes], None]) -> IO[bytes]:
        info = name if isinstance(name, zipfile.ZipInfo) else self.getinfo(name)
        if info.compress_type not in PIECEWISE:
            raise TrapError("is packed in a way that no spreadsheet uses; save it anew")
        return cast("IO[bytes]", io.BufferedReader(_Part(super().open(info), watch), _AT_ONCE))


class _Rows:
    """Watches a sheet: no row of it is longer than a row may be."""

    def __init__(self, hold: Callable[[bytes], None]) -> None:
        self._hold = hold
        self._streamed = self._since_row = 0
        self._tail = b""
        self._has_raw_text = False

    def pass_on(self, data: bytes) -> None:
        """Count what is read next."""
        plain = self._tail + data.replace(b"\0", b"")
        self._has_raw_text = self._has_raw_text or _RAW.search(plain) is not None
        if self._has_raw_text:
            # What looks like a row may be none: such a sheet counts as what is held.
            self._hold(data)
            return
        self._streamed += len(data)
        if self._streamed > _MOST_STREAMED:
            raise TrapError(
                f"has a sheet of more than {_MOST_STREAMED // 2**30:,} GiB; save the table as CSV"
            )
        end = max((found.end() for found in _ROW.finditer(plain)), default=None)
        self._since_row = self._since_row + len(data) if end is None else len(plain) - end
        if self._since_row > LONGEST_ROW:
            raise TrapError(f"has a row of more than {LONGEST_ROW // 2**20:,} MiB, as no table has")
        self._tail = plain[-_LONGEST_TAG:]


class _Part(io.RawIOBase):
    """One part, each piece of which is watched before it goes on."""

    def __init__(self, source: IO[bytes], watch: Callable[[bytes], None]) -> None:
        self._source = source
        self._watch = watch
        self._tail = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._source.read(min(len(view), _AT_ONCE))
        seen = self._tail + data.replace(b"\0", b"")
        if _FORBIDDEN.search(seen) is not None:
            raise TrapError("has a document type, as no workbook has; it is not read")
        self._tail = seen[-_LONGEST_TAG:]
        self._watch(data)
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._source.close()
        super().close()
