"""What a row came from, in sixteen bytes: so that a changed image is noticed without reading it."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from batchsearch.engine.renewal.renewal_rules import Source
from batchsearch.images.image_identity import path_of
from batchsearch.path_spellings import other_spellings

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.manifest.rows import ImageReference, Row

# `json.dumps` with these options would make an encoder for every row.
_encode = json.JSONEncoder(sort_keys=True, default=str, check_circular=False).encode


class SourceReader:
    """Finds out what rows came from; may be used from several threads.

    Args:
        root: Where relative image paths start from.
        settings: How references are read.
        files: Look at size and time of images' files; else only at what the manifest says.
        parameters: What the row's parameters are counts, too; else only its images do.
    """

    def __init__(self, root: Path, settings: ImageSettings, *, files: bool, parameters: bool = True) -> None:
        self._root = str(root)
        self._files = files
        self._settings = settings
        self._parameters = parameters

    def of(self, row: Row) -> Source:
        """What this row came from: parameters, references, and the size and time of its images' files."""
        missing = False
        images: list[Any] = []
        for reference in row.images:
            said, is_missing = self._image(reference)
            missing |= is_missing
            images.append(said)
        told = _encode([images, row.parameters] if self._parameters else [images])
        digest = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return Source(digest, missing)

    def of_image(self, reference: ImageReference) -> Source:
        """What one image came from: its reference, and the size and time of its file."""
        said, missing = self._image(reference)
        digest = hashlib.blake2b(_encode(said).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return Source(digest, missing)

    def _image(self, reference: ImageReference | None) -> tuple[Any, bool]:
        if reference is None:
            return None, False
        if reference.data is not None:
            return hashlib.blake2b(reference.data, digest_size=16).hexdigest(), False
        text = reference.path if reference.path is not None else reference.url or ""
        path = path_of(reference, self._settings) if self._files else None
        if path is None:
            return text, False
        about = _status(self._below(path))
        if about is None:
            spellings = map(_status, map(self._below, other_spellings(path)))
            about = next(filter(None, spellings), None)
        if about is None:
            return text, True
        return [text, about.st_size, about.st_mtime_ns], False

    def _below(self, path: str) -> str:
        return os.path.join(self._root, path)  # noqa: PTH118 - a million of them: no Path objects


def _status(path: str) -> os.stat_result | None:
    """Of a file, None where there is none that can be looked at."""
    try:
        return os.stat(path)  # noqa: PTH116 - as above
    except (OSError, ValueError):
        return None
