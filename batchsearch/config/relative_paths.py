"""Where relative paths in settings start from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch.disk_paths import is_text, named_here
from batchsearch.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def make_absolute(document: Document, shape: Shape, *, folder: Path) -> list[Problem]:
    """Makes every path in a document absolute.

    Args:
        document: Changed in place.
        shape: The shape of the whole; says which settings are paths.
        folder: Where the file's relative paths start. Those given by the environment or `--set` start at
            the current folder, where a person typed them.

    Returns:
        Texts that no file's name and no table can hold; they stay as they are.
    """
    return list(_walk(document, document.root, shape, (), folder))


def _walk(document: Document, value: Any, shape: Shape, path: SettingPath, folder: Path) -> Iterator[Problem]:
    if not isinstance(value, dict):
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and not is_text(text) for text in texts):
            yield Problem(document.source(path).where(path), "holds half a character (a lone surrogate)")
        return
    for name, below in value.items():
        child = shape.child(name)
        if child is None:
            continue
        here = (*path, name)
        if child.is_path and isinstance(below, (str, list)):
            paths = below if isinstance(below, list) else [below]
            paths = [named_here(each) if isinstance(each, str) else each for each in paths]
            wrong = next((why for each in paths if (why := _unnameable(each)) is not None), None)
            if wrong is not None:
                yield Problem(document.source(here).where(here), wrong)
                continue
            base = folder
            if document.source(here).kind in ("environment", "override"):
                try:
                    base = Path.cwd()
                except FileNotFoundError:
                    # Whoever works in a folder that is gone can name whole paths.
                    if not all(_is_whole(each) for each in paths if isinstance(each, str)):
                        yield Problem(
                            document.source(here).where(here), "is relative, and the current folder is gone"
                        )
                        continue
            made = [_absolute(each, base) for each in paths]
            value[name] = made if isinstance(below, list) else made[0]
        else:
            yield from _walk(document, below, child, here, folder)


def _absolute(value: Any, base: Path) -> Any:
    """One path; what is none, or is empty, is left to the model to refuse."""
    return absolute(value, base) if isinstance(value, str) and value else value


def _is_whole(path: str) -> bool:
    return os.path.isabs(path) or HAS_SCHEME.match(path) is not None  # noqa: PTH117 - an address is no path


def _unnameable(path: Any) -> str | None:
    """Why no file can have this path, or None."""
    if not isinstance(path, str):
        return None
    if "\0" in path:
        return "holds a NUL character, which no path can"
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return "holds a character that no file's name here can"
    return None
