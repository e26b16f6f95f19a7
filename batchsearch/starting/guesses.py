"""What the columns of a manifest are probably for, by their names and by what is in them (pure).

Guesses are told with their reasons, and written as ordinary settings that a person may change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from batchsearch.service import CATEGORIES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchsearch.starting.facts import ColumnFacts, ManifestFacts

Kind = Literal["search", "compare", "dedup"]

_PRODUCT: Final = (
    "product_id", "productid", "product", "sku", "spu", "item_id", "itemid", "item", "goods_id", "article",
    "article_id", "asin", "ean", "gtin", "id",
)  # fmt: skip
_PICTURE_NAME: Final = (
    "pic_name", "picname", "picture_name", "image_name", "photo_name", "file_name", "filename", "image_id",
)  # fmt: skip
_PICTURE: Final = (
    "image", "image_path", "image_url", "picture", "picture_path", "picture_url", "photo", "photo_url",
    "img", "img_url", "pic", "pic_url", "path", "file", "url", "uri", "thumbnail",
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
_OLDEST: Final = ("created_at", "created", "added_at", "listed_at", "date_added", "first_seen")

_ENDING: Final = re.compile(r"\.(?:jpe?g|png|webp|bmp|gif|tiff?|ppm|hei[cf]|avif)(?:[?#].*)?$", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"(?i:https?|s3|oss|gs|file)://|(?i:data):image/")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/\r\n]{200,}={0,2}\s*")
_BOX: Final = re.compile(r"\s*\d{1,5}\s*(?:,\s*\d{1,5}\s*){3}")

_MOST_GROUPED: Final = 0.9
_ENOUGH: Final = 0.5
_FILES_LOOKED_FOR: Final = 20
_FEW: Final = 50


@dataclass(frozen=True, slots=True)
class Guess:
    """One guess.

    Attributes:
        what: What was guessed, such as `picture`.
        found: What it was taken to be.
        why: The reason, for a person.
    """

    what: str
    found: str
    why: str


@dataclass(frozen=True, slots=True)
class Guesses:
    """What a manifest's columns are taken to be.

    Attributes:
        kind: Which job fits.
        picture: Column with the pictures; None when none was found.
        pair: Columns with both pictures of a pair; None when there are none.
        key: Columns that name a row.
        product: Column with the product id.
        picture_name: Column with the picture's name.
        group: Column by which rows belong together.
        category_id: Column with the service's category of each row.
        category: Column with a category of the catalogue's own.
        region: Column with the subject's box.
        priority: Column that says which rows go first.
        oldest: Column with a product's age.
        root: Folder that picture paths start from, from the manifest's folder; None for that folder itself.
        base64: Pictures are base64 text.
        told: Every guess with its reason, in order.
    """

    kind: Kind
    picture: str | None = None
    pair: tuple[str, str] | None = None
    key: tuple[str, ...] = ()
    product: str | None = None
    picture_name: str | None = None
    group: str | None = None
    category_id: str | None = None
    category: str | None = None
    region: str | None = None
    priority: str | None = None
    oldest: str | None = None
    root: str | None = None
    base64: bool = False
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
        folders: Folders beside the manifest in which pictures may lie, relative to it.
        is_there: Whether a folder (empty for the manifest's own) has a file of that path.
    """
    return _Guesser(facts, folders, is_there).all(wanted)


@dataclass(slots=True)
class _Guesser:
    facts: ManifestFacts
    folders: Sequence[str]
    is_there: Callable[[str, str], bool]
    told: list[Guess] = field(default_factory=list)

    def all(self, wanted: Kind | None) -> Guesses:
        pair = self._pair() if wanted in (None, "compare") else None
        kind: Kind = wanted or ("compare" if pair is not None else "search")
        root: str | None = None
        picture = None
        if pair is None:
            picture, root = self._picture()
        else:
            self._tell("pictures", f"{pair[0]}, {pair[1]}", "two columns with a picture each")
            root = self._root_of(self._column(pair[0]))
        product = self._named("product", _PRODUCT, lambda column: column.is_complete)
        name = self._named("picture's name", _PICTURE_NAME, lambda column: column.is_complete)
        key = self._key(product, name, picture, pair)
        group = self._group(kind, product, picture, key)
        category_id, category = self._categories(kind)
        return Guesses(
            kind=kind,
            picture=picture,
            pair=pair,
            key=key,
            product=product,
            picture_name=name,
            group=group,
            category_id=category_id,
            category=category,
            region=self._region(kind),
            priority=self._named("priority", _PRIORITY, _numbers),
            oldest=self._oldest(kind),
            root=root,
            base64=picture is not None and _share(self._column(picture), _is_base64) > _ENOUGH,
            told=tuple(self.told),
        )

    def _tell(self, what: str, found: str, why: str) -> None:
        self.told.append(Guess(what, found, why))

    def _column(self, name: str) -> ColumnFacts:
        return next(column for column in self.facts.columns if column.name == name)

    def _by_name(self, names: Sequence[str]) -> list[ColumnFacts]:
        """The columns of these names, whatever their case and dashes, in the order of the names."""
        plain = {_plain(column.name): column for column in reversed(self.facts.columns)}
        return [plain[name] for name in names if name in plain]

    def _named(self, what: str, names: Sequence[str], fits: Callable[[ColumnFacts], bool]) -> str | None:
        found = next((column.name for column in self._by_name(names) if fits(column)), None)
        if found is not None:
            self._tell(what, found, "by its name")
        return found

    def _pair(self) -> tuple[str, str] | None:
        plain = {_plain(column.name): column for column in self.facts.columns}
        for first, second in _PAIRS:
            if first in plain and second in plain:
                both = plain[first], plain[second]
                if all(_may_hold_pictures(column) for column in both):
                    return both[0].name, both[1].name
        return None

    def _picture(self) -> tuple[str | None, str | None]:
        """The picture column and the folder that its paths start from."""
        best: tuple[float, str, str, str | None] | None = None
        for place, column in enumerate(self.facts.columns):
            score, why, root = self._as_picture(column)
            score -= place / 1_000
            if score > _ENOUGH and (best is None or score > best[0]):
                best = score, column.name, why, root
        if best is None:
            return None, None
        _, name, why, root = best
        self._tell("picture", name, why)
        if root is not None:
            self._tell("pictures' folder", root, "the files that the column names are there")
        return name, root

    def _as_picture(self, column: ColumnFacts) -> tuple[float, str, str | None]:
        """How much a column looks like pictures, why, and the folder in which they are."""
        named = _plain(column.name) in _PICTURE
        by_name = 0.6 if named else 0.3 if any(part in _plain(column.name) for part in _PICTURE[:1]) else 0.0
        if column.kind in ("bytes", "picture"):
            return 3.0 + by_name, "it holds bytes", None
        if column.kind != "text" or not column.given:
            return 0.0, "", None
        shares = {
            "its values are addresses": _share(column, lambda text: bool(_ADDRESS.match(text))),
            "its values end like picture files": _share(column, lambda text: bool(_ENDING.search(text))),
            "its values are long base64 texts": _share(column, _is_base64),
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
        paths = [text for text in column.given if not _ADDRESS.match(text)][:_FILES_LOOKED_FOR]
        if not paths:
            return 0.0, None
        best, where = 0.0, ""
        for folder in ("", *self.folders):
            share = sum(self.is_there(folder, path) for path in paths) / len(paths)
            if share > best:
                best, where = share, folder
        return best, where or None

    def _root_of(self, column: ColumnFacts) -> str | None:
        if column.kind != "text":
            return None
        _, root = self._found_files(column)
        if root is not None:
            self._tell("pictures' folder", root, "the files that the column names are there")
        return root

    def _key(
        self, product: str | None, name: str | None, picture: str | None, pair: tuple[str, str] | None
    ) -> tuple[str, ...]:
        single = [column.name for column in self.facts.columns if self._names_rows((column.name,))]
        both = (product, name)
        key: tuple[str, ...]
        if product is not None and name is not None and self._names_rows((product, name)):
            key, why = (product, name), "together they are never repeated; the instance names pictures so"
        elif product is not None and product in single:
            key, why = (product,), "it is never repeated"
        elif single:
            by_name = [each for each in single if re.search(r"(?i)(?:^|_)(?:id|key|no|nr|code)$", each)]
            kept = [each for each in single if each != picture and each not in (pair or ())]
            key, why = ((by_name or kept or single)[0],), "it is never repeated"
        elif product is not None and picture is not None and self._names_rows((product, picture)):
            key, why = (product, picture), "together they are never repeated"
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

    def _group(
        self, kind: Kind, product: str | None, picture: str | None, key: tuple[str, ...]
    ) -> str | None:
        """The column by which pictures are compared: one whose values come back, but not everywhere."""
        if kind != "compare" or picture is None:
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
            values = {_whole(value) for value in column.given}
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
            if column.kind == "text" and _share(column, lambda text: bool(_BOX.fullmatch(text))) > _ENOUGH:
                self._tell(
                    "subject's box", column.name, "its values are four numbers; the order is x1,x2,y1,y2"
                )
                return column.name
        return None


def _plain(name: str) -> str:
    return re.sub(r"[\s\-.]+", "_", name.strip().lower())


def _share(column: ColumnFacts, fits: Callable[[str], bool]) -> float:
    given = [value for value in column.given if isinstance(value, str)]
    return sum(map(fits, given)) / len(given) if given else 0.0


def _is_base64(text: str) -> bool:
    return bool(_BASE64.fullmatch(text))


def _may_hold_pictures(column: ColumnFacts) -> bool:
    return column.kind in ("text", "bytes", "picture")


def _whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def _numbers(column: ColumnFacts) -> bool:
    return bool(column.given) and all(re.fullmatch(r"-?\d+(?:\.\d+)?", str(each)) for each in column.given)
