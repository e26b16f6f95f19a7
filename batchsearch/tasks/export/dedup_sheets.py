"""The tables of a dedup as they are exported: clusters, pairs, products, with the manifest's own columns."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from batchsearch.errors import OutputError
from batchsearch.manifest.keys import digests_of
from batchsearch.storage.digest_sort import SortedRuns, halves
from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import (
    CLUSTER_COLUMNS,
    CLUSTERS,
    PAIR_COLUMNS,
    dedup_schema,
)
from batchsearch.tasks.export.shapes import (
    FROM_MANIFEST,
    SHOWN_OF_CLUSTERS,
    SHOWN_OF_PAIRS,
    SHOWN_OF_PRODUCTS,
    Sheet,
    described,
    manifest_columns,
    named_beside,
    shown_columns,
)
from batchsearch.tasks.export.table_batches import Lookup, batches, rows_of, schema_of, texts
from batchsearch.tasks.export.told import Member, told_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchsearch.tasks.export.folders import DedupTables

_MEMBERS: Final = 40_000
"""Members of clusters, and products, that are looked up together."""
_PAIRS: Final = 40_000
_COMPARED: Final = ("verdict", "reason", "compared_with")
_TEXT: Final = pa.string()
_RECORD: Final = np.dtype([("high", "<u8"), ("low", "<u8"), ("row", "<u8")])
_ROWS_OF_A_RUN: Final = 65_536


def clusters_sheet(dedup: DedupTables, *, everything: bool) -> Sheet:
    """One row for each product found more than once, cluster by cluster, the representative first."""
    present = schema_of(dedup.clusters)
    known = [column.name for column in CLUSTER_COLUMNS if column.name in present.names]
    own = shown_columns([*known, *_COMPARED], SHOWN_OF_CLUSTERS, everything=everything)
    title = {"title"} if dedup.title in {None, "title"} else set()
    image = {"image"} if dedup.search is not None and dedup.search.images["image"] == "image" else set()
    product = {"product_id"} if dedup.product == "product_id" else set()
    carried = _Carried(dedup, own, same=title | image | product)
    fields = [_own_field(present, name) for name in own] + carried.fields
    schema = pa.schema(fields)

    def rows() -> Iterator[pa.RecordBatch]:
        for chunk in _whole_clusters(dedup.clusters, pa.schema([present.field(name) for name in known])):
            columns = {name: chunk.column(name).to_pylist() for name in known}
            products, stands = columns["product_id"], columns["representative"]
            members = [Member(*each) for each in zip(products, columns["cluster_id"], stands, strict=True)]
            told = told_of(members, dedup.pairs, dedup.clusters)
            columns |= _compared(products, told)
            looked_up = carried.of_rows(columns["row_key"])
            yield _batch(schema, [columns[name] for name in own], looked_up)

    return Sheet("clusters", schema, rows, rows_of(dedup.clusters))


def pairs_sheet(dedup: DedupTables, *, everything: bool) -> Sheet:
    """One row for each two products found alike, with what the manifest says of both."""
    present = schema_of(dedup.pairs)
    known = [column.name for column in PAIR_COLUMNS if column.name in present.names]
    own = shown_columns(known, SHOWN_OF_PAIRS, everything=everything)
    sides = {side: _Carried(dedup, own, prefix=f"{side}_") for side in ("a", "b")}
    schema = pa.schema(
        [_own_field(present, name) for name in own]
        + [field for each in sides.values() for field in each.fields]
    )

    def rows() -> Iterator[pa.RecordBatch]:
        wanted = pa.schema([present.field(name) for name in known])
        for batch in batches(dedup.pairs, wanted, _PAIRS):
            looked_up: list[pa.Array] = []
            for side, carried in sides.items():
                images = texts(batch, f"pic_{side}") if f"pic_{side}" in known else [None] * len(batch)
                looked_up += carried.of_products(texts(batch, f"product_{side}"), images)
            yield _batch(schema, [batch.column(name) for name in own], looked_up)

    return Sheet("pairs", schema, rows, rows_of(dedup.pairs))


def products_sheet(dedup: DedupTables, *, everything: bool) -> Sheet:
    """One row for each product of the manifest: what it is a duplicate of, and why."""
    search = dedup.search
    if search is None:
        raise AssertionError("a dedup without a search has no table of products")
    results = schema_of(search.results)
    product = search.column(dedup.product) or "row_key"
    listed = manifest_columns(results)
    own = ["product_id", *SHOWN_OF_PRODUCTS] if product != "product_id" else list(SHOWN_OF_PRODUCTS)
    extra = ["row_key"] if everything else []
    names = named_beside([*own, *extra], listed)
    fields = [described(results.field(name), new, FROM_MANIFEST) for name, new in names.items()]
    fields += [_product_field(name) for name in own] + [results.field(name) for name in extra]
    schema = pa.schema(fields)
    # Each column once: a key may be a column of the manifest's, too.
    read = pa.schema([results.field(name) for name in dict.fromkeys([product, *listed, *extra])])

    def rows() -> Iterator[pa.RecordBatch]:
        first, counts = _first_rows(dedup, product)
        done = 0
        for batch in batches(search.results, read, _MEMBERS):
            here = first[done : done + len(batch)]
            images = counts[done : done + len(batch)][here]
            done += len(batch)
            chunk = batch.filter(pa.array(here))
            if not len(chunk):
                continue
            found = _of_products(dedup, [str(each) for each in texts(chunk, product)])
            found["images"] = images.tolist()
            yield _batch(
                schema,
                [
                    *(chunk.column(name) for name in names),
                    *(found[name] for name in own),
                    *(chunk.column(name) for name in extra),
                ],
                [],
            )

    return Sheet("products", schema, rows)


def _of_products(dedup: DedupTables, products: list[str]) -> dict[str, list[Any]]:
    """What the clusters and pairs say of products, by column."""
    wanted = ("cluster_id", "representative", "score", "confidence", "review", "size")
    schema = pa.schema([field for field in dedup_schema(CLUSTERS) if field.name in wanted])
    cluster = Lookup(dedup.clusters, "product_id", schema).find(products)
    found: dict[str, list[Any]] = {name: cluster[name].to_pylist() for name in wanted}
    stands = found["representative"]
    members = [
        Member(product, each, representative)
        for product, each, representative in zip(products, found["cluster_id"], stands, strict=True)
        if each is not None
    ]
    found |= _compared(products, told_of(members, dedup.pairs, dedup.clusters))
    duplicate = [each is not None and each != product for product, each in zip(products, stands, strict=True)]
    found["is_duplicate"] = duplicate
    found["duplicate_of"] = [each if other else None for each, other in zip(stands, duplicate, strict=True)]
    found["cluster_size"] = found["size"]
    found["product_id"] = products
    return found


def _first_rows(dedup: DedupTables, product: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Which rows of the search's results are the first of their product, and how many rows it has.

    Takes five bytes of memory for each row of the results, and 24 of the temporary folder.

    Raises:
        OutputError: The temporary folder is full or not writable.
    """
    search = dedup.search
    files = search.results if search else ()
    schema = pa.schema([schema_of(files).field(product)])
    rows = 0
    try:
        with SortedRuns(_RECORD, "batchsearch-products-") as runs:
            for batch in batches(files, schema, _ROWS_OF_A_RUN):
                run = np.empty(len(batch), _RECORD)
                texts_here = pa.array([str(each) for each in texts(batch, product)], _TEXT)
                run["high"], run["low"] = halves(b"".join(digests_of(texts_here))).T
                run["row"] = np.arange(rows, rows + len(batch))
                rows += len(batch)
                runs.write(run[np.argsort(run["high"])])
            first, counts = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=np.int32)
            for records in runs.slices():
                ordered = records[np.lexsort((records["row"], records["low"], records["high"]))]
                begins = np.ones(len(ordered), dtype=bool)
                for half in ("high", "low"):
                    begins[1:] &= ordered[half][1:] == ordered[half][:-1]
                begins[1:] = ~begins[1:]
                places = ordered["row"][begins]
                first[places] = True
                counts[places] = np.diff(np.append(np.flatnonzero(begins), len(ordered)))
    except OSError as error:
        raise OutputError(
            f"{tempfile.gettempdir()}: the temporary folder cannot be used: {error.strerror}; "
            "make room there, or name another one in TMPDIR"
        ) from error
    return first, counts


class _Carried:
    """The manifest's own columns beside those of an export.

    Args:
        dedup: The dedup.
        own: The export's own columns.
        same: Columns of the manifest that hold what the own column of that name holds.
        prefix: What their names begin with.
    """

    def __init__(
        self, dedup: DedupTables, own: Sequence[str], *, same: set[str] | None = None, prefix: str = ""
    ) -> None:
        self.fields: list[pa.Field] = []
        self._rows: Lookup | None = None
        self._products: Lookup | None = None
        self._image: str | None = None
        self._names: list[str] = []
        if dedup.search is None:
            return
        results = schema_of(dedup.search.results)
        listed = manifest_columns(results)
        named = named_beside(own, [f"{prefix}{name}" for name in listed], same=same or ())
        self._names = [name for name in listed if f"{prefix}{name}" in named]
        self.fields = [
            described(results.field(name), named[f"{prefix}{name}"], FROM_MANIFEST) for name in self._names
        ]
        wanted = pa.schema([results.field(name) for name in dict.fromkeys(["row_key", *self._names])])
        self._rows = Lookup(dedup.search.results, "row_key", wanted)
        product = dedup.search.column(dedup.product)
        if product is not None:
            self._products = Lookup(dedup.search.results, product, wanted)
        self._image = None if dedup.image is None else dedup.search.column(dedup.image)

    def of_rows(self, keys: Sequence[str | None]) -> list[pa.Array]:
        """The columns, for rows by their keys."""
        return [] if self._rows is None else self._columns(self._rows.find(keys))

    def of_products(self, products: Sequence[str | None], images: Sequence[str | None]) -> list[pa.Array]:
        """The columns, for products: of the row with that image, or else of their first one."""
        if self._products is None:
            return [pa.nulls(len(products), field.type) for field in self.fields]
        return self._columns(self._products.find(products, prefer=self._image, wanted=images))

    def _columns(self, found: pa.Table) -> list[pa.Array]:
        return [found[name] for name in self._names]


def _whole_clusters(files: Sequence[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Some thousands of members at a time; no cluster is in two chunks unless it is larger than one."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches(files, schema):
        waiting.append(batch)
        rows += len(batch)
        if rows < _MEMBERS:
            continue
        chunk = _joined(waiting, schema)
        ids = chunk.column("cluster_id").to_pylist()
        end = len(ids)
        while end > 1 and ids[end - 1] == ids[-1]:
            end -= 1
        end = end if ids[end - 1] != ids[-1] else len(ids)
        yield chunk.slice(0, end)
        waiting, rows = [chunk.slice(end)], len(ids) - end
    if rows:
        yield _joined(waiting, schema)


def _joined(parts: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    whole = pa.Table.from_batches(parts, schema).combine_chunks().to_batches()
    return whole[0] if whole else pa.RecordBatch.from_pylist([], schema)


def _compared(products: Sequence[str], told: dict[str, Any]) -> dict[str, list[Any]]:
    found = [told.get(product) for product in products]
    return {
        "verdict": [None if each is None else each.verdict for each in found],
        "reason": [None if each is None else each.reason for each in found],
        "compared_with": [None if each is None else each.other for each in found],
    }


def _own_field(present: pa.Schema, name: str) -> pa.Field:
    field = present.field(name) if name in present.names else pa.field(name, _TEXT)
    meaning = None if name in present.names and field.metadata else ""
    return described(field, name, meaning or None)


def _product_field(name: str) -> pa.Field:
    kinds = {"is_duplicate": pa.bool_(), "cluster_size": pa.int32(), "images": pa.int32()}
    kind = kinds.get(name)
    if kind is None:
        at = dedup_schema(CLUSTERS).get_field_index(name)
        kind = dedup_schema(CLUSTERS).field(at).type if at >= 0 else _TEXT
    return described(pa.field(name, kind), name)


def _batch(schema: pa.Schema, own: Sequence[Any], looked_up: Sequence[Any]) -> pa.RecordBatch:
    arrays = []
    for field, column in zip(schema, [*own, *looked_up], strict=True):
        array = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column, field.type)
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        arrays.append(array if array.type == field.type else array.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
