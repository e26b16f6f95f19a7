"""The values that come out of a manifest: an image's reference, a row, a batch of rows."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.arrow_values import python_values
from batchsearch.manifest.column_types import has_path
from batchsearch.manifest.keys import digests_of
from batchsearch.quick_record import quick_record
from batchsearch.storage import arrow_functions as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

_URL: Final = re.compile(r"([\s\ufeff\u200b]*)(?:[A-Za-z][A-Za-z0-9+.-]*://|(?i:file|data):)")


@quick_record
class ImageReference:
    """Where one image is: exactly one of `path`, `url` and `data` is set.

    Attributes:
        path: File path as the manifest gives it, relative to `images.root` or absolute.
        url: An address with a scheme (`https://…`, `file:…`).
        data: The file's bytes, inline in the manifest. Never shown.
    """

    path: str | None = None
    url: str | None = None
    data: bytes | None = field(default=None, repr=False)


@quick_record
class Row:
    """One row of the manifest, ready for the stages after it.

    Attributes:
        key: The row key as text: the value itself for one key column, a JSON array for several.
        number: Position in the whole manifest, from 0, of the row that it is, or that its image is in. For
            people; it names nothing.
        index: Position in its batch, from 0.
        images: One reference for each image that the operation takes, in the operation's order;
            None where the manifest's cell is null.
        parameters: Per-row parameters by snake_case name; null cells are left out. Values are what
            Arrow gives (str, int, float, bool); they are validated by `api`, not here.
    """

    key: str
    number: int
    index: int
    images: tuple[ImageReference | None, ...]
    parameters: Mapping[str, Any]


class RowBatch:
    """Rows in manifest order, with the user's own columns beside them.

    Rows become Python objects when they are asked for: whoever wants few of a batch, by their digests, pays
    for these alone.
    """

    __slots__ = (
        "_carried",
        "_carry",
        "_images",
        "_key_column",
        "_numbers",
        "_parameters",
        "_rows",
        "_start",
    )

    def __init__(
        self,
        keys: pa.Array,
        *,
        start: int,
        numbers: NDArray[np.int64],
        images: Sequence[pa.Array],
        parameters: Mapping[str, pa.Array],
        carry: Callable[[], pa.RecordBatch],
    ) -> None:
        """Made of columns of one length, in the types of `columns.normal_type`.

        Args:
            keys: The row keys as text, none of them null.
            start: Place of the first row among all rows that the manifest gives, from 0.
            numbers: The position in the manifest of each row, or of the row that its image is in.
            images: The image columns, in the operation's order.
            parameters: The parameter columns by snake_case name.
            carry: Makes `carried`.
        """
        self._key_column = keys
        self._start = start
        self._numbers = numbers
        self._images = tuple(images)
        self._parameters = dict(parameters)
        self._carry = carry
        self._carried: pa.RecordBatch | None = None
        self._rows: tuple[Row, ...] | None = None

    def __len__(self) -> int:
        return len(self._key_column)

    @property
    def start(self) -> int:
        """Place of the first row among all rows that the manifest gives, from 0."""
        return self._start

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows."""
        if self._rows is None:
            self._rows = tuple(self._made(self._key_column, self._images, self._parameters, None))
        return self._rows

    @property
    def carried(self) -> pa.RecordBatch:
        """The manifest's own columns that go into the results (all but inline image bytes), row by row."""
        if self._carried is None:
            self._carried = self._carry()
        return self._carried

    def keys(self) -> list[str]:
        """The row keys."""
        found: list[str] = self._key_column.to_pylist()
        return found

    def digests(self) -> list[bytes]:
        """Sixteen bytes for each row key, as the ledger names rows."""
        return digests_of(self._key_column)

    def values(self, parameter: str) -> list[Any]:
        """One parameter of all rows; None where it is not given."""
        column = self._parameters.get(parameter)
        return [None] * len(self) if column is None else python_values(column)

    def pick(self, positions: Sequence[int]) -> list[Row]:
        """Some of the rows, by their positions in the batch."""
        if self._rows is not None or len(positions) == len(self):
            return [self.rows[position] for position in positions]
        wished = pa.array(positions, pa.int64())
        return self._made(
            self._key_column.take(wished),
            [column.take(wished) for column in self._images],
            {name: column.take(wished) for name, column in self._parameters.items()},
            positions,
        )

    def _made(
        self,
        keys: pa.Array,
        images: Sequence[pa.Array],
        parameters: Mapping[str, pa.Array],
        positions: Sequence[int] | None,
    ) -> list[Row]:
        count = len(keys)
        found = [references(column) for column in images]
        of_rows = list(zip(*found, strict=True)) if found else [()] * count
        given: list[dict[str, Any]] = [{} for _ in range(count)]
        for name, column in parameters.items():
            for mapping, value in zip(given, python_values(column), strict=True):
                if value is not None:
                    mapping[name] = value
        places = range(count) if positions is None else positions
        numbers = self._numbers.tolist()
        return [
            Row(key, numbers[index], index, image, mapping)
            for key, index, image, mapping in zip(keys.to_pylist(), places, of_rows, given, strict=True)
        ]


def reference(text: str | None) -> ImageReference | None:
    """What a text cell says of an image; null and blank text are no image.

    Blanks around an address are no part of it; a file's name may have some.
    """
    if not text or text.isspace():
        return None
    if found := _URL.match(text):
        return ImageReference(url=text[found.end(1) :].rstrip())
    return ImageReference(path=text)


def references(array: pa.Array) -> list[ImageReference | None]:
    """One reference for each cell of an image column."""
    if pa.types.is_struct(array.type):
        given = pc.struct_field(array, "bytes").to_pylist()
        paths = pc.struct_field(array, "path").to_pylist() if has_path(array.type) else [None] * len(array)
        return [
            reference(path) if data is None else ImageReference(data=data)
            for data, path in zip(given, paths, strict=True)
        ]
    if pa.types.is_binary(array.type):
        return [None if data is None else ImageReference(data=data) for data in array.to_pylist()]
    return [reference(text) for text in array.to_pylist()]
