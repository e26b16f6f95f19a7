"""Why people should look at clusters: kept as numbers, put into words when a table's rows are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Notes:
    """What the chain guard has to say of groups; arrays of one length.

    Attributes:
        group: The first member of each group, ascending.
        size: Products that hung together before they were split.
        one: A product of the strongest pair that the group was refused for; -1 where it was for none.
        other: The other product.
        score: Of that pair.
        resembling: Pairs between both groups that resemble each other.
        counted: Pairs between them that count.
        judged: Whether a pair between them was judged different.
        contradicted: Whether the group holds a pair that was judged different.
    """

    group: NDArray[np.int32]
    size: NDArray[np.int32]
    one: NDArray[np.int32]
    other: NDArray[np.int32]
    score: NDArray[np.float64]
    resembling: NDArray[np.int64]
    counted: NDArray[np.int64]
    judged: NDArray[np.bool_]
    contradicted: NDArray[np.bool_]

    def text(self, at: int, name: Callable[[int], str]) -> str:
        """In words."""
        said = ["judged both the same and different"] if self.contradicted[at] else []
        if self.one[at] >= 0:
            said.append(self._refusal(at, name))
        return "; ".join(said)

    def _refusal(self, at: int, name: Callable[[int], str]) -> str:
        best = f"{name(int(self.one[at]))} and {name(int(self.other[at]))} ({self.score[at]:.3f})"
        begin = f"split from {self.size[at]} products that hang together"
        if self.judged[at]:
            return f"{begin}: a pair between two groups was judged different, though {best} match"
        shown = f"{self.resembling[at]} of {self.counted[at]} pairs between two groups resemble each other"
        return f"{begin}: {shown}, the best are {best}"


def no_notes() -> Notes:
    """Of no group."""
    whole, long, mask = np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, bool)
    return Notes(whole, whole, whole, whole, np.empty(0), long, long, mask, mask)


@dataclass(frozen=True, slots=True)
class Reviews:
    """Why people should look at clusters, by their numbers.

    Attributes:
        notes: What the chain guard says.
        at: By cluster: the place of its note; -1 for none.
        large: By cluster: whether it has more members than `largest`.
        largest: Members that are not too many.
        name: A product's id.
        images: What images on many products have to say, by cluster.
    """

    notes: Notes
    at: NDArray[np.int32]
    large: NDArray[np.bool_]
    largest: int
    name: Callable[[int], str]
    images: Mapping[int, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        said = int(np.count_nonzero(self.at >= 0)) + int(np.count_nonzero(self.large & (self.at < 0)))
        return said + sum(bool(self.at[number] < 0 and not self.large[number]) for number in self.images)

    def texts(self, clusters: NDArray[np.int32]) -> pa.Array:
        """Why, for each of these numbers; null for no reason."""
        said = {number: self._text(number) for number in set(clusters[self._asked(clusters)].tolist())}
        return pa.array(map(said.get, clusters.tolist()), pa.string())

    def _asked(self, clusters: NDArray[np.int32]) -> NDArray[np.bool_]:
        asked = (self.at[clusters] >= 0) | self.large[clusters]
        if self.images:
            asked |= np.isin(clusters, list(self.images))
        return np.asarray(asked)

    def _text(self, number: int) -> str:
        said = [self.notes.text(int(self.at[number]), self.name)] if self.at[number] >= 0 else []
        said += [f"more than {self.largest} products"] if self.large[number] else []
        return "; ".join([*said, *self.images.get(number, ())])
