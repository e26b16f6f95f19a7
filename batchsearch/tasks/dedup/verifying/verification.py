"""Candidates verified on the images themselves, side by side on all cores, and never twice."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from batchsearch.steps import step
from batchsearch.tasks.dedup.clusters.verdicts import (
    FEWEST_INLIERS,
    LEAST_OVERLAP,
    MOST_REPEATED,
    NOT_MEASURED,
    NOTHING_AGREES,
    Measure,
    Measures,
    measured,
)
from batchsearch.tasks.dedup.verifying.aligned import agreement
from batchsearch.tasks.dedup.verifying.features import unpacked_features
from batchsearch.tasks.dedup.verifying.geometry import place

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from batchsearch.steps import Step
    from batchsearch.tasks.dedup.verifying.feature_store import FeatureStore
    from batchsearch.tasks.dedup.verifying.features import Features

PAIRS_AT_ONCE: Final = 512
"""So many pairs are in memory with their images' features: some 300 MB at most."""

Pair = tuple[bytes, bytes]


class Pairs(Protocol):
    """Pairs of files, given some at a time."""

    def __len__(self) -> int: ...

    def __getitem__(self, some: slice, /) -> Sequence[Pair]: ...


_MISSING: Final = Measure(NOT_MEASURED, 0, np.nan, np.nan, np.nan, np.nan, 0.0)


def measure(first: Features, second: Features) -> Measure:
    """Compare two images."""
    placing = place(first, second)
    if placing is None:
        return NOTHING_AGREES
    if placing.inliers < FEWEST_INLIERS:
        return Measure(
            placing.inliers, placing.repeated, placing.overlap, np.nan, np.nan, np.nan, placing.mirrored
        )
    whole = placing.repeated <= MOST_REPEATED and placing.overlap >= LEAST_OVERLAP
    found = agreement(placing, second, whole=whole)
    return Measure(
        placing.inliers,
        placing.repeated,
        placing.overlap,
        found.structure,
        found.colour,
        found.light,
        placing.mirrored,
    )


def measure_pairs(
    store: FeatureStore, pairs: Pairs, *, threads: int | None, stop: threading.Event
) -> Measures:
    """What the images of each pair say of it; of pairs that were compared before, from the store.

    Args:
        store: Has the features of all files that could be read.
        pairs: The SHA-256 of both files, the smaller first, so that either way round gives one answer;
            an empty one stands for an image that is not known.
        threads: How many; None for one a core.
        stop: Set when comparing is to end; what was compared is kept.
    """
    found = np.empty((len(pairs), len(Measure._fields)))
    comparing = step("comparing images", len(pairs))
    with ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="verify") as pool:
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            some = pairs[start : start + PAIRS_AT_ONCE]
            known = store.measures(some)
            made: dict[Pair, Measure] = {}
            if not stop.is_set():
                new = [pair for pair in dict.fromkeys(some) if pair not in known]
                made = _measured_now(store, new, pool, comparing)
                store.keep_measures(made.items())
                known |= made
            found[start : start + len(some)] = [known.get(pair, _MISSING) for pair in some]
            comparing.advance(len(some) - len(made))
    return measured(found)


def _measured_now(
    store: FeatureStore, pairs: Sequence[Pair], pool: ThreadPoolExecutor, comparing: Step
) -> dict[Pair, Measure]:
    packed = store.features([name for pair in pairs for name in pair])
    unpacked = dict(zip(packed, pool.map(unpacked_features, packed.values()), strict=True))
    able = [pair for pair in pairs if pair[0] in unpacked and pair[1] in unpacked]
    made: dict[Pair, Measure] = {}
    measures = pool.map(lambda pair: measure(unpacked[pair[0]], unpacked[pair[1]]), able)
    for pair, found in zip(able, measures, strict=True):
        made[pair] = found
        comparing.advance()
    return made
