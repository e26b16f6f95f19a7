"""The images and products that the search results know: every row that any night has worked on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_dataset, arrow_readable
from batchsearch.errors import OutputError
from batchsearch.storage.parts.parquet_table import checked_parquet
from batchsearch.storage.sealed.sealed_reading import sealed_files
from batchsearch.tasks.dedup.candidates.in_pieces import Grouping, counted, pieces
from batchsearch.tasks.dedup.candidates.off_memory import Room

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.text_index import TextIndex

BATCH_ROWS: Final = 1 << 17


@dataclass(frozen=True, slots=True)
class Columns:
    """What columns of the results are called.

    Attributes:
        product: Product id.
        pic_name: Name of the image; None where the manifest has none.
        image: The image's reference; None where images are inline.
        category: What thresholds go by; None for the service's own.
        oldest: What says how old a product is; None for nothing.
        title: What a product is called; None for nothing.
        different_when: What speaks against a pair, by the manifest's name.
        same_when: What speaks for a pair, likewise.
    """

    product: str
    pic_name: str | None
    image: str | None
    category: str | None
    oldest: str | None
    title: str | None = None
    different_when: Mapping[str, str] = field(default_factory=dict)
    same_when: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Images:
    """All rows of the results, one image each, and the products that they belong to.

    Attributes:
        product_index: Product ids, ascending, each once.
        name_index: Names of images, ascending, each once.
        row_index: Row key, by row; ascending.
        product: Product, by row.
        name: Name of the image, by row.
        run: Run that finished the row, by row.
        runs: The runs' ids, in the order in which they began to finish rows.
        answered_at: When the row was answered, or else refused, microseconds since 1970; by row.
        renewed: Whether the row had another outcome before, by row.
        area: Pixels of the image, by row; 0 where they are not known.
        sha256: Of the image's file, by row; null where it is not known.
        file: A number for each different one of those, by row; -1 where it is not known.
        files: How many different ones there are.
        references: Where the images are, by row; None where they are in the manifest.
        searched: Whether the row has hits to tell of: it was searched, and well; by row.
        present: Whether the manifest has the row; by row.
        oldest: Order of the products by age, by row; None where nothing says it.
        categories: Texts that thresholds go by, each once; None for the service's own.
        category: Place in `categories`, by row; -1 for none; None likewise.
        titles: What products are called, by row; None where nothing says it.
        values: Numbers of the values that columns have, by row; -1 for empty ones; by the results' name.
        room: Where is what memory does not hold; None keeps all in memory.
        any_renewed: Whether any row had another outcome before.
    """

    product_index: TextIndex
    name_index: TextIndex
    row_index: TextIndex
    product: NDArray[np.int32]
    name: NDArray[np.int32]
    run: NDArray[np.int32]
    runs: pa.Array
    answered_at: NDArray[np.int64]
    renewed: NDArray[np.bool_]
    area: NDArray[np.int64]
    sha256: pa.Array
    file: NDArray[np.int32]
    files: int
    references: pa.Array | None
    searched: NDArray[np.bool_]
    present: NDArray[np.bool_]
    oldest: NDArray[np.int64] | None
    categories: pa.Array | None
    category: NDArray[np.int32] | None
    titles: pa.Array | None = None
    values: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    room: Room | None = None
    any_renewed: bool = field(init=False)
    _rows: _RowsByImage = field(init=False)
    _there: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        """Prepare to tell rows of images."""
        room = self.room or Room()
        rows = _RowsByImage(self, room)
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_there", self.products_of(self.present))
        object.__setattr__(self, "any_renewed", bool(self.renewed.any()))

    def products_of(self, which: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """By product: whether some row of it is among these."""
        found = (self.room or Room()).array(len(self.products), bool, 0)
        for some in pieces(len(which)):
            found[self.product[some][which[some]]] = True
        return found

    def images_of_products(self, which: NDArray[np.bool_]) -> NDArray[np.int32]:
        """By product: how many of these rows it has."""
        found = (self.room or Room()).array(len(self.products), np.int32, 0)
        for some in pieces(len(which)):
            np.add.at(found, self.product[some][which[some]], np.int32(1))
        return found

    @property
    def products(self) -> pa.Array:
        """Product ids, ascending, each once."""
        return self.product_index.texts

    @property
    def names(self) -> pa.Array:
        """Names of images, ascending, each once."""
        return self.name_index.texts

    @property
    def row_keys(self) -> pa.Array:
        """Row key, by row; ascending."""
        return self.row_index.texts

    def __len__(self) -> int:
        return len(self.row_keys)

    def present_products(self) -> NDArray[np.bool_]:
        """Whether the manifest has a row of the product; by product."""
        return self._there

    def product_id(self, product: int) -> str:
        """A product's id."""
        return str(self.products[product].as_py())

    def row_of(self, product: NDArray[np.int32], name: NDArray[np.int32]) -> NDArray[np.int64]:
        """The row of each image, by product and name; -1 where there is none.

        Of several the last one that the manifest has, or else the last.
        """
        return self._rows.of(product, name)

    def gone(self, product: NDArray[np.int32], name: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Whether each image was the product's, and the manifest no longer has it."""
        row = self.row_of(product, name)
        return (row >= 0) & ~self.present[np.maximum(row, 0)] if len(self) else row >= 0


class _RowsByImage:
    """Tells the row of an image; in order when it is first asked."""

    def __init__(self, images: Images, room: Room) -> None:
        self._product, self._name, self._present = images.product, images.name, images.present
        self._products = len(images.products)
        self._room = room
        self._order = np.empty(0, np.int32)
        self._names = np.empty(0, np.int32)
        self._begins: NDArray[np.int64] | None = None

    def of(self, product: NDArray[np.int32], name: NDArray[np.int32]) -> NDArray[np.int64]:
        if self._begins is None:
            self._begins = self._put_in_order()
        found = np.full(len(product), -1, np.int64)
        asked = np.flatnonzero((product >= 0) & (product < len(self._begins) - 1))
        low, end = self._begins[product[asked]], self._begins[product[asked] + 1]
        first, high, wanted = low.copy(), end.copy(), name[asked]
        # Behind the last row of that name, among those of the product.
        left = np.flatnonzero(low < high)
        while len(left):
            middle = (low[left] + high[left]) // 2
            above = self._names[middle] > wanted[left]
            high[left[above]] = middle[above]
            low[left[~above]] = middle[~above] + 1
            left = left[low[left] < high[left]]
        at = low - 1
        here = np.flatnonzero(at >= first)
        here = here[self._names[at[here]] == wanted[here]]
        found[asked[here]] = self._order[at[here]]
        return found

    def _put_in_order(self) -> NDArray[np.int64]:
        """Rows by product, then by name; where those of each product begin."""
        count = len(self._product)
        self._order, self._names = (self._room.array(count, np.int32) for _ in range(2))
        grouping = Grouping(counted(self._product, self._products, self._room), self._room)
        for some in pieces(count):
            at = grouping.places(self._product[some])
            self._order[at] = np.arange(some.start, some.stop)
            self._names[at] = self._name[some]
        begins = grouping.begins
        for start, end in grouping.bounds():
            rows = slice(int(begins[start]), int(begins[end]))
            product = np.repeat(np.arange(end - start), np.diff(begins[start : end + 1]))
            order = np.lexsort((self._present[self._order[rows]], self._names[rows], product))
            self._order[rows] = self._order[rows][order]
            self._names[rows] = self._names[rows][order]
        return begins


def batches_of(
    folder: Path, columns: Sequence[str], more: Path | None = None, *, new: Collection[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The rows of a folder of Parquet parts, in the order of the files' names.

    Args:
        folder: Where the parts are.
        columns: What is read.
        more: A file to be read after them; columns that it does not have are null.
        new: Columns that no part may have yet: they are null texts then.

    Raises:
        OutputError: A part cannot be read.
    """
    files = list(sealed_files(folder))
    if not files:
        return
    if more is not None:
        files.append(more)
    schema: pa.Schema | None = None
    try:
        for path in files:
            # One file after the other, and of each as many rows as are asked for: a scanner reads whole row
            # groups of several files ahead, which is hundreds of megabytes.
            with pq.ParquetFile(arrow_readable(path), page_checksum_verification=True) as file:
                there = file.schema_arrow.names
                schema = schema or file.schema_arrow
                fields = [
                    pa.field(name, pa.string())
                    if name in new and name not in schema.names
                    else schema.field(name)
                    for name in columns
                ]
                read = [name for name in columns if name in there]
                for batch in file.iter_batches(BATCH_ROWS, columns=read):
                    yield _as_asked(batch, fields)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise OutputError(f"{folder}: cannot be read: {str(error).splitlines()[0][:300]}") from error


def _as_asked(batch: pa.RecordBatch, fields: Sequence[pa.Field]) -> pa.RecordBatch:
    """These columns, null where the batch has none of the name."""
    given = batch.schema.names
    found = [
        batch.column(field.name).cast(field.type) if field.name in given else pa.nulls(len(batch), field.type)
        for field in fields
    ]
    return pa.RecordBatch.from_arrays(found, schema=pa.schema(fields))


def schema_of(folder: Path) -> pa.Schema:
    """The columns of a folder of Parquet parts; none where there is no part."""
    files = list(sealed_files(folder))
    if not files:
        return pa.schema([])
    try:
        return arrow_dataset(files, checked_parquet()).schema
    except (OSError, pa.ArrowException) as error:
        raise OutputError(f"{folder}: cannot be read: {str(error).splitlines()[0][:300]}") from error


def coded(column: pa.Array, more: pa.Array | None = None) -> tuple[pa.Array, NDArray[np.int32]]:
    """The different texts of a column in ascending order, and each cell's place among them; -1 for null.

    Args:
        column: The cells.
        more: Texts that are to be among the different ones, too.
    """
    texts = pc.unique(column if more is None else pa.concat_arrays([column, more])).drop_null()
    texts = texts.take(pc.sort_indices(texts))
    return texts, places(column, texts)


def places(column: pa.Array, texts: pa.Array) -> NDArray[np.int32]:
    """Each cell's place among texts that are each there once; -1 where it is none of them."""
    found = pc.index_in(column, value_set=texts).fill_null(-1)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int32)
