"""What changes an item's rows: the statements, to be run within a transaction of the committer."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Final

from batchsearch.emulator.search.records import Box, Item

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from batchsearch.emulator.search.committer import Transaction

COLUMNS: Final = tuple(field.name for field in fields(Item))
SELECT_ITEMS: Final = f"SELECT id, {', '.join(COLUMNS)} FROM items"  # noqa: S608 - field names only
_INSERT_ITEM: Final = (
    f"INSERT INTO items ({', '.join(COLUMNS)}, regions) "  # noqa: S608 - field names only
    f"VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"
)
_REPLACE_ITEM: Final = (
    f"UPDATE items SET {', '.join(f'{name} = ?' for name in COLUMNS)}, regions = ? "  # noqa: S608 - field names only
    "WHERE id = ?"
)
_LOOKUP_CHUNK: Final = 500


class CatalogueFullError(Exception):
    """The instance holds as many items as it was bought for (`InstanceOverQuota`)."""


@dataclass(frozen=True, slots=True)
class Regions:
    """Where the subject of an item's image is.

    Attributes:
        region: The box that was searched with; None when there was none.
        multi_region: Every subject identified; empty where the box was given.
    """

    region: Box | None = None
    multi_region: tuple[Box, ...] = ()

    def to_json(self) -> str:
        """As the store keeps it."""
        return json.dumps(
            [self.region and astuple(self.region), [astuple(box) for box in self.multi_region]],
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Regions:
        """What `to_json` wrote."""
        region, others = json.loads(text)
        return cls(region and Box(*region), tuple(Box(*box) for box in others))


@dataclass(frozen=True, slots=True)
class Addition:
    """An item to be added, or to replace the one of its names.

    Attributes:
        item: With its category.
        regions: Of its image.
        vector: Of its image.
        copy: A small JPEG of its image, where the instance keeps copies.
    """

    item: Item
    regions: Regions
    vector: NDArray[np.float32]
    copy: bytes | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One change of many.

    Attributes:
        addition: What is added; None where something is deleted.
        product_id: The product of which images are deleted.
        pic_name: The one that is; None for all of them.
    """

    addition: Addition | None = None
    product_id: str = ""
    pic_name: str | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did.

    Attributes:
        ids: The item added or replaced, the items deleted; none where there was nothing to delete, or no
            room to add.
        full: Whether there was no room.
    """

    ids: tuple[int, ...]
    full: bool = False


def change(transaction: Transaction, wanted: Change, capacity: int) -> Changed:
    """Make one change; one that finds no room changes nothing."""
    if wanted.addition is None:
        ids = ids_named(transaction.connection, wanted.product_id, wanted.pic_name)
        return Changed(tuple(delete_items(transaction, ids)))
    try:
        return Changed((put_item(transaction, wanted.addition, capacity),))
    except CatalogueFullError:
        return Changed((), full=True)


def put_item(transaction: Transaction, addition: Addition, capacity: int) -> int:
    """Add an item, or replace the one of its names; returns its id.

    Raises:
        CatalogueFullError: It would be one item too many.
    """
    item, connection = addition.item, transaction.connection
    values = (*astuple(item), addition.regions.to_json())
    blob = addition.vector.astype("<f4").tobytes()
    found = connection.execute(
        "SELECT id FROM items WHERE product_id = ? AND pic_name = ?", (item.product_id, item.pic_name)
    ).fetchone()
    if found is not None:
        identity = int(found[0])
        connection.execute(_REPLACE_ITEM, (*values, identity))
        connection.execute("UPDATE vectors SET vector = ? WHERE id = ?", (blob, identity))
        return identity
    if transaction.items >= capacity:
        raise CatalogueFullError(f"the instance holds {capacity:,} items, all that it may")
    identity = int(connection.execute(_INSERT_ITEM, values).lastrowid or 0)
    connection.execute("INSERT INTO vectors VALUES (?, ?)", (identity, blob))
    transaction.items += 1
    return identity


def delete_items(transaction: Transaction, ids: Iterable[int]) -> dict[int, Item]:
    """Delete those of the items that are there; returns what they were."""
    connection = transaction.connection
    items = items_of(connection, ids)
    for table in ("vectors", "items"):
        connection.executemany(
            f"DELETE FROM {table} WHERE id = ?",  # noqa: S608 - one of two table names
            [(identity,) for identity in items],
        )
    transaction.items -= len(items)
    return items


def ids_named(connection: sqlite3.Connection, product_id: str, pic_name: str | None) -> list[int]:
    """Ids of one image of a product, or with None of all of them, oldest first."""
    found = connection.execute(
        "SELECT id FROM items WHERE product_id = :product AND (:pic IS NULL OR pic_name = :pic) ORDER BY id",
        {"product": product_id, "pic": pic_name},
    )
    return [row[0] for row in found]


def items_of(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Item]:
    """Those of the items that are there."""
    listed = list(ids)
    found: dict[int, Item] = {}
    for start in range(0, len(listed), _LOOKUP_CHUNK):
        chunk = listed[start : start + _LOOKUP_CHUNK]
        marks = ",".join("?" * len(chunk))
        rows = connection.execute(f"{SELECT_ITEMS} WHERE id IN ({marks})", chunk)
        found.update((row[0], Item(*row[1:])) for row in rows)
    return found
