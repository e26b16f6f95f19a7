"""What is searched of all items, in memory: vectors and attributes, and of instances for texts the words."""

from __future__ import annotations

import math
import threading
from array import array
from typing import TYPE_CHECKING

import numpy as np

from batchsearch.emulator.search.own_words import words_of, words_of_item
from batchsearch.emulator.search.vector_index import VectorIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from batchsearch.emulator.search.image_copies import ImageCopies
    from batchsearch.emulator.search.item_changes import Addition, Change, Changed
    from batchsearch.emulator.search.records import Item


class WordIndex:
    """Words of all items, in memory. Calls may come from any thread.

    An item's score is the share of the text's words that it has, where a rare word weighs more than a common
    one: `ln(1 + (items + 1) / (items with the word + 1))`. So it is 1 for an item that has them all, and an
    item that has none is not found.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: dict[int, frozenset[str]] = {}
        # A word's list only grows; what no longer has the word is dropped when the list is read.
        self._having: dict[str, array[int]] = {}
        self._outdated: set[str] = set()

    def put(self, identity: int, item: Item) -> None:
        """Take an item in, or the new words of one that is there."""
        words = words_of_item(item)
        with self._lock:
            before = self._words.get(identity, frozenset())
            self._words[identity] = words
            self._outdated |= before - words
            for word in words - before:
                having = self._having.setdefault(word, array("q"))
                if having and having[-1] >= identity:
                    self._outdated.add(word)
                having.append(identity)

    def remove(self, ids: Iterable[int]) -> None:
        """Take items out; ids that are not there are passed over."""
        with self._lock:
            for identity in ids:
                self._outdated |= self._words.pop(identity, frozenset())

    def scores(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The items that have a word of the text, by id, and how much of the text each has, above 0 to 1."""
        with self._lock:
            found = [self._ids_with(word) for word in sorted(words_of(text))]
            items = len(self._words)
        weights = [math.log1p((items + 1) / (len(ids) + 1)) for ids in found]
        if not found or not sum(map(len, found)):
            return np.empty(0, np.int64), np.empty(0)
        ids, places = np.unique(np.concatenate(found), return_inverse=True)
        each = np.repeat(weights, [len(having) for having in found])
        return ids, np.minimum(np.bincount(places, weights=each) / math.fsum(weights), 1.0)

    def _ids_with(self, word: str) -> NDArray[np.int64]:
        having = self._having.get(word)
        if having is None:
            return np.empty(0, np.int64)
        if word in self._outdated:
            self._outdated.discard(word)
            kept = sorted({identity for identity in having if word in self._words.get(identity, ())})
            having = self._having[word] = array("q", kept)
            if not kept:
                del self._having[word]
        return np.array(having, dtype=np.int64)


class ItemIndex:
    """Mirrors what is committed. Calls may come from any thread.

    Attributes:
        vectors: Vectors and attributes.
        words: Words; None where the instance is not searched by text.
        copies: Small copies of the images; None where none are kept.

    Args:
        dimensions: Of the vectors.
        by_text: Whether the instance is searched by text.
        copies: As above; closed with it.
    """

    def __init__(self, dimensions: int, *, by_text: bool, copies: ImageCopies | None = None) -> None:
        self.vectors = VectorIndex(dimensions)
        self.words = WordIndex() if by_text else None
        self.copies = copies

    def close(self) -> None:
        """Stop searching."""
        self.vectors.close()
        if self.copies is not None:
            self.copies.close()

    def append(self, ids: Sequence[int], vectors: NDArray[np.float32], items: Sequence[Item]) -> None:
        """Add items whose ids ascend and are above all ids that were ever there."""
        self.vectors.append(ids, vectors, items)
        if self.words is not None:
            for identity, item in zip(ids, items, strict=True):
                self.words.put(identity, item)

    def put(self, identity: int, addition: Addition) -> None:
        """Add an item, or replace it."""
        self.vectors.put(identity, addition.vector, addition.item)
        if self.copies is not None:
            self.copies.keep(identity, addition.copy)
        if self.words is not None:
            self.words.put(identity, addition.item)

    def describe(self, items: Mapping[int, Item]) -> None:
        """Give items other attributes."""
        for identity, item in items.items():
            self.vectors.describe(identity, item)
            if self.words is not None:
                self.words.put(identity, item)

    def remove(self, ids: Sequence[int]) -> None:
        """Take items out."""
        self.vectors.remove(ids)
        if self.copies is not None:
            self.copies.forget(ids)
        if self.words is not None:
            self.words.remove(ids)

    def follow(self, changes: Sequence[Change], made: Sequence[Changed]) -> None:
        """Do in memory what changes have done on disk."""
        for wanted, done in zip(changes, made, strict=True):
            if wanted.addition is None:
                self.remove(done.ids)
            else:
                for identity in done.ids:
                    self.put(identity, wanted.addition)
