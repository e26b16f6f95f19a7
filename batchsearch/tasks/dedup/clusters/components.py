"""Connected components of products that pairs join, some pairs at a time.

`scipy.sparse.csgraph` finds the components of one piece; a tree of products, four bytes for each, carries
them from piece to piece, so that memory does not grow with the pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from batchsearch.errors import MissingExtraError
from batchsearch.tasks.dedup.candidates import in_pieces
from batchsearch.tasks.dedup.candidates.in_pieces import pieces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.off_memory import Room

_NODES_FOR_AN_EDGE: Final = 8
"""A piece is joined among all nodes, not only among its own, while they are so few."""

Edges = tuple["NDArray[np.integer[Any]]", "NDArray[np.integer[Any]]"]


def components(count: int, a: NDArray[np.integer[Any]], b: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """The component of each of `count` nodes that edges join, numbered from 0 by their first nodes.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    try:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components
    except ImportError:
        raise MissingExtraError("dedup", "batchsearch dedup") from None
    # Up to scipy 1.12 its walk over the graph takes indices of 32 bits alone, and says so to nobody.
    ends = (a.astype(np.int32, copy=False), b.astype(np.int32, copy=False))
    graph = coo_array((np.ones(len(a), np.int8), ends), shape=(count, count))
    found: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return found


def united(count: int, edges: Iterable[Edges], room: Room) -> NDArray[np.int32]:
    """The smallest node of the component of each of `count` nodes.

    Args:
        count: Nodes.
        edges: Both nodes of each, some at a time.
        room: For what memory does not hold.

    Raises:
        MissingExtraError: scipy is not installed.
        OutputError: The disk refuses.
    """
    # No node's parent is larger than itself.
    parent = room.array(count, np.int32)
    for some in pieces(count):
        parent[some] = np.arange(some.start, some.stop)
    for a, b in edges:
        one, other = _roots(parent, a), _roots(parent, b)
        apart = np.flatnonzero(one != other)
        if not len(apart):
            continue
        one, other = one[apart], other[apart]
        if count <= min(in_pieces.AT_ONCE, _NODES_FOR_AN_EDGE * len(one)):
            parent[:] = _smallest(components(count, one, other))[parent]
            continue
        both = np.sort(np.concatenate((one, other)))
        both = both[np.concatenate(([True], both[1:] != both[:-1]))]
        label = components(len(both), np.searchsorted(both, one), np.searchsorted(both, other))
        parent[both] = both[_smallest(label)]
    for some in pieces(count):
        # What is before this piece has its root for a parent.
        parent[some] = _roots(parent, parent[some])
    return parent


def _smallest(label: NDArray[np.int32]) -> NDArray[np.int64]:
    """By node: the first one of its component."""
    first = np.empty(int(label.max(initial=-1)) + 1, np.int64)
    first[label[::-1]] = np.arange(len(label))[::-1]
    smallest: NDArray[np.int64] = first[label]
    return smallest


def _roots(parent: NDArray[np.int32], nodes: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """What stands for the component of each node so far."""
    up: NDArray[np.int32] = parent[nodes]
    while True:
        further: NDArray[np.int32] = parent[up]
        if np.array_equal(further, up):
            return further
        up = further
