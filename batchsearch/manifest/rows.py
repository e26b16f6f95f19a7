"""The values that come out of a manifest: a picture's reference, a row, a batch of rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ImageReference:
    """Where one picture is: exactly one of `path`, `url` and `data` is set.

    Attributes:
        path: File path as the manifest gives it, relative to `images.root` or absolute.
        url: An address with a scheme (`https://…`, `file:…`).
        data: The file's bytes, inline in the manifest. Never shown.
    """

    path: str | None = None
    url: str | None = None
    data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the manifest, ready for the stages after it.

    Attributes:
        key: The row key as text: the value itself for one key column, a JSON array for several.
        number: Position in the whole manifest, from 0. For people; it names nothing.
        index: Position in its batch, from 0.
        images: One reference for each picture that the operation takes, in the operation's order;
            None where the manifest's cell is null.
        parameters: Per-row parameters by snake_case name; null cells are left out. Values are what
            Arrow gives (str, int, float, bool); they are validated by `api`, not here.
    """

    key: str
    number: int
    index: int
    images: tuple[ImageReference | None, ...]
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows in manifest order, with the user's own columns beside them.

    Attributes:
        rows: The rows.
        carried: Same length and order: the manifest's own columns that go into the results
            (all but inline picture bytes).
    """

    rows: tuple[Row, ...]
    carried: pa.RecordBatch
