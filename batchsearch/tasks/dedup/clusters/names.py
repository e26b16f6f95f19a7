"""Names that stay: a cluster keeps its id from night to night (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.text_index import TextIndex

NEW = -1
"""Of a cluster that takes over no earlier id."""


def taken_over(
    cluster: NDArray[np.int32], earlier: NDArray[np.int32], representative: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The number of the earlier id that each cluster takes over; `NEW` for none.

    A cluster takes over the id that most of its members had the night before; of several clusters that might
    take one id over, the one with most of its former members does.

    Args:
        cluster: By member: its cluster; clusters are numbered from 0 and ascend.
        earlier: By member: the number of the id that it had, -1 for none; numbered in the order of the ids.
        representative: By cluster: the product that stands for it.
    """
    ids = np.full(len(representative), NEW, np.int32)
    known = np.flatnonzero(earlier >= 0)
    claim, votes = np.unique(
        (cluster[known].astype(np.int64) << 32) | earlier[known].astype(np.int64), return_counts=True
    )
    number, name = (claim >> 32).astype(np.int32), (claim & 0xFFFFFFFF).astype(np.int32)
    # Where nobody else wants the name, and the cluster wants no other one, there is nothing to decide.
    alone = (np.bincount(number, minlength=len(ids))[number] == 1) & (np.bincount(name)[name] == 1)
    ids[number[alone]] = name[alone]
    number, name, votes = number[~alone], name[~alone], votes[~alone]
    taken: set[int] = set()
    for at in np.lexsort((representative[number], name, -votes)).tolist():
        if ids[number[at]] == NEW and int(name[at]) not in taken:
            ids[number[at]] = name[at]
            taken.add(int(name[at]))
    return ids


def new_names(representatives: pa.Array, earlier: TextIndex) -> pa.Array:
    """Ids of new clusters, each named after the product that stands for it at first sight.

    Where that name is an earlier cluster's or another one's, the next number behind it is taken.

    Args:
        representatives: The products, by the clusters' order, each once.
        earlier: The ids of the night before.
    """
    # A number behind a name is all that a name may get, so only those that end with one can be in the way.
    numbered = pc.match_substring_regex(representatives, "~[0-9]+$").to_numpy(zero_copy_only=False)
    doubtful = np.flatnonzero(numbered | (earlier.places(representatives) >= 0))
    if not len(doubtful):
        return representatives
    given: dict[str, None] = {}
    for name in representatives.take(pa.array(doubtful)).to_pylist():
        chosen, again = name, 2
        while chosen in given or earlier.places(pa.array([chosen], pa.string()))[0] >= 0:
            chosen, again = f"{name}~{again}", again + 1
        given[chosen] = None
    mask = np.zeros(len(representatives), bool)
    mask[doubtful] = True
    return pc.replace_with_mask(representatives, pa.array(mask), pa.array([*given], representatives.type))
