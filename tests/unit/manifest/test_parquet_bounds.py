"""What the pages of a Parquet file hold, and the pieces in which it is read."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.manifest.formats.parquet_bounds import leaves_below, pieces_of
from batchsearch.manifest.formats.parquet_pages import chunk_pages


def column(cells, kind=None):
    return {"id": [str(number) for number in range(len(cells))], "x": pa.array(cells, kind)}


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_pages_say_what_they_hold(tmp_path, version):
    """Headers of both kinds of pages are read: sizes, cells and encodings."""
    table = pa.table({"t": ["abc", "de"] * 500, "n": pa.array(range(1000), pa.int64())})
    path = tmp_path / "m.parquet"
    pq.write_table(table, path, compression="none", data_page_version=version, use_dictionary=["t"])
    with pq.ParquetFile(path) as file, path.open("rb") as data:
        leaves = leaves_below(file.schema, ["t", "n"])
        assert [(leaf.path, leaf.width, leaf.repeated) for leaf in leaves] == [
            ("t", None, False),
            ("n", 8, False),
        ]
        found = []
        for leaf in leaves:
            chunk = file.metadata.row_group(0).column(leaf.number)
            start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            found.append(chunk_pages(data, start, chunk.total_compressed_size, chunk.num_values))
    texts, numbers = found
    assert texts.is_all_dictionary
    assert texts.dictionary == len("abc") + len("de") + 2 * 4
    assert not numbers.is_all_dictionary
    assert numbers.dictionary == 0
    assert 8 <= numbers.cell < 8.1


def test_bytes_that_are_no_pages_are_no_pages(tmp_path):
    """Nonsense where a page should be ends the look at them; Arrow says what is wrong."""
    (tmp_path / "m").write_bytes(bytes(range(256)) * 8)
    with (tmp_path / "m").open("rb") as data:
        assert chunk_pages(data, 4, 2000, 10).unpacked == 0


def test_pieces_keep_every_row_in_its_order():
    """Cutting by what dictionaries unpack to loses and moves nothing, nested or not."""
    texts = ["x" * 20_000_000, "y", None, "z" * 20_000_000]
    words = pa.array([0, 1, 2, None, 3, 0], pa.int32())
    column = pa.DictionaryArray.from_arrays(words, pa.array(texts))
    nested = pa.ListArray.from_arrays([0, 1, 1, 3, 6, 6, 6], column)
    batch = pa.record_batch([column, nested, pa.array(range(6))], names=["c", "l", "n"]).slice(1)
    pieces = list(pieces_of(batch, 0))
    assert len(pieces) > 1
    assert [row for piece in pieces for row in piece.to_pylist()] == batch.to_pylist()
