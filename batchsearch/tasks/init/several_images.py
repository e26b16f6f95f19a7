"""Which columns have a product's images, where rows or cells have several (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.tasks.init.column_values import image_cells, images_of
from batchsearch.tasks.init.shops import matching, plain, shop_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchsearch.tasks.init.first_look import ColumnFacts, ManifestFacts
    from batchsearch.tasks.init.shops import Shop

_ENOUGH: Final = 0.5
_IMAGE_WORDS: Final = re.compile(r"image|img|picture|photo|foto|bild|galler|galerie|media_url")
_NO_IMAGES: Final = re.compile(
    r"thumb|small|swatch|icon|logo|(?:^|_)alt|label|name|title|position|width|height|brand|_id$|count"
)
_KNOWN_BY: Final = 3


@dataclass(frozen=True, slots=True)
class SeveralImages:
    """How a table with several images of a product is read.

    Attributes:
        images: `manifest.images`.
        key: Column that names a product.
        shop: What kind of export it is; empty where only the values say it.
        title: Column with the product's title.
        group: `manifest.group`, as are the others by their names.
        parent: Likewise.
        without_image: Likewise.
        fill: Likewise.
        where: Likewise.
        told: What was found, and why.
    """

    images: tuple[str, ...]
    key: str | None
    shop: Shop | None
    title: str | None = None
    group: str | None = None
    parent: str | None = None
    without_image: str | None = None
    fill: tuple[str, ...] = ()
    where: str | None = None
    told: tuple[tuple[str, str, str], ...] = ()


def of_a_shop(facts: ManifestFacts, *, products_alone: bool = False) -> SeveralImages | None:
    """How a shop's export is read; None where it is none, or its values say something else.

    Args:
        facts: What was seen of it.
        products_alone: Leave out variants that name their product: each would be a duplicate of it.
    """
    names = [column.name for column in facts.columns]
    shop = shop_of(names)
    if shop is None:
        return None
    columns = {column.name: column for column in facts.columns}
    where, kept = _where(shop, columns, facts.rows)
    images = [name for name in matching(shop.images, names) if image_cells(columns[name])[0] > _ENOUGH]
    key = next((name for name in matching(shop.product, names) if _is_given(columns[name], kept)), None)
    if not images or key is None:
        return None
    known_by = [next(iter(matching(group, names))) for group in shop.known_by]
    told = [("export", shop.name, f"it has the columns {', '.join(known_by[:_KNOWN_BY])}")]
    given = [any(images_of(columns[name].values[row]) for name in images) for row in kept]
    group = _group(shop, columns, names, key)
    without: str | None = shop.without_image
    if products_alone and shop.parent and group not in (None, key):
        where, kept, given = _products(columns[str(group)], where, kept, given)
        group = None
    if without == "inherit" and group is None:
        without = "skip"
    told.append(("images", ", ".join(images), f"{sum(given):,} of {len(kept):,} rows have some"))
    products = len({str(columns[key].values[row]) for row in kept})
    told.append(("product", key, f"never empty; {products:,} different values in {len(kept):,} rows"))
    title = next((name for name in matching(shop.title, names) if columns[name].given), None)
    if title is not None:
        told.append(("title", title, "by its name"))
    if group is not None:
        told.append(("rows of a product", group, "rows that are equal in it belong together"))
    if without != "fail":
        what = {"skip": "they are left out", "inherit": "they take those of their group"}[str(without)]
        told.append(("without image", str(without), what))
    if where is not None:
        told.append(("rows", where, "the others say the same in another language, or are variants of these"))
    fill = [
        name
        for name in matching(shop.fill, names)
        if group is not None and not _is_given(columns[name], kept) and columns[name].given
    ]
    parent = None
    if group is not None and group != key:
        parent = next((name for name in matching(shop.parent, names) if columns[name].given), None)
    return SeveralImages(
        tuple(images), key, shop, title, group, parent, None if without == "fail" else without,
        tuple(fill), where, tuple(told),
    )  # fmt: skip


def by_values(facts: ManifestFacts, product: Callable[[], str | None]) -> SeveralImages | None:
    """How another table is read whose columns or cells have several images; None for one of one each.

    Args:
        facts: What was seen of it.
        product: Says which column names a product.
    """
    found: list[str] = []
    most = 0
    written = False
    for column in facts.columns:
        if column.kind == "listed" and _IMAGE_WORDS.search(plain(column.name)):
            found, most = [*found, column.name], max(most, 2)
            continue
        fitting, own = image_cells(column)
        is_named = _IMAGE_WORDS.search(plain(column.name)) and not _NO_IMAGES.search(plain(column.name))
        if column.kind in ("text", "texts") and fitting > _ENOUGH and (is_named or own > 1):
            found.append(column.name)
            most = max(most, own, 2 if column.kind == "texts" else 1)
            written = written or any(
                isinstance(value, str) and images_of(value) not in ([], [value]) for value in column.given
            )
    if len(found) < 2 and most < 2 and not written:  # noqa: PLR2004 - one column with one image a cell
        return None
    key = product()
    if key is None:
        return None
    why = "its cells are lists" if len(found) == 1 else "several columns name images"
    why = f"up to {most} images in a cell" if most > 1 else why
    return SeveralImages(tuple(found), key, None, told=(("images", ", ".join(found), why),))


def _is_given(column: ColumnFacts, rows: Sequence[int]) -> bool:
    return bool(rows) and all(column.values[row] not in (None, "") for row in rows if column.values)


def _where(shop: Shop, columns: dict[str, ColumnFacts], rows: int) -> tuple[str | None, list[int]]:
    """The rows that are wanted, and the setting that says so; all where that says nothing."""
    everything = list(range(rows))
    for name in matching(shop.where, list(columns)):
        empty = [row for row in everything if columns[name].values[row] in (None, "")]
        if 0 < len(empty) < rows:
            return _is_null(name), empty
    return None, everything


def _products(
    parent: ColumnFacts, where: str | None, rows: list[int], given: list[bool]
) -> tuple[str | None, list[int], list[bool]]:
    """Of the rows those that are no variant of another one, and what says so; all if these have no image."""
    products = [place for place, row in enumerate(rows) if parent.values[row] in (None, "")]
    if not any(given[place] for place in products):
        return where, rows, given
    said = _is_null(parent.name)
    where = said if where is None else f"{where} and {said}"
    return where, [rows[place] for place in products], [given[place] for place in products]


def _is_null(name: str) -> str:
    quoted = name if re.fullmatch(r"[A-Za-z_]\w*", name) else f"`{name}`"
    return f"{quoted} is null"


def _group(shop: Shop, columns: dict[str, ColumnFacts], names: Sequence[str], key: str) -> str | None:
    found = [name for name in matching(shop.group, names) if columns[name].given]
    return key if key in found else next(iter(found), None)
