"""Parquet files that are small on disk and large in memory."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.manifest.formats.parquet_bounds import leaves_below, pieces_of
from batchsearch.manifest.formats.parquet_pages import chunk_pages

TEXT = "a" * 1_000_000
ROWS = 900

READ = """
import sys
from pathlib import Path
from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.errors import ManifestError
from batchsearch.manifest.source import Manifest, Wanted
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024
before, rows, said = peak(), 0, ""
settings = ManifestSettings(path=sys.argv[1], key="id")
try:
    manifest = Manifest.open(settings, base=Path("."), wanted=Wanted())
    manifest.check()
    for batch in manifest.batches():
        rows += batch.carried.num_rows
except ManifestError as error:
    said = str(error)
print(rows, peak() - before, said.replace("\\n", " "))
"""


def column(cells, kind=None):
    return {"id": [str(number) for number in range(len(cells))], "x": pa.array(cells, kind)}


# Made one at a time: together they would take seven gigabytes.
BOMBS = {
    "dictionary": (lambda: column([TEXT] * ROWS), {}),
    "dictionary of bytes": (lambda: column([TEXT.encode()] * ROWS), {}),
    "in a list": (lambda: column([[TEXT]] * ROWS), {}),
    "in a struct": (lambda: column([{"k": TEXT}] * ROWS), {}),
    "in a map": (lambda: column([[("k", TEXT)]] * ROWS, pa.map_(pa.string(), pa.string())), {}),
    "fixed width": (lambda: column([TEXT.encode()] * ROWS, pa.binary(len(TEXT))), {}),
    "dictionary, then plain": (
        lambda: column([TEXT] * (ROWS // 2) + [f"{n} " * 2000 for n in range(ROWS // 2)]),
        {},
    ),
    "prefixes": (
        lambda: column([TEXT] * ROWS),
        {"use_dictionary": False, "column_encoding": {"x": "DELTA_BYTE_ARRAY"}},
    ),
    "long ones last": (
        lambda: column(["s"] * 5_000 + [TEXT] * (ROWS // 2)),
        {"use_dictionary": False, "data_page_size": 1000, "write_batch_size": 1},
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_takes_little_memory(tmp_path, name):
    """What unpacks to almost a gigabyte is read whole, a few rows at a time."""
    made, options = BOMBS[name]
    columns = made()
    pq.write_table(pa.table(columns), tmp_path / "m.parquet", compression="zstd", **options)
    assert (tmp_path / "m.parquet").stat().st_size < 400_000
    rows, peak, said = _read(tmp_path / "m.parquet")
    assert (rows, said) == (len(columns["id"]), "")
    if peak >= 600:
        # A busy machine can only raise a peak (more is read ahead before it is used): the lowest counts.
        peak = min(peak, *(_read(tmp_path / "m.parquet")[1] for _ in range(2)))
    assert peak < 600


@pytest.mark.parametrize(
    ("cells", "options"),
    [([TEXT] * ROWS, {"use_dictionary": False, "write_batch_size": ROWS}), ([[TEXT] * ROWS, []], {})],
)
def test_what_cannot_be_read_in_parts_is_refused(tmp_path, cells, options):
    """A page, or a row, that unpacks to much more than it is in the file is named with its column."""
    pq.write_table(pa.table(column(cells)), tmp_path / "m.parquet", compression="zstd", **options)
    rows, peak, said = _read(tmp_path / "m.parquet")
    assert rows == 0
    assert "column `x` unpacks to 858 MiB here" in said
    assert "`manifest.carry`" in said
    assert peak < 600


def _read(path: Path) -> tuple[int, int, str]:
    done = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=True)
    rows, peak, said = done.stdout.rstrip("\n").split(" ", 2)
    return int(rows), int(peak), said


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
