"""What a row came from, in sixteen bytes: so that a changed image is noticed without reading it."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from batchsearch.engine.renewal.renewal_rules import Source
from batchsearch.images.image_identity import path_of
from batchsearch.manifest.keys import BESIDE, digests_of
from batchsearch.manifest.rows import references
from batchsearch.path_spellings import other_spellings
from batchsearch.storage import arrow_functions as pc
from batchsearch.storage.digest_sort import halves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.manifest.rows import ImageReference, Row

SEEN: Final = 1
NOT_THERE: Final = 2
"""What `SourceReader.beside` says in `seen`: the source is known, and a file that it names is missing."""

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

    def beside(
        self, images: Sequence[pa.Array], parameters: Mapping[str, pa.Array], count: int
    ) -> NDArray[Any]:
        """What `of` says of so many rows, from their columns, as records to keep their keys with.

        `seen` is `SEEN`, or `NOT_THERE` for rows that miss a file. No image may be in the columns themselves.
        """
        missing = np.zeros(count, dtype=bool)
        said = []
        for column in images:
            found = [self._image(reference) for reference in references(column)]
            missing |= np.fromiter((is_missing for _, is_missing in found), bool, count)
            said.append(pa.array([_encode(what) for what, _ in found], pa.string()))
        texts = self._texts(said, parameters, count)
        words = halves(b"".join(digests_of(texts)))
        records = np.empty(count, dtype=BESIDE)
        records["source_high"], records["source_low"] = words[:, 0], words[:, 1]
        records["seen"] = np.where(missing, NOT_THERE, SEEN)
        return records

    def _texts(self, images: Sequence[pa.Array], parameters: Mapping[str, pa.Array], count: int) -> pa.Array:
        """The text that `of` makes the digest of, for every row."""
        whole: list[Any] = ["[["]
        for column in images:
            whole += [column, ", "]
        whole[-1:] = ["]"] if images else ["[[]"]
        if self._parameters:
            whole += [", {", *_members(parameters), "}"]
        return _joined([*whole, "]"], count)

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


def _joined(pieces: Sequence[Any], count: int) -> pa.Array:
    """Texts and columns of texts put together, for so many rows: in one pass, which is what it costs."""
    whole: list[Any] = []
    for piece in pieces:
        if whole and isinstance(piece, str) and isinstance(whole[-1], str):
            whole[-1] += piece
        else:
            whole.append(piece)
    if len(whole) == 1 and isinstance(whole[0], str):
        return pa.array(whole * count, pa.string())
    return pc.binary_join_element_wise(*whole, "")


def _members(parameters: Mapping[str, pa.Array]) -> list[Any]:
    """The members of the JSON objects that hold each row's parameters, without those that are null."""
    names = sorted(parameters)
    if all(parameters[name].null_count == 0 for name in names):
        whole: list[Any] = []
        for name in names:
            whole += [", " if whole else "", f"{_encode(name)}: ", *_values(parameters[name])]
        return whole
    columns = [
        pc.binary_join_element_wise(f"{_encode(name)}: ", *_values(parameters[name]), ", ", "").fill_null("")
        for name in names
    ]
    # No value ends with a comma or a blank: text ends with its quote.
    return [pc.ascii_rtrim(pc.binary_join_element_wise(*columns, ""), ", ")]


def _values(column: pa.Array) -> list[Any]:
    """Cells as JSON has them, in pieces to be put together; null stays null."""
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        return [column.cast(pa.string())]
    if pa.types.is_string(column.type) and _is_plain(column):
        return ['"', column, '"']
    texts = [None if value is None else _encode(value) for value in column.to_pylist()]
    return [pa.array(texts, pa.string())]


def _is_plain(column: pa.Array) -> bool:
    """Whether all texts stand in JSON as they are."""
    _, offsets, data = column.buffers()
    if data is None or len(column) == 0:
        return True
    ends = np.frombuffer(offsets, dtype=np.int32)
    begin, end = int(ends[column.offset]), int(ends[column.offset + len(column)])
    letters = np.frombuffer(data, dtype=np.uint8)[begin:end]
    others = (letters < ord(" ")) | (letters > ord("~")) | (letters == ord('"')) | (letters == ord("\\"))
    return not others.any()


def _status(path: str) -> os.stat_result | None:
    """Of a file, None where there is none that can be looked at."""
    try:
        return os.stat(path)  # noqa: PTH116 - as above
    except (OSError, ValueError):
        return None
