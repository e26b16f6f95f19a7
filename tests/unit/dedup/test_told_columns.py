"""What the manifest says now stands over what it said when a row was searched."""

import pyarrow as pa
import pytest

from batchsearch.tasks.dedup.candidates import in_pieces
from batchsearch.tasks.dedup.candidates.catalogue_reading import ToldColumns
from batchsearch.tasks.dedup.candidates.off_memory import Room
from batchsearch.tasks.dedup.candidates.text_index import TextIndex


@pytest.mark.parametrize("in_memory", [0, 1 << 30])
def test_what_is_told_now_holds_and_rows_not_told_of_keep_what_they_had(tmp_path, in_memory, monkeypatch):
    """An empty cell is said as well; rows that have left the manifest and columns not told of stay."""
    monkeypatch.setattr(in_pieces, "AT_ONCE", 2)
    rows = TextIndex(pa.array(["a", "b", "c", "d", "e"]))
    then = pa.array(["1", "2", None, "4", "5"])
    told = [
        pa.record_batch({"row_key": ["e", "new"], "title": ["5 now", "nobody's"]}),
        pa.record_batch({"row_key": ["b", "c"], "title": pa.array([None, "3 now"])}),
    ]
    now = ToldColumns(told, rows, Room(tmp_path, in_memory))
    assert now.over("title", then).to_pylist() == ["1", None, "3 now", "4", "5 now"]
    assert now.over("colour", then).to_pylist() == then.to_pylist()
    assert ToldColumns([], rows, Room()).over("title", then).to_pylist() == then.to_pylist()
