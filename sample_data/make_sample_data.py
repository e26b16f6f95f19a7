"""Makes everything in this folder that is not kept by hand.

Kept by hand: `catalogue/` (55 photographs), `photographs.csv` (what each of them shows), `README.md`,
`NOTICE` and the scripts. Made from them: `catalogue.csv`, `queries/`, `queries.csv`, `queries.parquet`,
`queries_inline.parquet`, `pairs.csv` and `names.csv`.

Run it from anywhere, without arguments::

    python sample_data/make_sample_data.py

It needs Pillow and pyarrow. All randomness is seeded by names, so with the same versions of both every
file comes out the same, byte for byte; another Pillow may compress a picture a little differently. Files
in `queries/` that it does not make are removed.
"""

from __future__ import annotations

import csv
import random
from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from changed_pictures import CHANGES
from sample_queries import (
    HERE,
    NO_SUCH_ITEM,
    NOT_AN_IMAGE,
    OK,
    SEED,
    TOO_SMALL,
    awkward_files,
    changed_copies,
    read_products,
    rows_without_own_file,
    strangers,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sample_queries import Made, Product


class Query(NamedTuple):
    """One row of `queries.csv`; the columns are described in `README.md`."""

    product_id: str
    pic_name: str
    image: str
    change: str
    truth_product_id: str
    truth_outcome: str
    notes: str


def number(made: Iterable[Made]) -> Iterator[Query]:
    """Queries in order, `Q0001` and on."""
    for position, item in enumerate(made, start=1):
        yield Query(
            product_id=f"Q{position:04}",
            pic_name=item.path.rpartition("/")[2],
            image=item.path,
            change=item.change,
            truth_product_id=item.truth,
            truth_outcome=item.outcome,
            notes=item.notes,
        )


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as CSV: UTF-8, commas, quotes where needed, line feeds."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def query_table(queries: Sequence[Query]) -> pa.Table:
    """The queries as an Arrow table: all text, and null where the CSV has nothing."""
    columns = {
        name: pa.array([value or None for value in values], pa.string())
        for name, values in zip(Query._fields, zip(*queries, strict=True), strict=True)
    }
    return pa.table(columns)


def inline_table(queries: Sequence[Query], folder: Path) -> pa.Table:
    """The same rows with the pictures inside, as a struct of bytes and path, the way image data sets do it.

    A missing file has no bytes, only its path.
    """
    table = query_table(queries)
    pictures = [
        {"bytes": path.read_bytes() if path.exists() else None, "path": query.image}
        for query in queries
        for path in [folder / query.image]
    ]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return table.set_column(table.schema.get_field_index("image"), "image", pa.array(pictures, kind))


CATALOGUE_COLUMNS: Final = (
    "product_id",
    "pic_name",
    "image",
    "name",
    "category",
    "category_id",
    "colour",
    "price_cents",
)


def catalogue_rows(products: Sequence[Product]) -> Iterator[tuple[str, ...]]:
    """Rows of `catalogue.csv`: what the demonstration's instance holds."""
    for item in products:
        if item.in_catalogue:
            yield (
                item.product_id,
                item.image,
                item.path,
                item.name,
                item.category,
                item.category_id,
                item.colour,
                item.price_cents,
            )


PAIR_COLUMNS: Final = ("pair_id", "primary_image", "secondary_image", "kind", "truth_outcome")
_IDENTICAL: Final = ("tablet", "bamboo-watch", "purple-band", "leather-sofa", "teal-t-shirt", "yoga-set")
_UNRELATED: Final = (
    ("tablet", "tulip-pot"),
    ("blue-t-shirt", "ethernet-cable"),
    ("blue-band", "leather-sofa"),
    ("brown-purse", "gaming-pc"),
    ("headphones", "bonsai-tree"),
    ("sneakers", "painted-phone-case"),
    ("spiky-cactus", "clacky-keyboard"),
    ("twin-lens-camera", "yoga-mat"),
    ("balloon-chair", "hard-drive"),
    ("road-bike", "galaxy-earrings"),
)


def pair_rows(products: Sequence[Product], queries: Sequence[Query]) -> Iterator[tuple[str, ...]]:
    """Rows of `pairs.csv`: from identical to unrelated, and two that no call can be made for."""
    paths = {product.stem: product.path for product in products}
    by_id = {product.product_id: product for product in products}
    pairs: list[tuple[str, str, str, str]] = [
        (paths[stem], paths[stem], "identical", OK) for stem in _IDENTICAL
    ]
    copies = [query for query in queries if query.change in CHANGES]
    for change in CHANGES:
        chance = random.Random(f"{SEED}/pairs/{change}")
        chosen = chance.sample([copy for copy in copies if copy.change == change], 2)
        pairs.extend((by_id[copy.truth_product_id].path, copy.image, "changed copy", OK) for copy in chosen)
    for ending in ("-t-shirt", "-band"):
        family = [paths[stem] for stem in paths if stem.endswith(ending)]
        pairs.extend((one, other, "colour variant", OK) for one, other in combinations(family, 2))
        # The first one the other way round: the score must be the same.
        pairs.append((family[1], family[0], "colour variant", OK))
    pairs.extend((paths[one], paths[other], "unrelated", OK) for one, other in _UNRELATED)
    pairs.append((paths["yoga-mat"], "queries/awkward-too-small.jpg", "unusable picture", TOO_SMALL))
    pairs.append(("queries/awkward-note.jpg", paths["tablet"], "unusable picture", NOT_AN_IMAGE))
    for position, (primary, secondary, kind, outcome) in enumerate(pairs, start=1):
        yield f"P{position:03}", primary, secondary, kind, outcome


NAME_COLUMNS: Final = ("product_id", "pic_name", "truth_product_id", "truth_outcome")


def name_rows(products: Sequence[Product]) -> Iterator[tuple[str, ...]]:
    """Rows of `names.csv`: each picture of the instance by name, and two that it does not hold."""
    for item in products:
        if item.in_catalogue:
            yield item.product_id, item.image, item.product_id, OK
    known = next(item for item in products if item.in_catalogue)
    yield known.product_id, "no-such-picture.jpg", "", NO_SUCH_ITEM
    yield "NO-SUCH-PRODUCT", known.image, "", NO_SUCH_ITEM


DEDUP_COLUMNS: Final = ("product_id", "pic_name", "image", "category", "truth")


def dedup_rows(products: Sequence[Product], queries: Sequence[Query]) -> Iterator[tuple[str, ...]]:
    """Rows of `dedup.csv`: the catalogue and each changed copy as a product of its own.

    `truth` is the product whose photograph it shows: two rows are duplicates where it is equal.
    """
    by_id = {product.product_id: product for product in products}
    for item in products:
        if item.in_catalogue:
            yield item.product_id, item.image, item.path, item.category, item.product_id
    for query in queries:
        if query.change in CHANGES:
            shown = by_id[query.truth_product_id]
            yield query.product_id, query.pic_name, query.image, shown.category, shown.product_id


def make_all(folder: Path = HERE) -> tuple[Query, ...]:
    """Makes every made file in `folder`, which holds the kept ones, and returns the queries."""
    products = read_products(folder)
    made = (
        *changed_copies(products, folder),
        *strangers(products),
        *awkward_files(products, folder),
        *rows_without_own_file(products),
    )
    pictures = folder / "queries"
    pictures.mkdir(exist_ok=True)
    files = {folder / item.path: item.data for item in made if item.data is not None}
    for stale in set(pictures.iterdir()) - files.keys():
        stale.unlink()
    for path, data in files.items():
        path.write_bytes(data)

    queries = tuple(number(made))
    write_csv(folder / "catalogue.csv", CATALOGUE_COLUMNS, catalogue_rows(products))
    write_csv(folder / "queries.csv", Query._fields, queries)
    write_csv(folder / "pairs.csv", PAIR_COLUMNS, pair_rows(products, queries))
    write_csv(folder / "dedup.csv", DEDUP_COLUMNS, dedup_rows(products, queries))
    write_csv(folder / "names.csv", NAME_COLUMNS, name_rows(products))
    pq.write_table(query_table(queries), folder / "queries.parquet", compression="zstd")
    # Pictures repeat rarely: a dictionary would only hold them twice.
    pq.write_table(
        inline_table(queries, folder),
        folder / "queries_inline.parquet",
        compression="zstd",
        use_dictionary=False,
    )
    return queries


if __name__ == "__main__":
    made_queries = make_all()
    size = sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file())
    print(f"{len(made_queries)} queries; the folder holds {size / 1e6:.1f} MB")
