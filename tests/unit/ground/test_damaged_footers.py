"""Looking at a damaged Parquet file never ends the process that looks."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq

LOOK = """
import sys
from pathlib import Path
from batchsearch.storage.parts.parquet_table import damage_of

path = Path(sys.argv[1])
whole = path.read_bytes()
assert damage_of(path, 2) is None
footer = int.from_bytes(whole[-8:-4], "little")
told = 0
for place in range(len(whole) - 8 - footer, len(whole)):
    for bit in range(8):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << bit
        path.write_bytes(spoilt)
        told += damage_of(path, 2) is not None
print(told)
"""


def test_no_flipped_bit_of_a_footer_ends_the_process(tmp_path):
    """Whichever bit of its footer is another one, the process tells and goes on."""
    path = tmp_path / "part.parquet"
    rows = {"row_key": ["a", "b"], "rank": [1, 2], "box": [[1], None]}
    pq.write_table(pa.table(rows), path, store_schema=False)
    looked = subprocess.run(
        [sys.executable, "-c", LOOK, str(path)], capture_output=True, text=True, check=False
    )
    assert looked.returncode == 0, looked.stderr
    assert int(looked.stdout) > 100
