"""The comparison of millions of rows, slice by slice, against one that is plain and slow."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from batchsearch.storage.ledger.entries import digest_of
from batchsearch.tasks.verify.row_comparison import NO_COUNT, Comparison
from batchsearch.tasks.verify.row_records import (
    HITS,
    LEDGER,
    MANIFEST,
    PENDING,
    RESULTS,
    SortedRecords,
    marked,
    records_of,
)

keys = st.sampled_from([f"k{n}" for n in range(6)])
code = st.integers(0, 1)
rows = st.fixed_dictionaries(
    {
        "results": st.lists(st.tuples(keys, code, st.none() | st.integers(0, 3)), max_size=8),
        "ledger": st.dictionaries(keys, code, max_size=6),
        "pending": st.dictionaries(keys, code, max_size=2),
        "manifest": st.lists(keys, max_size=7),
        "hits": st.dictionaries(keys, st.lists(st.integers(1, 4), min_size=1, max_size=4), max_size=6),
    }
)


def expected(world):
    """The same rules, a row at a time."""
    found = Counter()
    by_key = {}
    for key, row_code, count in world["results"]:
        by_key.setdefault(key, []).append((row_code, count))
    for key in {*by_key, *world["ledger"], *world["pending"], *world["manifest"], *world["hits"]}:
        results, hits = by_key.get(key, []), world["hits"].get(key, [])
        in_ledger, waits = key in world["ledger"], key in world["pending"]
        times = world["manifest"].count(key)
        found["key_doubled"] += len(results) > 1
        found["row_lost"] += in_ledger and not results and not waits
        found["row_unledgered"] += (bool(results) or waits) and not in_ledger
        found["hit_without_row"] += bool(hits) and not results
        found["manifest_doubled"] += times > 1
        found["row_missing"] += times > 0 and not results and not waits and not in_ledger
        found["row_elsewhere"] += not times and (bool(results) or waits)
        if len(results) == 1:
            ((row_code, count),) = results
            count = count or 0
            found["code_differs"] += not waits and in_ledger and world["ledger"][key] != row_code
            found["hit_of_failed"] += bool(hits) and row_code != 0
            found["hit_count"] += row_code == 0 and len(hits) != count
            found["hit_ranks"] += bool(hits) and len(hits) == count and sorted(hits) != [*range(1, count + 1)]
    return +found


@settings(max_examples=300, deadline=None)
@given(rows, st.integers(1, 7))
def test_slices_find_what_a_plain_comparison_finds(world, run_records):
    """Every rule counts the same rows, however the records are cut into runs and slices."""
    with SortedRecords(run_records=run_records) as records:
        for place, (key, row_code, count) in enumerate(world["results"]):
            claimed = NO_COUNT if count is None else count
            records.add(records_of(RESULTS, [digest_of(key)], place, row_code, claimed))
        for source in ("ledger", "pending"):
            for key, row_code in world[source].items():
                number = LEDGER if source == "ledger" else PENDING
                records.add(records_of(number, [digest_of(key)], first=row_code))
        for place, key in enumerate(world["manifest"]):
            records.add(records_of(MANIFEST, [digest_of(key)], place))
        for key, ranks in world["hits"].items():
            # A row's hits may be met in several pieces.
            for piece in (ranks[:2], ranks[2:]):
                if piece:
                    summed = marked(np.array(piece, np.uint64)).sum()
                    records.add(records_of(HITS, [digest_of(key)], 0, len(piece), summed))
        comparison = Comparison(has_manifest=True, listed=3)
        total = 0
        for piece in records.slices():
            total += len(piece)
            comparison.slice(piece)
    assert Counter(comparison.found.counts) == expected(world)
    for kind, suspects in comparison.found.suspects.items():
        assert len(suspects) == min(3, comparison.found.counts[kind])
        assert {suspect.digest for suspect in suspects} <= {digest_of(f"k{n}") for n in range(6)}
