"""Images that are on many products, and what each of them is worth as evidence (pure).

A size chart, a banner, a "no image" image: all products that show it have an identical image, and are not
the same product. Ninety offers of one product with the maker's one photograph have one as well, and are. What
tells the two apart is what else these products show, and what their titles say:

* where they have other images, too, and those disagree, the shared one proves nothing;
* where they have nothing else, an image that looks or is called like a placeholder proves nothing;
* nor does one on many products whose titles have nothing in common;
* one on many products that nothing is known of joins them, and a person is asked to look.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

FEWEST_PRODUCTS: Final = 3
"""Products that an image is on before it is asked what it is worth: two may well be a pair."""
FEWEST_FOR_NAMES: Final = 5
"""Products before an image may be taken for a placeholder by its name."""
FEWEST_FOR_LOOKS: Final = 10
"""Products before looks or titles alone speak, or before nothing being known is worth a look."""
LEAST_FLAT: Final = 0.98
"""Share of an image that its three most frequent colours cover, from which it is a drawing. Of some 530
photographs of two shops none has so much (0.977 at most), drawn cards and tables have 0.985 and more."""

_LEAST_AGREEMENT: Final = 0.5
_ALIKE_TITLES, _UNLIKE_TITLES = 0.5, 0.25
_PAIRS_OF_TITLES: Final = 60
_PLACEHOLDER: Final = re.compile(
    r"place.?holder|no.?(image|img|photo|pic|picture)|(image|photo|picture).?(not.?available|missing)"
    r"|not.?available|coming.?soon|dummy|kein.?bild|sin.?imagen|pas.?d.?image",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"\w+")

Worth = Literal["proof", "look", "nothing"]
"""`proof`: its products are joined; `look`: joined, and a person should look; `nothing`: no vote."""


@dataclass(frozen=True, slots=True)
class SharedImage:
    """One image, in however many files, that several products have.

    Attributes:
        rows: Its rows.
        products: The products of those, each once, ascending.
        worth: What it is worth as evidence.
        why: Why, for people.
    """

    rows: NDArray[np.int64]
    products: NDArray[np.int32]
    worth: Worth = "proof"
    why: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the image itself.

    Attributes:
        speaking: By product: whether it has an image that is not on many products.
        together: By product: a number that products have in common whose other images agree.
        title: A product's title, empty where there is none; None where no product has one.
        name: What a row's image is called.
        flat: Share of a row's image that its three most frequent colours cover; NaN where nobody looked.
    """

    speaking: NDArray[np.bool_]
    together: NDArray[np.int64]
    title: Callable[[int], str] | None
    name: Callable[[int], str]
    flat: Callable[[int], float]


@dataclass(frozen=True, slots=True)
class ManyProducts:
    """Images that are on several products, image by image.

    Attributes:
        rows: Their rows.
        row_starts: Where each image's rows begin, and at last their end.
        products: Their products, ascending, each once for each image.
        product_starts: Likewise of products.
    """

    rows: NDArray[np.int64]
    row_starts: NDArray[np.int64]
    products: NDArray[np.int32]
    product_starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row_starts) - 1

    @property
    def sizes(self) -> NDArray[np.int64]:
        """On how many products each image is."""
        return np.diff(self.product_starts)

    def image(self, number: int) -> SharedImage:
        """One of them, not weighed."""
        return SharedImage(
            self.rows[self.row_starts[number] : self.row_starts[number + 1]],
            self.products[self.product_starts[number] : self.product_starts[number + 1]],
        )

    def doubtful(self, speaking: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Those that may be no proof: on so many products that names or looks speak, or on some that do.

        Args:
            speaking: By product: whether it has an image that is not on many products.
        """
        voices = np.add.reduceat(speaking[self.products], self.product_starts[:-1], dtype=np.int64)
        return np.flatnonzero((voices > 1) | (self.sizes >= FEWEST_FOR_NAMES))


def on_many_products(
    label: NDArray[np.int64], product: NDArray[np.int32], counted: NDArray[np.bool_]
) -> ManyProducts | None:
    """Images that are on at least `FEWEST_PRODUCTS` products; None where there is none.

    Args:
        label: By row: a number that rows have in common whose images are one.
        product: By row.
        counted: Which rows count.
    """
    many = np.bincount(label[counted], minlength=int(label.max(initial=0)) + 1) >= FEWEST_PRODUCTS
    rows = np.flatnonzero(counted & many[label])
    rows = rows[np.argsort(label[rows], kind="stable")]
    if len(rows) == 0:
        return None
    both = np.unique((label[rows].astype(np.int64) << 32) | product[rows])
    named, sizes = np.unique(both >> 32, return_counts=True)
    named = named[sizes >= FEWEST_PRODUCTS]
    if len(named) == 0:
        return None
    kept = np.zeros(len(many), bool)
    kept[named] = True
    rows, both = rows[kept[label[rows]]], both[kept[both >> 32]]
    return ManyProducts(
        rows.astype(np.int64),
        _starts(label[rows]),
        (both & 0xFFFFFFFF).astype(np.int32),
        _starts(both >> 32),
    )


def _starts(sorted_labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each label begins, and the end."""
    changes = np.flatnonzero(sorted_labels[1:] != sorted_labels[:-1]) + 1
    return np.concatenate(([0], changes, [len(sorted_labels)])).astype(np.int64)


def weighed(image: SharedImage, known: Known) -> SharedImage:
    """The image with what it is worth, and why."""
    worth, why = _worth(image, known)
    return SharedImage(image.rows, image.products, worth, why)


def _worth(image: SharedImage, known: Known) -> tuple[Worth, str]:
    count = len(image.products)
    speaking = image.products[known.speaking[image.products]]
    if len(speaking) > 1:
        agree = _agreement(known.together[speaking]) >= _LEAST_AGREEMENT
        how = "agree" if agree else "differ"
        return "proof" if agree else "nothing", f"on {count:,} products whose other images {how}"
    titles = _likeness(image.products, known.title)
    if titles is not None and titles >= _ALIKE_TITLES:
        return "proof", f"on {count:,} products of one title"
    placeholder = _placeholder(int(image.rows[0]), count, known)
    if placeholder is not None:
        return "nothing", f"on {count:,} products and {placeholder}"
    if count < FEWEST_FOR_LOOKS:
        return "proof", f"on {count:,} products that show nothing else"
    if titles is not None and titles <= _UNLIKE_TITLES:
        return "nothing", f"on {count:,} products whose titles have nothing in common"
    return "look", f"one image is all that {count:,} products show"


def _placeholder(row: int, count: int, known: Known) -> str | None:
    """How an image on so many products gives away that it stands for a missing one; None: it does not."""
    if count >= FEWEST_FOR_NAMES and _PLACEHOLDER.search(known.name(row)):
        return "called like a placeholder"
    if count >= FEWEST_FOR_LOOKS and known.flat(row) >= LEAST_FLAT:
        return "a drawing of few colours, like a placeholder"
    return None


def _agreement(together: NDArray[np.int64]) -> float:
    """The share of pairs that have a number in common."""
    count = len(together)
    sizes = np.unique(together, return_counts=True)[1]
    return float((sizes * (sizes - 1)).sum() / (count * (count - 1)))


def _likeness(products: NDArray[np.int32], title: Callable[[int], str] | None) -> float | None:
    """How many words titles have in common on average, 0 to 1; None where too few have a title."""
    if title is None:
        return None
    step = max(1, len(products) // 12)
    words = [frozenset(_WORD.findall(title(int(each)).casefold())) for each in products[::step]]
    words = [some for some in words if some]
    if len(words) < FEWEST_PRODUCTS:
        return None
    pairs = list(combinations(words, 2))[:_PAIRS_OF_TITLES]
    return sum(len(one & other) / len(one | other) for one, other in pairs) / len(pairs)


def without_images(
    images: Sequence[SharedImage], product: NDArray[np.int32], shown: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Products that have nothing but images that prove nothing, ascending.

    Args:
        images: What was weighed.
        product: By row.
        shown: Rows that count.
    """
    nothing = [image.rows for image in images if image.worth == "nothing"]
    if not nothing:
        return np.zeros(0, np.int32)
    useless = np.zeros(len(product), bool)
    useless[np.concatenate(nothing)] = True
    usable = np.zeros(int(product.max(initial=-1)) + 1, bool)
    without = usable.copy()
    without[product[shown & useless]] = True
    usable[product[shown & ~useless]] = True
    return np.flatnonzero(without & ~usable).astype(np.int32)
