"""Which files a manifest is made of, in an order that never changes by itself."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from batchsearch.config.image_folders import has_images_alone
from batchsearch.config.relative_paths import HAS_SCHEME, absolute
from batchsearch.errors import ManifestError
from batchsearch.manifest.formats.registry import ENDINGS, FORMATS, format_of
from batchsearch.manifest.remote_file import RemoteFile
from batchsearch.nearest import nearest
from batchsearch.storage.stores.address import AddressError, is_store_url, shown_url
from batchsearch.storage.stores.object_store import StoreError, open_store
from batchsearch.storage.stores.store_failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from batchsearch.config.sections.manifest_settings import TableFormat as Format
    from batchsearch.config.sections.store_settings import ConnectionsSettings
    from batchsearch.manifest.remote_file import ManifestPath

Asked: TypeAlias = "Literal['auto'] | Format"
"""A format, or `auto` to go by the names."""

_TABLES: Final = frozenset({"csv", "parquet"})
"""Formats that are tables wherever they lie; other files of a folder with such tables are its notes."""


@dataclass(frozen=True, slots=True)
class ManifestFiles:
    """The files of a manifest.

    Attributes:
        paths: In the order in which their rows are numbered: by name, folder by folder.
        format: The same for all.
        folders: Of each file the names of the folders below the one that was given, or from the first
            wildcard on.
        without: Folder of which nothing is a row.
    """

    paths: tuple[ManifestPath, ...]
    format: Format
    folders: tuple[tuple[str, ...], ...]
    without: str | None = None


def find_files(
    text: str,
    *,
    base: Path,
    wanted: Asked,
    stores: ConnectionsSettings | None = None,
    without: str | None = None,
) -> ManifestFiles:
    """The files that a path names: one file, those in a folder and below it, or those a glob matches.

    Names that begin with a dot or `_` are left out of folders and globs, as table writers put their own
    notes there.

    Args:
        text: File, folder or glob, on this machine or in an object store (`s3://bucket/folder`); a relative
            one starts at `base`.
        base: Folder of the job file.
        wanted: The format, or `auto` to go by the names.
        stores: How object stores are reached.
        without: Folder whose files are never rows: the job's own output.

    Raises:
        ManifestError: There is no such file, it may not be read, or its format cannot be told.
        ConfigError: Nothing installed reads such addresses.
    """
    if is_store_url(text):
        return _in_store(text, wanted, stores)
    if HAS_SCHEME.match(text):
        raise ManifestError.at(shown_url(text), "write the path without `file://`")
    path = Path(absolute(text, base))
    fixed = path
    if path.is_dir() and (wanted == "images" or (wanted == "auto" and has_images_alone(path))):
        return ManifestFiles((path,), "images", ((),), without)
    if path.is_dir():
        found: Sequence[Path] = sorted(_below(path), key=lambda each: each.relative_to(path).parts)
        nothing = _NO_TABLE
    elif path.exists():
        if not path.is_file():
            raise ManifestError.at(path, "is neither a file nor a folder")
        return ManifestFiles((path,), _format_of_one(path, wanted), ((),))
    elif glob.has_magic(text):
        fixed = _fixed_folder(path)
        found = sorted(_matching(path, fixed))
        nothing = "matches no file"
    else:
        raise ManifestError.at(path, f"there is no such file or folder{_similar(path)}")
    if without is not None:
        own = Path(os.path.realpath(without))
        found = [each for each in found if not Path(os.path.realpath(each)).is_relative_to(own)]
    return _of_one_kind(str(path), found, wanted, nothing, len(fixed.parts))


_NO_TABLE: Final = (
    "is a folder without any table (.parquet, .csv, .jsonl, .arrow, .xlsx …); for a folder of images set "
    "`manifest.format: images`"
)


def _in_store(text: str, wanted: Asked, stores: ConnectionsSettings | None) -> ManifestFiles:
    """The objects that an address names: one, those below a folder, or those a glob matches."""
    shown = shown_url(text)
    try:
        store, address = open_store(text, stores, wanted_for="manifest.path")
        facts = store.facts(address)
        if facts is not None:
            file = RemoteFile(store, facts)
            return ManifestFiles((file,), _format_of_one(file, wanted), ((),))
        found = store.listing(address)
        nothing = _NO_TABLE
        if not found and glob.has_magic(address.path):
            found = store.matching(address)
            nothing = "matches no object"
    except AddressError as error:
        raise ManifestError.at(shown, str(error)) from None
    except StoreError as error:
        raise ManifestError.at(shown, _unfindable(error)) from None
    if not found and not glob.has_magic(address.path):
        raise ManifestError.at(shown, "there is no such object or folder in the store")
    fixed = len(address.path.split("/")) if not glob.has_magic(address.path) else _fixed_parts(address.path)
    visible = [
        RemoteFile(store, each)
        for each in found
        if not any(is_hidden(part) for part in each.address.path.split("/")[fixed:])
    ]
    return _of_one_kind(shown, visible, wanted, nothing, fixed)


def _fixed_parts(pattern: str) -> int:
    """How many parts of a glob stand before its first wildcard."""
    return next(number for number, part in enumerate(pattern.split("/")) if glob.has_magic(part))


def _unfindable(error: StoreError) -> str:
    if error.failure is Failure.DENIED:
        return (
            "the store lets these credentials read nothing there (some stores say so of what is missing, "
            "too); set those of the provider in the environment, or `stores.….anonymous` for a public bucket"
        )
    if error.failure is Failure.NO_BUCKET:
        return "the store has no such bucket; are the name and `stores.….endpoint` right?"
    return f"cannot be looked for: {error.strerror}"


def _of_one_kind(
    shown: str,
    found: Sequence[ManifestPath],
    wanted: Asked,
    nothing: str,
    fixed: int,
) -> ManifestFiles:
    """Those of some files that are tables, all of one format; `fixed` parts of their paths were given."""
    formats = {each: format_of(each) if wanted == "auto" else wanted for each in found}
    known = [each for each in found if formats[each] is not None and format_of(each) in (None, formats[each])]
    if not known:
        raise ManifestError.at(shown, nothing)
    if any(formats[each] in _TABLES for each in known):
        known = [each for each in known if formats[each] in _TABLES or wanted != "auto"]
    kinds = {kind for each in known if (kind := formats[each]) is not None}
    if len(kinds) > 1:
        several = " and ".join(FORMATS[kind].called for kind in FORMATS if kind in kinds)
        what = f"holds {several} files; set `manifest.format`, or give a glob of one kind"
        raise ManifestError.at(shown, what)
    folders = tuple(tuple(_parts(each)[fixed:-1]) for each in known)
    return ManifestFiles(tuple(known), kinds.pop(), folders)


def _parts(path: ManifestPath) -> Sequence[str]:
    return path.facts.address.path.split("/") if isinstance(path, RemoteFile) else path.parts


def _format_of_one(path: ManifestPath, wanted: Asked) -> Format:
    if wanted != "auto":
        return wanted
    named = format_of(path)
    if named is None:
        raise ManifestError.at(
            path, f"has no ending that tells its format ({ENDINGS}); set `manifest.format`"
        )
    return named


def is_hidden(name: str) -> bool:
    """Whether folders and globs pass over a name: table writers put their own notes there."""
    return name.startswith((".", "_"))


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        yield from (Path(parent, name) for name in names if not is_hidden(name))


def _fixed_folder(pattern: Path) -> Path:
    """What stands before a glob's first wildcard."""
    parts = pattern.parts
    fixed = next((count for count in range(len(parts), 0, -1) if Path(*parts[:count]).is_dir()), 1)
    return Path(*parts[:fixed])


def _matching(pattern: Path, root: Path) -> Iterator[Path]:
    """Files that a glob matches; what stands before its first wildcard, `root`, is taken as it is."""
    for name in glob.iglob(os.path.join(*pattern.parts[len(root.parts) :]), root_dir=root, recursive=True):  # noqa: PTH118, PTH207 - Path.glob cannot start at a folder with wildcards in its name
        found = root / name
        if found.is_file() and not any(is_hidden(part) for part in Path(name).parts):
            yield found


def _similar(path: Path) -> str:
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        names: Iterable[str] = [each.name for each in folder.iterdir() if not is_hidden(each.name)]
    except OSError:
        return ""
    near = nearest(path.relative_to(folder).parts[0], names)
    return "" if near is None else f"; did you mean `{folder / near}`?"
