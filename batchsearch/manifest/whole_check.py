"""A manifest read once before anything is spent: whole, well-typed, each row with a key of its own."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from batchsearch.errors import ManifestError
from batchsearch.manifest.column_types import cell, parameter_cells
from batchsearch.manifest.formats.table_file import Wished
from batchsearch.manifest.keys import RepeatFinder, digests_of, key_texts
from batchsearch.manifest.layers import Layer, rows_of
from batchsearch.manifest.row_findings import LISTED, Findings
from batchsearch.steps import step

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from batchsearch.manifest.layers import WithoutImage
    from batchsearch.manifest.pieces import Pieces
    from batchsearch.steps import Step

Beside: TypeAlias = "Callable[[Sequence[pa.Array], Mapping[str, pa.Array], int], NDArray[Any]]"
"""Makes the records of `keys.BESIDE` of so many rows from their columns of images and of parameters."""

_KEYS_AT_ONCE: Final = 8_192


class CheckStoppedError(Exception):
    """Nobody waits for the check any more."""


class ManifestCheck:
    """Checks a manifest; see `Manifest.check`.

    Args:
        pieces: Reads its files.
        stop: Set when nobody waits for it any more.
        beside: Makes what each key is kept with.
    """

    def __init__(self, pieces: Pieces, stop: threading.Event | None, beside: Beside | None) -> None:
        self._pieces = pieces
        self._stop = stop
        self._beside = beside

    def all(self, without_image: Callable[[WithoutImage], None] | None, keys: RepeatFinder | None) -> int:
        """Check every file; see `Manifest.check`."""
        findings = Findings(self._pieces.tables)
        rows = [table.rows for table in self._pieces.tables]
        reading = step("reading the manifest", None if None in rows else sum(count or 0 for count in rows))
        starts: list[int] = []
        total = 0
        layers = [table for table in self._pieces.tables if isinstance(table, Layer)]
        for layer in layers:
            layer.listener = without_image
        try:
            with ExitStack() as stack:
                finder = stack.enter_context(RepeatFinder(listed=LISTED)) if keys is None else keys
                for number in range(len(self._pieces.tables)):
                    starts.append(total)
                    take = _Taker(finder, self._beside, total)
                    total += self._check_file(number, findings, take, reading)
                repeats = finder.repeats()
        except OSError as error:
            raise ManifestError(
                f"the row keys cannot be compared: {error.strerror or error}; "
                "they need 24 bytes a row in the temporary folder (TMPDIR)"
            ) from error
        finally:
            for layer in layers:
                layer.listener = None
        if repeats.total:
            self._report_repeats(repeats.pairs, starts, findings)
            findings.count_only(repeats.total - len(repeats.pairs))
        findings.raise_any()
        return total

    def _check_file(
        self,
        number: int,
        findings: Findings,
        take: _Taker,
        reading: Step,
    ) -> int:
        """Checks one file; gives its number of rows."""
        wished = [
            Wished(use.name, use.type if use.carried is None else use.carried, path_only=use.has_bytes)
            for use in self._pieces.meaning.columns
            if use.carried is not None or not use.has_bytes
        ]

        told: set[int | None] = set()

        def report(row: int | None, what: str) -> None:
            # One problem a row: a cell that was reported is null from then on, and no second problem.
            if row not in told:
                told.add(row)
                findings.add(number, row, what)

        seen = 0
        for piece in self._pieces.of_file(number, wished, report):
            if self._stop is not None and self._stop.is_set():
                raise CheckStoppedError
            # Keys become Python text a few thousand at a time: a piece's worth would be a hundred megabytes.
            for offset in range(0, piece.num_rows, _KEYS_AT_ONCE):
                part = piece.slice(offset, _KEYS_AT_ONCE)
                keys = [self._pieces.plain(part, name) for name in self._pieces.key]
                usable = self._pieces.usable(keys, number, rows_of(part), report)
                if usable is not None:
                    keys = [key.filter(usable) for key in keys]
                told_beside = None if take.beside is None else self._told_of(part, take.beside, usable)
                take.rows(self._pieces.keys_of(keys), seen, part.num_rows, usable, told_beside)
                seen += part.num_rows
                reading.advance(part.num_rows)
            told.clear()
        return seen

    def _told_of(self, part: pa.RecordBatch, beside: Beside, usable: pa.Array | None) -> NDArray[Any]:
        """What the keys of some rows are kept with."""
        if usable is not None:
            part = part.filter(usable)
        images = [self._pieces.plain(part, name) for name in self._pieces.meaning.images]
        parameters = {
            name: parameter_cells(self._pieces.plain(part, column))
            for name, column in self._pieces.meaning.parameters.items()
        }
        return beside(images, parameters, part.num_rows)

    def _report_repeats(
        self, pairs: Sequence[tuple[int, int]], starts: Sequence[int], findings: Findings
    ) -> None:
        """Names the key and both places of each repeat."""

        def place(row: int) -> tuple[int, int]:
            number = bisect_right(starts, row) - 1
            return number, row - starts[number]

        keys = self._keys_at({row for row, _ in pairs}, starts)
        earlier: dict[int, list[int]] = {}
        for _, first in pairs:
            number, position = place(first)
            earlier.setdefault(number, []).append(self._pieces.tables[number].row_at(position))
        words = {number: self._pieces.tables[number].places(rows) for number, rows in earlier.items()}
        for row, first in pairs:
            number, position = place(row)
            before, first_position = place(first)
            where = words[before][self._pieces.tables[before].row_at(first_position)]
            if before != number:
                where = f"{self._pieces.tables[before].path}: {where}"
            what = f"the key {cell(keys.get(row, ''))} is also that of {where}; keys must be unique"
            findings.add(number, self._pieces.tables[number].row_at(position), what)

    def _keys_at(self, rows: set[int], starts: Sequence[int]) -> dict[int, str]:
        """The keys of a few rows; reads the key columns again up to the last of them."""
        types = self._pieces.meaning.types
        wished = [Wished(name, types[name]) for name in self._pieces.key]
        found: dict[int, str] = {}
        for number, start in enumerate(starts):
            seen = start
            for piece in self._pieces.of_file(number, wished, lambda *_: None):
                inside = sorted(row for row in rows if seen <= row < seen + piece.num_rows)
                picked = piece.take(pa.array([row - seen for row in inside], pa.int64()))
                texts = key_texts([picked.column(name) for name in self._pieces.key], self._pieces.quoted)
                found.update((row, text or "") for row, text in zip(inside, texts, strict=True))
                seen += piece.num_rows
                if len(found) == len(rows):
                    return found
        return found


@dataclass(frozen=True, slots=True)
class _Taker:
    """Gives the keys of one file to whoever looks for repeats.

    Attributes:
        finder: Takes them.
        beside: Makes what they are kept with.
        start: Place of the file's first row among all rows.
    """

    finder: RepeatFinder
    beside: Beside | None
    start: int

    def rows(
        self, keys: pa.Array, seen: int, count: int, usable: pa.Array | None, told: NDArray[Any] | None
    ) -> None:
        """Take the usable ones of the file's rows from `seen` on."""
        places = np.arange(self.start + seen, self.start + seen + count, dtype=np.uint64)
        if usable is not None:
            places = places[usable.to_numpy(zero_copy_only=False)]
        self.finder.add(digests_of(keys), places, told)
