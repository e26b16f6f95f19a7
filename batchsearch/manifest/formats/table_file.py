"""What a manifest asks of each of its files, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

    from batchsearch.manifest.formats.memory_table import GivenTable
    from batchsearch.manifest.remote_file import ManifestPath

PIECE_BYTES: Final = 32 * 1024 * 1024
"""About how much of a table is in memory at once, bytes."""

Report: TypeAlias = "Callable[[int | None, str], None]"
"""Told of a row of this file, from 0 (None: the whole file), that is not as it should be, and how; may raise
to stop there."""

AnyOf: TypeAlias = "Callable[[int, int], bool]"
"""Whether any of so many rows from some row of this file on is wanted."""


@dataclass(frozen=True, slots=True)
class Wished:
    """A column to be read.

    Attributes:
        name: Its name.
        type: What it is to be: its own type, or one of its family (see `columns.normal_type`).
        path_only: Of a struct of `bytes` and `path` read the path alone; `type` is then the path's.
    """

    name: str
    type: pa.DataType
    path_only: bool = False


class UnreadableError(Exception):
    """A file cannot be read on from some row.

    Attributes:
        row: From 0; None where the whole file is meant.
        what: Why, and what to do.
    """

    def __init__(self, row: int | None, what: str) -> None:
        self.row = row
        self.what = what
        super().__init__(what)


class TableFile(Protocol):
    """One file of a manifest, with its header or footer read and closed again."""

    @property
    def path(self) -> ManifestPath | GivenTable:
        """Where it is; of a table in memory what it is called."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns, with their own types."""

    @property
    def rows(self) -> int | None:
        """How many rows it has, where that is known without reading it."""

    def pieces(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """The rows in order, a bounded number of bytes at a time.

        A cell that is reported is null in them, a row that cannot be made out is left out.

        Raises:
            UnreadableError: The file ends, or makes no sense, before its last row.
        """

    def row_at(self, position: int) -> int:
        """The row, from 0, of a position in what the last call of `pieces` gave so far."""

    def places(self, rows: Sequence[int]) -> dict[int, str]:
        """Where a person finds rows, as `row 3 (line 5)`; may read the file to tell."""


class EveryRow:
    """What files are alike in of which every row is given, and only reading tells how many these are."""

    @property
    def rows(self) -> int | None:
        """See `TableFile.rows`."""
        return None

    def row_at(self, position: int) -> int:
        """See `TableFile.row_at`."""
        return position

    def places(self, rows: Sequence[int]) -> dict[int, str]:
        """See `TableFile.places`."""
        return {row: f"row {row + 1}" for row in rows}


@runtime_checkable
class SkippingFile(Protocol):
    """A file of which some rows can be read without those before them."""

    def pieces_among(
        self, wished: Sequence[Wished], report: Report, any_of: AnyOf
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """As `TableFile.pieces`, each with its first row; large pieces with no wanted row may be left out."""


def placed(pieces: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Pieces that follow one another, each with its first row."""
    first = 0
    for piece in pieces:
        yield first, piece
        first += piece.num_rows


def short(error: BaseException) -> str:
    """The first line of a library's message, bounded."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:160]
