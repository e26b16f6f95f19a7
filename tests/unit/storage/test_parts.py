"""Parquet parts: whole or not at all."""

import hashlib
import json
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts_rig import writer_of

from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.storage.parts.part_files import part_name, table_from_json
from batchsearch.storage.parts.results_and_hits import (
    hits_schema,
    own_results_schema,
    passthrough_names,
    results_schema,
)

CARRIED = pa.schema([("sku", pa.string()), ("outcome", pa.decimal128(6, 2)), ("seen", pa.date32())])


@dataclass
class Entry:
    result: bytes
    hits: bytes
    carried: bytes


def entry(key, hits=0):
    batch = pa.record_batch({"sku": [key], "outcome": [None], "seen": [None]}, schema=CARRIED)
    lines = b"".join(json.dumps({"row_key": key, "rank": n + 1}).encode() + b"\n" for n in range(hits))
    return Entry(
        json.dumps({"row_key": key, "outcome": "ok"}).encode(), lines, batch.serialize().to_pybytes()
    )


@pytest.fixture
def writer(tmp_path):
    return writer_of(tmp_path, CARRIED)


def test_a_part_holds_every_entry_and_its_hits(writer, tmp_path):
    """Rows and hits come out in order, with the user's columns first and their types kept."""
    written = writer.write(part_name(1), [[entry("a", 2), entry("b")], [entry("c", 1)]])
    results = pq.read_table(tmp_path / "results" / "part-000001.parquet")
    hits = pq.read_table(tmp_path / "hits" / "part-000001.parquet")
    assert (written.rows, written.hits) == (3, 3)
    assert results["row_key"].to_pylist() == ["a", "b", "c"]
    assert results["sku"].to_pylist() == ["a", "b", "c"]
    assert results.schema.field("manifest_outcome").type == pa.decimal128(6, 2)
    assert hits["row_key"].to_pylist() == ["a", "a", "c"]
    digest = hashlib.sha256((tmp_path / "results" / "part-000001.parquet").read_bytes()).hexdigest()
    assert written.results_sha256 == digest


def test_a_part_without_hits_has_an_empty_hits_file(writer, tmp_path):
    """A reader finds both files of every part, with the same columns."""
    writer.write(part_name(1), [[entry("a")]])
    assert pq.read_table(tmp_path / "hits").num_rows == 0
    assert pq.read_schema(tmp_path / "hits" / "part-000001.parquet").names == hits_schema().names


def test_a_failed_part_leaves_nothing_behind(writer, tmp_path):
    """An error in the middle leaves neither a final nor a temporary file."""

    def chunks():
        yield [entry("a", 1)]
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"part-000001\.parquet cannot be written: No space left"):
        writer.write(part_name(1), chunks())
    assert list(tmp_path.glob("*/*")) == []


def test_json_with_an_unknown_field_is_refused():
    """The schema is fixed: a field that it does not have cannot slip in."""
    with pytest.raises(pa.ArrowInvalid):
        table_from_json(b'{"row_key":"a","surprise":1}', own_results_schema("SearchImageByName"))


def test_a_manifest_column_named_like_ours_is_renamed():
    """No name appears twice, however the manifest's columns are called."""
    names = passthrough_names("SearchImageByPic", ["outcome", "manifest_outcome", "sku"])
    assert names == ["manifest_manifest_outcome", "manifest_outcome", "sku"]


def test_a_manifest_column_that_differs_in_case_only_is_renamed():
    """`SELECT outcome` in SQL, where case does not count, is never the manifest's `Outcome`."""
    names = passthrough_names("SearchImageByPic", ["Outcome", "MANIFEST_outcome", "Sku", "HIT_COUNT"])
    assert names == ["manifest_manifest_Outcome", "MANIFEST_outcome", "Sku", "manifest_HIT_COUNT"]


def test_a_part_without_rows_has_every_column(writer, tmp_path):
    """An empty output is a table of no rows to whoever reads it, not a missing one."""
    written = writer.write(part_name(1), [])
    assert (written.rows, written.hits) == (0, 0)
    for folder, schema in (("results", results_schema("SearchImageByPic", CARRIED)), ("hits", hits_schema())):
        found = pq.read_table(tmp_path / folder / part_name(1))
        assert found.num_rows == 0
        assert found.schema.equals(schema)
    duckdb = pytest.importorskip("duckdb")
    files = str(tmp_path / "results" / "*.parquet")
    with duckdb.connect() as connection:
        found = connection.execute("SELECT count(outcome) FROM read_parquet(?)", [files]).fetchall()
    assert found == [(0,)]


def test_row_groups_are_bounded_by_bytes(writer, tmp_path):
    """A part of few rows with much in them is read in pieces: a row group holds about 32 MB."""
    line = json.dumps({"row_key": "a", "rank": 1, "custom_content": "x" * 1_000_000}).encode() + b"\n"
    writer.write(part_name(1), ([replace(entry("a"), hits=line * 8)] for _ in range(10)))
    footer = pq.read_metadata(tmp_path / "hits" / part_name(1))
    assert [footer.row_group(n).num_rows for n in range(footer.num_row_groups)] == [40, 40]


MISFITS = {
    "an unknown field": replace(entry("bad"), result=b'{"row_key":"bad","outcome":"ok","surprise":1}'),
    "a value of the wrong type": replace(
        entry("bad"), result=b'{"row_key":"bad","outcome":"ok","calls":"many"}'
    ),
    "a side of 2^31": replace(
        entry("bad"), result=b'{"row_key":"bad","outcome":"ok","source_width":2147483648}'
    ),
    "a rank too large": replace(entry("bad"), hits=b'{"row_key":"bad","rank":99999999999}\n'),
    "manifest columns that are cut off": replace(entry("bad"), carried=entry("bad").carried[:-40]),
    "no manifest columns": replace(entry("bad"), carried=b""),
}


@pytest.mark.parametrize("why", MISFITS)
def test_a_field_that_does_not_fit_costs_that_field_alone(writer, tmp_path, why):
    """What a column cannot hold is null and counted; the row and those written with it are whole."""
    written = writer.write(part_name(1), [[entry("first")], [entry("a", 1), MISFITS[why], entry("c")]])
    rows = {row["row_key"]: row for row in pq.read_table(tmp_path / "results" / part_name(1)).to_pylist()}
    assert written.rows == 4
    assert rows["bad"]["outcome"] == "ok"
    assert rows["bad"]["field_problems"] == (3 if "manifest" in why else 1)
    assert writer.left_out == rows["bad"]["field_problems"]
    assert rows["a"]["field_problems"] is None
    hits = pq.read_table(tmp_path / "hits" / part_name(1)).to_pylist()
    assert [(hit["row_key"], hit["rank"]) for hit in hits if hit["row_key"] == "a"] == [("a", 1)]


BROKEN = {
    "no row": replace(entry("bad"), result=b" "),
    "two rows": replace(entry("bad"), result=b'{"row_key":"bad"}\n{"row_key":"worse"}'),
    "hits that are no JSON": replace(entry("bad"), hits=b"oops\n"),
}


@pytest.mark.parametrize("why", BROKEN)
def test_what_is_no_outcome_is_named(writer, tmp_path, why):
    """A record that nobody can have written ends in an error with the part, and leaves no file."""
    with pytest.raises(OutputDamagedError, match=r"part-000001\.parquet cannot be written.* of row "):
        writer.write(part_name(1), [[entry("first")], [entry("a", 1), BROKEN[why], entry("c")]])
    assert list(tmp_path.glob("*/*")) == []


def test_an_output_folder_that_vanished_is_named(writer, tmp_path):
    """A folder that somebody removed is an error with its name, not a traceback."""
    (tmp_path / "results").rmdir()
    with pytest.raises(OutputError, match=r"part-000001\.parquet cannot be written: No such file"):
        writer.write(part_name(1), [[entry("a")]])
