"""What is searched of all items, in memory: vectors and attributes, and of instances for texts the words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsearch.emulator.search.vector_index import VectorIndex
from batchsearch.emulator.search.word_index import WordIndex

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from batchsearch.emulator.search.image_copies import ImageCopies
    from batchsearch.emulator.search.item_changes import Addition, Change, Changed
    from batchsearch.emulator.search.records import Item


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
