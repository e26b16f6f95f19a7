"""Equal images of one product in rows that stand apart: found once, so that each is one row.

The products' keys are read first, a quick pass over a few columns: where each product's rows stand together,
as they do in most tables, there is nothing more to find. Else every image is named once, and what is there
more than once is kept as twelve bytes each: its digest, and the file in which it is first.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from batchsearch.errors import ManifestError
from batchsearch.manifest.formats.table_file import UnreadableError, Wished
from batchsearch.manifest.keys import RepeatFinder, digests_of
from batchsearch.storage import arrow_functions as pc
from batchsearch.storage.digest_sort import halves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from batchsearch.manifest.product_images.image_rows import ImageRows

_NO_WORDS: Final = np.empty(0, np.uint64)
_NO_FILES: Final = np.empty(0, np.uint32)


@dataclass(slots=True)
class Once:
    """Tells the first of equal images, in one reading of one file.

    Attributes:
        words: Digests of what is there more than once, ascending.
        files: The file in which each is first.
        number: The file that is read.
        dropped: How many were none of the first, so far.
    """

    words: NDArray[np.uint64]
    files: NDArray[np.uint32]
    number: int
    dropped: int = 0
    _given: set[int] = field(default_factory=set)

    def first_ones(self, keys: Sequence[str | None], names: Sequence[str]) -> list[int] | None:
        """Positions of the images that are the first of their kind; None for all."""
        if len(self.words) == 0 or not names:
            return None
        words = halves(b"".join(_pairs(keys, names)))[:, 0]
        at = np.minimum(np.searchsorted(self.words, words), len(self.words) - 1)
        again = np.flatnonzero(self.words[at] == words)
        if len(again) == 0:
            return None
        later: set[int] = set()
        for position in again.tolist():
            word = int(words[position])
            if keys[position] is None:
                continue
            if word in self._given or int(self.files[at[position]]) < self.number:
                later.add(position)
            self._given.add(word)
        self.dropped += len(later)
        return [position for position in range(len(names)) if position not in later]


class RepeatedImages:
    """What is there more than once in the whole of a manifest; looked for when it is first asked.

    Args:
        key: Columns that name the product.
        layers: The files as rows of images.
    """

    def __init__(self, key: Sequence[str], layers: Callable[[], Sequence[ImageRows]]) -> None:
        self._key = tuple(key)
        self._layers = layers
        self._lock = threading.Lock()
        self._found: tuple[NDArray[np.uint64], NDArray[np.uint32]] | None = None

    def once(self, number: int) -> Once:
        """Tells the first of equal images in one reading of the file of this number.

        Raises:
            ManifestError: The temporary folder has no room.
        """
        with self._lock:
            if self._found is None:
                try:
                    self._found = self._looked() if self._stand_apart() else (_NO_WORDS, _NO_FILES)
                except OSError as error:
                    raise ManifestError(
                        f"the products' keys cannot be compared: {error.strerror or error}; they need 24 "
                        "bytes a row in the temporary folder (TMPDIR)"
                    ) from error
        return Once(*self._found, number)

    def _stand_apart(self) -> bool:
        """Whether any product has rows in several places."""
        seen = 0
        with RepeatFinder(listed=0) as finder:
            for layer in self._layers():
                there = {each.name: each.type for each in layer.below.schema}
                if not all(name in there for name in self._key):
                    continue
                wished = [Wished(name, there[name]) for name in self._key]
                last: str | None = None
                # What cannot be read is told when the rows themselves are.
                with suppress(UnreadableError):
                    for piece in layer.below.pieces(wished, lambda *_: None):
                        keys = pa.array(layer.keys_of(piece), pa.string()).drop_null()
                        if len(keys) == 0:
                            continue
                        begins = np.ones(len(keys), bool)
                        begins[1:] = pc.not_equal(keys[1:], keys[:-1]).to_numpy(zero_copy_only=False)
                        begins[0] = keys[0].as_py() != last
                        last = keys[-1].as_py()
                        digests = digests_of(keys.filter(pa.array(begins)))
                        finder.add(digests, np.arange(seen, seen + len(digests), dtype=np.uint64))
                        seen += len(digests)
            return finder.repeats().total > 0

    def _looked(self) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
        starts: list[int] = []
        seen = 0
        with RepeatFinder(listed=0, keeps=True) as finder:
            for layer in self._layers():
                starts.append(seen)
                with suppress(UnreadableError):
                    for keys, names in layer.named():
                        pairs = list(_pairs(keys, names))
                        finder.add(pairs, np.arange(seen, seen + len(pairs), dtype=np.uint64))
                        seen += len(pairs)
            finder.repeats()
            words, firsts = finder.kept()
        order = np.lexsort((firsts, words))
        words, firsts = words[order], firsts[order]
        # Of a digest that came back several times, the first time of all.
        is_first = np.ones(len(words), bool)
        is_first[1:] = words[1:] != words[:-1]
        files = np.searchsorted(np.array(starts, np.uint64), firsts[is_first], side="right") - 1
        return words[is_first], files.astype(np.uint32)


def _pairs(keys: Sequence[str | None], names: Sequence[str]) -> Iterator[bytes]:
    texts = pa.array([f"{key}\0{name}" for key, name in zip(keys, names, strict=True)], pa.string())
    return iter(digests_of(texts))
