"""What a manifest is when it is no table: a folder of images, told by what is in it.

Its rows are named by their only column with a path, so that such a job needs no `manifest.key`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

IMAGE: Final = "image"
"""The column of a list or a folder of images that names its rows."""

IMAGE_ENDINGS: Final = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm",
    ".pbm", ".jp2", ".heic", ".heif", ".avif",
)  # fmt: skip

_TABLE_ENDINGS: Final = (
    ".parquet", ".pq", ".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst", ".jsonl", ".ndjson",
    ".arrow", ".feather", ".xlsx",
)  # fmt: skip
"""Endings of what is a table beside images, too; a `.txt`, `.xml` or `.json` there may be a note."""

_MOST_LOOKED_AT: Final = 50_000
"""Names; a folder in which the first so many are images and none a table is one of images."""

KEYED_BY_IMAGE: Final = ("images", "list")
"""Formats whose rows are named by `image` when nothing else is said."""


def has_images_alone(folder: str | Path) -> bool:
    """Whether a folder has images in it or below it, and no table."""
    seen, images = 0, False
    waiting = [str(folder)]
    while waiting and seen < _MOST_LOOKED_AT:
        try:
            with os.scandir(waiting.pop()) as found:
                entries = sorted(found, key=lambda each: each.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith((".", "_")):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
                continue
            seen += 1
            lowered = entry.name.lower()
            if lowered.endswith(_TABLE_ENDINGS):
                return False
            images = images or lowered.endswith(IMAGE_ENDINGS)
    return images


def with_its_format(given: Mapping[str, Any]) -> dict[str, Any]:
    """The `manifest` section with what its path says by itself: the format and key of a folder of images."""
    found = dict(given)
    path = found.get("path")
    if found.get("format", "auto") == "auto" and isinstance(path, str) and os.path.isabs(path):  # noqa: PTH117 - a text
        try:
            if os.path.isdir(path) and has_images_alone(path):  # noqa: PTH112 - a text, maybe with a NUL in it
                found["format"] = "images"
        except (OSError, ValueError):
            pass
    if found.get("format") in KEYED_BY_IMAGE:
        found.setdefault("key", [IMAGE])
    return found
