"""Pairs to clusters: connected components, taken apart where they are chains, each with a representative.

Memory grows with the products that are in any pair, not with the catalogue. Components come from
`scipy.sparse.csgraph`; only those whose members do not all resemble one another are looked at one by one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from batchsearch.errors import MissingExtraError
from batchsearch.tasks.dedup.clusters.chains import Link, Refusal, split
from batchsearch.tasks.dedup.clusters.decide import DIFFERENT, SAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.matches import Pairs
    from batchsearch.tasks.dedup.candidates.shared_images import SharedImage
    from batchsearch.tasks.dedup.clusters.decide import Decision

_PAIR: Final = 2
_GUARDED_FROM: Final = 3
"""Two products that match are no chain."""


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
        review: Why a person should look, by cluster; absent for none.
        unsure: Clusters that were not made, because they are not sure enough.
    """

    product: NDArray[np.int32]
    cluster: NDArray[np.int32]
    size: NDArray[np.int32]
    representative: NDArray[np.int32]
    confidence: NDArray[np.float64]
    score: NDArray[np.float64]
    review: Mapping[int, str]
    unsure: int = 0

    @property
    def count(self) -> int:
        """How many clusters there are."""
        return int(self.cluster[-1]) + 1 if len(self.cluster) else 0


@dataclass(frozen=True, slots=True)
class GuardRules:
    """What the chain guard goes by.

    Attributes:
        min_share: Share of the pairs between two groups that must resemble each other.
        largest: Clusters of more members are marked for review.
        cut: By product: whether a list of its hits was full to its end with scores that are enough.
        mute: By product: whether an image of it could not be searched.
        min_confidence: Clusters that are less sure on average are not made.
    """

    min_share: float
    largest: int
    cut: NDArray[np.bool_]
    mute: NDArray[np.bool_]
    min_confidence: float = 0.0


def with_notes(clusters: Clusters, images: Sequence[SharedImage]) -> Clusters:
    """The clusters, those for review too that only an image on many products holds together."""
    if not images or not clusters.count:
        return clusters
    review = dict(clusters.review)
    most = max(int(clusters.product.max()), *(int(image.products.max()) for image in images))
    cluster_of = np.full(most + 1, -1, np.int32)
    cluster_of[clusters.product] = clusters.cluster
    for image in images:
        inside = cluster_of[image.products]
        found, many = np.unique(inside[inside >= 0], return_counts=True)
        for number in found[many >= _GUARDED_FROM].tolist():
            review[number] = "; ".join(filter(None, (review.get(number), image.why)))
    return replace(clusters, review=review)


def components(count: int, a: NDArray[np.integer], b: NDArray[np.integer]) -> NDArray[np.int32]:
    """The component of each of `count` nodes that edges join, numbered from 0.

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


def cluster(
    pairs: Pairs,
    decision: Decision,
    guard: GuardRules,
    preference: NDArray[np.int32],
    name: Callable[[int], str],
) -> Clusters:
    """The clusters that the accepted pairs make.

    Args:
        pairs: All pairs kept.
        decision: What was decided of each.
        guard: When a component is taken apart.
        preference: By product: the smaller, the rather it stands for its cluster. No two are equal.
        name: A product's id, for what reviewers read.
    """
    edges = np.flatnonzero(decision.accepted)
    a, b = pairs.a[edges], pairs.b[edges]
    inside = np.zeros(int(b.max(initial=-1)) + 1, bool)
    inside[a] = inside[b] = True
    nodes = np.flatnonzero(inside).astype(np.int32)
    place = np.cumsum(inside) - 1
    first, second = place[a], place[b]
    labels = components(len(nodes), first, second).astype(np.int64)
    labels, review = _guarded(pairs, decision, guard, nodes=nodes, labels=labels, name=name)
    confidence = _confidence(pairs, decision, nodes, labels)
    labels, unsure = _sure(labels, confidence, guard.min_confidence)
    return _described(
        pairs,
        decision,
        guard,
        nodes=nodes,
        labels=labels,
        review=review,
        preference=preference,
        confidence=confidence,
        unsure=unsure,
    )


def _confidence(
    pairs: Pairs, decision: Decision, nodes: NDArray[np.int32], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How sure it is that each node belongs to its group."""
    weighed = decision.near if decision.weighed is None else decision.weighed
    at, one, other = _inside(pairs, weighed, nodes, labels)
    sure = decision.confidence[at]
    total = np.bincount(one, sure, len(nodes)) + np.bincount(other, sure, len(nodes))
    if decision.weighed is None:
        count = np.bincount(labels)[labels] - 1 if len(labels) else np.zeros(0, np.int64)
    else:
        count = np.bincount(one, minlength=len(nodes)) + np.bincount(other, minlength=len(nodes))
    return np.asarray(np.clip(total / np.maximum(count, 1), 0.0, 1.0))


def _sure(
    labels: NDArray[np.int64], confidence: NDArray[np.float64], least: float
) -> tuple[NDArray[np.int64], int]:
    """New labels without the groups that are not sure enough: their members stand alone; and how many."""
    if len(labels) == 0:
        return labels, 0
    sizes = np.bincount(labels)
    mean = np.bincount(labels, confidence) / np.maximum(sizes, 1)
    doubtful = (sizes >= _PAIR) & (mean < least)
    alone = np.flatnonzero(doubtful[labels])
    labels = labels.copy()
    labels[alone] = len(sizes) + np.arange(len(alone))
    return labels, int(doubtful.sum())


def _inside(
    pairs: Pairs, which: NDArray[np.bool_], nodes: NDArray[np.int32], labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of the pairs chosen, those whose products share a label: positions, and both places in `nodes`."""
    at = np.flatnonzero(which)
    if not len(at) or not len(nodes):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    # b is the larger of both.
    place = np.full(max(int(nodes[-1]), int(pairs.b[at].max())) + 1, -1, np.int32)
    place[nodes] = np.arange(len(nodes))
    one, other = place[pairs.a[at]], place[pairs.b[at]]
    known = (one >= 0) & (other >= 0)
    at, one, other = at[known], one[known].astype(np.int64), other[known].astype(np.int64)
    shared = labels[one] == labels[other]
    return at[shared], one[shared], other[shared]


def _guarded(
    pairs: Pairs,
    decision: Decision,
    guard: GuardRules,
    *,
    nodes: NDArray[np.int32],
    labels: NDArray[np.int64],
    name: Callable[[int], str],
) -> tuple[NDArray[np.int64], dict[int, str]]:
    """New labels after the chain guard, and what reviewers should know, by label."""
    count = int(labels.max()) + 1 if len(labels) else 0
    sizes = np.bincount(labels, minlength=count)
    near, one, other = _inside(pairs, decision.near, nodes, labels)
    apart, apart_one, apart_other = _inside(pairs, decision.judged == DIFFERENT, nodes, labels)
    full = sizes * (sizes - 1) // 2
    resembling = np.bincount(labels[one], minlength=count)
    suspect = (sizes >= _GUARDED_FROM) & (resembling < full)
    suspect[labels[apart_one]] = True
    if not suspect.any():
        return labels, {}
    members = _grouped(labels, np.flatnonzero(suspect[labels]))
    links = _grouped(labels[one], np.flatnonzero(suspect[labels[one]]))
    judged = _grouped(labels[apart_one], np.arange(len(apart)))
    review: dict[int, str] = {}
    labels = labels.copy()
    for label, inside in members.items():
        place = {int(node): number for number, node in enumerate(inside)}
        found = split(
            len(inside),
            [
                Link(
                    place[int(one[at])],
                    place[int(other[at])],
                    float(pairs.score[near[at]]),
                    accepted=bool(decision.accepted[near[at]]),
                    same=bool(decision.judged[near[at]] == SAME),
                )
                for at in links.get(label, ())
            ],
            different=[
                (place[int(apart_one[at])], place[int(apart_other[at])]) for at in judged.get(label, ())
            ],
            cut=[place[int(node)] for node in inside if guard.cut[nodes[node]]],
            mute=[place[int(node)] for node in inside if guard.mute[nodes[node]]],
            min_share=guard.min_share,
        )
        names = [name(int(nodes[node])) for node in inside]
        for number, group in enumerate(found.groups):
            # The first group keeps the component's label, each other one gets a new one.
            new = label if number == 0 else count
            count += number > 0
            labels[inside[list(group)]] = new
            why = _why(found.refusals.get(number), len(inside), names)
            if number in found.contradicted:
                why = "; ".join(filter(None, ("judged both the same and different", why)))
            if why and len(group) > 1:
                review[new] = why
    return labels, review


def _why(refusal: Refusal | None, size: int, names: Sequence[str]) -> str:
    if refusal is None:
        return ""
    link = refusal.link
    best = f"{names[link.first]} and {names[link.second]} ({link.score:.3f})"
    begin = f"split from {size} products that hang together"
    if refusal.judged:
        return f"{begin}: a pair between two groups was judged different, though {best} match"
    shown = f"{refusal.resembling} of {refusal.counted} pairs between two groups resemble each other"
    return f"{begin}: {shown}, the best are {best}"


def _grouped(labels: NDArray[np.int64], which: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """Positions by their label, ascending."""
    chosen = which[np.argsort(labels[which], kind="stable")]
    if len(chosen) == 0:
        return {}
    sorted_labels = labels[chosen]
    starts = np.flatnonzero(np.concatenate(([True], sorted_labels[1:] != sorted_labels[:-1])))
    pieces = np.split(chosen, starts[1:])
    return {int(label): piece for label, piece in zip(sorted_labels[starts], pieces, strict=True)}


def _described(
    pairs: Pairs,
    decision: Decision,
    guard: GuardRules,
    *,
    nodes: NDArray[np.int32],
    labels: NDArray[np.int64],
    review: dict[int, str],
    preference: NDArray[np.int32],
    confidence: NDArray[np.float64],
    unsure: int,
) -> Clusters:
    """The clusters of two and more: in the order of their representatives, the representative first."""
    sizes = np.bincount(labels) if len(labels) else np.zeros(0, np.int64)
    kept = np.flatnonzero(sizes[labels] >= _PAIR) if len(labels) else np.zeros(0, np.int64)
    order = kept[np.lexsort((preference[nodes[kept]], labels[kept]))]
    old = labels[order]
    begins = np.concatenate(([True], old[1:] != old[:-1])) if len(old) else np.zeros(0, bool)
    starts = np.flatnonzero(begins)
    stands = np.full(len(sizes), -1, np.int64)
    stands[old[starts]] = order[starts]
    # Clusters in the order of their representatives' ids, so that a table of equal clusters is equal.
    rank = np.empty(len(starts), np.int64)
    rank[np.argsort(nodes[order[starts]], kind="stable")] = np.arange(len(starts))
    number = np.full(len(sizes), -1, np.int64)
    number[old[starts]] = rank
    order = order[np.argsort(number[labels[order]], kind="stable")]
    mine = labels[order]
    at, one, other = _inside(pairs, decision.near, nodes, labels)
    score = np.where(pairs.score[at] < 0, 1.0, pairs.score[at])  # judged the same, and never seen together
    to_representative = np.zeros(len(nodes))
    nearest = np.zeros(len(nodes))
    for here, there in ((one, other), (other, one)):
        np.maximum.at(nearest, here, score)
        is_link = stands[labels[here]] == there
        to_representative[here[is_link]] = score[is_link]
    is_representative = stands[mine] == order
    known = (to_representative[order] > 0) & ~is_representative
    notes: dict[int, list[str]] = defaultdict(list)
    for label, why in review.items():
        if number[label] < 0:
            continue
        notes[int(number[label])].append(why)
    for label in np.unique(old[sizes[old] > guard.largest]) if len(old) else ():
        notes[int(number[label])].append(f"more than {guard.largest} products")
    return Clusters(
        product=nodes[order].astype(np.int32),
        cluster=number[mine].astype(np.int32),
        size=sizes[mine].astype(np.int32),
        representative=nodes[stands[mine]].astype(np.int32),
        confidence=confidence[order],
        score=np.where(known, to_representative[order], nearest[order]),
        review={label: "; ".join(said) for label, said in notes.items()},
        unsure=unsure,
    )
