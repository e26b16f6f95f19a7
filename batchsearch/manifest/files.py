"""Which files a manifest is made of, in an order that never changes by itself."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from batchsearch.config.nearest import nearest
from batchsearch.config.paths import HAS_SCHEME, absolute
from batchsearch.errors import ManifestError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Format = Literal["csv", "parquet"]

_SUFFIXES: Final[dict[str, Format]] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".csv.gz": "csv",
    ".tsv.gz": "csv",
}


@dataclass(frozen=True, slots=True)
class ManifestFiles:
    """The files of a manifest.

    Attributes:
        paths: In the order in which their rows are numbered: by name, folder by folder.
        format: The same for all.
    """

    paths: tuple[Path, ...]
    format: Format


def format_of(path: Path) -> Format | None:
    """The format that a file's name says, or None."""
    name = path.name.lower()
    return next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), None)


def find_files(text: str, *, base: Path, wanted: Literal["auto", "csv", "parquet"]) -> ManifestFiles:
    """The files that a path names: one file, those in a folder and below it, or those a glob matches.

    Names that begin with a dot or `_` are left out of folders and globs, as table writers put their own
    notes there. Folder names such as `day=1` give no column.

    Args:
        text: File, folder or glob; a relative one starts at `base`.
        base: Folder of the job file.
        wanted: The format, or `auto` to go by the names.

    Raises:
        ManifestError: There is no such file, or its format cannot be told.
    """
    if HAS_SCHEME.match(text):
        raise ManifestError(
            [Problem(text.partition("?")[0], "is not a local file; give a path on this machine")]
        )
    path = Path(absolute(text, base))
    if path.is_dir():
        found = sorted(_below(path), key=lambda each: each.relative_to(path).parts)
        nothing = "is a folder without any .parquet or .csv file"
    elif path.exists():
        if not path.is_file():
            raise ManifestError([Problem(str(path), "is neither a file nor a folder")])
        return ManifestFiles((path,), _format_of_one(path, wanted))
    elif glob.has_magic(text):
        found = sorted(_matching(path))
        nothing = "matches no file"
    else:
        raise ManifestError([Problem(str(path), f"there is no such file or folder{_similar(path)}")])
    formats = {each: format_of(each) if wanted == "auto" else wanted for each in found}
    known = [each for each in found if formats[each] is not None and format_of(each) in (None, formats[each])]
    if not known:
        raise ManifestError([Problem(str(path), nothing)])
    kinds = {formats[each] for each in known}
    if len(kinds) > 1:
        raise ManifestError(
            [
                Problem(
                    str(path),
                    "holds CSV and Parquet files; set `manifest.format`, or give a glob of one kind",
                )
            ]
        )
    return ManifestFiles(tuple(known), "csv" if "csv" in kinds else "parquet")


def _format_of_one(path: Path, wanted: Literal["auto", "csv", "parquet"]) -> Format:
    if wanted != "auto":
        return wanted
    named = format_of(path)
    if named is None:
        endings = ", ".join(_SUFFIXES)
        raise ManifestError(
            [Problem(str(path), f"has no ending that tells its format ({endings}); set `manifest.format`")]
        )
    return named


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        yield from (Path(parent, name) for name in names if not _is_hidden(name))


def _matching(pattern: Path) -> Iterator[Path]:
    """Files that a glob matches; what stands before its first wildcard is taken as it is."""
    parts = pattern.parts
    fixed = next(
        (count for count in range(len(parts), 0, -1) if Path(*parts[:count]).is_dir()),
        1,
    )
    root = Path(*parts[:fixed])
    for name in glob.iglob(os.path.join(*parts[fixed:]), root_dir=root, recursive=True):  # noqa: PTH118, PTH207 - Path.glob cannot start at a folder with wildcards in its name
        found = root / name
        if found.is_file() and not any(_is_hidden(part) for part in Path(name).parts):
            yield found


def _similar(path: Path) -> str:
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        names: Iterable[str] = [each.name for each in folder.iterdir() if not _is_hidden(each.name)]
    except OSError:
        return ""
    near = nearest(path.relative_to(folder).parts[0], names)
    return "" if near is None else f"; did you mean `{folder / near}`?"
