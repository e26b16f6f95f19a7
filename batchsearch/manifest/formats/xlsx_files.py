"""Excel workbooks: a sheet whose first row names the columns, streamed row by row.

Cells are what they are in the workbook: texts, numbers, true/false and dates; formulas are what they came
to when it was saved. What is no table but a trap is refused (`workbook_parts`).
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections import Counter
from contextlib import closing
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final

from batchsearch.errors import ConfigError, ManifestError
from batchsearch.manifest.column_types import cell
from batchsearch.manifest.formats.table_file import UnreadableError, short
from batchsearch.manifest.formats.unpacked import opened
from batchsearch.manifest.formats.value_table import RowError, ValueTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchsearch.config.sections.manifest_settings import XlsxSettings
    from batchsearch.manifest.remote_file import ManifestPath

_INSTALL: Final = (
    "Excel workbooks are read with the extra `xlsx`: pip install 'batchsearch[xlsx]'; or save it as CSV"
)
_MOST_ROWS: Final = 1_048_576
_NOTHING: Final = frozenset(
    {"", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#DIV/0!", "#SPILL!", "#CALC!"}
)
"""Cells without a value, those of formulas that failed among them."""
_OLD: Final = b"\xd0\xcf\x11\xe0"


class XlsxFile(ValueTable):
    """One sheet of a workbook."""

    lines = "row"

    def __init__(self, path: ManifestPath, settings: XlsxSettings) -> None:
        """Reads the sheet once, for its columns.

        Raises:
            ConfigError: What reads workbooks is not installed.
            ManifestError: It is no workbook, has no such sheet, or names columns twice or not at all.
        """
        _needs_library(path)
        self._settings = settings
        self._names: list[str] = []
        with _file(path) as file:
            _is_workbook(file, path)
        super().__init__(path)

    def _named(self) -> Sequence[str]:
        return self._names

    def _records(self) -> Iterator[tuple[int, Mapping[str, Any], int] | RowError]:
        with _file(self.path) as file, closing(_workbook(file, self.path)) as book:
            names: list[str] = []
            for line, cells in self._filled(book):
                if not names:
                    names = self._names = _header(cells, self.path)
                    continue
                more = next((each for each in cells[len(names) :] if each not in (None, "")), None)
                if more is not None:
                    what = f"has {cell(more)} in a column without a name; name it or empty the cell"
                    yield RowError(line, what)
                    continue
                values = dict(zip(names, cells, strict=False))
                yield line, values, sum(len(each) if isinstance(each, str) else 8 for each in cells)
            if not names:
                raise UnreadableError(None, "has no row that names columns in that sheet")

    def _filled(self, book: Any) -> Iterator[tuple[int, list[Any]]]:
        """The rows that are not empty, with their numbers in the sheet."""
        sheet = _sheet(book, self._settings.sheet, self.path)
        line = 0
        for line, cells in enumerate(_rows(sheet), start=1):
            if line > _MOST_ROWS:
                break
            if line > self._settings.skip_rows and any(value not in (None, "") for value in cells):
                yield line, cells
        if line > _MOST_ROWS:
            raise UnreadableError(line, f"has more than {_MOST_ROWS:,} rows, as no sheet can")


def first_rows(path: ManifestPath, count: int) -> dict[str, list[list[Any]]]:
    """The first rows of each sheet that is shown, by its name.

    Raises:
        ManifestError: It is no workbook.
        ConfigError: What reads workbooks is not installed.
    """
    _needs_library(path)
    with _file(path) as file:
        _is_workbook(file, path)
    with _file(path) as file, closing(_workbook(file, path)) as book:
        found = {}
        for sheet in _shown(book):
            try:
                found[sheet.title] = list(islice(_rows(sheet), count))
            except UnreadableError as error:
                raise ManifestError.at(path, error.what) from None
        return found


def _rows(sheet: Any) -> Iterator[list[Any]]:
    """The cells of each row, the empty ones among them.

    Raises:
        UnreadableError: The sheet is damaged, or a trap.
    """
    from batchsearch.manifest.formats.workbook_parts import TrapError

    # Some writers say that a sheet ends where it does not.
    sheet.reset_dimensions()
    try:
        for row in sheet.iter_rows(values_only=True):
            yield [_plain(value) for value in row]
    except TrapError as error:
        raise UnreadableError(None, str(error)) from None
    except (ValueError, KeyError, TypeError, SyntaxError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UnreadableError(None, f"is a damaged workbook: {short(error)}") from None


def _needs_library(path: ManifestPath) -> None:
    try:
        import openpyxl  # noqa: F401 - here to be told of before anything is opened
    except ImportError:
        raise ConfigError.at(path, _INSTALL) from None


def _file(path: ManifestPath) -> IO[bytes]:
    try:
        return opened(path)
    except OSError as error:
        raise ManifestError.at(path, f"cannot be read: {error.strerror or short(error)}") from None


def _workbook(file: IO[bytes], path: ManifestPath) -> Any:
    from batchsearch.manifest.formats.workbook_parts import TrapError, WorkbookReader

    try:
        with warnings.catch_warnings():
            # What it does not show of a workbook, such as its colours, is of no use here.
            warnings.simplefilter("ignore")
            reader = WorkbookReader(file)
            reader.read()
            return reader.wb
    except TrapError as error:
        raise ManifestError.at(path, str(error)) from None
    except Exception as error:  # noqa: BLE001 - a library over foreign files: whatever it trips over
        raise ManifestError.at(path, f"is a damaged workbook: {short(error)}") from None


def _is_workbook(file: IO[bytes], path: ManifestPath) -> None:
    """Refuse what is no workbook."""

    def refuse(what: str) -> ManifestError:
        return ManifestError.at(path, what)

    begins = file.read(4)
    if begins == _OLD:
        raise refuse("is an old Excel workbook, or has a password; save it as .xlsx without one, or as CSV")
    try:
        with zipfile.ZipFile(file) as parts:
            names = parts.namelist()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise refuse(f"is no whole Excel workbook (.xlsx): {short(error)}") from None
    if "xl/workbook.xml" not in names:
        raise refuse("is no Excel workbook (.xlsx)")


def _shown(book: Any) -> list[Any]:
    return [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or list(book.worksheets)


def _sheet(book: Any, name: str | None, path: ManifestPath) -> Any:
    sheets = _shown(book)
    if name is None and sheets:
        return sheets[0]
    found = next((sheet for sheet in book.worksheets if sheet.title == name), None)
    if found is None:
        titles = ", ".join(cell(sheet.title) for sheet in sheets[:10])
        what = f"has no sheet {cell(name)}" if name is not None else "has no sheet with a table"
        raise ManifestError.at(path, f"{what}; it has {titles or 'none'} (`manifest.xlsx.sheet`)")
    return found


def _header(cells: Sequence[Any], path: ManifestPath) -> list[str]:
    names = ["" if value is None else str(value) for value in cells]
    while names and not names[-1].strip():
        names.pop()
    twice = [name for name, count in sorted(Counter(names).items()) if count > 1]
    if twice:
        what = f"has the column {cell(twice[0])} twice; rename one, or skip rows above the names with "
        raise ManifestError.at(path, f"{what}`manifest.xlsx.skip_rows`")
    return names


def _unescaped(text: str) -> str:
    """A text whose characters that XML cannot hold, and line ends, were written as `_x000D_`."""
    if "_x" not in text:
        return text
    from openpyxl.utils.escape import unescape

    return str(unescape(text))


def _plain(value: Any) -> Any:
    """A cell as a table holds it: a whole number is one, whatever Excel keeps it as.

    What a formula that failed shows is no value.
    """
    if value is None or isinstance(value, str):
        return None if value is None or value in _NOTHING else _unescaped(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    # Times of day and lengths of time are written out.
    return str(value) if type(value).__name__ in ("time", "timedelta") else value
