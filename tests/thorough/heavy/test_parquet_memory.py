"""Parquet files that are small on disk and large in memory: read in bounded memory, or refused."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
