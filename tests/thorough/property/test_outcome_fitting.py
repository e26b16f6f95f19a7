"""Any outcome that the types allow can be committed and sealed, for every column of every table."""

import json
import math
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchsearch.storage.parts.fitting import fitting_of, hits_fitting, results_fitting
from batchsearch.storage.parts.part_files import PartWriter, part_name, table_from_json
from batchsearch.storage.parts.results_and_hits import (
    RESULT_COLUMNS,
    hits_schema,
    own_results_schema,
    results_schema,
)
from batchsearch.storage.parts.verdict_table import VERDICT_COLUMNS, VerdictFile, verdicts_schema

CARRIED = pa.schema([("sku", pa.string())])
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**80), 2**80),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["2026-11-26T10:00:00+00:00", "0001-01-01T00:00:00+00:00", "2026-11-26", "-0", "1e400"]),
)
ANYTHING = st.one_of(
    PLAIN,
    st.lists(PLAIN, max_size=3),
    st.dictionaries(st.sampled_from(["id", "name", "policy_type", "x"]), PLAIN, max_size=3),
)
JSON = json.JSONEncoder(ensure_ascii=False).encode


def rows_of(schema, **fixed):
    columns = {name: ANYTHING for name in schema.names if name not in fixed}
    return st.fixed_dictionaries({}, optional=columns).map(lambda values: values | fixed)


def as_lines(values):
    return JSON({name: value for name, value in values.items() if value is not None}).encode(
        "utf-8", "replace"
    )


@pytest.mark.parametrize("operation", RESULT_COLUMNS)
@given(data=st.data())
@settings(max_examples=60)
def test_what_fits_is_what_the_columns_take(operation, data):
    """A row of results whose misfits are left out is always one row, and keeps every other value."""
    schema = own_results_schema(operation)
    values = data.draw(rows_of(schema, row_key="k", outcome="ok"))
    kept, dropped = results_fitting(operation).fitted(values)
    table = table_from_json(as_lines(kept), schema)
    assert table.num_rows == 1
    row = table.to_pylist()[0]
    for name in dropped:
        assert row[name] is None
    for name, value in kept.items():
        if isinstance(value, bool | int) and value is not None and not isinstance(row[name], float):
            assert row[name] == value


@given(values=rows_of(hits_schema(), row_key="k", rank=1))
def test_what_fits_of_a_hit_is_what_the_columns_take(values):
    """Likewise of a hit."""
    kept, _ = hits_fitting().fitted(values)
    assert table_from_json(as_lines(kept) + b"\n", hits_schema()).num_rows == 1


@given(rows=st.lists(rows_of(verdicts_schema(), row_key="k"), max_size=3))
@settings(max_examples=60)
def test_any_verdict_can_be_written(rows, tmp_path_factory):
    """The table of `check` takes whatever was found in a file."""
    folder = tmp_path_factory.mktemp("verdicts")
    with VerdictFile(folder) as file:
        file.add(rows)
    assert pq.read_table(folder / "verdicts.parquet").num_rows == len(rows)
    assert {column.name for column in VERDICT_COLUMNS} == set(verdicts_schema().names)


class Entry:
    def __init__(self, result, hits):
        self.result, self.hits = result, hits
        self.carried = pa.record_batch([["x"]], schema=CARRIED).serialize().to_pybytes()


@pytest.mark.parametrize("operation", RESULT_COLUMNS)
@given(data=st.data())
@settings(max_examples=25)
def test_any_outcome_in_a_ledger_can_be_sealed(operation, data, tmp_path_factory):
    """Whatever an earlier version has committed, the part is written: misfits are null and counted."""
    schema = own_results_schema(operation)
    rows = data.draw(st.lists(rows_of(schema, outcome="ok"), min_size=1, max_size=3))
    found = data.draw(st.lists(rows_of(hits_schema(), rank=1), max_size=2))
    folder = tmp_path_factory.mktemp("output")
    writer = PartWriter(
        folder,
        results_schema=results_schema(operation, CARRIED),
        own_schema=schema,
        hits_schema=hits_schema(),
        passthrough_schema=CARRIED,
    )
    writer.prepare()
    chunk = [
        Entry(
            as_lines(row | {"row_key": f"k{number}"}),
            b"".join(as_lines(hit | {"row_key": f"k{number}"}) + b"\n" for hit in found),
        )
        for number, row in enumerate(rows)
    ]
    written = writer.write(part_name(1), [chunk])
    assert (written.rows, written.hits) == (len(rows), len(found) * len(rows))
    assert pq.read_table(folder / "results" / part_name(1))["row_key"].to_pylist() == [
        f"k{number}" for number in range(len(rows))
    ]


def test_the_bounds_of_each_type_are_kept():
    """The largest value that a column holds stays; the next one is left out."""
    schema = pa.schema(
        [
            ("count", pa.int32()),
            ("whole", pa.int64()),
            ("real", pa.float64()),
            ("time", pa.timestamp("us", "UTC")),
        ]
    )
    fitting = fitting_of(schema)
    moment = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    most = {"count": 2**31 - 1, "whole": -(2**63), "real": 1.5, "time": moment}
    assert fitting.fitted(most) == (most, [])
    over = {"count": 2**31, "whole": 2**63, "real": math.inf, "time": "yesterday", "other": 1}
    assert fitting.fitted(over) == ({}, ["count", "whole", "real", "time", "other"])


def test_a_struct_with_an_unknown_field_does_not_fit_even_if_the_field_is_null():
    """Readers of the ledger refuse a row for a field that they do not know."""
    detail = {"access_denied_detail": {"id": None}}
    assert results_fitting("CompareSimilarByImage").fitted(detail) == ({}, ["access_denied_detail"])
