"""The images and products that the search results know: every row that any night has worked on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.disk_paths import arrow_dataset
from batchsearch.errors import OutputError
from batchsearch.storage.parts.parquet_table import checked_parquet
from batchsearch.storage.parts.part_files import RESULTS
from batchsearch.storage.sealed.sealed_reading import sealed_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

BATCH_ROWS: Final = 1 << 17
EARLIER: Final = "earlier_outcomes"
_KEYS_AT_ONCE: Final = 1 << 19


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
        products: Product ids, ascending, each once.
        names: Names of images, ascending, each once.
        row_keys: Row key, by row; ascending.
        product: Product, by row.
        name: Name of the image, by row.
        run: Run that finished the row, by row.
        runs: The runs' ids, in the order in which they began to finish rows.
        answered_at: When the row was answered, or else refused, microseconds since 1970; by row.
        renewed: Whether the row had another outcome before, by row.
        area: Pixels of the image, by row; 0 where they are not known.
        sha256: Of the image's file, by row; null where it is not known.
        searched: Whether the row has hits to tell of: it was searched, and well; by row.
        present: Whether the manifest has the row; by row.
        oldest: Order of the products by age, by row; None where nothing says it.
        categories: Texts that thresholds go by, each once; None for the service's own.
        category: Place in `categories`, by row; -1 for none; None likewise.
        titles: What products are called, by row; None where nothing says it.
        values: Numbers of the values that columns have, by row; -1 for empty ones; by the results' name.
    """

    products: pa.Array
    names: pa.Array
    row_keys: pa.Array
    product: NDArray[np.int32]
    name: NDArray[np.int32]
    run: NDArray[np.int32]
    runs: pa.Array
    answered_at: NDArray[np.int64]
    renewed: NDArray[np.bool_]
    area: NDArray[np.int64]
    sha256: pa.Array
    searched: NDArray[np.bool_]
    present: NDArray[np.bool_]
    oldest: NDArray[np.int64] | None
    categories: pa.Array | None
    category: NDArray[np.int32] | None
    titles: pa.Array | None = None
    values: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row_keys)

    def present_products(self) -> NDArray[np.bool_]:
        """Whether the manifest has a row of the product; by product."""
        present = np.zeros(len(self.products), bool)
        present[self.product[self.present]] = True
        return present

    def product_id(self, product: int) -> str:
        """A product's id."""
        return str(self.products[product].as_py())

    def row_of(self, product: NDArray[np.int32], name: NDArray[np.int32]) -> NDArray[np.int64]:
        """The row of each image, by product and name; -1 where there is none. Several: the last row."""
        key = _image_key(self.product, self.name)
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        wanted = _image_key(product, name)
        place = np.searchsorted(ordered, wanted, side="right") - 1
        inside = place >= 0
        inside[inside] = ordered[place[inside]] == wanted[inside]
        found = np.full(len(wanted), -1, np.int64)
        found[inside] = order[place[inside]]
        return found


def _image_key(product: NDArray[np.int32], name: NDArray[np.int32]) -> NDArray[np.int64]:
    return (product.astype(np.int64) << 32) | (name.astype(np.int64) & 0xFFFFFFFF)


def batches_of(folder: Path, columns: Sequence[str], more: Path | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a folder of Parquet parts, in the order of the files' names.

    Args:
        folder: Where the parts are.
        columns: What is read.
        more: A file to be read after them; columns that it does not have are null.

    Raises:
        OutputError: A part cannot be read.
    """
    files = list(sealed_files(folder))
    if not files:
        return
    if more is not None:
        files.append(more)
    try:
        schema = arrow_dataset(files[:1], checked_parquet()).schema
        scanned = arrow_dataset(files, checked_parquet(), schema).scanner(
            columns=list(columns),
            batch_size=BATCH_ROWS,
            batch_readahead=2,
            fragment_readahead=1,
            use_threads=True,
        )
        yield from scanned.to_batches()
    except (OSError, pa.ArrowException) as error:
        raise OutputError(f"{folder}: cannot be read: {str(error).splitlines()[0][:300]}") from error


def schema_of(folder: Path) -> pa.Schema:
    """The columns of a folder of Parquet parts; none where there is no part."""
    files = list(sealed_files(folder))
    if not files:
        return pa.schema([])
    try:
        return arrow_dataset(files, checked_parquet()).schema
    except (OSError, pa.ArrowException) as error:
        raise OutputError(f"{folder}: cannot be read: {str(error).splitlines()[0][:300]}") from error


def read_images(  # noqa: PLR0917 - what is read, and what else is known
    search: Path,
    columns: Columns,
    present_keys: Iterator[list[str]] | None,
    others: tuple[pa.Array, pa.Array] | None = None,
    copies: Path | None = None,
    told: pa.Table | None = None,
) -> Images:
    """Everything that is needed of the search results.

    Args:
        search: Output folder of the search.
        columns: What columns are called in its results.
        present_keys: The manifest's row keys; None counts every row as present.
        others: Further products and names of images, which no row has.
        copies: File of further rows, which were not searched; None for none.
        told: What the manifest says now, by `row_key` and the results' names of columns: a row that was
            searched on an earlier night has in the results what its columns said then.

    Raises:
        OutputError: The results cannot be read.
    """
    given = schema_of(search / RESULTS).names
    wanted = {
        "row_key": pa.string(),
        columns.product: pa.string(),
        **({columns.pic_name: pa.string()} if columns.pic_name else {}),
        "run_id": pa.string(),
        "outcome": pa.string(),
        "answered_at": pa.int64(),
        "finished_at": pa.int64(),
        "source_width": pa.int32(),
        "source_height": pa.int32(),
        "source_sha256": pa.string(),
        **({columns.category: pa.string()} if columns.category else {}),
    }
    said = {*columns.different_when.values(), *columns.same_when.values()}
    said |= {columns.title} if columns.title else set()
    wanted |= {name: pa.string() for name in sorted(said - wanted.keys())}
    plain = [columns.oldest] if columns.oldest and columns.oldest not in wanted else []
    history = [EARLIER] if EARLIER in given else []
    read: dict[str, list[pa.Array]] = {name: [] for name in (*wanted, *plain, "renewed")}
    for batch in batches_of(search / RESULTS, [*wanted, *plain, *history], copies):
        for name, kind in wanted.items():
            column = batch.column(name)
            if pa.types.is_timestamp(column.type):
                column = column.cast(pa.timestamp("us", tz="UTC"))
            read[name].append(column.cast(kind))
        for name in plain:
            read[name].append(batch.column(name))
        read["renewed"].append(
            _any_earlier(batch.column(EARLIER)) if history else pa.nulls(len(batch), pa.bool_())
        )
    return _images(read, columns, present_keys, others, told)


def _images(
    read: dict[str, list[pa.Array]],
    columns: Columns,
    present_keys: Iterator[list[str]] | None,
    others: tuple[pa.Array, pa.Array] | None,
    told: pa.Table | None = None,
) -> Images:
    # Rows are numbered by the text of their keys, so that where two are equally good the same one is taken
    # whichever was answered, and so stored, first.
    keys = read["row_key"]
    in_order = pc.sort_indices(pa.concat_arrays(keys)) if keys else None

    def column(name: str, kind: Any = None) -> pa.Array:
        if in_order is None:
            return pa.array([], kind or pa.string())
        return pa.concat_arrays(read[name]).take(in_order)

    more_products, more_names = others or (None, None)
    products, product = coded(column(columns.product).fill_null(""), more_products)
    row_keys = column("row_key")

    def said(name: str) -> pa.Array:
        """A column's texts as the manifest has them now, or else as they were."""
        texts = column(name).cast(pa.string())
        if told is None or name not in told.column_names:
            return texts
        none = pa.array([], pa.string())
        keys, now = (pa.concat_arrays([none, *told.column(each).chunks]) for each in ("row_key", name))
        at = places(row_keys, keys)
        now = now.take(pa.array(at, mask=at < 0))
        return pc.if_else(pa.array(at >= 0), now, texts)

    given = column(columns.pic_name).fill_null("") if columns.pic_name else pa.repeat("", len(row_keys))
    names, name = coded(given, more_names)
    finished = _whole(column("finished_at", pa.int64()))
    runs, run = _in_time(*coded(column("run_id").fill_null("")), finished)
    answered = _whole(column("answered_at", pa.int64()))
    oldest = None
    if columns.oldest:
        ages = column(columns.oldest)
        oldest = pc.rank(ages, sort_keys="ascending", tiebreaker="min")
        oldest = oldest.to_numpy(zero_copy_only=False).astype(np.int64)
    categories = category = None
    if columns.category:
        categories, category = coded(column(columns.category))
    return Images(
        products=products,
        names=names,
        row_keys=row_keys,
        product=product,
        name=name,
        run=run,
        runs=runs,
        answered_at=np.where(answered > 0, answered, finished),
        renewed=column("renewed", pa.bool_()).fill_null(False).to_numpy(zero_copy_only=False),
        area=_whole(column("source_width", pa.int32())) * _whole(column("source_height", pa.int32())),
        sha256=column("source_sha256"),
        searched=pc.equal(column("outcome"), "ok").fill_null(False).to_numpy(zero_copy_only=False),
        present=_present(row_keys, present_keys),
        oldest=oldest,
        categories=categories,
        category=category,
        titles=said(columns.title) if columns.title else None,
        values={
            name: _valued(said(name))
            for name in {*columns.different_when.values(), *columns.same_when.values()}
        },
    )


def _valued(column: pa.Array) -> NDArray[np.int32]:
    """A number for each different value, -1 for empty ones; blanks around it and case do not matter."""
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    return coded(pc.if_else(pc.equal(plain, ""), pa.nulls(len(plain), pa.string()), plain))[1]


def _any_earlier(column: pa.Array) -> pa.Array:
    """Which rows had an outcome before: from how many there were, or from what they were."""
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    count = pc.list_value_length(column) if is_list else column
    return pc.greater(count.fill_null(0), 0)


def _whole(column: pa.Array) -> NDArray[np.int64]:
    return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _in_time(
    runs: pa.Array, run: NDArray[np.int32], at: NDArray[np.int64]
) -> tuple[pa.Array, NDArray[np.int32]]:
    """Runs in the order of their first moment."""
    first = np.full(len(runs), np.iinfo(np.int64).max)
    np.minimum.at(first, run, at)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(runs), np.int32)
    rank[order] = np.arange(len(runs))
    return runs.take(pa.array(order)), rank[run]


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


def _present(row_keys: pa.Array, keys: Iterator[list[str]] | None) -> NDArray[np.bool_]:
    if keys is None:
        return np.ones(len(row_keys), bool)
    present = np.zeros(len(row_keys) + 1, bool)
    waiting: list[str] = []

    def mark() -> None:
        present[places(pa.array(waiting, pa.string()), row_keys)] = True
        waiting.clear()

    for some in keys:
        waiting += some
        if len(waiting) >= _KEYS_AT_ONCE:
            mark()
    mark()
    return present[:-1]
