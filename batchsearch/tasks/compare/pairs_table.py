"""The pairs that are made, as the Parquet manifest of an ordinary run.

The file lies in the output folder and is the job's own: it says of which manifest it was made, and is made
anew only when that changes. As it holds references to images just as the user's manifest does, addresses
with a signature included, nobody but its owner may read it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.publish import make_folder, publishing
from batchsearch.storage.output_layout import COMPARED_PAIRS
from batchsearch.storage.parts.parquet_table import writing
from batchsearch.storage.parts.results_and_hits import Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from batchsearch.manifest.rows import ImageReference
    from batchsearch.tasks.compare.pairing import Member, Pair

PAIRS_FILE: Final = Path(COMPARED_PAIRS)
"""Where an output folder has its pairs."""

_MADE_OF: Final = b"batchsearch.made_of"

_TEXT: Final = pa.string()
_EITHER: Final = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_BLOCK_PAIRS: Final = 4_096
_BLOCK_BYTES: Final = 32 * 1024 * 1024

KEY: Final = ("primary_key", "secondary_key")
"""The columns that name a pair."""

PAIR_COLUMNS: Final = (
    Column("primary_key", _TEXT, "Row key of the first image: the smaller of both, or the reference's."),
    Column("secondary_key", _TEXT, "Row key of the second image."),
    Column("group", _TEXT, "Group that both are in; null where the job names no group column."),
    Column("primary_image", _TEXT, "The first image, as the manifest gives it."),
    Column("secondary_image", _TEXT, "The second image, as the manifest gives it."),
)
"""The columns of the pairs, but for those that `compare.carry` adds. Images that are in the manifest
themselves are a struct of `bytes` and `path`."""


@dataclass(frozen=True, slots=True)
class MadeOf:
    """What the pairs of a file were made of; kept in the file's metadata.

    Attributes:
        digest: SHA-256 of everything that decides which pairs there are.
        rows: Rows of the list.
        groups: Groups of the list, those of one row included.
        alone: Rows that make no pair, because their group has no other.
        without: Rows that are in no group.
    """

    digest: str
    rows: int
    groups: int = 1
    alone: int = 0
    without: int = 0


def pairs_schema(carried: Mapping[str, pa.DataType], *, inline: bool, made_of: MadeOf) -> pa.Schema:
    """The columns of a job's pairs.

    Args:
        carried: Columns of the list that are carried, with their types.
        inline: Images may be bytes in the manifest.
        made_of: What they are made of.
    """
    fields = [column.field() for column in PAIR_COLUMNS]
    if inline:
        fields = [field.with_type(_EITHER) if field.name.endswith("_image") else field for field in fields]
    for which in ("primary", "secondary"):
        fields += [pa.field(f"{which}_{name}", kind) for name, kind in carried.items()]
    metadata = {b"batchsearch.table": b"compare_pairs", _MADE_OF: json.dumps(asdict(made_of)).encode()}
    return pa.schema(fields, metadata=metadata)


def made_of(path: Path) -> MadeOf | None:
    """What the pairs of a file were made of; None when there is no such file, or it is not whole."""
    try:
        metadata = pq.read_schema(arrow_readable(path)).metadata or {}
        return MadeOf(**json.loads(metadata[_MADE_OF]))
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None


def write_pairs(path: Path, pairs: Iterable[Pair], schema: pa.Schema, carried: Sequence[str]) -> int:
    """Write pairs as they come; the file appears whole or not at all.

    Args:
        path: Where to; its folder is made.
        pairs: Read once.
        schema: From `pairs_schema`.
        carried: Names of the list's columns that are carried, in the order of `Member.carried`.

    Returns:
        How many there were.

    Raises:
        OutputError: The disk refuses; an older file stays as it was.
    """
    written = 0
    with writing(path, "the pairs cannot be written"):
        make_folder(path.parent)
        with (
            publishing(path, mode=0o600) as file,
            pq.ParquetWriter(file, schema, compression="zstd") as writer,
        ):
            for block in _blocks(pairs):
                writer.write_table(_table(block, schema, carried))
                written += len(block)
    return written


def _blocks(pairs: Iterable[Pair]) -> Iterable[list[Pair]]:
    block: list[Pair] = []
    held = 0
    for pair in pairs:
        block.append(pair)
        held += pair.primary.inline_bytes + pair.secondary.inline_bytes
        if len(block) >= _BLOCK_PAIRS or held >= _BLOCK_BYTES:
            yield block
            block, held = [], 0
    if block:
        yield block


def _table(block: Sequence[Pair], schema: pa.Schema, carried: Sequence[str]) -> pa.Table:
    columns: dict[str, list[Any]] = {"group": [pair.group for pair in block]}
    for which in ("primary", "secondary"):
        members: list[Member] = [getattr(pair, which) for pair in block]
        image = schema.field(f"{which}_image").type
        columns[f"{which}_key"] = [member.key for member in members]
        columns[f"{which}_image"] = [_cell(member.image, image) for member in members]
        for place, name in enumerate(carried):
            columns[f"{which}_{name}"] = [member.carried[place] for member in members]
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _cell(image: ImageReference | None, kind: pa.DataType) -> Any:
    if image is None:
        return None
    text = image.path if image.url is None else image.url
    return text if pa.types.is_string(kind) else {"bytes": image.data, "path": text}
