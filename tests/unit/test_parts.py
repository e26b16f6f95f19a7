"""Parquet parts: whole or not at all."""

import hashlib
import json
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.errors import OutputError
from batchsearch.output.parts import PartWriter, part_name, table_from_json
from batchsearch.output.schemas import carried_names, hits_schema, own_results_schema, results_schema

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
    made = PartWriter(
        tmp_path,
        results_schema=results_schema("SearchImageByPic", CARRIED),
        own_schema=own_results_schema("SearchImageByPic"),
        hits_schema=hits_schema(),
        carried_schema=CARRIED,
    )
    made.prepare()
    return made


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


def test_unsealed_parts_and_only_they_are_removed(writer, tmp_path):
    """Sealed parts and files of other names are never touched."""
    for number in (1, 2):
        writer.write(part_name(number), [[entry("a")]])
    (tmp_path / "results" / "part-000003.parquet.tmp").write_bytes(b"half")
    (tmp_path / "results" / "notes.txt").write_bytes(b"mine")
    removed = writer.remove_unsealed({part_name(1)})
    assert removed == [
        "results/part-000002.parquet",
        "results/part-000003.parquet.tmp",
        "hits/part-000002.parquet",
    ]
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [
        "notes.txt",
        "part-000001.parquet",
    ]


def test_json_with_an_unknown_field_is_refused():
    """The schema is fixed: a field that it does not have cannot slip in."""
    with pytest.raises(pa.ArrowInvalid):
        table_from_json(b'{"row_key":"a","surprise":1}', own_results_schema("SearchImageByName"))


def test_a_manifest_column_named_like_ours_is_renamed():
    """No name appears twice, however the manifest's columns are called."""
    names = carried_names("SearchImageByPic", ["outcome", "manifest_outcome", "sku"])
    assert names == ["manifest_manifest_outcome", "manifest_outcome", "sku"]
