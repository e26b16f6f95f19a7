"""Where relative paths in settings start from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from batchsearch.config.document import Document
    from batchsearch.config.shape import SettingPath, Shape

HAS_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def absolute(text: str, base: Path) -> str:
    """A path as it is meant: `~` is the home folder, a relative one starts at `base`, a URL stays.

    `..` is taken out of the text where that names the same file, which it need not beside symbolic links.
    """
    if HAS_SCHEME.match(text):
        return text
    joined = os.path.join(base, os.path.expanduser(text))  # noqa: PTH111, PTH118 - Path drops a trailing slash and refuses ~nobody
    tidy = os.path.normpath(joined)
    return tidy if os.path.realpath(tidy) == os.path.realpath(joined) else joined


def make_absolute(document: Document, shape: Shape, *, folder: Path) -> None:
    """Makes every path in a document absolute.

    Args:
        document: Changed in place.
        shape: The shape of the whole; says which settings are paths.
        folder: Where the file's relative paths start. Those given by the environment or `--set` start at
            the current folder, where a person typed them.
    """
    _walk(document, document.root, shape, (), folder)


def _absolute(value: Any, base: Path) -> Any:
    """One path; what is none, or is empty, is left to the model to refuse."""
    return absolute(value, base) if isinstance(value, str) and value else value


def _walk(document: Document, value: Any, shape: Shape, path: SettingPath, folder: Path) -> None:
    if not isinstance(value, dict):
        return
    for name, below in value.items():
        child = shape.child(name)
        if child is None:
            continue
        if child.is_path and isinstance(below, (str, list)):
            typed = document.source((*path, name)).kind in ("environment", "override")
            base = Path.cwd() if typed else folder
            value[name] = (
                _absolute(below, base)
                if isinstance(below, str)
                else [_absolute(each, base) for each in below]
            )
        else:
            _walk(document, below, child, (*path, name), folder)
