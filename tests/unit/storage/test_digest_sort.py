"""Equal digests come together, whatever order they came in and however many there are."""

from itertools import pairwise

import numpy as np
import pytest

from batchsearch.storage.digest_sort import SortedRuns

RECORD = np.dtype([("high", "<u8"), ("low", "<u8"), ("row", "<u4")])


def run_of(highs, first_row):
    run = np.zeros(len(highs), RECORD)
    run["high"] = np.sort(np.array(highs, np.uint64))
    run["row"] = np.arange(first_row, first_row + len(highs))
    return run


@pytest.mark.parametrize(("slices", "least"), [(2, 0), (64, 0), (512, 0), (64, 700), (512, 1), (512, 10**6)])
def test_every_record_comes_back_once_and_equal_ones_in_one_slice(slices, least):
    """Slices follow each other by digest, to the first and the last one there can be."""
    edges = [0, 1, 2**63 - 1, 2**63, 2**64 - 1, 2**58 - 1, 2**58, 2**55]
    random = np.random.default_rng(7).integers(0, 2**64, 3000, dtype=np.uint64).tolist()
    runs = [run_of(edges, 0), run_of(edges + random, 100), run_of(random[::3], 10_000)]
    with SortedRuns(RECORD, "batchsearch-test-", slices=slices) as sorter:
        assert not sorter
        for run in runs:
            sorter.write(run)
        assert sorter
        found = list(sorter.slices(least))
    assert least or len(found) == slices
    assert all(len(piece) >= least for piece in found[:-1])
    every = np.concatenate(found)
    assert np.array_equal(np.sort(every["row"]), np.sort(np.concatenate([run["row"] for run in runs])))
    ends = [(piece["high"].min(), piece["high"].max()) for piece in found if len(piece)]
    assert all(before[1] < after[0] for before, after in pairwise(ends))


def test_a_sorter_that_was_given_nothing_has_empty_slices():
    """No temporary file is made for nothing."""
    with SortedRuns(RECORD, "batchsearch-test-") as sorter:
        assert [len(piece) for piece in sorter.slices()] == [0] * 64
        assert not sorter
