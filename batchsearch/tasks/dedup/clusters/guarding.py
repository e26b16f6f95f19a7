"""Which components the chain guard looks at, and what it makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from batchsearch.tasks.dedup.candidates.in_pieces import counted, pieces, places_of, ranks_of
from batchsearch.tasks.dedup.clusters.chains import Links, Silent, split
from batchsearch.tasks.dedup.clusters.decide import DIFFERENT, SAME
from batchsearch.tasks.dedup.clusters.reviews import Notes, no_notes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.matches import Pairs
    from batchsearch.tasks.dedup.candidates.off_memory import Room
    from batchsearch.tasks.dedup.clusters.chains import Split
    from batchsearch.tasks.dedup.clusters.decide import Decision

GUARDED_FROM: Final = 3
"""Two products that match are no chain."""


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


@dataclass(frozen=True, slots=True)
class Nodes:
    """The products that accepted pairs join.

    Attributes:
        product: By node: the product; ascending.
        place: By product: its node; -1 for none.
        label: By node: the first node of its group.
    """

    product: NDArray[np.int32]
    place: NDArray[np.int32]
    label: NDArray[np.int32]

    def inside(
        self, pairs: Pairs, which: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]]:
        """Of the pairs chosen, those whose products share a group: positions and both nodes, some at a time.

        Args:
            pairs: All pairs.
            which: Those chosen.
        """
        for some in pieces(len(pairs)):
            at = np.flatnonzero(which[some])
            one, other = self.place[pairs.a[some][at]], self.place[pairs.b[some][at]]
            known = (one >= 0) & (other >= 0)
            at, one, other = at[known], one[known], other[known]
            shared = self.label[one] == self.label[other]
            yield at[shared] + some.start, one[shared], other[shared]


def guarded(
    pairs: Pairs, decision: Decision, guard: GuardRules, nodes: Nodes, room: Room
) -> tuple[Nodes, Notes]:
    """The nodes in the groups that the chain guard leaves, and what reviewers should know.

    Raises:
        OutputError: The disk refuses.
    """
    label = nodes.label
    sizes = counted(label, len(label), room)
    suspect, count = _suspects(pairs, decision, nodes, sizes, room)
    if not suspect.any():
        return nodes, no_notes()
    asked = room.array(len(label), bool)
    for some in pieces(len(label)):
        asked[some] = suspect[label[some]]
    members, place = places_of(asked, room), ranks_of(asked, room)
    links, at = _links(pairs, decision, nodes, (suspect, place), count, room)
    silent = Silent(room.array(len(members), bool), room.array(len(members), bool))
    for some in pieces(len(members)):
        product = nodes.product[members[some]]
        silent.cut[some], silent.mute[some] = guard.cut[product], guard.mute[product]
    found = split(
        links,
        silent,
        different=_different(pairs, decision, nodes, place),
        min_share=guard.min_share,
        room=room,
    )
    said = _notes(pairs, nodes, members, (sizes, at), found, room)
    new = room.array(len(label), np.int32)
    for some in pieces(len(label)):
        new[some] = label[some]
    for some in pieces(len(members)):
        new[members[some]] = members[found.home[some]]
    return Nodes(nodes.product, nodes.place, new), said


def _suspects(
    pairs: Pairs, decision: Decision, nodes: Nodes, sizes: NDArray[np.int32], room: Room
) -> tuple[NDArray[np.bool_], int]:
    """By label: whether its members may not all resemble each other; and how many pairs in such do."""
    resembling = room.array(len(sizes), np.int64, 0)
    for _, one, _ in nodes.inside(pairs, decision.near):
        np.add.at(resembling, nodes.label[one], 1)
    suspect = room.array(len(sizes), bool)
    for some in pieces(len(sizes)):
        size = sizes[some].astype(np.int64)
        suspect[some] = (size >= GUARDED_FROM) & (resembling[some] < size * (size - 1) // 2)
    if (decision.judged == DIFFERENT).any():
        for _, one, _ in nodes.inside(pairs, decision.judged == DIFFERENT):
            suspect[nodes.label[one]] = True
    count = sum(int(resembling[some][suspect[some]].sum()) for some in pieces(len(sizes)))
    return suspect, count


def _links(  # noqa: PLR0917 - pairs, what is known of them, and which are asked for
    pairs: Pairs,
    decision: Decision,
    nodes: Nodes,
    asked: tuple[NDArray[np.bool_], NDArray[np.int32]],
    count: int,
    room: Room,
) -> tuple[Links, NDArray[np.int64]]:
    """The links of suspect groups, and the pair that each is."""
    suspect, place = asked
    links = Links(
        room.array(count, np.int32),
        room.array(count, np.int32),
        room.array(count, np.float64),
        room.array(count, bool),
        room.array(count, bool),
    )
    pair = room.array(count, np.int64)
    end = 0
    for near, one, other in nodes.inside(pairs, decision.near):
        which = suspect[nodes.label[one]]
        at = near[which]
        here = slice(end, end + len(at))
        end += len(at)
        pair[here] = at
        links.first[here], links.second[here] = place[one[which]], place[other[which]]
        links.score[here], links.accepted[here] = pairs.score[at], decision.accepted[at]
        links.same[here] = decision.judged[at] == SAME
    return links, pair


def _different(
    pairs: Pairs, decision: Decision, nodes: Nodes, place: NDArray[np.int32]
) -> Iterator[tuple[int, int]]:
    """The pairs that people have judged different, within one group."""
    for _, one, other in nodes.inside(pairs, decision.judged == DIFFERENT):
        yield from zip(place[one].tolist(), place[other].tolist(), strict=True)


def _notes(  # noqa: PLR0917 - what was found, and what its numbers stand for
    pairs: Pairs,
    nodes: Nodes,
    members: NDArray[np.int32],
    known: tuple[NDArray[np.int32], NDArray[np.int64]],
    found: Split,
    room: Room,
) -> Notes:
    sizes, pair = known
    times = counted(found.home, len(found.home), room)
    said = room.array(len(times), bool)
    for some in pieces(len(times)):
        said[some] = found.refused[some] >= 0
    said[sorted(found.contradicted)] = True
    for some in pieces(len(times)):
        said[some] &= times[some] > 1
    groups = places_of(said, room)
    notes = Notes(
        **{name: room.array(len(groups), getattr(no_notes(), name).dtype) for name in Notes.__slots__}
    )
    for some in pieces(len(groups)):
        group = groups[some]
        first, refused = members[group], found.refused[group]
        at = pair[np.maximum(refused, 0)]
        notes.group[some], notes.size[some] = first, sizes[nodes.label[first]]
        notes.one[some] = np.where(refused >= 0, pairs.a[at], -1)
        notes.other[some] = np.where(refused >= 0, pairs.b[at], -1)
        notes.score[some], notes.judged[some] = pairs.score[at], found.judged[group]
        notes.resembling[some], notes.counted[some] = found.resembling[group], found.counted[group]
        notes.contradicted[some] = np.isin(group, list(found.contradicted))
    return notes
