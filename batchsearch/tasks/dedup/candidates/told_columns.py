"""What the manifest says now of rows that were searched on an earlier night, beside what it said then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.tasks.dedup.candidates.in_pieces import pieces
from batchsearch.tasks.dedup.candidates.off_memory import Texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchsearch.tasks.dedup.candidates.off_memory import Room
    from batchsearch.tasks.dedup.candidates.text_index import TextIndex


class ToldColumns:
    """Columns of the manifest, by the rows of results.

    Args:
        told: The manifest's rows, some at a time: `row_key`, and columns as results name them.
        rows: The results' row keys.
        room: For what memory does not hold.

    Raises:
        ManifestError: The manifest cannot be read.
        OutputError: The disk refuses.
    """

    def __init__(self, told: Iterable[pa.RecordBatch], rows: TextIndex, room: Room) -> None:
        self._room = room
        self._place = room.array(len(rows.texts), np.int32, -1)
        self._texts: dict[str, Texts] = {}
        end = 0
        for batch in told:
            at = rows.places(batch.column("row_key"))
            known = np.flatnonzero(at >= 0)
            self._place[at[known]] = known + end
            end += len(batch)
            for name in batch.schema.names:
                if name != "row_key":
                    texts = self._texts.setdefault(name, Texts(room))
                    texts.add(batch.column(name).cast(pa.string()))

    def over(self, named: str, then: pa.Array) -> pa.Array:
        """A column's texts as the manifest has them now, or else as they were; asked once of each column.

        Args:
            named: What the results call it.
            then: Its texts by row.

        Raises:
            OutputError: The disk refuses.
        """
        if named not in self._texts:
            return then
        now, found = self._texts.pop(named).array(), Texts(self._room)
        for some in pieces(len(then)):
            place = self._place[some]
            told = now.take(pa.array(place, pa.int64(), mask=place < 0)).cast(pa.string())
            before = then.slice(some.start, some.stop - some.start).cast(pa.string())
            found.add(pc.if_else(pa.array(place >= 0), told, before))
        return found.array()
