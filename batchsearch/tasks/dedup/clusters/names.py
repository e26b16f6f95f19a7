"""Names that stay: a cluster keeps its id from night to night."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.tasks.dedup.candidates import in_pieces

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.off_memory import Room
    from batchsearch.tasks.dedup.candidates.text_index import TextIndex

NEW = -1
"""Of a cluster that takes over no earlier id."""


def taken_over(
    cluster: NDArray[np.int32],
    earlier: NDArray[np.int32],
    representative: NDArray[np.int32],
    names: int,
    room: Room,
) -> NDArray[np.int32]:
    """The number of the earlier id that each cluster takes over; `NEW` for none.

    A cluster takes over the id that most of its members had the night before; of several clusters that might
    take one id over, the one with most of its former members does.

    Args:
        cluster: By member: its cluster; clusters are numbered from 0 and ascend.
        earlier: By member: the number of the id that it had, -1 for none; numbered in the order of the ids.
        representative: By cluster: the product that stands for it.
        names: How many earlier ids there are.
        room: For what memory does not hold.

    Raises:
        OutputError: The disk refuses.
    """
    ids = room.array(len(representative), np.int32, NEW)
    wanted = room.array(names, np.int32, 0)
    for _, name, _ in _claims(cluster, earlier):
        np.add.at(wanted, name, np.int32(1))
    contested = [(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64))]
    for number, name, votes in _claims(cluster, earlier):
        # Where nobody else wants the name, and the cluster wants no other one, there is nothing to decide.
        first = np.flatnonzero(np.concatenate(([True], number[1:] != number[:-1])))
        times = np.diff(first, append=len(number))
        alone = (np.repeat(times, times) == 1) & (wanted[name] == 1)
        ids[number[alone]] = name[alone]
        contested.append((number[~alone], name[~alone], votes[~alone]))
    number, name, votes = (np.concatenate(each) for each in zip(*contested, strict=True))
    taken: set[int] = set()
    for at in np.lexsort((representative[number], name, -votes)).tolist():
        if ids[number[at]] == NEW and int(name[at]) not in taken:
            ids[number[at]] = name[at]
            taken.add(int(name[at]))
    return ids


def _claims(
    cluster: NDArray[np.int32], earlier: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]]:
    """Clusters, the ids that members of theirs had, and how many had it; whole clusters at a time."""
    start = 0
    while start < len(cluster):
        end = len(cluster)
        if start + in_pieces.AT_ONCE < end:
            # To the beginning of that cluster, or, where it is all there is, to its end.
            end = int(np.searchsorted(cluster, cluster[start + in_pieces.AT_ONCE]))
            end = end if end > start else int(np.searchsorted(cluster, cluster[start], "right"))
        known = np.flatnonzero(earlier[start:end] >= 0) + start
        if len(known):
            claim, votes = np.unique(
                (cluster[known].astype(np.int64) << 32) | earlier[known].astype(np.int64), return_counts=True
            )
            yield (claim >> 32).astype(np.int32), (claim & 0xFFFFFFFF).astype(np.int32), votes
        start = end


def new_names(representatives: Iterable[tuple[int, pa.Array]], earlier: TextIndex) -> dict[int, str]:
    """Ids of new clusters that are not called like the product that stands for them at first sight.

    A name that is an earlier cluster's or another one's gets the next number behind it.

    Args:
        representatives: The products, by the clusters' order, each once; some at a time, with the place of
            the first.
        earlier: The ids of the night before.
    """
    given: dict[str, int] = {}
    for start, products in representatives:
        # A number behind a name is all that a name may get, so only those that end with one are in the way.
        numbered = pc.match_substring_regex(products, "~[0-9]+$").to_numpy(zero_copy_only=False)
        doubtful = np.flatnonzero(numbered | (earlier.places(products) >= 0))
        for at, name in zip(doubtful.tolist(), products.take(pa.array(doubtful)).to_pylist(), strict=True):
            chosen, again = name, 2
            while chosen in given or earlier.places(pa.array([chosen], pa.string()))[0] >= 0:
                chosen, again = f"{name}~{again}", again + 1
            given[chosen] = start + at
    return {at: name for name, at in given.items()}
