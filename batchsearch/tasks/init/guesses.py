"""What the columns of a manifest are probably for, by their names and by what is in them (pure).

Guesses are told with their reasons, and written as ordinary settings that a person may change.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from batchsearch.service.facts import CATEGORIES
from batchsearch.tasks.init.column_values import (
    are_numbers,
    is_base64,
    is_trade_code,
    share,
    whole,
)
from batchsearch.tasks.init.guess_records import Guesses, Kind, Lack
from batchsearch.tasks.init.image_guesses import ENOUGH, ImageGuesser
from batchsearch.tasks.init.several_images import by_values, of_a_shop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchsearch.tasks.init.first_look import ManifestFacts
    from batchsearch.tasks.init.several_images import SeveralImages

_PRODUCT: Final = (
    "product_id", "productid", "product_number", "sku", "spu", "item_id", "itemid", "goods_id", "article_id",
    "asin", "handle", "id", "product", "item", "article", "ean", "gtin",
)  # fmt: skip
"""The likelier first: a code that others have given too may be missing, or on several products."""
_IMAGE_NAME: Final = (
    "pic_name", "picname", "picture_name", "image_name", "photo_name", "file_name", "filename", "image_id",
)  # fmt: skip
_GROUP: Final = ("group", "group_id", "family", "variant_of", "parent", "parent_id", "style", "model", "set")
_CATEGORY: Final = ("category", "category_id", "categoryid", "cat_id", "cat", "type", "department")
_REGION: Final = ("region", "box", "bbox", "subject", "subject_box", "crop_box")
_PRIORITY: Final = ("priority", "urgency", "importance")
_TITLE: Final = ("title", "product_name", "name", "product_title", "item_name", "titel", "bezeichnung")
_DIFFERENT: Final = (
    "color", "colour", "colour_name", "color_name", "color_map", "farbe", "size", "size_name", "groesse",
    "größe", "pattern", "material", "condition",
)  # fmt: skip
_SAME: Final = ("gtin", "ean", "upc", "barcode", "gtin13", "ean13")
_OLDEST: Final = ("created_at", "created", "added_at", "listed_at", "date_added", "first_seen")

_BOX: Final = re.compile(r"\s*\d{1,5}\s*(?:,\s*\d{1,5}\s*){3}")

_MOST_GROUPED: Final = 0.9
_ID_LIKE: Final = re.compile(
    r"(?i)(?:^|[_\s-])(?:id|key|no|nr|code|sku|number|file_?name|uuid|hash|md5|sha\d*)$"
)
_FEW: Final = 50


def guess(
    facts: ManifestFacts,
    wanted: Kind | None,
    *,
    folders: Sequence[str] = (),
    is_there: Callable[[str, str], bool] = lambda _folder, _path: False,
) -> Guesses:
    """Guess what columns are for.

    Args:
        facts: What was seen of the manifest.
        wanted: Which kind of job; by the columns when None.
        folders: Folders beside the manifest in which images may lie, relative to it.
        is_there: Whether a folder (empty for the manifest's own) has a file of that path.
    """
    return _Guesser(facts, folders, is_there).all(wanted)


class _Guesser(ImageGuesser):
    def all(self, wanted: Kind | None) -> Guesses:
        for what, found, why in self.facts.told:
            self._tell(what, found, why)
        if self.facts.format in ("images", "list"):
            return self._without_a_table(wanted)
        dedup = wanted in (None, "dedup")
        several = None if wanted == "compare" else of_a_shop(self.facts, products_alone=dedup)
        if several is not None:
            return self._of_several(wanted or "dedup", several)
        pair = self._pair(wanted) if wanted in (None, "compare") else None
        kind: Kind = wanted or ("compare" if pair is not None else "search")
        if pair is None and kind != "compare":
            several = by_values(self.facts, self._product_of_several)
            if several is not None:
                return self._of_several(kind, several)
        root: str | None = None
        image = None
        if pair is None:
            image, root = self._image()
        else:
            self._tell("images", f"{pair[0]}, {pair[1]}", "two columns with an image each")
            root = self._root_of(self._column(pair[0]))
        product = self._product()
        name = self._named("image's name", _IMAGE_NAME, lambda column: column.is_complete)
        key = self._key(product, name, image, pair)
        group = self._group(kind, product, image, key)
        row_number = None
        if image is not None and self._column(image).kind in ("bytes", "image"):
            row_number = self._numbered(key)
            # Bytes name nothing: an image is called as its row is.
            name = name or row_number or key[-1]
        told = Guesses(
            kind=kind,
            image=image,
            pair=pair,
            key=key if row_number is None else (row_number,),
            product=product,
            image_name=name,
            group=group,
            root=root,
            base64=image is not None and share(self._column(image), is_base64) > ENOUGH,
            row_number=row_number,
        )
        return self._with_the_rest(told)

    def _with_the_rest(self, found: Guesses) -> Guesses:
        """The same with what else columns are for."""
        category_id, category = self._categories(found.kind)
        images = dict.fromkeys((*found.images, *([found.image] if found.image else []), *(found.pair or ())))
        self._hosts([self._column(name) for name in images])
        return replace(
            found,
            category_id=category_id,
            category=category,
            region=self._region(found.kind),
            priority=self._named("priority", _PRIORITY, are_numbers),
            oldest=self._oldest(found.kind),
            title=found.title or self._title(found.kind, found.key),
            different_when=self._different(found.kind, {*found.key, *images}),
            same_when=self._same(found.kind, found.key),
            lacking=tuple(self.lacking),
            told=tuple(self.told),
        )

    def _without_a_table(self, wanted: Kind | None) -> Guesses:
        """A folder or a list of images: each is a row, and a product of its own."""
        column = self._column("image")
        root = None
        if self.facts.format == "list":
            root = self._probe([column])
        else:
            self._tell("images", "image", "a folder of images: each is a row, named by its path")
        self._tell("key", "image", "it is the image's path or address")
        name = "file_name" if self.facts.format == "images" else None
        kind = wanted or "dedup"
        self._hosts([column])
        if column.distinct < len(column.given):
            self.lacking.append(Lack("the list has lines twice: take the second ones away"))
        return replace(
            Guesses(kind=kind, image="image", key=("image",), product="image", image_name=name, root=root),
            lacking=tuple(self.lacking),
            told=tuple(self.told),
        )

    def _of_several(self, kind: Kind, several: SeveralImages) -> Guesses:
        """A table whose products have several images."""
        for what, found, why in several.told:
            self._tell(what, found, why)
        shop = several.shop
        columns = [self._column(name) for name in several.images]
        root = self._probe(columns, () if shop is None else shop.roots, "" if shop is None else shop.base)
        key = several.key or self.facts.columns[0].name
        self._tell("key", key, "it names the product; its images are named by themselves")
        return self._with_the_rest(
            Guesses(
                kind=kind,
                image=several.images[0],
                key=(key,),
                product=key,
                root=root,
                images=several.images,
                shop=None if shop is None else shop.name,
                rows_of=several.group,
                parent=several.parent,
                without_image=several.without_image,
                fill=several.fill,
                where=several.where,
                title=several.title,
            )
        )

    def _product_of_several(self) -> str | None:
        product = self._product()
        if product is not None:
            return product
        return next((column.name for column in self.facts.columns if self._names_rows((column.name,))), None)

    def _product(self) -> str | None:
        """The product's column: of those with such a name the likeliest that is never empty."""
        for column in self._by_name(_PRODUCT):
            if column.kind == "number" and column.distinct > 1:
                self.lacking.append(
                    Lack(
                        f"the column `{column.name}` has decimals, such as {column.given[0]!r}: write its "
                        "numbers as text or as whole ones, so that products have names"
                    )
                )
                return None
            if column.is_complete and (column.distinct > 1 or self.facts.rows == 1):
                self._tell("product", column.name, f"{column.distinct:,} different values, and none is empty")
                return column.name
        return None

    def _title(self, kind: Kind, key: Sequence[str]) -> str | None:
        if kind != "dedup":
            return None
        for column in self._by_name(_TITLE):
            if column.kind == "text" and column.given and column.name not in key:
                self._tell("title", column.name, "by its name")
                return column.name
        return None

    def _different(self, kind: Kind, taken: set[str]) -> tuple[str, ...]:
        """Columns in which two products that differ are two: colours, sizes, patterns."""
        if kind != "dedup":
            return ()
        found = tuple(
            column.name
            for column in self._by_name(_DIFFERENT)
            if column.name not in taken and column.kind in ("text", "whole") and column.distinct > 1
        )
        if found:
            self._tell("variants", ", ".join(found), "products that differ in one of them are different")
        return found

    def _same(self, kind: Kind, key: Sequence[str]) -> tuple[str, ...]:
        """Columns whose equal values are one product: codes by which trade knows it."""
        if kind != "dedup":
            return ()
        found = tuple(
            column.name
            for column in self._by_name(_SAME)
            if column.name not in key
            and column.given
            and sum(map(is_trade_code, column.given)) > ENOUGH * len(column.given)
        )
        if found:
            self._tell("same product", ", ".join(found), "its values are trade's codes, with a check digit")
        return found

    def _numbered(self, key: Sequence[str]) -> str | None:
        """A name for a column that numbers rows, where no column names them: image data sets have none."""
        if self._names_rows(tuple(key)) and all(_ID_LIKE.search(name) for name in key):
            return None
        taken = {column.name for column in self.facts.columns}
        name = next(name for name in ("row", "row_number", "row_number_") if name not in taken)
        self._retell(
            "key", name, "no column names rows: they are numbered by file and row; keep it unchanged"
        )
        return name

    def _key(
        self, product: str | None, name: str | None, image: str | None, pair: tuple[str, str] | None
    ) -> tuple[str, ...]:
        single = [column.name for column in self.facts.columns if self._names_rows((column.name,))]
        both = (product, name)
        key: tuple[str, ...]
        if product is not None and name is not None and self._names_rows((product, name)):
            key, why = (product, name), "together they are never repeated; the instance names images so"
        elif product is not None and product in single:
            key, why = (product,), "it is never repeated"
        elif single:
            by_name = [each for each in single if _ID_LIKE.search(each)]
            kept = [each for each in single if each != image and each not in (pair or ())]
            key, why = ((by_name or kept or single)[0],), "it is never repeated"
        elif product is not None and image is not None and self._names_rows((product, image)):
            key, why = (product, image), "together they are never repeated"
        else:
            key = tuple(each for each in both if each is not None) or (self.facts.columns[0].name,)
            why = "by name alone; LOOK AT THIS: its values are repeated or missing"
        self._tell("key", ", ".join(key), f"{why} in the first {self.facts.rows:,} rows")
        return key

    def _names_rows(self, names: tuple[str, ...]) -> bool:
        columns = [self._column(name) for name in names]
        if not self.facts.rows or not all(
            column.is_complete and column.kind in ("text", "whole") for column in columns
        ):
            return False
        rows = set(zip(*(column.values for column in columns), strict=True))
        return len(rows) == self.facts.rows

    def _group(self, kind: Kind, product: str | None, image: str | None, key: tuple[str, ...]) -> str | None:
        """The column by which images are compared: one whose values come back, but not everywhere."""
        if kind != "compare" or image is None:
            return None
        named = [column.name for column in self._by_name(_GROUP)]
        for name in [*named, *([product] if product is not None else [])]:
            column = self._column(name)
            if key != (name,) and 1 < column.distinct < _MOST_GROUPED * len(column.given):
                why = f"{column.distinct:,} values in {len(column.given):,} rows"
                self._tell("group", name, why)
                return name
        return None

    def _categories(self, kind: Kind) -> tuple[str | None, str | None]:
        """The column with the service's categories, and the one with the catalogue's own."""
        if kind == "compare":
            return None, None
        theirs = own = None
        for column in self._by_name(_CATEGORY):
            values = {whole(value) for value in column.given}
            if theirs is None and values and values <= set(CATEGORIES) and len(values) > 0:
                theirs = column.name
                self._tell("category", theirs, "its values are categories of the service")
            elif own is None and column.kind == "text" and 1 < column.distinct <= _FEW:
                own = column.name
                self._tell("catalogue's category", own, f"{column.distinct:,} different values")
        return theirs, own

    def _oldest(self, kind: Kind) -> str | None:
        if kind != "dedup":
            return None
        return self._named("age", _OLDEST, lambda column: column.is_complete)

    def _region(self, kind: Kind) -> str | None:
        if kind == "compare":
            return None
        for column in self._by_name(_REGION):
            if column.kind == "text" and share(column, lambda text: bool(_BOX.fullmatch(text))) > ENOUGH:
                self._tell(
                    "subject's box", column.name, "its values are four numbers; the order is x1,x2,y1,y2"
                )
                return column.name
        return None
