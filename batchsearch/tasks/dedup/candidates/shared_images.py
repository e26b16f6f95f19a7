"""Images that are on many products, and what each of them is worth as evidence.

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
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from batchsearch.tasks.dedup.candidates.in_pieces import Grouping, begins_of, pieces, places_of
from batchsearch.tasks.dedup.candidates.off_memory import Numbers, Room

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

    rows: NDArray[np.integer[Any]]
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
    together: NDArray[np.integer[Any]]
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

    rows: NDArray[np.int32]
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
        return np.flatnonzero((self.voices(speaking) > 1) | (self.sizes >= FEWEST_FOR_NAMES))

    def voices(self, speaking: NDArray[np.bool_]) -> NDArray[np.int64]:
        """By image: how many of its products speak. Argument as of `doubtful`."""
        voices = np.empty(len(self), np.int64)
        for some in pieces(len(self)):
            starts = self.product_starts[some.start : some.stop + 1]
            said = speaking[self.products[starts[0] : starts[-1]]]
            voices[some] = np.add.reduceat(said, starts[:-1] - starts[0], dtype=np.int64)
        return voices


def on_many_products(
    label: NDArray[np.integer[Any]],
    product: NDArray[np.int32],
    counted: NDArray[np.bool_],
    rows: NDArray[np.int32] | None = None,
    room: Room | None = None,
) -> ManyProducts | None:
    """Images that are on at least `FEWEST_PRODUCTS` products; None where there is none.

    Args:
        label: By row asked for: a number that rows have in common whose images are one.
        product: By row.
        counted: By row: whether it counts.
        rows: The rows asked for, ascending; None for all.
        room: For what memory does not hold; None keeps all in memory.

    Raises:
        OutputError: The disk refuses.
    """
    room = room or Room()
    rows = np.arange(len(label), dtype=np.int32) if rows is None else rows
    sizes = room.array(int(label.max(initial=-1)) + 1, np.int32, 0)
    for some in pieces(len(rows)):
        np.add.at(sizes, label[some][counted[rows[some]]], np.int32(1))
    for some in pieces(len(sizes)):
        sizes[some][sizes[some] < FEWEST_PRODUCTS] = 0
    grouping = Grouping(sizes, room)
    by_image = room.array(int(grouping.begins[-1]), np.int32)
    for some in pieces(len(rows)):
        asked = np.flatnonzero(counted[rows[some]] & (sizes[label[some]] > 0))
        by_image[grouping.places(label[some][asked])] = rows[some][asked]
    found, products = Numbers(np.int32, room), Numbers(np.int32, room)
    many_rows, many_products = Numbers(np.int32, room), Numbers(np.int32, room)
    for start, end in grouping.bounds():
        row = by_image[grouping.begins[start] : grouping.begins[end]]
        image = np.repeat(np.arange(end - start), sizes[start:end])
        both = np.sort((image << 32) | product[row])
        both = both[np.concatenate(([True], both[1:] != both[:-1]))] if len(both) else both
        on = np.bincount(both >> 32, minlength=end - start)
        kept = on >= FEWEST_PRODUCTS
        found.add(row[kept[image]])
        many_rows.add(sizes[start:end][kept])
        products.add(both[kept[both >> 32]] & 0xFFFFFFFF)
        many_products.add(on[kept])
    if not len(many := many_rows.array()):
        return None
    return ManyProducts(
        found.array(), begins_of(many, room), products.array(), begins_of(many_products.array(), room)
    )


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


def _agreement(together: NDArray[np.integer[Any]]) -> float:
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
    images: Sequence[SharedImage],
    product: NDArray[np.int32],
    shown: NDArray[np.bool_],
    room: Room | None = None,
) -> NDArray[np.int32]:
    """Products that have nothing but images that prove nothing, ascending.

    Args:
        images: What was weighed.
        product: By row.
        shown: Rows that count.
        room: For what memory does not hold; None keeps all in memory.

    Raises:
        OutputError: The disk refuses.
    """
    nothing = [image.rows for image in images if image.worth == "nothing"]
    if not nothing:
        return np.zeros(0, np.int32)
    room = room or Room()
    useless = room.array(len(product), bool, 0)
    for rows in nothing:
        useless[rows] = True
    count = max((int(product[some].max()) for some in pieces(len(product))), default=-1) + 1
    usable, without = room.array(count, bool, 0), room.array(count, bool, 0)
    for some in pieces(len(product)):
        without[product[some][shown[some] & useless[some]]] = True
        usable[product[some][shown[some] & ~useless[some]]] = True
    for some in pieces(count):
        without[some] &= ~usable[some]
    return places_of(without, room)
