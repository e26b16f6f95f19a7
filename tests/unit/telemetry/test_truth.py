"""The comparison with what was known, over real parts."""

import json
from types import SimpleNamespace

import pyarrow as pa
import pytest
from parts_rig import writer_of

from batchsearch.errors import OutputError
from batchsearch.storage.parts.part_files import part_name
from batchsearch.telemetry.summary import Truth
from batchsearch.telemetry.truth import compare_with_truth

CARRIED = pa.schema([("copy_of", pa.string()), ("expected", pa.string())])


def entry(key, copy_of, expected, *products, code=None):
    carried = pa.record_batch([[copy_of], [expected]], schema=CARRIED)
    result = {"row_key": key, "outcome": "failed" if code else "ok"} | ({"error_code": code} if code else {})
    lines = [{"row_key": key, "rank": n, "product_id": name} for n, name in enumerate(products, start=1)]
    return SimpleNamespace(
        result=json.dumps(result).encode(),
        hits=b"".join(json.dumps(line).encode() + b"\n" for line in lines),
        carried=carried.serialize().to_pybytes(),
    )


@pytest.fixture
def writer(tmp_path):
    return writer_of(tmp_path, CARRIED)


def compared(folder):
    return compare_with_truth(folder / "results", folder / "hits", first_hit="copy_of", outcome="expected")


def test_first_hits_and_outcomes_are_counted_over_all_parts(writer, tmp_path):
    """Each row is compared with its own first hit, whatever stands around it; rows without hits count too."""
    writer.write(
        part_name(1),
        [
            [
                entry("a", "P1", "ok", "P1", "P9"),
                entry("b", None, "ok", "P7"),
                entry("c", "P3", "ok"),
                entry("d", "P4", "InvalidPicContent", code="InvalidPicContent"),
                entry("e", "P5", None, "P6", "P5"),
            ]
        ],
    )
    writer.write(part_name(2), [[entry("f", "P1", "InvalidRegion", "P1")], [entry("g", "P2", "ok", "P2")]])
    assert compared(tmp_path) == Truth(
        first_hits_expected=6,
        first_hits_found=3,
        outcomes_expected=6,
        outcomes_matched=5,
        surprises=(
            ("c", "P3", "ok"),
            ("d", "P4", "InvalidPicContent"),
            ("e", "P5", "P6"),
            ("f", "InvalidRegion", "ok"),
        ),
    )


def test_first_hits_are_found_across_batches(writer, tmp_path):
    """A part larger than what is read at once is compared as exactly as a small one."""
    rows = [entry(f"r{n}", f"P{n}", "ok", *([f"P{n}", "X", "Y"] if n % 3 else [])) for n in range(6_000)]
    writer.write(part_name(1), [rows[:2_500], rows[2_500:]])
    found = compared(tmp_path)
    assert (found.first_hits_expected, found.first_hits_found) == (6_000, 4_000)


def test_an_output_without_hits_files_needs_none_for_outcomes(writer, tmp_path):
    """Comparisons of pairs have no first hit: the hits are not looked at."""
    writer.write(part_name(1), [[entry("a", None, "ok")]])
    (tmp_path / "hits" / part_name(1)).unlink()
    found = compare_with_truth(tmp_path / "results", tmp_path / "hits", first_hit=None, outcome="expected")
    assert (found.outcomes_expected, found.outcomes_matched) == (1, 1)
    with pytest.raises(OutputError, match=r"part-000001\.parquet: this part cannot be compared"):
        compared(tmp_path)


def test_nothing_to_compare_is_no_comparison(writer, tmp_path):
    """Without parts, or without a column that says what should come out, there is none."""
    assert compared(tmp_path) is None
    writer.write(part_name(1), [[entry("a", None, "ok")]])
    assert compare_with_truth(tmp_path / "results", tmp_path / "hits", first_hit=None, outcome=None) is None
