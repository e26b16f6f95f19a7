"""The tables of the night before, as far as they are whole: cluster ids and first sights are taken from them.

Tonight's tables are made anew whatever became of them, so a table that cannot be read ends no night: it is
set aside, and the newest earlier night that has one is taken, which is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.errors import OutputError
from batchsearch.storage.output_layout import NIGHTS
from batchsearch.storage.sealed.delivered import OF_DEDUP, Fault, faults_of
from batchsearch.storage.sealed.unsealed import SET_ASIDE, set_aside
from batchsearch.tasks.dedup.candidates.in_pieces import overlapping
from batchsearch.tasks.dedup.candidates.matches import pair_key
from batchsearch.tasks.dedup.candidates.off_memory import Numbers
from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import PAIRS, read_table, table_path
from batchsearch.tasks.dedup.nights import read_record
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.catalogue_images import Images
    from batchsearch.tasks.dedup.candidates.off_memory import Room

_HOPELESS: Final = "table_changed"


def set_damaged_aside(folder: Path) -> None:
    """Move tables of the night before out of the way that are not what it wrote, and earlier nights likewise.

    Raises:
        OutputError: The disk refuses.
    """
    if not folder.is_dir():
        return
    damaged = [name for name in OF_DEDUP if (folder / name).is_file() and not _is_sound(folder, name)]
    damaged += [f"{NIGHTS}/{night.name}" for night in _nights(folder) if faults_of(night)]
    if not damaged:
        return
    try:
        moved = set_aside(folder, damaged)
    except OSError as error:
        raise OutputError(
            f"{error.filename or folder}: a damaged table cannot be moved to {SET_ASIDE}/: "
            f"{error.strerror or error}"
        ) from error
    logger().warning("tables_set_aside", files=moved)


def read_earlier(folder: Path, table: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of a table of the night before; none where there was no night, or nothing is left of any.

    Raises:
        OutputError: The table cannot be read.
    """
    if table_path(folder, table).is_file():
        yield from read_table(folder, table, columns)
        return
    there = _nights(folder)
    name = table_path(folder, table).relative_to(folder).as_posix()
    for night in there:
        if (night / name).is_file() and _is_sound(night, name):
            logger().warning("earlier_table_missing", table=table, taken_from=f"{NIGHTS}/{night.name}")
            yield from read_table(night, table, columns)
            return
    if there or read_record(folder) is not None:
        logger().warning("earlier_table_missing", table=table, taken_from=None)


def _nights(folder: Path) -> list[Path]:
    """The earlier nights, the newest first."""
    nights = folder / NIGHTS
    there = nights.iterdir() if nights.is_dir() else ()
    return sorted((path for path in there if not path.name.startswith(".")), reverse=True)


def _is_sound(folder: Path, name: str) -> bool:
    fault: Fault | None = next((each for each in faults_of(folder) if each.path == name), None)
    if fault is not None and fault.kind == _HOPELESS:
        return False
    try:
        with pq.ParquetFile(arrow_readable(folder / name), page_checksum_verification=True) as file:
            for _ in file.iter_batches():
                pass
    except (OSError, pa.ArrowException, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Earlier:
    """The pairs of the night before whose products are still known, by `pair_key`, ascending.

    Attributes:
        key: Both products.
        found_at: When the pair was first found.
        accepted: Whether it was accepted.
        count_accepted: How many were, those of products that are no longer known, too.
    """

    key: NDArray[np.int64]
    found_at: NDArray[np.int64]
    accepted: NDArray[np.bool_]
    count_accepted: int

    def found(self, key: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of some pairs were there, and their places."""
        if not len(self.key):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        place = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        there = np.flatnonzero(self.key[place] == key)
        return there, place[there]


def earlier_pairs(folder: Path, images: Images, room: Room) -> Earlier:
    """The pairs that the night before wrote, in the numbers of tonight's products.

    Raises:
        OutputError: They cannot be read, or the disk refuses.
    """
    keys, found, said = (Numbers(kind, room) for kind in (np.int64, np.int64, bool))
    count = 0
    for batch in read_earlier(folder, PAIRS, ["product_a", "product_b", "found_at", "accepted"]):
        one, other = (images.product_index.places(batch.column(name)) for name in ("product_a", "product_b"))
        at = batch.column("found_at").cast(pa.int64()).to_numpy(zero_copy_only=False)
        accepted = batch.column("accepted").to_numpy(zero_copy_only=False).astype(bool)
        count += int(accepted.sum())
        known = (one >= 0) & (other >= 0)
        keys.add(pair_key(one[known], other[known]))
        found.add(at[known])
        said.add(accepted[known])
    key, found_at, accepted = keys.array(), found.array(), said.array()
    if all((key[some][1:] >= key[some][:-1]).all() for some in overlapping(len(key))):
        return Earlier(key, found_at, accepted, count)
    # Not as a night writes it.
    order = np.argsort(key, kind="stable")
    return Earlier(key[order], found_at[order], accepted[order], count)
