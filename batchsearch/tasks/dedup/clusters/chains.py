"""The chain guard: a group whose members do not resemble each other is taken apart.

Connected components follow chains: A is like B, B like C, and A is nothing like C. Within one component
groups are therefore joined step by step, and two groups become one only if at least `min_share` of the pairs
between them resemble each other. One bridge between two tight groups is not enough. First come the pairs
whose members resemble the same others, then those with the higher score: a bridge has the former's least,
whatever its score. Pairs judged `same` join in any case; no group ever holds a pair judged `different`,
unless pairs judged `same` force it.

A pair that no search shows does not resemble: it scores at most what the last entry of either list of hits
scores. Only where both lists were full to their ends with products that score enough to be the same may it
still be one, and is not counted. Nor is a pair with a product that could not be searched: its silence, and
that of others about it, say nothing.

Many components are taken apart at once, as none has to do with another. What is known of members, links and
groups is in columns of numbers, some 60 bytes a member and 50 a link, in files where they are many; no member
is an object of its own.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from batchsearch.tasks.dedup.candidates import in_pieces
from batchsearch.tasks.dedup.candidates.in_pieces import (
    Grouping,
    begins_of,
    in_order,
    pieces,
    places_of,
)
from batchsearch.tasks.dedup.candidates.matches import pair_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.off_memory import Room

_REMEMBERED: Final = 1 << 17
"""Groups that were not joined are not looked at again while they stay as they are: so many pairs."""

_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs of members that resemble each other, each once, ascending; arrays of one length.

    Attributes:
        first: One member.
        second: The other, larger one.
        score: 0 to 1.
        accepted: Whether they are duplicates; else they only resemble each other.
        same: Whether a person has said so.
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    score: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    same: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, slots=True)
class Silent:
    """What lists of hits do not tell, by member.

    Attributes:
        cut: Members whose lists of hits were full to their ends with scores that are enough.
        mute: Members of which no search says anything.
    """

    cut: NDArray[np.bool_]
    mute: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Split:
    """What became of components.

    Attributes:
        home: By member: the first member of its group.
        refused: By that first member: the strongest link that its group was refused for; -1 for none.
        resembling: Likewise: pairs between the two groups that resemble each other.
        counted: Likewise: pairs between them that count.
        judged: Likewise: whether a pair judged different is between them.
        contradicted: First members of groups that hold a pair judged `different`.
    """

    home: NDArray[np.int32]
    refused: NDArray[np.int32]
    resembling: NDArray[np.int64]
    counted: NDArray[np.int64]
    judged: NDArray[np.bool_]
    contradicted: frozenset[int]


def split(
    links: Links,
    silent: Silent,
    *,
    different: Iterable[tuple[int, int]] = (),
    min_share: float,
    room: Room,
) -> Split:
    """Take components apart whose members do not resemble each other.

    Args:
        links: Their pairs.
        silent: What lists of hits do not tell of their members.
        different: Pairs that people have judged different.
        min_share: Share of the pairs between two groups that must resemble each other, above 0 to 1.
        room: For what memory does not hold.

    Raises:
        OutputError: The disk refuses.
    """
    return _Splitting(links, silent, tuple(different), min_share, room).run()


class _Around:
    """The members that each member resembles."""

    def __init__(self, links: Links, silent: Silent, room: Room) -> None:
        size = len(silent.mute)
        self.sizes = room.array(size, np.int32, 0)
        for some in pieces(len(links)):
            for ends in (links.first[some], links.second[some]):
                np.add.at(self.sizes, ends, np.int32(1))
        grouping = Grouping(self.sizes, room)
        self.begins = grouping.begins
        self.members = room.array(2 * len(links), np.int32)
        self.certain = room.array(2 * len(links), bool)
        for some in pieces(len(links)):
            one, other = links.first[some], links.second[some]
            certain = ~(silent.mute[one] | silent.mute[other] | (silent.cut[one] & silent.cut[other]))
            at = grouping.places(np.concatenate((one, other)))
            self.members[at] = np.concatenate((other, one))
            self.certain[at] = np.tile(certain, 2)


def _by_strength(links: Links, around: _Around, room: Room) -> NDArray[np.int32]:
    """The accepted links that nobody has judged, the strongest first."""
    accepted = room.array(len(links), bool)
    key = room.array(len(links), np.int64)
    for some in pieces(len(links)):
        accepted[some] = links.accepted[some] & ~links.same[some]
        key[some] = pair_key(links.first[some], links.second[some])
    asked = places_of(accepted, room)
    strength = room.array(len(asked), np.complex128)
    for some in pieces(len(asked)):
        at = asked[some]
        strength[some] = -_shared(links.first[at], links.second[at], around, key, room) - 1j * links.score[at]
    order = in_order(strength, room)
    for some in pieces(len(order)):
        order[some] = asked[order[some]]
    return order


def _shared(
    one: NDArray[np.int32],
    other: NDArray[np.int32],
    around: _Around,
    key: NDArray[np.int64],
    room: Room,
) -> NDArray[np.float64]:
    """The share of both members' neighbours that they have in common, each its own neighbour; by link."""
    fewer = around.sizes[one] <= around.sizes[other]
    small, large = np.where(fewer, one, other), np.where(fewer, other, one)
    begins = begins_of(around.sizes[small], room)
    common = np.full(len(one), 2, np.int64)
    start = 0
    while start < len(one):
        end = int(np.searchsorted(begins, begins[start] + in_pieces.AT_ONCE, "right")) - 1
        end = max(end, start + 1)
        times = np.diff(begins[start : end + 1])
        link = np.repeat(np.arange(start, end), times)
        at = np.arange(len(link)) + np.repeat(around.begins[small[start:end]] - begins[start:end], times)
        third, opposite = around.members[at + begins[start]], large[link]
        wanted = pair_key(np.minimum(third, opposite), np.maximum(third, opposite))
        place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        common += np.bincount(link[key[place] == wanted], minlength=len(one))
        start = end
    around_both = around.sizes[one].astype(np.int64) + around.sizes[other] + 2
    return np.asarray(common / (around_both - common))


class _Splitting:
    """Joins groups one after the other: of each, members in a ring, and numbers by what stands for it."""

    def __init__(
        self,
        links: Links,
        silent: Silent,
        different: tuple[tuple[int, int], ...],
        min_share: float,
        room: Room,
    ) -> None:
        self._room = room
        self._min_share = min_share
        self._different = different
        around = _Around(links, silent, room)
        self._size = len(silent.mute)
        self._waiting = _by_strength(links, around, room)
        self._same = places_of(links.same, room)
        self._first, self._second = _view(links.first), _view(links.second)
        self._begins = _view(around.begins)
        self._around, self._certain = _view(around.members), _view(around.certain)
        self._parents = room.array(self._size, np.int32)
        ring = room.array(self._size, np.int32)
        weight = room.array(self._size, np.int64)
        speaking, cut = (room.array(self._size, np.int32) for _ in range(2))
        for some in pieces(self._size):
            self._parents[some] = ring[some] = np.arange(some.start, some.stop)
            weight[some] = around.sizes[some]
            speaking[some] = ~silent.mute[some]
            cut[some] = silent.cut[some] & ~silent.mute[some]
        self._parent, self._ring, self._weight = _view(self._parents), _view(ring), _view(weight)
        self._speaking, self._cut = _view(speaking), _view(cut)
        self._forbidden: defaultdict[int, set[int]] = defaultdict(set)
        for one, other in different:
            self._forbidden[one].add(other)
            self._forbidden[other].add(one)
        self._refused: dict[tuple[int, int], tuple[int, int]] = {}

    def run(self) -> Split:
        for link in _each(self._same):
            self._join(self._home(self._first[link]), self._home(self._second[link]))
        waiting, left = _view(self._waiting), len(self._waiting)
        while True:
            kept = 0
            for at in range(left):
                if not self._settled(waiting[at]):
                    waiting[kept] = waiting[at]
                    kept += 1
            if kept == left:
                return self._result(waiting[:left])
            left = kept

    def _home(self, member: int) -> int:
        """What stands for a member's group."""
        parent = self._parent
        up = parent[member]
        while up != member:
            further = parent[up]
            parent[member] = further
            member, up = up, further
        return member

    def _settled(self, link: int) -> bool:
        """Whether the two are in one group, after trying to bring them there."""
        one, other = self._home(self._first[link]), self._home(self._second[link])
        if one == other:
            return True
        both, weights = (one, other), (self._weight[one], self._weight[other])
        if self._refused.get(both) == weights:
            return False
        if not self._are_forbidden(one, other):
            resembling, counted = self._between(one, other)
            if resembling >= self._min_share * counted:
                self._join(one, other)
                return True
        if len(self._refused) >= _REMEMBERED:
            self._refused.clear()
        self._refused[both] = weights
        return False

    def _are_forbidden(self, one: int, other: int) -> bool:
        return one in self._forbidden and other in self._forbidden[one]

    def _between(self, one: int, other: int) -> tuple[int, int]:
        """Pairs between two groups: how many resemble each other, how many count."""
        if self._weight[one] > self._weight[other]:
            one, other = other, one
        resembling = certain = 0
        begins, around, home = self._begins, self._around, self._home
        member = one
        while True:
            for at in range(begins[member], begins[member + 1]):
                if home(around[at]) == other:
                    resembling += 1
                    certain += self._certain[at]
            member = self._ring[member]
            if member == one:
                break
        unseen = self._speaking[one] * self._speaking[other] - self._cut[one] * self._cut[other] - certain
        return resembling, resembling + unseen

    def _join(self, one: int, other: int) -> None:
        if one == other:
            return
        if self._weight[one] < self._weight[other]:
            one, other = other, one
        self._parent[other] = one
        self._ring[one], self._ring[other] = self._ring[other], self._ring[one]
        for numbers in (self._weight, self._speaking, self._cut):
            numbers[one] += numbers[other]
        for third in self._forbidden.pop(other, ()):
            if third != one:
                self._forbidden[third].discard(other)
                self._forbidden[third].add(one)
                self._forbidden[one].add(third)
        if one in self._forbidden:
            self._forbidden[one].discard(other)

    def _result(self, refused: memoryview[Any]) -> Split:
        size, room = self._size, self._room
        found = Split(
            home=room.array(size, np.int32),
            refused=room.array(size, np.int32, _NONE),
            resembling=room.array(size, np.int64, 0),
            counted=room.array(size, np.int64, 0),
            judged=room.array(size, bool, 0),
            contradicted=frozenset(),
        )
        smallest = room.array(size, np.int32, size)
        for some in pieces(size):
            up = self._parents[some]
            while not np.array_equal(further := self._parents[up], up):
                up = further
            found.home[some] = up
            np.minimum.at(smallest, up, np.arange(some.start, some.stop, dtype=np.int32))
        for some in pieces(size):
            found.home[some] = smallest[found.home[some]]
        home = _view(found.home)
        strongest = _view(found.refused)
        for link in refused:
            groups = (home[self._first[link]], home[self._second[link]])
            new = [group for group in groups if strongest[group] == _NONE]
            if not new:
                continue
            one, other = (self._home(group) for group in groups)
            resembling, counted = self._between(one, other)
            for group in new:
                strongest[group] = link
                found.resembling[group], found.counted[group] = resembling, counted
                found.judged[group] = self._are_forbidden(one, other)
        contradicted = frozenset(home[one] for one, other in self._different if home[one] == home[other])
        return Split(found.home, found.refused, found.resembling, found.counted, found.judged, contradicted)


def _view(numbers: NDArray[Any]) -> memoryview[Any]:
    """The same numbers, of which Python picks single ones faster."""
    return memoryview(numbers)  # type: ignore[arg-type]  # numpy's arrays are buffers


def _each(numbers: NDArray[np.int32]) -> Iterator[int]:
    for some in pieces(len(numbers)):
        yield from numbers[some].tolist()
