"""Every vector in one byte a dimension, with a bound on what that takes away from its similarity.

A vector is a scale times whole numbers from -127 to 127, and a rest; how long the rest is, is kept. What a
query's similarity lacks is at most the rest's length times the query's. So a quarter of the memory tells
which few vectors can be among the best, and these are scored in full.

The linear algebra library's own threads are kept out of it: they wait for each other by spinning, and where
something else wants the processor a product of 5 ms takes 100. A product is therefore made as a stack of
products, each too small for the library to share out, and the stack is shared out here, over threads that
sleep. Whole numbers become float32 a thousand rows at a time, which stay in the processor's cache: less
comes from memory than of float32, so it is the faster way as well.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from batchsearch.emulator.search.exact_rows import BLOCK

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST: Final = 127
_STACK: Final = 32  # rows of one small product; OpenBLAS starts threads above 36 rows of 256 dimensions
_AT_ONCE: Final = 1_024  # rows that are float32 at a time: 1 MB; of 256, a pass took half as long again
_SHARE: Final = 8  # blocks that are worth another thread
_MOST_THREADS: Final = 4
_ROUNDED: Final = 1.000_02  # a length whose sum of squares is made in float32 is no shorter than it is
_REST_ERROR: Final = 1e-6  # more than float32 errs in the rests of a vector of length 1, all taken together

PRODUCT_ERROR: Final = 2e-5
"""More than a float32 product of two vectors of length 1 and 256 dimensions can err, in whatever order."""


class CoarseRows:
    """Vectors by row; one thread at a time.

    Args:
        dimensions: Of each.
    """

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._codes: list[NDArray[np.int8]] = []
        self._scales: list[NDArray[np.float32]] = []
        self._rests = np.zeros(BLOCK, dtype=np.float32)
        self._helpers = min(_MOST_THREADS, os.cpu_count() or 1) - 1
        self._pool = ThreadPoolExecutor(max(1, self._helpers), thread_name_prefix="vector-product")

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown()

    def write(self, row: int, vectors: NDArray[np.float32]) -> None:
        """Put vectors at a row and the ones after it; no row is left out."""
        scales = np.abs(vectors).max(axis=1) / np.float32(_MOST)
        scales[scales == 0] = 1
        whole = vectors / scales[:, None]
        np.rint(whole, out=whole)
        codes = whole.astype(np.int8)
        whole *= scales[:, None]
        np.subtract(vectors, whole, out=whole)
        lengths = np.sqrt(np.einsum("ij,ij->i", whole, whole)) * np.float32(_ROUNDED) + np.float32(
            _REST_ERROR
        )
        done = 0
        while done < len(vectors):
            number, place = divmod(row + done, BLOCK)
            if number == len(self._codes):
                self._codes.append(np.zeros((BLOCK, self._dimensions), dtype=np.int8))
                self._scales.append(np.zeros(BLOCK, dtype=np.float32))
                self._rests = _with_room(self._rests, len(self._codes) * BLOCK)
            taken = min(BLOCK - place, len(vectors) - done)
            here, there = slice(place, place + taken), slice(done, done + taken)
            self._codes[number][here] = codes[there]
            self._scales[number][here] = scales[there]
            self._rests[row + done : row + done + taken] = lengths[there]
            done += taken

    def keep(self, kept: NDArray[np.int64]) -> None:
        """Keep these rows, ascending, as the first ones."""
        self._rests[: len(kept)] = self._rests[kept]
        for columns in (self._codes, self._scales):
            _keep(columns, kept)

    def errors(self, rows: int, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """By how much the similarity of each of the first rows to this query can be wrong, at most."""
        length = float(np.linalg.norm(query.astype(np.float64))) * _ROUNDED
        found: NDArray[np.float32] = self._rests[:rows] * np.float32(length)
        found += np.float32(PRODUCT_ERROR)
        return found

    def similarities(self, rows: int, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """About how similar each of the first rows is to each query, shape (queries, rows)."""
        found = np.empty((len(queries), len(self._codes) * BLOCK), dtype=np.float32)
        shares = 1 + min(self._helpers, len(self._codes) // _SHARE)
        others = [
            self._pool.submit(self._multiply, rows, queries, found, share, shares)
            for share in range(1, shares)
        ]
        self._multiply(rows, queries, found, 0, shares)
        for other in others:
            other.result()
        return found[:, :rows]

    def _multiply(
        self,
        rows: int,
        queries: NDArray[np.float32],
        found: NDArray[np.float32],
        share: int,
        shares: int,
    ) -> None:
        """Fill one share's part of the similarities; of the last block as far as there are rows."""
        turned = np.ascontiguousarray(queries.T)
        vectors = np.empty((_AT_ONCE, self._dimensions), dtype=np.float32)
        products = np.empty((_AT_ONCE, len(queries)), dtype=np.float32)
        stacks = vectors.reshape(-1, _STACK, self._dimensions)
        made = products.reshape(-1, _STACK, len(queries))
        for number in range(share, len(self._codes), shares):
            codes, scales = self._codes[number], self._scales[number]
            for start in range(0, min(BLOCK, rows - number * BLOCK), _AT_ONCE):
                np.copyto(vectors, codes[start : start + _AT_ONCE])
                np.matmul(stacks, turned, out=made)
                first = number * BLOCK + start
                np.multiply(
                    products.T, scales[start : start + _AT_ONCE], out=found[:, first : first + _AT_ONCE]
                )


def _with_room(column: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    """A column with room for so many rows, and some more where it had to grow."""
    if rows <= len(column):
        return column
    larger = np.zeros(max(rows, len(column) * 5 // 4), dtype=np.float32)
    larger[: len(column)] = column
    return larger


def _keep(blocks: list[Any], kept: NDArray[np.int64]) -> None:
    """Keep these rows of a column that stands in blocks."""
    for number, start in enumerate(range(0, len(kept), BLOCK)):
        wanted = kept[start : start + BLOCK]
        moved = np.zeros_like(blocks[number])
        places = wanted // BLOCK
        edges = np.flatnonzero(np.diff(places, prepend=-1)).tolist()
        for begin, end in zip(edges, [*edges[1:], len(wanted)], strict=True):
            moved[begin:end] = blocks[int(places[begin])][wanted[begin:end] % BLOCK]
        blocks[number] = moved
    del blocks[-(-len(kept) // BLOCK) :]
