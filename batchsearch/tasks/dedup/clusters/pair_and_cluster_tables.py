"""The tables `pairs` and `clusters`: columns declared once, files that appear whole or not at all."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.publish import NewFile, disk_errors, make_folder
from batchsearch.storage.parts.parquet_table import reading
from batchsearch.storage.parts.results_and_hits import Column, table_schema
from batchsearch.storage.sealed.delivered import MADE_BY as NIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAIRS: Final = "pairs"
CLUSTERS: Final = "clusters"
FINDINGS: Final = "findings"
TABLES: Final = (PAIRS, CLUSTERS, FINDINGS)
"""What a night writes."""
DEDUP_SCHEMA_VERSION: Final = "3"

_TEXT = pa.string()
_COUNT = pa.int32()
_REAL = pa.float64()
_TIME = pa.timestamp("us", tz="UTC")

PAIR_COLUMNS: Final = (
    Column("product_a", _TEXT, "The product whose id is first in the order of code points."),
    Column("product_b", _TEXT, "The other one."),
    Column("score", _REAL, "Best score of both directions; null for pairs that only a person has joined."),
    Column("score_ab", _REAL, "Best score of b among a's hits; null where a's searches did not find b."),
    Column("score_ba", _REAL, "Best score of a among b's hits; null where b's searches did not find a."),
    Column("rank_ab", _COUNT, "Best place of b among the other products that a's searches found, from 1."),
    Column("rank_ba", _COUNT, "Best place of a among the other products that b's searches found, from 1."),
    Column("mutual", pa.bool_(), "Whether each is among the other's best, by the pairs' scores."),
    Column("images", _COUNT, "Matches of images behind it, counted from the side that has more."),
    Column("row_key", _TEXT, "Row of the search whose hit is the best match."),
    Column("pic_a", _TEXT, "Name of a's image in the best match."),
    Column("pic_b", _TEXT, "Name of b's image in the best match."),
    Column("found_by", _TEXT, "search, identical_bytes, identical_pixels, perceptual or judgement."),
    Column("category_id", pa.int64(), "The service's category of the image found in the best match."),
    Column("threshold", _REAL, "The score that the pair needs to be accepted."),
    Column("colour_distance", _REAL, "How much the two images' colours differ, 0 to 1; null: not known."),
    Column(
        "verdict",
        _TEXT,
        "identical (file or pixels), same_photo, recoloured (one photograph in other colours), alike (score "
        "alone, a detail, a pack) or different.",
    ),
    Column("reason", _TEXT, "Why that, in words."),
    Column("confidence", _REAL, "How sure it is that they are the same, 0 to 1; what is worth a look first."),
    Column("inliers", _COUNT, "Places at which both images agree in shape; null: not compared."),
    Column(
        "overlap", _REAL, "Share of each image's features that lies on the other one, the smaller, 0 to 1."
    ),
    Column(
        "agreement", _REAL, "Share of the structure that agrees once one image lies on the other, 0 to 1."
    ),
    Column(
        "colour_shift",
        _REAL,
        "Difference of colour (CIELAB) that no change of light explains; null: the shape decides.",
    ),
    Column(
        "light_shift",
        _REAL,
        "Difference of lightness (CIELAB) that no change of light explains; null: the shape decides.",
    ),
    Column("mirrored", pa.bool_(), "Whether one image is the other one's mirror image."),
    Column("title_a", _TEXT, "What a is called, by `dedup.title_column`."),
    Column("title_b", _TEXT, "What b is called."),
    Column("judged", _TEXT, "same or different, where a person has said so."),
    Column("accepted", pa.bool_(), "Whether the two count as the same product."),
    Column("run_id", _TEXT, "Run of the search that answered that row."),
    Column("found_at", _TIME, "When the pair was first found."),
)

CLUSTER_COLUMNS: Final = (
    Column("cluster_id", _TEXT, "Stays from night to night: the product that stood for it at first sight."),
    Column("product_id", _TEXT, "A member."),
    Column("is_representative", pa.bool_(), "Whether it stands for the cluster."),
    Column("representative", _TEXT, "The product that stands for the cluster."),
    Column(
        "confidence",
        _REAL,
        "How sure it is that it belongs: the mean over its pairs that were looked at, 0 to 1.",
    ),
    Column("size", _COUNT, "Members of the cluster."),
    Column("review", _TEXT, "Why a person should look; null for no reason."),
    Column("score", _REAL, "To the representative, or to the nearest member where that is not known."),
    Column("images", _COUNT, "Images of the product."),
    Column("image", _TEXT, "Where its largest image is; null where images are in the manifest."),
    Column("row_key", _TEXT, "Row of the search that has that image."),
    Column("title", _TEXT, "What the product is called, by `dedup.title_column`."),
)


FINDING_COLUMNS: Final = (
    Column("finding", _TEXT, "shared_image or no_usable_image."),
    Column("image", _TEXT, "Where the image is, or what it is called."),
    Column("products", _COUNT, "Products that show it; null for a product without a usable image."),
    Column("product_id", _TEXT, "The product without a usable image; of a shared one the first product."),
    Column("worth", _TEXT, "Of a shared image: look (it joins, for review) or nothing (it has no vote)."),
    Column("why", _TEXT, "Why, in words."),
    Column("row_key", _TEXT, "A row of the search that has the image."),
)


_COLUMNS: Final = {PAIRS: PAIR_COLUMNS, CLUSTERS: CLUSTER_COLUMNS, FINDINGS: FINDING_COLUMNS}


def dedup_schema(table: str) -> pa.Schema:
    """The columns of one of `TABLES`."""
    return table_schema(_COLUMNS[table], table, DEDUP_SCHEMA_VERSION)


def table_path(folder: Path, table: str) -> Path:
    """The one file of a table: it is replaced as a whole."""
    return folder / table / f"{table}.parquet"


class TableWriter:
    """Writes one table of a night beside the old one; `publish` puts it in the old one's place.

    As a context manager it leaves nothing behind that was not published. Its name begins with a dot, so
    that readers of the folder do not see it.

    Raises:
        OutputError: On entry and from every method: the disk refuses.
    """

    def __init__(self, folder: Path, table: str, night: str) -> None:
        self.path = table_path(folder, table)
        self.rows = 0
        self._table = table
        schema = dedup_schema(table)
        self._schema = schema.with_metadata({**schema.metadata, NIGHT: night.encode()})

    def __enter__(self) -> Self:
        with disk_errors(self.path, "cannot be written"):
            make_folder(self.path.parent)
            self._new = NewFile(self.path, self.path.with_name(f".{self._table}.tmp"))
            with ExitStack() as undo:
                undo.callback(self._new.abandon)
                self._writer = pq.ParquetWriter(
                    self._new.file, self._schema, compression="zstd", write_page_checksum=True
                )
                undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self._writer.close()
        self._new.abandon()

    def add(self, table: pa.Table) -> None:
        """Append rows as a row group of their own."""
        with disk_errors(self.path, "cannot be written"):
            self._writer.write_table(table.cast(self._schema))
        self.rows += table.num_rows

    def finish(self) -> None:
        """Put everything on disk, under the temporary name."""
        with disk_errors(self.path, "cannot be written"):
            self._writer.close()
            self._new.sync()

    def publish(self) -> None:
        """Give the file its name: at every moment a reader finds the old table or the new one, whole."""
        with disk_errors(self.path, "cannot be written"):
            self._new.publish()


def read_table(folder: Path, table: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of a night's table, some thousand rows at a time; none where there is no table yet.

    Raises:
        OutputError: It cannot be read.
    """
    path = table_path(folder, table)
    with (
        reading(path),
        suppress(FileNotFoundError),
        pq.ParquetFile(arrow_readable(path), page_checksum_verification=True) as file,
    ):
        yield from file.iter_batches(columns=columns)
