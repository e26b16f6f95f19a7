"""The lines of `hits` that a row leaves behind."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pyarrow as pa
import pytest

from batchsearch.engine.rows.outcome_columns import finished_row
from batchsearch.engine.rows.pending_row import JobFacts, PageAnswer, PendingRow
from batchsearch.storage.parts.fitting import hits_fitting

NOW = datetime(2026, 11, 27, tzinfo=UTC)
OWN = {"row_key": "k", "key_values": ["k"], "run_id": "run", "finished_at": NOW.isoformat()}


def finished(*pages, run_id="run"):
    facts = JobFacts.of(
        run_id=run_id,
        operation="SearchImageByName",
        instance="demo",
        service_type="product",
        parameters={},
        results_per_row=200,
        roles=(),
        has_hits=True,
    )
    carried = pa.record_batch({"sku": ["k"]})
    pending = PendingRow(SimpleNamespace(key="k", number=0, index=0), carried, b"digest")
    pending.answers = {number: PageAnswer({}, tuple(page), 0) for number, page in enumerate(pages)}
    return finished_row(facts, pending, None, NOW)


def lines(row):
    return [json.loads(line) for line in row.hits.splitlines()]


def test_each_line_says_its_row_its_rank_and_its_hit():
    """Ranks go on over pages, and each line is what its columns take of the row's values and the hit's."""
    pages = (
        [{"product_id": "a", "score": 0.9, "page": 0}, {"page": 0}],
        [{"product_id": "b\u00e9", "page": 1}],
    )
    expected = [
        hits_fitting().fitted(OWN | hit | {"rank": rank})[0]
        for rank, hit in enumerate((hit for page in pages for hit in page), start=1)
    ]
    row = finished(*pages)
    assert lines(row) == expected
    assert row.hits.count(b"\n") == len(expected)


def test_a_row_without_hits_leaves_no_line():
    """Nothing is written where nothing was found."""
    assert finished([]).hits == b""


@pytest.mark.parametrize(
    ("misfits", "counted"), [(({"score": "high"}, {"score": 0.5}), 1), (({"score": True},) * 2, 2)]
)
def test_what_a_hits_columns_cannot_hold_is_left_out_and_counted(misfits, counted):
    """A value that does not fit costs its field alone, and the row says how many there were."""
    row = finished(misfits)
    assert [line.get("score") for line in lines(row)] == [
        hit["score"] if hit["score"] == 0.5 else None for hit in misfits
    ]
    assert json.loads(row.result)["field_problems"] == counted


def test_a_misfit_of_the_row_counts_once_a_line():
    """What every line would say of the row and cannot is counted for each of them, and once for the row."""
    row = finished([{"page": 0}, {"page": 0}], run_id=7)
    assert all("run_id" not in line for line in lines(row))
    assert json.loads(row.result)["field_problems"] == 3


def test_half_a_surrogate_pair_is_no_text():
    """What UTF-8 cannot hold becomes a question mark, and the line stays one that can be read."""
    assert lines(finished([{"product_id": "a\ud800"}]))[0]["product_id"] == "a?"
