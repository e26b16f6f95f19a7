"""Which images make pairs, and how many that is (pure).

A pair is named by the row keys of its two images. Of two rows the one with the smaller key, as text, is the
primary one: a pair has one name however the manifest is sorted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from batchsearch.manifest.rows import ImageReference


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a list.

    Attributes:
        key: Its row key.
        image: Where it is; None where the manifest's cell is null.
        carried: Values of the columns that are carried, in their order.
    """

    key: str
    image: ImageReference | None
    carried: tuple[Any, ...] = ()

    @property
    def inline_bytes(self) -> int:
        """Bytes that it takes in memory because the image is in the manifest itself."""
        if self.image is None:
            return 0
        return len(self.image.data or self.image.path or self.image.url or "")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images to be compared.

    Attributes:
        group: Their group; None when the list has none.
        primary: The first image.
        secondary: The second one.
    """

    group: str | None
    primary: Member
    secondary: Member


@dataclass(frozen=True, slots=True)
class GroupSizes:
    """How many rows each group has.

    Attributes:
        sizes: Rows by group, in the order of the manifest.
        without: Rows that are in no group.
    """

    sizes: Counter[str | None]
    without: int = 0

    @property
    def pairs(self) -> int:
        """Pairs that the groups make."""
        return sum(size * (size - 1) // 2 for size in self.sizes.values())

    @property
    def alone(self) -> int:
        """Groups of one row, which make no pair."""
        return sum(size == 1 for size in self.sizes.values())

    def largest(self) -> tuple[str | None, int]:
        """The group with the most rows, the first one of several; there is at least one."""
        group = max(self.sizes, key=lambda name: self.sizes[name])
        return group, self.sizes[group]


@dataclass(slots=True)
class OpenGroups:
    """Makes the pairs of every group while rows come in any order.

    Holds the members of groups that still wait for some, and no others: none at all of a group of one row,
    and one group at a time where the manifest is sorted by group.

    Attributes:
        sizes: Rows of each group.
        held_bytes: Bytes of images that are held.
    """

    sizes: GroupSizes
    held_bytes: int = 0
    _open: dict[str | None, list[Member]] = field(default_factory=dict)

    def pairs_with(self, group: str | None, member: Member) -> Iterator[Pair]:
        """The pairs of a row with those of its group that came before it."""
        size = self.sizes.sizes[group]
        if size == 1:
            return
        earlier = self._open.setdefault(group, [])
        for other in earlier:
            yield ordered(group, other, member)
        if len(earlier) + 1 < size:
            earlier.append(member)
            self.held_bytes += member.inline_bytes
            return
        del self._open[group]
        self.held_bytes -= sum(each.inline_bytes for each in earlier)


def ordered(group: str | None, one: Member, other: Member) -> Pair:
    """The pair of two rows, whichever is given first."""
    first, second = (one, other) if one.key <= other.key else (other, one)
    return Pair(group, first, second)


def too_many(pairs: int, most: int, *, rate: float, night_hours: float) -> str:
    """What to say of more pairs than are allowed.

    Args:
        pairs: How many there would be.
        most: How many may be.
        rate: Calls per second of the job; infinite for no limit.
        night_hours: Hours of a night.
    """
    hours = pairs / rate / 3600
    said = f"{pairs:,} pairs, more than `compare.max_pairs` allows ({most:,}). Each takes a call"
    if not hours:
        return said
    nights = f"{hours / night_hours:,.1f} nights of {night_hours:g} hours"
    return f"{said}: {hours:,.1f} hours at {rate:g} a second, {nights}"
