"""Which columns hold images, and where the files lie that they name (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from batchsearch.tasks.init.column_values import is_address, is_base64, private_host, probed, share
from batchsearch.tasks.init.guess_records import Guess, Lack
from batchsearch.tasks.init.shops import plain
from batchsearch.tasks.init.sniffing import ENDING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchsearch.tasks.init.first_look import ColumnFacts, ManifestFacts
    from batchsearch.tasks.init.guess_records import Kind

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
_BY_VALUES: Final = 1.0
"""How much a column looks like images whose values say so, and not its name alone."""
_FAR: Final = 0.5
"""By how much more of the files have to be in a folder beside the manifest's than in or below it."""
_FILES_LOOKED_FOR: Final = 20
_FOLDERS_SHOWN: Final = 6
ENOUGH: Final = 0.5
"""More than this part of a column's values look like one thing: it is one."""


@dataclass(slots=True)
class ImageGuesser:
    """Looks for the images of a manifest, and tells what it finds.

    Attributes:
        facts: What was seen of the manifest.
        folders: Folders beside the manifest in which images may lie, relative to it.
        is_there: Whether a folder (empty for the manifest's own) has a file of that path.
        told: Every guess with its reason, in order.
        lacking: What has to be set before the job can work.
    """

    facts: ManifestFacts
    folders: Sequence[str]
    is_there: Callable[[str, str], bool]
    told: list[Guess] = field(default_factory=list)
    lacking: list[Lack] = field(default_factory=list)

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
            if score > ENOUGH and (best is None or score > best[0]):
                best = score, column.name, why, root
        if best is None:
            return None, None
        _, name, why, root = best
        self._tell("image", name, why)
        column = self._column(name)
        if share(column, is_base64) <= ENOUGH and not self._found_files(column)[0]:
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
        if shares[why] <= ENOUGH:
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


def _may_hold_images(column: ColumnFacts) -> bool:
    return column.kind in ("text", "bytes", "image")
