"""Parts put where readers look for them: as they are, or written anew where rows stand elsewhere too."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchsearch.arrow_values import one_array
from batchsearch.publish import make_folder, sync_path
from batchsearch.storage.parts.parquet_table import TableFile
from batchsearch.storage.parts.part_files import HITS, RESULTS, is_part, part_name
from batchsearch.storage.parts.passthrough_types import conformed, joined
from batchsearch.storage.parts.results_and_hits import hits_schema
from batchsearch.storage.sealed.inventory import TABLES, part_folders
from batchsearch.storage.sealed.unsealed import set_aside
from batchsearch.storage.sealed_part import HISTORY, SealedPart
from batchsearch.tasks.recover.finding import batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from batchsearch.tasks.recover.choosing import Kept
    from batchsearch.tasks.recover.finding import Found, History

_TMP: Final = ".tmp"


class Placing:
    """Puts the parts of an output folder in their places.

    Args:
        folder: The output folder.
        last: Highest number that any part of it has had.
        stamp: Name of the folder for what makes room.

    Attributes:
        last: Likewise, as of now.
        moved: Parts that stood elsewhere.
        rewritten: Parts that were written anew.

    Raises:
        OSError: From every method: the disk refuses.
    """

    def __init__(self, folder: Path, last: int, stamp: str) -> None:
        self._folder = folder
        self._stamp = stamp
        self.last = last
        self.moved = 0
        self.rewritten = 0

    def settle(self, found: Sequence[Found], kept: Sequence[Kept]) -> list[SealedPart]:
        """The parts that readers are to see, each whole and in its place, in the order of their numbers."""
        for table in TABLES:
            make_folder(self._folder / table)
        settled = []
        for part, each in zip(found, kept, strict=True):
            if part.hits is not None and each.whole and (len(part.rows) or part.is_settled):
                settled.append(self._in_place(part))
            elif each.latest.any():
                settled.append(self._written_anew(part, each))
        return sorted(settled, key=lambda part: part.name)

    def keep_earlier(
        self, found: Sequence[Found], kept: Sequence[Kept], history: Sequence[History]
    ) -> list[SealedPart]:
        """The parts of history, with one more for replaced outcomes that none of them has."""
        parts = [SealedPart(each.name, len(each.rows), 0, each.sha256, "", place=HISTORY) for each in history]
        known = {row.tobytes() for each in history for row in each.rows}
        sources: list[tuple[Path, NDArray[np.bool_]]] = []
        for part, each in zip(found, kept, strict=True):
            wanted = each.earlier.copy()
            for place in wanted.nonzero()[0]:
                row = part.rows[place].tobytes()
                wanted[place] = row not in known
                known.add(row)
            if wanted.any():
                sources.append((self._place_of(part, RESULTS), wanted))
        if sources:
            make_folder(self._folder / HISTORY)
            # Parts of different nights may have columns of different types.
            schema = functools.reduce(joined, [pq.read_schema(path) for path, _ in sources])
            table = TableFile(self._folder / HISTORY / self._next_name(), schema)
            for path, wanted in sources:
                for rows in _masked(path, wanted):
                    table.add(conformed(rows, schema))
            digest = table.sync()
            table.publish()
            parts.append(SealedPart(table.path.name, table.rows, 0, digest, "", place=HISTORY))
        return parts

    def clear(self, settled: Sequence[SealedPart], histories: Sequence[SealedPart]) -> list[str]:
        """Set aside every other file that is called as a part; where they are now."""
        keep = {part.name for part in settled}
        left = []
        for below in part_folders():
            stays = keep if below in TABLES else {part.name for part in histories} if below == HISTORY else ()
            folder = self._folder / below
            names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
            left += [f"{below}/{name}" for name in names if is_part(name) and name not in stays]
        moved = set_aside(self._folder, left, self._stamp)
        for below in part_folders():
            folder = self._folder / below
            if ".next" in below and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        return moved

    def _next_name(self) -> str:
        self.last += 1
        return part_name(self.last)

    def _place_of(self, part: Found, table: str) -> Path:
        """Where a file of a part is now: in its place, when it has been put there."""
        path = part.results if table == RESULTS else part.hits or ""
        there = self._folder / path
        return there if there.exists() else self._folder / table / part.name.removesuffix(_TMP)

    def _in_place(self, part: Found) -> SealedPart:
        name = part.name.removesuffix(_TMP)
        if not part.is_settled:
            self.moved += 1
            if any(self._is_taken(table, name, part) for table in TABLES):
                name = self._next_name()
            # Hits first: results without their hits are never seen.
            for table, path in ((HITS, part.hits or ""), (RESULTS, part.results)):
                source, target = self._folder / path, self._folder / table / name
                if source != target:
                    source.rename(target)
                    sync_path(target.parent)
        return SealedPart(name, len(part.rows), part.hit_rows, *part.sha256)

    def _is_taken(self, table: str, name: str, part: Found) -> bool:
        mine = part.results if table == RESULTS else part.hits
        return mine != f"{table}/{name}" and (self._folder / table / name).exists()

    def _written_anew(self, part: Found, kept: Kept) -> SealedPart:
        self.rewritten += 1
        name = self._next_name()
        source = self._folder / part.results
        keys: list[pa.Array] = []

        def latest() -> Iterator[pa.Table]:
            for rows in _masked(source, kept.latest):
                keys.append(one_array(rows["row_key"]).cast(pa.string()))
                yield rows

        results = _written(self._folder / RESULTS / name, latest(), None)
        wanted = pa.concat_arrays(keys)
        hits = _written(self._folder / HITS / name, self._hits_of(part, wanted), hits_schema())
        # Hits first: results without their hits are never seen.
        digests = [hits.sync(), results.sync()]
        hits.publish()
        results.publish()
        return SealedPart(name, results.rows, hits.rows, digests[1], digests[0])

    def _hits_of(self, part: Found, keys: pa.Array) -> Iterator[pa.Table]:
        if part.hits is None:
            return
        for batch in batches(self._folder / part.hits):
            rows = pa.Table.from_batches([batch])
            yield rows.filter(pc.is_in(rows["row_key"].cast(pa.string()), value_set=keys))


def _masked(path: Path, mask: NDArray[np.bool_]) -> Iterator[pa.Table]:
    """Some of a part's rows, in its order."""
    start = 0
    for batch in batches(path):
        rows = batch.filter(pa.array(mask[start : start + batch.num_rows]))
        start += batch.num_rows
        if rows.num_rows:
            yield pa.Table.from_batches([rows])


def _written(path: Path, tables: Iterator[pa.Table], without: pa.Schema | None) -> TableFile:
    """A file of these rows, not published yet; with the columns of `without` where there is none."""
    table: TableFile | None = None
    for rows in tables:
        if table is None:
            table = TableFile(path, rows.schema)
        table.add(conformed(rows, table.schema))
    if table is None:
        table = TableFile(path, without if without is not None else pa.schema([]))
    return table
