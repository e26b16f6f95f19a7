"""A product's images, each a row of its own.

A file's rows are products, each with any number of images in some columns. Here they become rows of images:
the columns with the images give way to `image`, the row's own, `image_index`, its place among the product's
images, and `pic_name`, its name within the product; all other columns are repeated. `manifest.key` with
`pic_name` names the row.

Equal images of one product are one row: within a row of the file, in rows that stand together, and, by a
list of what is there more than once, anywhere in the manifest. Expanding goes a thousand rows of the file at
a time, and gives out about as many bytes at once as it is given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from batchsearch.arrow_values import size_of
from batchsearch.config.sections.manifest_settings import IMAGE_NAME
from batchsearch.manifest.formats.table_file import PIECE_BYTES, Wished
from batchsearch.manifest.groups import own_images
from batchsearch.manifest.keys import product_keys
from batchsearch.manifest.layers import ROW, Layer, LeftOut, rows_of
from batchsearch.manifest.product_images.image_cells import NO_IMAGE, name_of
from batchsearch.manifest.product_images.image_columns import image_array, image_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from batchsearch.manifest.formats.table_file import Report, TableFile
    from batchsearch.manifest.groups import Groups
    from batchsearch.manifest.product_images.image_cells import Image
    from batchsearch.manifest.product_images.repeated_images import RepeatedImages

IMAGE: Final = "image"
IMAGE_INDEX: Final = "image_index"
PIC_NAME: Final = IMAGE_NAME
MADE: Final = (IMAGE, IMAGE_INDEX, PIC_NAME)
"""Columns of a row of an image that the file does not have."""

_ROWS_AT_ONCE: Final = 1_024
_MOST_GIVEN: Final = 8_192


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """How rows of images are made, the same for all files.

    Attributes:
        columns: Columns with images, in order.
        key: Columns that name the product.
        separator: What stands between several images of one text.
        most: Most images of a product; None for any number.
        without: What becomes of a row without an image.
        has_bytes: Images may be bytes.
        groups: Where rows without an image get theirs from, if anywhere.
        repeated: What is there more than once.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...]
    separator: str
    most: int | None
    without: str
    has_bytes: bool
    groups: Groups | None
    repeated: RepeatedImages


@dataclass(slots=True)
class Expanded:
    """Rows of images that were made of some rows.

    Attributes:
        source: The row that each comes from, by position in the piece.
        keys: The key of its product; None where it has none.
        images: The image; None for a row without one.
        names: Its name.
        indexes: Its place among its product's images.
    """

    source: list[int] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    images: list[Image | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    indexes: list[int | None] = field(default_factory=list)

    def add(self, source: int, key: str | None, image: Image | None, name: str, index: int | None) -> None:
        """One row more."""
        self.source.append(source)
        self.keys.append(key)
        self.images.append(image)
        self.names.append(name)
        self.indexes.append(index)

    def keep(self, positions: Sequence[int]) -> Expanded:
        """Some of the rows."""
        kept = Expanded()
        for at in positions:
            kept.add(self.source[at], self.keys[at], self.images[at], self.names[at], self.indexes[at])
        return kept


@dataclass(slots=True)
class _Reading:
    """How far one reading has come.

    Attributes:
        key: The product whose rows are being read.
        names: The names of its images so far.
        images: How many they are.
        merged: Images so far that their product had already.
        without: Rows so far that were left out for want of an image.
    """

    key: str | None = None
    names: set[str] = field(default_factory=set)
    images: int = 0
    merged: int = 0
    without: int = 0


class ImageRows(Layer):
    """A file of products as a table of images."""

    def __init__(self, below: TableFile, plan: ImagePlan, number: int) -> None:
        """Makes rows of images of a file.

        Args:
            below: The file.
            plan: How.
            number: The file's number in the manifest.
        """
        self._plan = plan
        self._number = number
        self._kind = image_type(has_bytes=plan.has_bytes)
        made = [(IMAGE, self._kind), (IMAGE_INDEX, pa.int32()), (PIC_NAME, pa.string())]
        fields: list[Any] = []
        # A column of the file's own that is called like one that is made here is there under another name.
        self._own_names: dict[str, str] = {}
        place = None
        for each in below.schema:
            if each.name in plan.columns:
                place = len(fields) if place is None else place
                continue
            name = each.name
            while name in MADE or (name != each.name and name in below.schema.names):
                name = f"manifest_{name}"
            self._own_names[name] = each.name
            fields.append(each.with_name(name))
        place = len(fields) if place is None else place
        super().__init__(
            below, pa.schema([*fields[:place], *(pa.field(*each) for each in made), *fields[place:]])
        )
        types = {each.name: each.type for each in below.schema}
        groups = () if plan.groups is None else (plan.groups.columns.group,)
        needed = dict.fromkeys((*plan.columns, *plan.key, *groups))
        self._needed = {name: Wished(name, types[name]) for name in needed if name in types}

    def _made(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        own = {each.name: self._own_names[each.name] for each in wished if each.name in self._own_names}
        more = [Wished(own[each.name], each.type, each.path_only) for each in wished if each.name in own]
        reading = _Reading()
        if self._plan.groups is not None:
            self._plan.groups.gather()
        once = self._plan.repeated.once(self._number)
        asked = [*(each for each in more if each.name not in self._needed), *self._needed.values()]
        for piece, found in self._expanded(asked, reading, report):
            left = once.first_ones(found.keys, found.names)
            kept = found if left is None else found.keep(left)
            yield from self._batches(piece, kept, wished, own, report)
        self.left_out = self.left_out_below + LeftOut(
            without_image=reading.without, merged=reading.merged + once.dropped
        )

    def keys_of(self, piece: pa.RecordBatch) -> list[str | None]:
        """The key of each row's product, of a piece from below."""
        return product_keys(piece, self._plan.key)

    def named(self) -> Iterator[tuple[list[str | None], list[str]]]:
        """The products' keys and the names of all images, those that are there again elsewhere included."""
        for _, found in self._expanded(self._needed.values(), _Reading(), lambda *_: None):
            yield found.keys, found.names

    def _expanded(
        self, asked: Iterable[Wished], reading: _Reading, report: Report
    ) -> Iterator[tuple[pa.RecordBatch, Expanded]]:
        for whole in self._read(asked, report):
            for start in range(0, whole.num_rows, _ROWS_AT_ONCE):
                piece = whole.slice(start, _ROWS_AT_ONCE)
                yield piece, self._expand(piece, reading, report)

    def _expand(self, piece: pa.RecordBatch, reading: _Reading, report: Report) -> Expanded:
        plan, rows = self._plan, rows_of(piece)

        def bad(position: int | None, what: str) -> None:
            report(self._base.row_at(int(rows[position or 0])), what)

        keys = product_keys(piece, plan.key)
        groups = None
        found = Expanded()
        for position, own in enumerate(own_images(piece, plan.columns, plan.separator, bad)):
            key, images = keys[position], own
            if key is None or key != reading.key:
                reading.key, reading.names, reading.images = key, set(), 0
            if not images and plan.groups is not None:
                if groups is None:
                    groups = plan.groups.names(piece, plan.groups.columns.group)
                images = plan.groups.images(groups[position])
            if images:
                self._add(found, position, images, reading)
            # A product that has an image of a row before needs none of this one.
            elif reading.names:
                continue
            elif plan.without == "skip":
                reading.without += 1
                self._tell(int(rows[position]), key)
            else:
                reading.names.add(NO_IMAGE)
                found.add(position, key, None, NO_IMAGE, None)
        return found

    def _add(self, found: Expanded, position: int, images: Sequence[Image], reading: _Reading) -> None:
        for image in images:
            name = name_of(image)
            if name in reading.names:
                reading.merged += 1
            elif self._plan.most is None or reading.images < self._plan.most:
                reading.names.add(name)
                found.add(position, reading.key, image, name, reading.images)
                reading.images += 1

    def _batches(
        self,
        piece: pa.RecordBatch,
        found: Expanded,
        wished: Sequence[Wished],
        own: Mapping[str, str],
        report: Report,
    ) -> Iterator[pa.RecordBatch]:
        """What was made of a piece, in parts that are not larger than what is read at once."""
        source = np.array(found.source, np.int64)
        bytes_a_row = sum(size_of(piece.column(name)) for name in own.values()) // max(1, piece.num_rows)
        step = max(1, min(_MOST_GIVEN, PIECE_BYTES // max(1, bytes_a_row)))
        for start in range(0, len(source), step):
            part, taken = slice(start, start + step), pa.array(source[start : start + step])
            made = {
                IMAGE: partial(image_array, found.images[part], has_bytes=self._plan.has_bytes),
                IMAGE_INDEX: partial(pa.array, found.indexes[part], pa.int32()),
                PIC_NAME: partial(pa.array, found.names[part], pa.string()),
            }
            rows = piece.column(ROW).take(taken)
            arrays = []
            for column in wished:
                name = own.get(column.name)
                array = made[column.name]() if name is None else piece.column(name).take(taken)
                if name is None or name in self._needed:
                    array = self._as_wished(array, column, report, rows.to_numpy())
                arrays.append(array)
            yield pa.record_batch([*arrays, rows], names=[*(column.name for column in wished), ROW])
