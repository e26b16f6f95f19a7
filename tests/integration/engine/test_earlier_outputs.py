"""Outputs that earlier versions wrote: read as they are, and gone on with, so that nothing is paid twice.

`earlier/0.1.0.zip` was written by version 0.1.0 (ledger 2, tables 2), `earlier/0.1.0.dev.zip` by a version
before it (ledger 1, tables 1): six rows `r0` to `r5`, the last one without its image, three hits for a row.
"""

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from run_rig import put_all

import batchsearch
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ExitCode, OutputError
from batchsearch.storage.ledger.checksum import forget_sum
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.parts.results_and_hits import hits_schema, own_results_schema
from batchsearch.tasks.compact.compacting import compact_all
from batchsearch.tasks.plan.planning import plan_job
from batchsearch.tasks.usage.statement import read_usage
from batchsearch.tasks.verify.findings import Verdict
from batchsearch.tasks.verify.folder_check import verify_folder

SEARCH = "SearchImageByPic"
EARLIER = sorted(Path(__file__).parents[1].joinpath("earlier").glob("*.zip"))
ROWS = [{"id": f"r{n}", "image": f"p{n:02}.jpg", "price": n} for n in range(5)]
ROWS.append({"id": "r5", "image": "gone.jpg", "price": 9})


@pytest.fixture(params=EARLIER, ids=lambda path: path.stem)
def earlier(request, tmp_path, signed_in, images, load):
    """Settings of the job over an output of that version, moved to where this test's instance is."""
    folder = tmp_path / "out"
    zipfile.ZipFile(request.param).extractall(folder)
    forget_sum(folder / "ledger" / "ledger.sqlite3")  # what is written here is not noted
    with closing(sqlite3.connect(folder / "ledger" / "ledger.sqlite3", isolation_level=None)) as ledger:
        known = json.loads(ledger.execute("SELECT value FROM meta WHERE name = 'fingerprint'").fetchone()[0])
        text = json.dumps(known | {"instance.endpoint": signed_in.endpoint})
        ledger.execute("UPDATE meta SET value = ? WHERE name = 'fingerprint'", (text,))
    put_all(signed_in, images, range(3))

    def settings(rows=ROWS, **more):
        return load(rows, instance__endpoint=signed_in.endpoint, **more)

    return settings


def test_there_is_an_output_of_every_earlier_schema():
    """Each schema version that a release or its forerunner wrote has its output here."""
    assert {path.stem for path in EARLIER} == {"0.1.0", "0.1.0.dev"}


def version_of(settings):
    with LedgerReader(Path(settings.output.dir, "ledger", "ledger.sqlite3"), oldest=1) as reader:
        return reader.version


def test_they_are_read_as_they_are(earlier, tmp_path):
    """Tables, usage and verification understand an earlier output, and change nothing in it."""
    folder = Path(earlier().output.dir)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    output = batchsearch.open_output(folder)
    assert sorted(output.results(["row_key"])["row_key"].to_pylist()) == [row["id"] for row in ROWS]
    assert output.hits().num_rows == 15
    (line,) = read_usage([folder]).lines
    assert (line.slots_used, line.rows_ok, line.rows_failed) == (5, 5, 1)
    seen = verify_folder(folder)
    assert (seen.rows, seen.hits) == (6, 15)
    # Its job's manifest is on the machine that it was written on.
    assert set(seen.findings.counts) <= {"manifest_unknown"}, seen.findings.listed()
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_the_next_night_pays_for_the_new_row_alone(earlier, signed_in):
    """An earlier output is gone on with: its rows stand, and all parts have this version's columns."""
    rows = [*ROWS, {"id": "new", "image": "p07.jpg", "price": 7}]
    if version_of(earlier()) == 1:
        with pytest.raises(OutputError, match="`batchsearch run` brings it up to date"):
            await plan_job(earlier(rows))
    else:
        assert (await plan_job(earlier(rows))).calls == 1
    summary = await run_job(earlier(rows))
    assert (summary.exit_code, summary.calls, summary.ok, summary.failed) == (ExitCode.DONE, 1, 6, 1)
    assert len(signed_in.log.entries(SEARCH)) == 1
    folder = Path(earlier().output.dir)
    results = ds.dataset(folder / "results").to_table()
    assert sorted(results["row_key"].to_pylist()) == sorted(row["id"] for row in rows)
    for part in (folder / "results").iterdir():
        names = set(ds.dataset(part).schema.names)
        assert names >= set(own_results_schema(SEARCH).names)
    for part in (folder / "hits").iterdir():
        assert set(ds.dataset(part).schema.names) == set(hits_schema().names)
    # What follows from the rest is filled in, also in what that version wrote.
    assert results["key_values"].to_pylist() == [[key] for key in results["row_key"].to_pylist()]
    assert set(results["in_manifest"].to_pylist()) == {True}
    of_rows = {row["row_key"]: row for row in results.to_pylist()}
    for hit in ds.dataset(folder / "hits").to_table().to_pylist():
        row = of_rows[hit["row_key"]]
        assert (hit["run_id"], hit["finished_at"]) == (row["run_id"], row["finished_at"])
    assert verify_folder(folder).findings.verdict() == Verdict.WHOLE
    assert (await run_job(earlier(rows))).calls == 0


async def test_its_answers_serve_a_new_folder(earlier, signed_in):
    """What an earlier version was answered serves equal requests of a job that begins anew."""
    await run_job(earlier())
    paid = len(signed_in.log.entries(SEARCH))
    anew = earlier(output__dir="anew", reuse__from=earlier().output.dir)
    summary = await run_job(anew)
    assert summary.calls + summary.reused == 5
    assert summary.hits == 15
    assert len(signed_in.log.entries(SEARCH)) - paid == summary.calls


def test_its_parts_are_merged(earlier):
    """Compaction makes one part of an earlier output's, with every row and hit."""
    (done,) = compact_all(Path(earlier().output.dir)).values()
    assert (done.before, done.after, done.rows, done.hits) == (2, 1, 6, 15)
