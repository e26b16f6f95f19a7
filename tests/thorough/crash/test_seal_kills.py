"""A process really killed between the steps of sealing: running again gives every row once."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.engine.parts.exchange import Generations
from batchsearch.engine.parts.sealer import Sealer, Writers
from batchsearch.engine.run.order import examined, put_in_order
from batchsearch.storage.ledger.store import Ledger
from batchsearch.storage.sealed.difference import differences
from batchsearch.storage.sealed.inventory import inventory_of
from batchsearch.telemetry.logs import logger

CARRIED = pa.schema([("sku", pa.string())])

# Two parts' worth of rows; the process ends, without any farewell, before it would do the given step of
# sealing its second part.
PROGRAM = """
import asyncio, json, os, sys
from pathlib import Path
import pyarrow as pa
from batchsearch.engine.parts.exchange import Generations
from batchsearch.engine.parts.sealer import Sealer, Writers
from batchsearch.storage.ledger.entries import FinishedRow, digest_of
from batchsearch.storage.ledger.store import Ledger
from batchsearch.storage.parts.part_files import PartWriter
from batchsearch.storage.parts.results_and_hits import hits_schema, own_results_schema, results_schema
from batchsearch.telemetry.logs import logger

folder, step = Path(sys.argv[1]), sys.argv[2]
carried = pa.schema([("sku", pa.string())])

def watch(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith(f"{step}/part-000002.parquet"):
        os._exit(9)

class Last(Ledger):
    async def seal(self, part, **about):
        if step == "seal" and part.name == "part-000002.parquet":
            os._exit(9)
        await super().seal(part, **about)

async def main():
    ledger = Last(folder / "ledger.sqlite3")
    writers = Writers.of(folder, "SearchImageByPic", carried)
    writers.prepare()
    generations = Generations(ledger, folder, writers.current.schemas, logger())
    for key in "abcd":
        own = pa.record_batch([[key]], schema=carried).serialize().to_pybytes()
        line = json.dumps({"row_key": key, "rank": 1}).encode() + b"\\n"
        result = json.dumps({"row_key": key}).encode()
        await ledger.finish(FinishedRow(digest_of(key), None, None, result, line, own, False), {})
    sys.addaudithook(watch)
    await Sealer(ledger, writers, generations, rows_per_part=2, seconds=9.0, log=logger()).finish()

asyncio.run(main())
"""

LEFT_BEHIND = {
    "hits": ["results/part-000002.parquet.tmp", "hits/part-000002.parquet.tmp"],
    "results": ["results/part-000002.parquet.tmp", "hits/part-000002.parquet"],
    "seal": ["results/part-000002.parquet", "hits/part-000002.parquet"],
}


def run_and_be_killed(folder, step):
    """Exit code of the process."""
    root = Path(__file__).parents[3]
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), step],
        env=os.environ | {"PYTHONPATH": str(root)},
        check=False,
    ).returncode


def untouched(path):
    """What stays of a file that is read and not written: all but when it was last read."""
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


@pytest.mark.parametrize("step", LEFT_BEHIND)
async def test_a_kill_while_a_part_is_sealed_loses_and_doubles_nothing(tmp_path, step):
    """Before the hits, between hits and results, before the seal: leftovers go, the part is written again."""
    assert run_and_be_killed(tmp_path, step) == 9
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    try:
        writers = Writers.of(tmp_path, "SearchImageByPic", CARRIED)
        writer = writers.current
        generations = Generations(ledger, tmp_path, writer.schemas, logger())
        writers.prepare()
        assert (len(ledger.parts()), ledger.waiting().rows, ledger.finished_count()) == (1, 2, 4)
        first = untouched(tmp_path / "results" / "part-000001.parquet")
        left = await examined(ledger, tmp_path)
        assert {each.path for each in left} == set(LEFT_BEHIND[step])
        await put_in_order(ledger, tmp_path, left)
        aside = tmp_path / "set-aside"
        kept = {path.relative_to(aside).as_posix().partition("/")[2] for path in aside.rglob("*.parquet")}
        assert kept == {name for name in LEFT_BEHIND[step] if not name.endswith(".tmp")}
        await Sealer(ledger, writers, generations, rows_per_part=2, seconds=9.0, log=logger()).finish(
            at_least_one=True
        )
        assert untouched(tmp_path / "results" / "part-000001.parquet") == first
        assert differences(tmp_path, inventory_of(ledger)) == []
        assert ledger.waiting().rows == 0
    finally:
        ledger.close()
    for folder in ("results", "hits"):
        assert pq.read_table(tmp_path / folder)["row_key"].to_pylist() == ["a", "b", "c", "d"]
        assert len(list((tmp_path / folder).iterdir())) == 2
