"""Pairs to clusters: connected components, taken apart where they are chains, each with a representative.

What there is of products and pairs is in columns that may be in files; pieces of them are in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from batchsearch.tasks.dedup.candidates.in_pieces import (
    Grouping,
    begins_of,
    counted,
    pieces,
    places_of,
    ranks_of,
)
from batchsearch.tasks.dedup.candidates.off_memory import Room
from batchsearch.tasks.dedup.clusters.components import united
from batchsearch.tasks.dedup.clusters.guarding import GUARDED_FROM, Nodes, guarded
from batchsearch.tasks.dedup.clusters.reviews import Reviews

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.matches import Pairs
    from batchsearch.tasks.dedup.candidates.shared_images import SharedImage
    from batchsearch.tasks.dedup.clusters.decide import Decision
    from batchsearch.tasks.dedup.clusters.guarding import GuardRules
    from batchsearch.tasks.dedup.clusters.reviews import Notes

_PAIR: Final = 2


@dataclass(frozen=True, slots=True)
class Clusters:
    """Members of clusters of two and more, cluster by cluster; arrays of one length.

    Attributes:
        product: The member.
        cluster: Number of its cluster, from 0; ascending.
        size: Members of its cluster.
        representative: The product that stands for its cluster.
        confidence: How sure it is that the member belongs: the mean over its pairs that were looked at.
            Where scores alone decide, over all other members, those that no search has shown with 0.
        score: To the representative; to the nearest member where that pair is not known.
        review: Why a person should look, by cluster.
        unsure: Clusters that were not made, because they are not sure enough.
    """

    product: NDArray[np.int32]
    cluster: NDArray[np.int32]
    size: NDArray[np.int32]
    representative: NDArray[np.int32]
    confidence: NDArray[np.float64]
    score: NDArray[np.float64]
    review: Reviews
    unsure: int = 0

    @property
    def count(self) -> int:
        """How many clusters there are."""
        return int(self.cluster[-1]) + 1 if len(self.cluster) else 0


def with_notes(clusters: Clusters, images: Sequence[SharedImage], room: Room) -> Clusters:
    """The clusters, those for review too that only an image on many products holds together."""
    if not images or not clusters.count:
        return clusters
    most = max(int(clusters.product.max()), *(int(image.products.max()) for image in images))
    cluster_of = room.array(most + 1, np.int32, -1)
    for some in pieces(len(clusters.product)):
        cluster_of[clusters.product[some]] = clusters.cluster[some]
    said: dict[int, list[str]] = {}
    for image in images:
        inside = cluster_of[image.products]
        found, many = np.unique(inside[inside >= 0], return_counts=True)
        for number in found[many >= GUARDED_FROM].tolist():
            said.setdefault(number, []).append(image.why)
    return replace(clusters, review=replace(clusters.review, images=said))


def cluster(  # noqa: PLR0917 - pairs, what was decided of them, and what clusters are made by
    pairs: Pairs,
    decision: Decision,
    guard: GuardRules,
    preference: Sequence[NDArray[np.integer[Any]]],
    name: Callable[[int], str],
    room: Room | None = None,
) -> Clusters:
    """The clusters that the accepted pairs make.

    Args:
        pairs: All pairs kept.
        decision: What was decided of each.
        guard: When a component is taken apart.
        preference: By product: the smaller, the rather it stands for its cluster; where these are equal, the
            next ones say it, and at last the product's number.
        name: A product's id, for what reviewers read.
        room: For what memory does not hold; None keeps all in memory.

    Raises:
        MissingExtraError: scipy is not installed.
        OutputError: The disk refuses.
    """
    room = room or Room()
    nodes, notes = guarded(pairs, decision, guard, _nodes(pairs, decision, len(guard.cut), room), room)
    confidence = _confidence(pairs, decision, nodes, room)
    unsure = _without_unsure(nodes, confidence, guard.min_confidence, room)
    ordered = _Ordered(nodes, preference, room)
    score = _scores(pairs, decision, nodes, ordered, room)
    return _described(nodes, ordered, confidence, score, room, (notes, guard.largest, name, unsure))


def _nodes(pairs: Pairs, decision: Decision, products: int, room: Room) -> Nodes:
    """The products that accepted pairs join, by components."""
    inside = room.array(products, bool, 0)

    def accepted() -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        for some in pieces(len(pairs)):
            at = np.flatnonzero(decision.accepted[some])
            yield pairs.a[some][at], pairs.b[some][at]

    for a, b in accepted():
        inside[a] = inside[b] = True
    product, place = places_of(inside, room), ranks_of(inside, room)
    label = united(len(product), ((place[a], place[b]) for a, b in accepted()), room)
    return Nodes(product, place, label)


def _confidence(pairs: Pairs, decision: Decision, nodes: Nodes, room: Room) -> NDArray[np.float64]:
    """How sure it is that each node belongs to its group."""
    by_score = decision.weighed is None
    count = len(nodes.product)
    # By way, so that sums do not depend on where pieces end.
    first, second = (room.array(count, np.float64, 0) for _ in range(2))
    times = room.array(count, np.int32, 0)
    weighed = decision.near if decision.weighed is None else decision.weighed
    for at, one, other in nodes.inside(pairs, weighed):
        sure = decision.confidence[at]
        np.add.at(first, one, sure)
        np.add.at(second, other, sure)
        if not by_score:
            np.add.at(times, one, np.int32(1))
            np.add.at(times, other, np.int32(1))
    if by_score:
        sizes = counted(nodes.label, count, room)
        for some in pieces(count):
            times[some] = sizes[nodes.label[some]] - 1
    for some in pieces(count):
        total = first[some] + second[some]
        first[some] = np.clip(total / np.maximum(times[some], 1), 0.0, 1.0)
    return first


def _without_unsure(nodes: Nodes, confidence: NDArray[np.float64], least: float, room: Room) -> int:
    """Have the members of groups that are not sure enough stand alone; how many groups these were."""
    count = len(nodes.label)
    sizes, total = counted(nodes.label, count, room), room.array(count, np.float64, 0)
    for some in pieces(count):
        np.add.at(total, nodes.label[some], confidence[some])
    unsure = 0
    doubtful = room.array(count, bool)
    for some in pieces(count):
        size = sizes[some]
        doubtful[some] = (size >= _PAIR) & (total[some] / np.maximum(size, 1) < least)
        unsure += int(doubtful[some].sum())
    if unsure:
        for some in pieces(count):
            alone = np.flatnonzero(doubtful[nodes.label[some]])
            nodes.label[some][alone] = alone + some.start
    return unsure


class _Ordered:
    """Members of groups of two and more, group by group, the one that stands for each group first.

    Attributes:
        member: The nodes.
        begins: By label, where its members begin.
        sizes: By label, how many there are; 0 for groups of one.
        stands: By label, the node that stands for it; -1 for groups of one.
    """

    def __init__(self, nodes: Nodes, preference: Sequence[NDArray[np.integer[Any]]], room: Room) -> None:
        count = len(nodes.label)
        self.sizes = counted(nodes.label, count, room)
        for some in pieces(count):
            self.sizes[some][self.sizes[some] < _PAIR] = 0
        grouping = Grouping(self.sizes, room)
        self.begins = grouping.begins
        self._bounds = list(grouping.bounds())
        self.member = room.array(int(self.begins[-1]), np.int32)
        for some in pieces(count):
            node = np.flatnonzero(self.sizes[nodes.label[some]])
            self.member[grouping.places(nodes.label[some][node])] = node + some.start
        self.stands = room.array(count, np.int32, -1)
        for some, labels in self.portions():
            member = self.member[some]
            product = nodes.product[member]
            keys = [each[product] for each in preference]
            order = np.lexsort((*reversed(keys), np.repeat(labels, self.sizes[labels])))
            self.member[some] = member[order]
            self.stands[labels] = self.member[self.begins[labels]]

    def portions(self) -> Iterator[tuple[slice, NDArray[np.int64]]]:
        """Some groups after the others, whole: the members' places, and the groups' labels."""
        for start, end in self._bounds:
            some = slice(int(self.begins[start]), int(self.begins[end]))
            if some.stop > some.start:
                yield some, np.flatnonzero(self.sizes[start:end]) + start


def _scores(
    pairs: Pairs, decision: Decision, nodes: Nodes, ordered: _Ordered, room: Room
) -> NDArray[np.float64]:
    """By node: the score to the one that stands for its group, or to the nearest member."""
    count = len(nodes.label)
    to_representative, nearest = (room.array(count, np.float64, 0) for _ in range(2))
    for at, one, other in nodes.inside(pairs, decision.near):
        score = np.where(pairs.score[at] < 0, 1.0, pairs.score[at])  # judged the same, never seen together
        for here, there in ((one, other), (other, one)):
            np.maximum.at(nearest, here, score)
            is_link = ordered.stands[nodes.label[here]] == there
            to_representative[here[is_link]] = score[is_link]
    for some in pieces(count):
        nodes_here = np.arange(some.start, some.stop)
        known = (to_representative[some] > 0) & (ordered.stands[nodes.label[some]] != nodes_here)
        nearest[some] = np.where(known, to_representative[some], nearest[some])
    return nearest


def _described(  # noqa: PLR0917 - all that is known of members
    nodes: Nodes,
    ordered: _Ordered,
    confidence: NDArray[np.float64],
    score: NDArray[np.float64],
    room: Room,
    said: tuple[Notes, int, Callable[[int], str], int],
) -> Clusters:
    """The clusters of two and more: in the order of their representatives, the representative first."""
    notes, largest, name, unsure = said
    # Clusters in the order of their representatives' ids, so that a table of equal clusters is equal.
    stands = room.array(len(nodes.label), bool, 0)
    for some in pieces(len(nodes.label)):
        node = ordered.stands[some]
        stands[node[node >= 0]] = True
    rank = ranks_of(stands, room)
    count, members = int(stands.sum()), len(ordered.member)
    sizes = room.array(count, np.int32)
    for _, labels in ordered.portions():
        sizes[rank[ordered.stands[labels]]] = ordered.sizes[labels]
    begins = begins_of(sizes, room)
    found = Clusters(
        product=room.array(members, np.int32),
        cluster=room.array(members, np.int32),
        size=room.array(members, np.int32),
        representative=room.array(members, np.int32),
        confidence=room.array(members, np.float64),
        score=room.array(members, np.float64),
        review=_reviews(notes, ordered, rank, sizes, room, (largest, name)),
        unsure=unsure,
    )
    for some, labels in ordered.portions():
        size, number = ordered.sizes[labels], rank[ordered.stands[labels]]
        at = np.arange(some.start, some.stop) + np.repeat(begins[number] - ordered.begins[labels], size)
        member = ordered.member[some]
        found.product[at] = nodes.product[member]
        found.cluster[at], found.size[at] = np.repeat(number, size), np.repeat(size, size)
        found.representative[at] = np.repeat(nodes.product[ordered.stands[labels]], size)
        found.confidence[at], found.score[at] = confidence[member], score[member]
    return found


def _reviews(  # noqa: PLR0917 - notes by group, and what makes them those of clusters
    notes: Notes,
    ordered: _Ordered,
    rank: NDArray[np.int32],
    sizes: NDArray[np.int32],
    room: Room,
    words: tuple[int, Callable[[int], str]],
) -> Reviews:
    largest, name = words
    at, large = room.array(len(sizes), np.int32, -1), room.array(len(sizes), bool)
    for some in pieces(len(sizes)):
        large[some] = sizes[some] > largest
    for some in pieces(len(notes.group)):
        stands = ordered.stands[notes.group[some]]
        made = np.flatnonzero(stands >= 0)
        at[rank[stands[made]]] = made + some.start
    return Reviews(notes, at, large, largest, name)
