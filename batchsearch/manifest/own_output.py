"""Whether a manifest's path takes in the folder that a job writes: results would be rows of the next run."""

from __future__ import annotations

import glob
import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.config.relative_paths import HAS_SCHEME
from batchsearch.manifest.files import is_hidden

if TYPE_CHECKING:
    from collections.abc import Sequence

_WRITTEN: Final = (("results", "part.parquet"), ("search", "results", "part.parquet"), ("pairs.parquet",))
"""Where tables come to lie in an output folder."""


def takes_in(path: str, output: str) -> bool:
    """Whether a manifest of that path would read what is written into an output folder.

    Args:
        path: `manifest.path`, absolute or an address in an object store.
        output: `output.dir`, likewise.
    """
    if HAS_SCHEME.match(path) or HAS_SCHEME.match(output):
        scheme, _, place = path.partition("://")
        other, _, out = output.rstrip("/").partition("://")
        if scheme != other:
            return False
        given, written = place.split("/"), out.split("/")
        return _matches(given, written) if glob.has_magic(path) else _is_below(_trimmed(given), written)
    folder = Path(os.path.realpath(output)).parts
    if Path(path).is_dir():
        return _is_below(Path(os.path.realpath(path)).parts, folder)
    if Path(path).exists() or not glob.has_magic(path):
        return False
    return _matches(Path(path).parts, folder) or _matches(Path(path).parts, Path(output).parts)


def _trimmed(parts: Sequence[str]) -> Sequence[str]:
    return parts[:-1] if parts and not parts[-1] else parts


def _is_below(folder: Sequence[str], output: Sequence[str]) -> bool:
    below = output[len(folder) :]
    return tuple(output[: len(folder)]) == tuple(folder) and not any(is_hidden(part) for part in below)


def _matches(pattern: Sequence[str], output: Sequence[str]) -> bool:
    return any(_match(tuple(pattern), (*output, *written)) for written in _WRITTEN)


def _match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        skips = parts and not is_hidden(parts[0]) and _match(pattern, parts[1:])
        return bool(skips) or _match(pattern[1:], parts)
    if not parts or not fnmatchcase(parts[0], pattern[0]):
        return False
    if is_hidden(parts[0]) and glob.has_magic(pattern[0]):
        return False
    return _match(pattern[1:], parts[1:])
