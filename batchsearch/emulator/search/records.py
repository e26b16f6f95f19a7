"""The plain records that pass between the protocol half and the search half of the emulator.

All are values: frozen, comparable, made of numbers and text only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchsearch.service.facts import DEFAULT_NUM

if TYPE_CHECKING:
    from batchsearch.service.expressions import Expression


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of an image, in pixels of the image that was sent, in the vendor's order.

    Attributes:
        x1: Column of the upper-left pixel.
        x2: Column of the lower-right pixel, which belongs to the box.
        y1: Row of the upper-left pixel.
        y2: Row of the lower-right pixel, which belongs to the box.
    """

    x1: int
    x2: int
    y1: int
    y2: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.x2 - self.x1 + 1

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.y2 - self.y1 + 1

    @property
    def area(self) -> int:
        """Pixels inside."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a product as the catalogue holds it; product id and image name are its key.

    Attributes:
        product_id: The product's id.
        pic_name: The image's name, unique within the product.
        category_id: The category; None in an item to be added asks for a prediction.
        custom_content: Whatever the customer wants back with a hit.
        int_attr: First integer attribute, 32 bits, like the next three.
        int_attr2: Second integer attribute.
        int_attr3: Third integer attribute.
        int_attr4: Fourth integer attribute.
        str_attr: First text attribute, like the next three.
        str_attr2: Second text attribute.
        str_attr3: Third text attribute.
        str_attr4: Fourth text attribute.
    """

    product_id: str
    pic_name: str
    category_id: int | None = None
    custom_content: str | None = None
    int_attr: int | None = None
    int_attr2: int | None = None
    int_attr3: int | None = None
    int_attr4: int | None = None
    str_attr: str | None = None
    str_attr2: str | None = None
    str_attr3: str | None = None
    str_attr4: str | None = None


NewItem = Item
"""An item that is about to be added: the same fields, its category still open."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which items a search may return, and which page of them.

    Attributes:
        num: Most hits on the page, 1 to 100.
        start: Rank of the page's first hit, from 0.
        category_id: Limits the search to this category on instances that have categories.
        filter: Limits the search to items whose attributes match.
        distinct_product_id: Keep only the best image of each product.
        score_threshold: Keep only hits that score this or more, 0 to 1.
    """

    num: int = DEFAULT_NUM
    start: int = 0
    category_id: int | None = None
    filter: Expression | None = None
    distinct_product_id: bool = False
    score_threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class Hit:
    """One item found.

    Attributes:
        item: The item, with its category.
        score: Similarity, 0 to 1, six decimals; 1 for the same image.
        sort_expr_values: The vendor's older score, `"<float>;<int>"`.
    """

    item: Item
    score: float
    sort_expr_values: str


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What was made of the image that was sent.

    Attributes:
        category_id: The category given, or else predicted.
        region: The subject: the region given, or else the one identified; None where the instance
            ignores subjects (fabric).
        multi_region: Every subject identified, the main one first.
    """

    category_id: int
    region: Box | None
    multi_region: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One page of a search.

    Attributes:
        hits: The page, best first.
        total: How many items match the query on all pages together, beyond the 500 that pages can reach
            too; products with `distinct_product_id`.
        info: What was made of the image.
    """

    hits: tuple[Hit, ...]
    total: int
    info: ImageInfo
