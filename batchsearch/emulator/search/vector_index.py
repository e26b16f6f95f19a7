"""Exact vector search in memory: one thread, one matrix product for all queries that wait.

Vectors stand in blocks of a few megabytes, so that growing copies nothing. Eight threads that each called
the linear algebra library would get in each other's way (211 ms each against 8 ms alone), so callers queue
and one thread answers.

The library's own threads are kept out of it too: they wait for each other by spinning, and where something
else wants the processor a product of 5 ms takes 100. A product is therefore made as a stack of products, each
too small for the library to share out, and the stack is shared out here, over threads that sleep.
"""

from __future__ import annotations

import os
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from batchsearch.emulator.search.item_columns import Columns
from batchsearch.emulator.search.ranking import DECIMALS, Ranked, rank, vote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from batchsearch.emulator.search.records import Item
    from batchsearch.service.filter import Expression

_BLOCK: Final = 8_192  # rows; 8 MB of 256 dimensions
_STACK: Final = 32  # rows of one small product; OpenBLAS starts threads above 36 rows of 256 dimensions
_SHARE: Final = 4  # blocks that are worth another thread
_MOST_THREADS: Final = 4
_MOST_TOGETHER: Final = 16  # queries in one product; each needs four bytes an item
_RESCORED_TOGETHER: Final = 4_096  # rows turned to float64 at a time
_NEIGHBOURS: Final = 5  # items that speak for a category
_MOST_REMOVED: Final = 4_096  # rows; more than these and a quarter of all are compacted away


@dataclass(frozen=True, slots=True)
class Wanted:
    """One search.

    Attributes:
        vector: Unit vector, float32.
        most: How many of the best to return.
        category: Only items of this category; None for any.
        filter: Only items whose attributes match; None for any.
        threshold: Only items that score this or more, 0 to 1.
        distinct: Only the best item of each product.
        predict: Ask the nearest items, whatever was wanted of them, for the image's category.
        keep_to_predicted: Only items of the category that is predicted.
    """

    vector: NDArray[np.float32]
    most: int
    category: int | None = None
    filter: Expression | None = None
    threshold: float = 0.0
    distinct: bool = False
    predict: bool = False
    keep_to_predicted: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to one search.

    Attributes:
        ids: Items, best first.
        scores: Their similarities, 0 to 1, six decimals.
        total: How many match, beyond those returned too.
        category: The predicted category; None when it was not asked for, or there is nothing to ask.
    """

    ids: tuple[int, ...]
    scores: tuple[float, ...]
    total: int
    category: int | None


class VectorIndex:
    """Vectors and attributes of all items, searched exactly. Calls may come from any thread."""

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._blocks: list[NDArray[np.float32]] = []
        self._columns = Columns()
        self._lock = threading.Lock()
        # Apart from the lock that a running product holds: whoever comes meanwhile must be able to queue.
        self._gate = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[Wanted, Future[Found]] | None] = queue.SimpleQueue()
        self._closed = False
        self._helpers = min(_MOST_THREADS, os.cpu_count() or 1) - 1
        self._pool = ThreadPoolExecutor(max(1, self._helpers), thread_name_prefix="vector-product")
        self._thread = threading.Thread(target=self._answer, name="vector-search", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """How many items there are."""
        with self._lock:
            return len(self._columns) - self._columns.removed

    def close(self) -> None:
        """Answer what is waiting and stop the search thread; later searches raise RuntimeError."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._waiting.put(None)
        self._thread.join()
        self._pool.shutdown()

    # -- items ---------------------------------------------------------------------------------------

    def append(self, ids: Sequence[int], vectors: NDArray[np.float32], items: Iterable[Item]) -> None:
        """Add items whose ids ascend and are above all ids that were ever in the index.

        Args:
            ids: One an item.
            vectors: Unit vectors, shape (items, dimensions).
            items: The items.
        """
        with self._lock:
            self._append(ids, vectors, items)

    def _append(self, ids: Sequence[int], vectors: NDArray[np.float32], items: Iterable[Item]) -> None:
        row, stop = len(self._columns), len(self._columns) + len(ids)
        self._columns.append(ids, items)
        first = row
        while row < stop:
            number, place = divmod(row, _BLOCK)
            if number == len(self._blocks):
                self._blocks.append(np.zeros((_BLOCK, self._dimensions), dtype=np.float32))
            taken = min(_BLOCK - place, stop - row)
            self._blocks[number][place : place + taken] = vectors[row - first : row - first + taken]
            row += taken

    def put(self, identity: int, vector: NDArray[np.float32], item: Item) -> None:
        """Add an item, or give an item that is there another vector and other attributes."""
        with self._lock:
            row = self._columns.row_of(identity)
            if row is None:
                self._append([identity], vector[None], [item])
            else:
                self._columns.set_row(row, item)
                self._blocks[row // _BLOCK][row % _BLOCK] = vector

    def describe(self, identity: int, item: Item) -> None:
        """Give an item other attributes."""
        with self._lock:
            row = self._columns.row_of(identity)
            if row is not None:
                self._columns.set_row(row, item)

    def remove(self, ids: Iterable[int]) -> None:
        """Take items out; ids that are not there are passed over."""
        with self._lock:
            for identity in ids:
                row = self._columns.row_of(identity)
                if row is not None:
                    self._columns.remove(row)
            if self._columns.removed > max(_MOST_REMOVED, len(self._columns) // 4):
                self._compact()

    def matching(self, expression: Expression | None) -> list[int]:
        """Ids of the items whose attributes match, of all where nothing is asked, oldest first."""
        with self._lock:
            mask = self._columns.matching(expression, None)
            ids: list[int] = self._columns.ids[slice(None) if mask is None else mask].tolist()
            return ids

    def _compact(self) -> None:
        kept = self._columns.compact()
        # Every kept row moves down or stays, so block after block can be filled from what is not yet moved.
        for number, start in enumerate(range(0, len(kept), _BLOCK)):
            block = np.zeros((_BLOCK, self._dimensions), dtype=np.float32)
            self._gather(kept[start : start + _BLOCK], block)
            self._blocks[number] = block
        del self._blocks[-(-len(kept) // _BLOCK) :]

    def _gather(self, rows: NDArray[np.int64], into: NDArray[Any]) -> None:
        blocks = rows // _BLOCK
        edges = np.flatnonzero(np.diff(blocks, prepend=-1)).tolist()
        for start, stop in zip(edges, [*edges[1:], len(rows)], strict=True):
            into[start:stop] = self._blocks[int(blocks[start])][rows[start:stop] % _BLOCK]

    # -- searching -----------------------------------------------------------------------------------

    def search(self, wanted: Wanted) -> Found:
        """The best items, exactly; waits for its turn on the search thread."""
        future: Future[Found] = Future()
        with self._gate:
            if self._closed:
                raise RuntimeError("the index is closed")
            self._waiting.put((wanted, future))
        return future.result()

    def ranked(self, ids: NDArray[np.int64], scores: NDArray[np.float64], wanted: Wanted) -> Found:
        """The best of items that something else has scored; the vector plays no part.

        Args:
            ids: Items, ascending.
            scores: Of each, above 0 to 1.
            wanted: What to keep of them.
        """
        with self._lock:
            columns = self._columns
            raw = np.zeros(len(columns))
            rows = np.searchsorted(columns.ids, ids)
            there = rows < len(columns)
            there[there] = columns.ids[rows[there]] == ids[there]
            raw[rows[there]] = scores[there].round(DECIMALS)
            mask = columns.matching(wanted.filter, wanted.category)
            return self._found(
                rank(
                    raw.astype(np.float32),
                    rescore=raw.__getitem__,
                    most=wanted.most,
                    mask=raw > 0 if mask is None else mask & (raw > 0),
                    threshold=wanted.threshold,
                    products=columns.products if wanted.distinct else None,
                ),
                None,
            )

    def _answer(self) -> None:
        stopping = False
        while not stopping:
            waiting = [self._waiting.get()]
            while len(waiting) < _MOST_TOGETHER:
                try:
                    waiting.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            stopping = None in waiting
            self._answer_together([one for one in waiting if one is not None])

    def _answer_together(self, asked: list[tuple[Wanted, Future[Found]]]) -> None:
        if not asked:
            return
        try:
            with self._lock:
                raw = self._product(np.stack([wanted.vector for wanted, _ in asked]))
                answers = [self._pick(wanted, raw[:, number]) for number, (wanted, _) in enumerate(asked)]
        except Exception as error:  # noqa: BLE001 - every waiting caller must hear of it, or wait for ever
            for _, future in asked:
                future.set_exception(error)
            return
        for (_, future), answer in zip(asked, answers, strict=True):
            future.set_result(answer)

    def _product(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raw similarity of every row to every query, shape (rows, queries)."""
        raw = np.empty((len(self._blocks) * _BLOCK, len(vectors)), dtype=np.float32)
        shares = 1 + min(self._helpers, len(self._blocks) // _SHARE)
        others = [
            self._pool.submit(self._multiply, vectors, raw, share, shares) for share in range(1, shares)
        ]
        self._multiply(vectors, raw, 0, shares)
        for other in others:
            other.result()
        return raw

    def _multiply(
        self, vectors: NDArray[np.float32], raw: NDArray[np.float32], share: int, shares: int
    ) -> None:
        """Fill one share's part of the raw similarities, up to the product that holds the last row."""
        for number in range(share, len(self._blocks), shares):
            first = number * _BLOCK
            products = min(_BLOCK, len(self._columns) - first + _STACK - 1) // _STACK
            stack = self._blocks[number].reshape(-1, _STACK, self._dimensions)[:products]
            part = raw[first : first + products * _STACK].reshape(-1, _STACK, len(vectors))
            np.matmul(stack, vectors.T, out=part)

    def _pick(self, wanted: Wanted, raw: NDArray[np.float32]) -> Found:
        query = wanted.vector.astype(np.float64)

        def rescore(rows: NDArray[np.int64]) -> NDArray[np.float64]:
            scores = np.empty(len(rows))
            for start in range(0, len(rows), _RESCORED_TOGETHER):
                part = rows[start : start + _RESCORED_TOGETHER]
                vectors = np.empty((len(part), self._dimensions))
                self._gather(part, vectors)
                # einsum, not the linear algebra library: each row's sum is its own.
                scores[start : start + len(part)] = np.einsum("ij,j->i", vectors, query)
            np.clip(scores, -1.0, 1.0, out=scores)
            return scores.round(DECIMALS)

        columns = self._columns
        raw = np.ascontiguousarray(raw[: len(columns)])
        category = None
        if wanted.predict:
            near: Ranked = rank(raw, rescore=rescore, most=_NEIGHBOURS, mask=columns.matching(None, None))
            category = vote(columns.categories[near.rows], near.scores)
        kept_to = category if wanted.keep_to_predicted and wanted.category is None else wanted.category
        ranked = rank(
            raw,
            rescore=rescore,
            most=wanted.most,
            mask=columns.matching(wanted.filter, kept_to),
            threshold=wanted.threshold,
            products=columns.products if wanted.distinct else None,
        )
        return self._found(ranked, category)

    def _found(self, ranked: Ranked, category: int | None) -> Found:
        return Found(
            ids=tuple(self._columns.ids[ranked.rows].tolist()),
            scores=tuple(np.maximum(ranked.scores, 0.0).tolist()),
            total=ranked.total,
            category=category,
        )
