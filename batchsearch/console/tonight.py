"""What judgements would change when the next night follows them: clusters joined and parted (pure).

Counted from the last night's pairs alone: what a night would find anew, and its guard against chains, are not
in it. So it tells what the judgements do, not what the night will say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Tonight:
    """What would change.

    Attributes:
        fresh: Judgements that the last night did not know.
        before: Clusters of two and more products, by the last night's decisions.
        after: Clusters, by the judgements as well.
        joined: Products that would stand together with others than before, some of them by name.
        parted: Products that would no longer stand with all that they stood with, likewise.
        joined_count: How many were joined.
        parted_count: How many were parted.
    """

    fresh: int
    before: int
    after: int
    joined: tuple[str, ...]
    parted: tuple[str, ...]
    joined_count: int
    parted_count: int

    @property
    def is_nothing(self) -> bool:
        """Whether the clusters would stay as they are."""
        return not self.joined_count and not self.parted_count


def tonight(
    pairs: Iterable[tuple[str, str, bool, str | None]], judged: Mapping[tuple[str, str], str]
) -> Tonight:
    """What judgements would change.

    Args:
        pairs: Both products of each pair of the last night, whether it was accepted, and how it was judged
            then: `same`, `different` or None.
        judged: The judgements that hold now, by both products, the smaller first. A `same` that is taken
            back counts as a pair that is not accepted.
    """
    known: dict[tuple[str, str], str | None] = {}
    accepted: set[tuple[str, str]] = set()
    for one, other, is_accepted, said in pairs:
        pair = (min(one, other), max(one, other))
        known[pair] = said
        if is_accepted:
            accepted.add(pair)
    fresh = {pair: said for pair, said in judged.items() if known.get(pair) != said}
    taken_back = {pair for pair, said in known.items() if said == "same" and pair not in judged}
    kept = {pair for pair in accepted if judged.get(pair) != "different"} - taken_back
    added = {pair for pair, said in judged.items() if said == "same"}
    before, after = _clusters(accepted), _clusters(kept | added)
    joined, parted = _gained(before, after), _gained(after, before)
    return Tonight(
        fresh=len(fresh) + len(taken_back),
        before=len(set(before.values())),
        after=len(set(after.values())),
        joined=tuple(joined[:MOST_SHOWN]),
        parted=tuple(parted[:MOST_SHOWN]),
        joined_count=len(joined),
        parted_count=len(parted),
    )


def _gained(before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]) -> list[str]:
    """Products that stand with some that they did not stand with before."""
    return sorted(product for product, group in after.items() if group - before.get(product, {product}))


def _clusters(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """The products that each product stands with, itself among them."""
    parents: dict[str, str] = {}

    def root(product: str) -> str:
        parents.setdefault(product, product)
        while parents[product] != product:
            parents[product] = parents[parents[product]]
            product = parents[product]
        return product

    for one, other in pairs:
        parents[root(one)] = root(other)
    members: dict[str, set[str]] = {}
    for product in list(parents):
        members.setdefault(root(product), set()).add(product)
    return {product: frozenset(group) for group in members.values() for product in group}
