"""The chain guard as one would write it down: members, links and groups are objects, and groups are joined.

What it says of a component is what `chains.split` must say of it, which has columns of numbers instead.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from batchsearch.tasks.dedup.candidates.off_memory import Room
from batchsearch.tasks.dedup.clusters import chains

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


@dataclass(frozen=True, slots=True)
class Link:
    """Two members of a component, by their places in it, and what is known of them.

    Attributes:
        first: One member.
        second: The other.
        score: 0 to 1.
        accepted: Whether they are duplicates; else they only resemble each other.
        same: Whether a person has said so.
    """

    first: int
    second: int
    score: float
    accepted: bool = True
    same: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why two groups were not joined.

    Attributes:
        link: The accepted pair that would have joined them.
        resembling: Pairs between them that resemble each other.
        counted: Pairs between them that count.
        judged: Whether a pair judged different is between them.
    """

    link: Link
    resembling: int
    counted: int
    judged: bool


@dataclass(frozen=True, slots=True)
class Split:
    """What became of a component.

    Attributes:
        groups: Its members, ascending within each group; groups by their first member.
        refusals: The strongest link that each group was refused for, by the group's place in `groups`.
        contradicted: Groups that hold a pair judged `different`, by their place.
    """

    groups: tuple[tuple[int, ...], ...]
    refusals: dict[int, Refusal]
    contradicted: frozenset[int]


@dataclass(slots=True)
class _Group:
    """Members, how many of them could speak and had their hits cut, and what joins them to other groups."""

    members: list[int]
    speaking: int
    cut: int
    resembling: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    certain: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    forbidden: set[int] = field(default_factory=set)


def plainly_split(
    size: int,
    links: Sequence[Link],
    *,
    different: Collection[tuple[int, int]] = (),
    cut: Collection[int] = (),
    mute: Collection[int] = (),
    min_share: float,
) -> Split:
    """Take a component apart where its members do not resemble each other.

    The outcome does not depend on the order of `links`.

    Args:
        size: Members of the component, numbered from 0.
        links: Its pairs, each once.
        different: Pairs that people have judged different.
        cut: Members whose lists of hits were full to their ends with scores that are enough.
        mute: Members of which no search says anything.
        min_share: Share of the pairs between two groups that must resemble each other, above 0 to 1.
    """
    return _Splitting(size, links, different, (frozenset(cut), frozenset(mute)), min_share).run()


def _shared(one: set[int], other: set[int]) -> float:
    """The share of two members' neighbours that they have in common, each its own neighbour."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


class _Splitting:
    def __init__(
        self,
        size: int,
        links: Sequence[Link],
        different: Collection[tuple[int, int]],
        silent: tuple[frozenset[int], frozenset[int]],
        min_share: float,
    ) -> None:
        self._min_share = min_share
        self._different = different
        around: dict[int, set[int]] = {number: {number} for number in range(size)}
        for link in links:
            around[link.first].add(link.second)
            around[link.second].add(link.first)
        self._links = sorted(
            (link for link in links if link.accepted or link.same),
            key=lambda link: (
                not link.same,
                -_shared(around[link.first], around[link.second]),
                -link.score,
                link.first,
                link.second,
            ),
        )
        cut, mute = silent
        self._home = list(range(size))
        self._groups = {
            number: _Group([number], int(number not in mute), int(number in cut and number not in mute))
            for number in range(size)
        }
        for link in links:
            both = (link.first, link.second)
            certain = not any(each in mute for each in both) and not all(each in cut for each in both)
            for one, other in ((link.first, link.second), (link.second, link.first)):
                self._groups[one].resembling[other] += 1
                self._groups[one].certain[other] += certain
        for one, other in different:
            self._groups[one].forbidden.add(other)
            self._groups[other].forbidden.add(one)

    def run(self) -> Split:
        waiting = [link for link in self._links if not link.same]
        for link in self._links:
            if link.same:
                self._join(link)
        while True:
            left = [link for link in waiting if not self._settled(link)]
            if len(left) == len(waiting):
                break
            waiting = left
        return self._result(waiting)

    def _settled(self, link: Link) -> bool:
        """Whether the two are in one group, after trying to bring them there."""
        one, other = self._home[link.first], self._home[link.second]
        if one == other:
            return True
        if other in self._groups[one].forbidden:
            return False
        resembling, counted = self._between(one, other)
        if resembling < self._min_share * counted:
            return False
        self._join(link)
        return True

    def _between(self, one: int, other: int) -> tuple[int, int]:
        """Pairs between two groups: how many resemble each other, how many count."""
        first, second = self._groups[one], self._groups[other]
        resembling = first.resembling.get(other, 0)
        unseen = first.speaking * second.speaking - first.cut * second.cut - first.certain.get(other, 0)
        return resembling, resembling + unseen

    def _join(self, link: Link) -> None:
        one, other = self._home[link.first], self._home[link.second]
        if one == other:
            return
        if len(self._groups[one].members) < len(self._groups[other].members):
            one, other = other, one
        stays, goes = self._groups[one], self._groups.pop(other)
        for member in goes.members:
            self._home[member] = one
        stays.members += goes.members
        stays.speaking += goes.speaking
        stays.cut += goes.cut
        for kind in ("resembling", "certain"):
            self._move(kind, goes, one, other)
        for third in goes.forbidden:
            if third != one:
                self._groups[third].forbidden.discard(other)
                self._groups[third].forbidden.add(one)
                stays.forbidden.add(third)
        stays.forbidden.discard(other)

    def _move(self, kind: str, goes: _Group, one: int, other: int) -> None:
        """Give the counts of a group that goes to the one that takes it in."""
        taker: dict[int, int] = getattr(self._groups[one], kind)
        given: dict[int, int] = getattr(goes, kind)
        taker.pop(other, None)
        for third, count in given.items():
            if third != one:
                theirs: dict[int, int] = getattr(self._groups[third], kind)
                theirs.pop(other)
                theirs[one] += count
                taker[third] += count

    def _result(self, refused: Sequence[Link]) -> Split:
        groups = sorted(tuple(sorted(group.members)) for group in self._groups.values())
        place = {member: number for number, group in enumerate(groups) for member in group}
        refusals: dict[int, Refusal] = {}
        for link in refused:
            one, other = self._home[link.first], self._home[link.second]
            why = Refusal(link, *self._between(one, other), other in self._groups[one].forbidden)
            for member in (link.first, link.second):
                refusals.setdefault(place[member], why)
        contradicted = frozenset(place[one] for one, other in self._different if place[one] == place[other])
        return Split(tuple(groups), refusals, contradicted)


def split(
    size: int,
    links: Sequence[Link],
    *,
    different: Collection[tuple[int, int]] = (),
    cut: Collection[int] = (),
    mute: Collection[int] = (),
    min_share: float,
    room: Room | None = None,
) -> Split:
    """The same from `chains.split`."""
    ordered = sorted(links, key=lambda link: (link.first, link.second))
    silent = chains.Silent(np.zeros(size, bool), np.zeros(size, bool))
    silent.cut[list(cut)] = True
    silent.mute[list(mute)] = True
    columns = chains.Links(
        np.array([link.first for link in ordered], np.int32),
        np.array([link.second for link in ordered], np.int32),
        np.array([link.score for link in ordered], np.float64),
        np.array([link.accepted for link in ordered], bool),
        np.array([link.same for link in ordered], bool),
    )
    found = chains.split(columns, silent, different=different, min_share=min_share, room=room or Room())
    firsts = sorted(set(found.home.tolist()))
    groups = tuple(tuple(np.flatnonzero(found.home == first).tolist()) for first in firsts)
    refusals = {
        place: Refusal(
            ordered[found.refused[first]],
            int(found.resembling[first]),
            int(found.counted[first]),
            bool(found.judged[first]),
        )
        for place, first in enumerate(firsts)
        if found.refused[first] >= 0
    }
    return Split(groups, refusals, frozenset(map(firsts.index, found.contradicted)))
