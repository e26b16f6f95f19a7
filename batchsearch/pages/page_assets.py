"""Files that pages in a browser share, out of `assets/`: the report inlines them, the console serves them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final, Literal

Asset = Literal["base.css", "viewer.js"]

BASE_STYLE: Final[Asset] = "base.css"
VIEWER: Final[Asset] = "viewer.js"
"""A module that exports `openViewer`."""


@cache
def asset(name: Asset) -> str:
    """The text of one of them."""
    return files("batchsearch.pages").joinpath("assets", name).read_text(encoding="utf-8")
