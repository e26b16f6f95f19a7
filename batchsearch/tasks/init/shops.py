"""The exports of shops and feeds, known by their columns: which of these are what (pure).

Names are compared in lower case, with `_` for blanks, dashes and dots; `*` stands for anything. What an
export is taken to be is a proposal: `guesses` checks every column of it against the values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Shop:
    """One kind of export.

    Attributes:
        name: What people call it.
        known_by: Columns that tell it: of each group one is there.
        product: Columns that name a product, the likelier first.
        images: Columns with its images, in order.
        title: Columns with its title.
        group: Columns whose equal values make rows a product or a family of variants.
        parent: Columns that a row's `group` refers to.
        without_image: What becomes of rows without an image.
        fill: Columns that only the first row of a group has.
        where: Column that has to be empty in the rows that are wanted, such as a translation's language.
        roots: Folders in which the shop keeps the files that it names.
        base: How the addresses of its images begin, for a hint.
    """

    name: str
    known_by: tuple[tuple[str, ...], ...]
    product: tuple[str, ...]
    images: tuple[str, ...]
    title: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    parent: tuple[str, ...] = ()
    without_image: Literal["fail", "skip", "inherit"] = "skip"
    fill: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    base: str = ""


SHOPS: Final = (
    Shop(
        "Shopify",
        (("handle", "url_handle"), ("title",), ("image_src", "product_image_url")),
        product=("handle", "url_handle"),
        images=("image_src", "product_image_url"),
        title=("title",),
        group=("handle", "url_handle"),
        fill=("title", "vendor", "type", "product_category", "status"),
    ),
    Shop(
        "WooCommerce",
        (("type", "typ"), ("sku", "artikelnummer"), ("name",), ("images", "bilder")),
        product=("id", "sku", "artikelnummer"),
        images=("images", "bilder"),
        title=("name",),
        group=("parent", "übergeordnetes_produkt", "eltern"),
        parent=("sku", "artikelnummer"),
        without_image="inherit",
        roots=("wp-content/uploads",),
    ),
    Shop(
        "Magento / Adobe Commerce",
        (("sku",), ("base_image", "image"), ("product_type", "attribute_set_code", "_attribute_set")),
        product=("sku",),
        images=("base_image", "image", "additional_images", "media_gallery"),
        title=("name",),
        where=("store_view_code", "_store"),
        roots=("pub/media/catalog/product", "media/catalog/product", "media/import", "pub/media/import"),
        base="https://SHOP/media/catalog/product/",
    ),
    Shop(
        "Shopware 6",
        (("product_number", "productnumber"), ("cover_media_url", "cover_url", "media")),
        product=("product_number", "productnumber", "id"),
        images=("cover_media_url", "cover_url", "media"),
        title=("name", "name_*", "translations_default_name", "translations_*_name"),
        group=("parent_id", "parentid"),
        parent=("id",),
        without_image="inherit",
        roots=("public/media",),
    ),
    Shop(
        "Shopware 5",
        (("ordernumber",), ("mainnumber", "supplier", "name"), ("imageurl", "image", "images")),
        product=("ordernumber",),
        images=("imageurl", "image", "images"),
        title=("name",),
        group=("mainnumber",),
        without_image="inherit",
        roots=("media/image",),
    ),
    Shop(
        "Amazon flat file",
        (("item_sku", "contribution_sku*"), ("main_image_url", "main_product_image_locator*")),
        product=("item_sku", "contribution_sku*"),
        images=(
            "main_image_url", "main_offer_image*", "main_product_image_locator*",
            "other_image_url*", "other_product_image_locator*",
        ),
        title=("item_name", "item_name*"),
    ),
    Shop(
        "PrestaShop",
        (
            ("product_id", "id_product", "id"),
            ("image_urls*", "image_url*", "cover", "image"),
            ("active*", "price_tax*", "price_(tax*", "id_tax_rules_group", "categories_(*", "reference*"),
            ("name*",),
        ),
        product=("product_id", "id_product", "id", "reference*"),
        images=("image_urls*", "image_url*", "cover", "image"),
        title=("name*",),
        roots=("img/p",),
    ),
    Shop(
        "Google Merchant",
        (("id",), ("title",), ("image_link",)),
        product=("id",),
        images=("image_link", "additional_image_link*", "lifestyle_image_link"),
        title=("title",),
        without_image="fail",
    ),
)  # fmt: skip


def plain(name: str) -> str:
    """A column's name as it is compared."""
    return re.sub(r"[\s\-.]+", "_", name.strip().lower())


def shop_of(names: Sequence[str]) -> Shop | None:
    """The kind of export that columns of these names are, or None."""
    there = [plain(name) for name in names]
    return next((shop for shop in SHOPS if all(_any(group, there) for group in shop.known_by)), None)


def matching(wanted: Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns that are called so, in the order in which they are wanted."""
    found: dict[str, None] = {}
    for pattern in wanted:
        found |= dict.fromkeys(name for name in names if fnmatchcase(plain(name), pattern))
    return list(found)


def _any(group: Sequence[str], there: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in group for name in there)
