"""Memory while sealing depends on neither the rows nor what is in them."""

import json
from pathlib import Path

from run_rig import program

# Forty rows with 500 hits of 4 KB each: 80 MB of outcomes that wait, as after a night's hard kill.
PROGRAM = """
import asyncio, json, resource, sys
from pathlib import Path
import pyarrow as pa
from batchsearch.engine.parts.exchange import Generations
from batchsearch.engine.parts.sealer import Sealer, Writers
from batchsearch.storage.ledger.entries import FinishedRow, digest_of
from batchsearch.storage.ledger.store import Ledger
from batchsearch.storage.parts.part_files import PartWriter
from batchsearch.storage.parts.results_and_hits import hits_schema, own_results_schema, results_schema
from batchsearch.telemetry.logs import logger

folder, what = Path(sys.argv[1]), sys.argv[2]
carried = pa.schema([("sku", pa.string())])

async def fill(ledger):
    for number in range(40):
        key = str(number)
        line = json.dumps({"row_key": key, "rank": 1, "custom_content": "x" * 4096}).encode() + b"\\n"
        own = pa.record_batch([[key]], schema=carried).serialize().to_pybytes()
        result = json.dumps({"row_key": key}).encode()
        await ledger.finish(FinishedRow(digest_of(key), None, None, result, line * 500, own, False), {})

async def seal(ledger):
    writers = Writers.of(folder, "SearchImageByPic", carried)
    writers.prepare()
    generations = Generations(ledger, folder, writers.current.schemas, logger())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await Sealer(ledger, writers, generations, rows_per_part=5_000, seconds=9.0, log=logger()).finish()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"grown": grown * 1024, "hits": sum(part.hits for part in ledger.parts())}))

async def main():
    ledger = Ledger(folder / "ledger.sqlite3")
    await {"fill": fill, "seal": seal}[what](ledger)
    ledger.close()

asyncio.run(main())
"""


def run(folder, what):
    done = program("-c", PROGRAM, folder, what, env={"PYTHONPATH": str(Path(__file__).parents[3])})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_sealing_takes_less_memory_than_what_is_sealed(tmp_path):
    """Outcomes go through memory in pieces: for 80 MB of them, a row group and a chunk with their copies."""
    run(tmp_path, "fill")
    found = json.loads(run(tmp_path, "seal")[-1])
    assert found["hits"] == 20_000
    assert found["grown"] < 200 * 1024 * 1024, found
