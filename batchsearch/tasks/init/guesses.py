"""What the columns of a manifest are probably for, by their names and by what is in them (pure).

Guesses are told with their reasons, and written as ordinary settings that a person may change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from batchsearch.service.facts import CATEGORIES
from batchsearch.tasks.init.column_values import (
    are_numbers,
    is_address,
    is_base64,
    private_host,
    probed,
    share,
    whole,
)
from batchsearch.tasks.init.several_images import by_values, of_a_shop
from batchsearch.tasks.init.shops import plain
from batchsearch.tasks.init.sniffing import ENDING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchsearch.tasks.init.first_look import ColumnFacts, ManifestFacts
    from batchsearch.tasks.init.several_images import SeveralImages

Kind = Literal["search", "compare", "dedup"]

_PRODUCT: Final = (
    "product_id", "productid", "product_number", "sku", "spu", "item_id", "itemid", "goods_id", "article_id",
    "asin", "handle", "id", "product", "item", "article", "ean", "gtin",
)  # fmt: skip
"""The likelier first: a code that others have given too may be missing, or on several products."""
_IMAGE_NAME: Final = (
    "pic_name", "picname", "picture_name", "image_name", "photo_name", "file_name", "filename", "image_id",
)  # fmt: skip
_IMAGE: Final = (
    "image", "image_path", "image_url", "picture", "picture_path", "picture_url", "photo", "photo_url",
    "img", "img_url", "pic", "pic_url", "path", "file", "url", "uri", "thumbnail", "image_link", "images",
    "image_urls", "photos", "pictures", "bild", "bilder", "bild_url",
)  # fmt: skip
_PAIRS: Final = (
    ("primary_image", "secondary_image"), ("image_a", "image_b"), ("image1", "image2"),
    ("image_1", "image_2"), ("left", "right"), ("first", "second"), ("before", "after"),
    ("picture_a", "picture_b"), ("url_a", "url_b"), ("url1", "url2"), ("path_a", "path_b"),
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
_ENOUGH: Final = 0.5
_BY_VALUES: Final = 1.0
"""How much a column looks like images whose values say so, and not its name alone."""
_FAR: Final = 0.5
"""By how much more of the files have to be in a folder beside the manifest's than in or below it."""
_FILES_LOOKED_FOR: Final = 20
_ID_LIKE: Final = re.compile(
    r"(?i)(?:^|[_\s-])(?:id|key|no|nr|code|sku|number|file_?name|uuid|hash|md5|sha\d*)$"
)
_FOLDERS_SHOWN: Final = 6
_FEW: Final = 50


@dataclass(frozen=True, slots=True)
class Guess:
    """One guess.

    Attributes:
        what: What was guessed, such as `image`.
        found: What it was taken to be.
        why: The reason, for a person.
    """

    what: str
    found: str
    why: str


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that has to be set before a job can work.

    Attributes:
        what: What is missing and what to do, for a person.
        mended_by: Settings of which one mends it.
    """

    what: str
    mended_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guesses:
    """What a manifest's columns are taken to be.

    Attributes:
        kind: Which job fits.
        image: Column with the images; None when none was found.
        pair: Columns with both images of a pair; None when there are none.
        key: Columns that name a row.
        product: Column with the product id.
        image_name: Column with the image's name.
        group: Column by which rows belong together.
        category_id: Column with the service's category of each row.
        category: Column with a category of the catalogue's own.
        region: Column with the subject's box.
        priority: Column that says which rows go first.
        oldest: Column with a product's age.
        root: Folder that image paths start from, from the manifest's folder; None for that folder itself.
        base64: Images are base64 text.
        images: Columns with a product's images, each of which becomes a row; empty where `image` has one.
        shop: The kind of export that it is.
        rows_of: `manifest.group`: rows that are equal in it belong together.
        parent: As the setting, and so are the next three.
        without_image: Likewise.
        fill: Likewise.
        where: Likewise.
        title: Column with the product's title.
        different_when: Columns whose values speak against a pair.
        same_when: Columns whose values speak for one.
        row_number: Name of a column to number rows by, where nothing names them.
        lacking: What has to be set before the job can work.
        told: Every guess with its reason, in order.
    """

    kind: Kind
    image: str | None = None
    pair: tuple[str, str] | None = None
    key: tuple[str, ...] = ()
    product: str | None = None
    image_name: str | None = None
    group: str | None = None
    category_id: str | None = None
    category: str | None = None
    region: str | None = None
    priority: str | None = None
    oldest: str | None = None
    root: str | None = None
    base64: bool = False
    images: tuple[str, ...] = ()
    shop: str | None = None
    rows_of: str | None = None
    parent: str | None = None
    without_image: str | None = None
    fill: tuple[str, ...] = ()
    where: str | None = None
    title: str | None = None
    different_when: tuple[str, ...] = ()
    same_when: tuple[str, ...] = ()
    row_number: str | None = None
    lacking: tuple[Lack, ...] = ()
    told: tuple[Guess, ...] = ()


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


@dataclass(slots=True)
class _Guesser:
    facts: ManifestFacts
    folders: Sequence[str]
    is_there: Callable[[str, str], bool]
    told: list[Guess] = field(default_factory=list)
    lacking: list[Lack] = field(default_factory=list)

    def all(self, wanted: Kind | None) -> Guesses:
        for what, found, why in self.facts.told:
            self._tell(what, found, why)
        if self.facts.format in ("images", "list"):
            return self._without_a_table(wanted)
        several = None if wanted == "compare" else of_a_shop(self.facts)
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
            base64=image is not None and share(self._column(image), is_base64) > _ENOUGH,
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
            if column.is_complete and (column.distinct > 1 or self.facts.rows == 1):
                self._tell("product", column.name, f"{column.distinct:,} different values, and none is empty")
                return column.name
        return None

    def _probe(self, columns: Sequence[ColumnFacts], roots: Sequence[str] = (), base: str = "") -> str | None:
        """The folder in which the files lie that columns name; what is to be set where it is not found."""
        paths = [text for text in probed(columns) if not is_address(text)]
        if not paths:
            return None
        looked = ["", *(f for f in self.folders if f not in roots)]
        for folder in list(looked):
            looked += [f"{folder}/{root}".lstrip("/") for root in roots]
        best, where = max(
            ((sum(self.is_there(folder, path) for path in paths), folder) for folder in looked),
            key=lambda each: each[0],
        )
        if best:
            self._tell(
                "images found", f"{best} of {len(paths)}", f"under {where or 'the folder of the table'}"
            )
            return where or None
        self._lack(paths, looked, base)
        return None

    def _lack_files(self, column: ColumnFacts) -> None:
        """Tell that none of the files is there that a column names, if it names files."""
        paths = [text for text in probed([column]) if not is_address(text)]
        if paths:
            self._lack(paths, ["", *self.folders], "")

    def _lack(self, paths: Sequence[str], looked: Sequence[str], base: str) -> None:
        shown = ", ".join(folder or "." for folder in looked[:_FOLDERS_SHOWN])
        # Below a root a leading slash leads out of it.
        root = "" if paths[0].startswith("/") else "`images.root` to the folder that it is in, or "
        hint = f", such as {base}" if base else ""
        what = (
            f"0 of {len(paths)} images found under {shown}: `{paths[0][:80]}` is in none of them. Set "
            f"{root}`images.base_url` to what comes before it in its address{hint}"
        )
        self.lacking.append(Lack(what, ("images.root", "images.base_url")))

    def _hosts(self, columns: Sequence[ColumnFacts]) -> None:
        """Hosts of this machine or network, which images are not fetched from unless they are named."""
        found = dict.fromkeys(host for text in probed(columns) if (host := private_host(text)) is not None)
        if found:
            hosts = ", ".join(found)
            what = (
                f"images lie on {hosts}, in a private network or on this machine, and are fetched from there "
                f"only where that is said: set `images.allow_hosts: [{hosts}]`"
            )
            self.lacking.append(Lack(what, ("images.allow_hosts",)))

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
            and all(re.fullmatch(r"\s*\d{8,14}\s*", str(value)) for value in column.given)
        )
        if found:
            self._tell("same product", ", ".join(found), "its values are codes of 8 to 14 digits")
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

    def _retell(self, what: str, found: str, why: str) -> None:
        self.told = [each for each in self.told if each.what != what]
        self._tell(what, found, why)

    def _tell(self, what: str, found: str, why: str) -> None:
        self.told.append(Guess(what, found, why))

    def _column(self, name: str) -> ColumnFacts:
        return next(column for column in self.facts.columns if column.name == name)

    def _by_name(self, names: Sequence[str]) -> list[ColumnFacts]:
        """The columns of these names, whatever their case and dashes, in the order of the names."""
        known = {plain(column.name): column for column in reversed(self.facts.columns)}
        return [known[name] for name in names if name in known]

    def _named(self, what: str, names: Sequence[str], fits: Callable[[ColumnFacts], bool]) -> str | None:
        found = next((column.name for column in self._by_name(names) if fits(column)), None)
        if found is not None:
            self._tell(what, found, "by its name")
        return found

    def _pair(self, wanted: Kind | None) -> tuple[str, str] | None:
        known = {plain(column.name): column for column in self.facts.columns}
        for first, second in _PAIRS:
            numbered = re.fullmatch(r"(.*)2", second)
            if numbered is not None and f"{numbered[1]}3" in known:
                continue  # One of many images of a product, and no half of a pair.
            if first in known and second in known:
                both = known[first], known[second]
                # A second image that only some have is one more image of a product.
                if all(_may_hold_images(each) and (each.is_complete or not each.values) for each in both):
                    return both[0].name, both[1].name
        if wanted != "compare":
            return None
        # Whoever compares and has two columns of images compares these, whatever they are called.
        found = [column.name for column in self.facts.columns if self._as_image(column)[0] >= _BY_VALUES]
        return (found[0], found[1]) if len(found) == 2 else None  # noqa: PLR2004 - a pair

    def _image(self) -> tuple[str | None, str | None]:
        """The image column and the folder that its paths start from."""
        best: tuple[float, str, str, str | None] | None = None
        for place, column in enumerate(self.facts.columns):
            score, why, root = self._as_image(column)
            score -= place / 1_000
            if score > _ENOUGH and (best is None or score > best[0]):
                best = score, column.name, why, root
        if best is None:
            return None, None
        _, name, why, root = best
        self._tell("image", name, why)
        column = self._column(name)
        if share(column, is_base64) <= _ENOUGH and not self._found_files(column)[0]:
            self._lack_files(column)
        if root is not None:
            self._tell("images' folder", root, "the files that the column names are there")
        return name, root

    def _as_image(self, column: ColumnFacts) -> tuple[float, str, str | None]:
        """How much a column looks like images, why, and the folder in which they are."""
        named = plain(column.name) in _IMAGE
        by_name = 0.6 if named else 0.3 if any(part in plain(column.name) for part in _IMAGE[:1]) else 0.0
        if column.kind in ("bytes", "image"):
            return 3.0 + by_name, "it holds bytes", None
        if not self.facts.rows and named:
            return by_name, "by its name alone: the table has no rows", None
        if column.kind != "text" or not column.given:
            return 0.0, "", None
        shares = {
            "its values are addresses": share(column, is_address),
            "its values end like image files": share(column, lambda text: bool(ENDING.search(text))),
            "its values are long base64 texts": share(column, is_base64),
        }
        why = max(shares, key=lambda reason: shares[reason])
        if shares[why] <= _ENOUGH:
            return (by_name, "by its name alone", None) if named else (0.0, "", None)
        found, root = self._found_files(column)
        if found:
            return 2.0 + found + by_name, f"{why}, and {found:.0%} of the files looked for are there", root
        return 1.0 + shares[why] / 2 + by_name, why, None

    def _found_files(self, column: ColumnFacts) -> tuple[float, str | None]:
        """The part of the first files that are there, and in which folder: None is the manifest's own."""
        paths = [text for text in column.given if not is_address(text)][:_FILES_LOOKED_FOR]
        if not paths:
            return 0.0, None
        best, where = 0.0, ""
        for folder in ("", *self.folders):
            share = sum(self.is_there(folder, path) for path in paths) / len(paths)
            # A few files are missing where a catalogue is; another one's have the same names.
            if share > best + (_FAR if best and folder.startswith("..") else 0):
                best, where = share, folder
        return best, where or None

    def _root_of(self, column: ColumnFacts) -> str | None:
        if column.kind != "text":
            return None
        found, root = self._found_files(column)
        if root is not None:
            self._tell("images' folder", root, "the files that the column names are there")
        elif not found:
            self._lack_files(column)
        return root

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
            if column.kind == "text" and share(column, lambda text: bool(_BOX.fullmatch(text))) > _ENOUGH:
                self._tell(
                    "subject's box", column.name, "its values are four numbers; the order is x1,x2,y1,y2"
                )
                return column.name
        return None


def _may_hold_images(column: ColumnFacts) -> bool:
    return column.kind in ("text", "bytes", "image")
