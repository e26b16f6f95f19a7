"""Exact vector search: one thread, one pass over all vectors for all queries that wait.

The pass is over one byte a dimension and tells which few can be among the best (`coarse_rows`); these are
scored in full (`exact_rows`). Eight threads that each called the linear algebra library would get in each
other's way (211 ms each against 8 ms alone), so callers queue and one thread answers.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from batchsearch.emulator.search.coarse_rows import CoarseRows
from batchsearch.emulator.search.exact_rows import ExactRows
from batchsearch.emulator.search.item_columns import Columns
from batchsearch.emulator.search.ranking import DECIMALS, MARGIN, Ranked, rank, vote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from batchsearch.emulator.search.records import Item
    from batchsearch.service.expressions import Expression

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
        self._exact = ExactRows(dimensions)
        self._coarse = CoarseRows(dimensions)
        self._columns = Columns()
        self._lock = threading.Lock()
        # Apart from the lock that a running product holds: whoever comes meanwhile must be able to queue.
        self._gate = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[Wanted, Future[Found]] | None] = queue.SimpleQueue()
        self._closed = False
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
        self._coarse.close()
        self._exact.close()

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
        row = len(self._columns)
        self._columns.append(ids, items)
        self._write(row, vectors)

    def _write(self, row: int, vectors: NDArray[np.float32]) -> None:
        self._exact.write(row, vectors)
        self._coarse.write(row, vectors)

    def put(self, identity: int, vector: NDArray[np.float32], item: Item) -> None:
        """Add an item, or give an item that is there another vector and other attributes."""
        with self._lock:
            row = self._columns.row_of(identity)
            if row is None:
                self._append([identity], vector[None], [item])
            else:
                self._columns.set_row(row, item)
                self._write(row, vector[None])

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
        self._exact.keep(kept)
        self._coarse.keep(kept)

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
                    np.full(len(raw), MARGIN, np.float32),
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
                queries = np.stack([wanted.vector for wanted, _ in asked])
                raw = self._coarse.similarities(len(self._columns), queries)
                answers = [self._pick(wanted, raw[number]) for number, (wanted, _) in enumerate(asked)]
        except Exception as error:  # noqa: BLE001 - every waiting caller must hear of it, or wait for ever
            for _, future in asked:
                future.set_exception(error)
            return
        for (_, future), answer in zip(asked, answers, strict=True):
            future.set_result(answer)

    def _pick(self, wanted: Wanted, raw: NDArray[np.float32]) -> Found:
        query = wanted.vector.astype(np.float64)

        def rescore(rows: NDArray[np.int64]) -> NDArray[np.float64]:
            scores = np.empty(len(rows))
            for start in range(0, len(rows), _RESCORED_TOGETHER):
                part = rows[start : start + _RESCORED_TOGETHER]
                vectors = np.empty((len(part), self._dimensions))
                self._exact.gather(part, vectors)
                # einsum, not the linear algebra library: each row's sum is its own.
                scores[start : start + len(part)] = np.einsum("ij,j->i", vectors, query)
            np.clip(scores, -1.0, 1.0, out=scores)
            return scores.round(DECIMALS)

        columns = self._columns
        errors = self._coarse.errors(len(columns), wanted.vector)
        category = None
        if wanted.predict:
            near: Ranked = rank(
                raw, errors, rescore=rescore, most=_NEIGHBOURS, mask=columns.matching(None, None)
            )
            category = vote(columns.categories[near.rows], near.scores)
        kept_to = category if wanted.keep_to_predicted and wanted.category is None else wanted.category
        every = wanted.filter is None and kept_to is None
        ranked = rank(
            raw,
            errors,
            rescore=rescore,
            most=wanted.most,
            mask=columns.matching(wanted.filter, kept_to),
            threshold=wanted.threshold,
            products=columns.products if wanted.distinct else None,
            total=columns.product_count if wanted.distinct and every and wanted.threshold <= 0 else None,
        )
        return self._found(ranked, category)

    def _found(self, ranked: Ranked, category: int | None) -> Found:
        return Found(
            ids=tuple(self._columns.ids[ranked.rows].tolist()),
            scores=tuple(np.maximum(ranked.scores, 0.0).tolist()),
            total=ranked.total,
            category=category,
        )
