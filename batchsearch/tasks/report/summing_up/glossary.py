"""What the words on a page mean, in one sentence each: only those that the page uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

Word = tuple[str, str]

_OF_RUNS: Final[tuple[Word, ...]] = (
    ("row", "One line of the manifest, the table that the job was given. Each has exactly one outcome."),
    ("outcome", "How a row ended: ok, or a code that says why not."),
    ("owner", "Who can mend a failure: whoever gives the images, the job, the account, the service …"),
    ("call", "One request to the service. A call that fails for a passing reason is repeated."),
    ("denied", "A call that the service refused because it came too soon. It is made again."),
    ("slot", "One call that the purchased rate allows. Unused ones are gone."),
    ("latency", "How long a row's last call took, from sending it to its answer."),
    ("saved slots", "Calls that were not needed: refused beforehand, the same as another row's, or known."),
)
_OF_IMAGES: Final[tuple[Word, ...]] = (
    ("region", "Where the service, or the embedded instance, sees the product in an image; drawn in colour."),
)
_OF_SCORES: Final[tuple[Word, ...]] = (
    (
        "score",
        "How alike two images are, from 0 to 1. It is no percentage: what is high depends on the goods.",
    ),
)
_WORDS: Final[Mapping[str, tuple[Word, ...]]] = {
    "search": (
        ("hit", "An image that a search found, the most alike first."),
        *_OF_SCORES,
        *_OF_IMAGES,
        *_OF_RUNS,
    ),
    "compare": (
        ("pair", "Two images that were compared."),
        *_OF_SCORES,
        ("median", "Half of the scores are below it, half above."),
        ("quantile", "9 of 10: nine of ten values are at most this."),
        (
            "standard deviation",
            "How far scores are spread around their mean, over all these pairs: not a sample's estimate.",
        ),
        ("group", "Pairs that the job told to be summed up together."),
        *_OF_RUNS,
    ),
    "upkeep": (*_OF_IMAGES, *_OF_RUNS),
    "dedup": (
        ("product", "Something that is sold, with one or more images."),
        ("pair", "Two products of which an image resembles one of the other's."),
        ("accepted", "The two count as the same product."),
        ("cluster", "Products that are the same one, by accepted pairs."),
        ("duplicate", "Every product of a cluster but the one to keep."),
        (
            "keep this one",
            "The product that is proposed to be kept of a cluster; the job says by which rule.",
        ),
        (
            "confidence",
            "How sure it is, 0 to 1, that products of a cluster belong together: the mean over their pairs.",
        ),
        ("threshold", "The score that a pair needs to be accepted."),
        (
            "to be looked at",
            "Something speaks against a cluster, or for splitting it: a person decides better.",
        ),
        ("judgement", "What a person says of a pair: same or different. It wins over everything else."),
        *_OF_SCORES,
        *_OF_IMAGES,
        *_OF_RUNS,
    ),
}


def glossary_of(kind: str) -> tuple[Word, ...]:
    """The words of a page, by what it is about: `search`, `compare`, `upkeep` or `dedup`."""
    return _WORDS[kind]
