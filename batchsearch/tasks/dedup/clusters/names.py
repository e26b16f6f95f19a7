"""Names that stay: a cluster keeps its id from night to night (pure)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def cluster_ids(
    clusters: Sequence[Sequence[str]], representatives: Sequence[str], earlier: Mapping[str, str]
) -> list[str]:
    """The id of each cluster.

    A cluster takes over the id that most of its members had the night before; of several clusters that might
    take one id over, the one with most of its former members does. A new cluster is named after the product
    that stands for it at first sight.

    Args:
        clusters: The members of each.
        representatives: The product that stands for each.
        earlier: The id of the night before, by product.
    """
    claims = []
    for number, members in enumerate(clusters):
        votes = Counter(earlier[member] for member in members if member in earlier) if earlier else Counter()
        claims += [(-count, name, number) for name, count in votes.items()]
    ids: dict[int, str] = {}
    taken: set[str] = set()
    for _, name, number in sorted(claims, key=lambda claim: (claim[0], claim[1], representatives[claim[2]])):
        if number not in ids and name not in taken:
            ids[number] = name
            taken.add(name)
    taken |= set(earlier.values())
    for number, representative in enumerate(representatives):
        if number in ids:
            continue
        name, again = representative, 2
        while name in taken:
            name, again = f"{representative}~{again}", again + 1
        ids[number] = name
        taken.add(name)
    return [ids[number] for number in range(len(clusters))]
