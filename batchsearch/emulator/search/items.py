"""The items of one instance on disk: SQLite in WAL mode, fully synchronised.

A change returns after the commit that holds it, and after it has been passed on to whoever keeps a copy in
memory, in the order of the commits. Without a path everything is kept in memory and ends with the store.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

import numpy as np

from batchsearch.emulator.search.committer import Committer, Transaction
from batchsearch.emulator.search.item_changes import (
    COLUMNS,
    SELECT_ITEMS,
    Addition,
    CatalogueFullError,
    Changed,
    Regions,
    change,
    delete_items,
    ids_named,
    items_of,
    put_item,
)
from batchsearch.emulator.search.records import Item
from batchsearch.errors import ConfigError, OutputError, OutputInUseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.emulator.search.item_changes import Change

SCHEMA_VERSION: Final = 1

_CHANGEABLE: Final = frozenset(COLUMNS) - {"product_id", "pic_name", "category_id"}
_LOAD: Final = (
    f"SELECT items.id, {', '.join(COLUMNS)}, vector "  # noqa: S608 - field names only
    "FROM items JOIN vectors USING (id) ORDER BY items.id"
)
_NO_VECTOR: Final = np.empty(0, np.float32)

_Told = TypeVar("_Told")

__all__ = ["CatalogueFullError", "ItemStore", "Regions", "Stored", "ids_of"]


@dataclass(frozen=True, slots=True)
class Stored:
    """An item with what only the search needs."""

    identity: int
    item: Item
    regions: Regions
    vector: NDArray[np.float32]


class ItemStore:
    """One instance's items. Calls may come from any thread.

    Args:
        path: The file, or None to keep everything in memory.
        facts: What the file may be of, by name: when it exists it must be of one of them, when it does not
            it is of the first.

    Attributes:
        facts: What it is of.

    Raises:
        OutputInUseError: Another process has the file open.
        ConfigError: The file is of something else, or of another version.
        OutputError: The file cannot be opened.
    """

    def __init__(self, path: Path | None, facts: Mapping[str, Sequence[str]]) -> None:
        self._name = "the catalogue in memory" if path is None else str(path)
        self._held = None if path is None else _hold(path)
        try:
            self._writer = self._connect(path)
            self.facts = self._prepare(facts)
            # A database in memory belongs to its connection, so there reading waits for writing.
            self._reader = self._writer if path is None else self._connect(path)
            count = int(self._reader.execute("SELECT count(*) FROM items").fetchone()[0])
        except BaseException as error:
            self._release()
            if isinstance(error, sqlite3.Error):
                raise OutputError(f"{self._name}: the catalogue cannot be opened: {error}") from error
            raise
        writing = threading.Lock()
        self._reading = writing if path is None else threading.Lock()
        self._committer = Committer(self._writer, writing, items=count, name=self._name)

    @staticmethod
    def _connect(path: Path | None) -> sqlite3.Connection:
        connection = sqlite3.connect(
            path or ":memory:", isolation_level=None, check_same_thread=False, timeout=30
        )
        with ExitStack() as undo:
            undo.callback(connection.close)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            undo.pop_all()
        return connection

    def _prepare(self, facts: Mapping[str, Sequence[str]]) -> dict[str, str]:
        writer = self._writer
        version = writer.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            script = resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
            # Facts and tables in one transaction: a kill in between must not leave a file without its facts.
            writer.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {SCHEMA_VERSION};")
            first = [(name, values[0]) for name, values in facts.items()]
            writer.executemany("INSERT INTO meta VALUES (?, ?)", first)
            writer.execute("COMMIT")
        elif version != SCHEMA_VERSION:
            raise ConfigError(
                f"{self._name}: this catalogue has schema version {version}, this batchsearch reads version "
                f"{SCHEMA_VERSION}; use the batchsearch that wrote it, or another data folder"
            )
        known = dict(writer.execute("SELECT name, value FROM meta").fetchall())
        for name, values in facts.items():
            if known.get(name) not in values:
                raise ConfigError(
                    f"{self._name}: this catalogue's {name} is {known.get(name)!r}, not {values[0]!r}; "
                    "use another data folder or another instance name"
                )
        return known

    def __len__(self) -> int:
        """How many items are committed."""
        return self._committer.items

    def close(self) -> None:
        """Commit what waits, stop the writing thread and let go of the file; later changes fail."""
        if self._committer.close():
            with self._reading:
                self._release()

    def _release(self) -> None:
        handles = (self._held, getattr(self, "_writer", None), getattr(self, "_reader", None))
        with ExitStack() as stack:
            for handle in handles:
                if handle is not None:
                    stack.callback(handle.close)

    # -- changing ------------------------------------------------------------------------------------

    def put(
        self,
        item: Item,
        regions: Regions,
        vector: NDArray[np.float32],
        *,
        capacity: int,
        then: Callable[[int], None],
    ) -> int:
        """Add an item, or replace the one of the same product id and image name; returns its id.

        Args:
            item: With its category.
            regions: Of its image.
            vector: Of its image.
            capacity: Most items that there may be.
            then: Told the id after the commit, on the writing thread.

        Raises:
            CatalogueFullError: It would be one item too many.
            OutputError: It could not be committed.
        """
        addition = Addition(item, regions, vector)
        return self._committer.commit(lambda transaction: put_item(transaction, addition, capacity), then)

    def change_all(
        self,
        changes: Sequence[Change],
        *,
        capacity: int,
        also: Callable[[sqlite3.Connection, Sequence[Changed]], None],
        then: Callable[[Sequence[Changed]], None],
    ) -> None:
        """Make many changes in their order, all of them or none.

        Args:
            changes: The changes.
            capacity: Most items that there may be; an addition that finds no room leaves the others alone.
            also: Told within the transaction what each did: what it writes is kept with them, or not at all.
            then: Told the same after the commit, on the writing thread.

        Raises:
            OutputError: They could not be committed.
        """

        def apply(transaction: Transaction) -> list[Changed]:
            made = [change(transaction, wanted, capacity) for wanted in changes]
            also(transaction.connection, made)
            return made

        self._committer.commit(apply, then)

    def write(self, apply: Callable[[sqlite3.Connection], _Told]) -> _Told:
        """Change another table of the file, in a transaction; returns what `apply` returned.

        Raises:
            OutputError: It could not be committed.
        """
        return self._committer.commit(lambda transaction: apply(transaction.connection), lambda _: None)

    def ask(self, read: Callable[[sqlite3.Connection], _Told]) -> _Told:
        """What a reading of another table of the file returns."""
        with self._reading:
            return read(self._reader)

    def update(
        self,
        product_id: str,
        pic_name: str | None,
        changes: Mapping[str, Any],
        *,
        then: Callable[[Mapping[int, Item]], None],
    ) -> int:
        """Change attributes of one item or of all of a product; returns how many items those are.

        Args:
            product_id: The product.
            pic_name: One of its images, or None for all.
            changes: New values by name: `custom_content`, `int_attr` to `str_attr4`.
            then: Told the items as they are now, after the commit, on the writing thread.

        Raises:
            ValueError: A name is none that can be changed.
            OutputError: It could not be committed.
        """
        unknown = sorted(set(changes) - _CHANGEABLE)
        if unknown:
            raise ValueError(
                f"not changeable: {', '.join(unknown)}; there are {', '.join(sorted(_CHANGEABLE))}"
            )
        assignments = ", ".join(f"{name} = ?" for name in changes)

        def apply(transaction: Transaction) -> dict[int, Item]:
            connection = transaction.connection
            ids = ids_named(connection, product_id, pic_name)
            if changes:
                connection.executemany(
                    f"UPDATE items SET {assignments} WHERE id = ?",  # noqa: S608 - checked names only
                    [(*changes.values(), identity) for identity in ids],
                )
            return items_of(connection, ids)

        return len(self._committer.commit(apply, then))

    def delete(
        self, choose: Callable[[sqlite3.Connection], Sequence[int]], *, then: Callable[[list[int]], None]
    ) -> list[str]:
        """Delete the items chosen; returns their image names, oldest first.

        Args:
            choose: Ids to delete, called on the writing thread within the transaction.
            then: Told the ids after the commit, on the writing thread.

        Raises:
            OutputError: It could not be committed.
        """

        def apply(transaction: Transaction) -> dict[int, Item]:
            return delete_items(transaction, choose(transaction.connection))

        items = self._committer.commit(apply, lambda items: then(list(items)))
        return [items[identity].pic_name for identity in sorted(items)]

    # -- reading -------------------------------------------------------------------------------------

    def load(self, rows: int = 4_096) -> Iterator[tuple[list[int], list[Item], NDArray[np.float32]]]:
        """All items in chunks, oldest first: ids, items, vectors of shape (items, dimensions)."""
        with self._reading, closing(self._reader.execute(_LOAD)) as cursor:
            while chunk := cursor.fetchmany(rows):
                vectors = np.frombuffer(b"".join(row[-1] for row in chunk), dtype="<f4")
                yield (
                    [row[0] for row in chunk],
                    [Item(*row[1:-1]) for row in chunk],
                    vectors.reshape(len(chunk), -1).astype(np.float32, copy=False),
                )

    def stored(self, product_id: str, pic_name: str) -> Stored | None:
        """One item with its vector, None when it is not there."""
        with self._reading:
            row = self._reader.execute(
                f"SELECT items.id, {', '.join(COLUMNS)}, regions, vector "  # noqa: S608 - field names only
                "FROM items JOIN vectors USING (id) WHERE product_id = ? AND pic_name = ?",
                (product_id, pic_name),
            ).fetchone()
        if row is None:
            return None
        vector = np.frombuffer(row[-1], dtype="<f4").astype(np.float32, copy=False)
        return Stored(row[0], Item(*row[1:-2]), Regions.from_json(row[-2]), vector)

    def item(self, product_id: str, pic_name: str) -> Item | None:
        """One item, None when it is not there."""
        with self._reading:
            row = self._reader.execute(
                f"{SELECT_ITEMS} WHERE product_id = ? AND pic_name = ?", (product_id, pic_name)
            ).fetchone()
        return None if row is None else Item(*row[1:])

    def after(self, identity: int, most: int) -> list[Stored]:
        """The items after an id, oldest first, without their vectors."""
        with self._reading:
            rows = self._reader.execute(
                f"SELECT id, {', '.join(COLUMNS)}, regions FROM items "  # noqa: S608 - field names only
                "WHERE id > ? ORDER BY id LIMIT ?",
                (identity, most),
            ).fetchall()
        return [Stored(row[0], Item(*row[1:-1]), Regions.from_json(row[-1]), _NO_VECTOR) for row in rows]

    def last_id(self) -> int:
        """The id of the newest item, 0 where there is none."""
        with self._reading:
            return int(self._reader.execute("SELECT coalesce(max(id), 0) FROM items").fetchone()[0])

    def items(self, ids: Sequence[int]) -> dict[int, Item]:
        """Those items of `ids` that are there."""
        with self._reading:
            return items_of(self._reader, ids)


def _hold(path: Path) -> TextIO:
    """A lock beside the file, which ends with the process however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = path.with_name(f"{path.name}.lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        raise OutputInUseError(
            f"{path}: another emulator has this catalogue open; stop it, or use another data folder"
        ) from error
    return held


def ids_of(product_id: str, pic_name: str | None) -> Callable[[sqlite3.Connection], Sequence[int]]:
    """What `ItemStore.delete` deletes: one image of a product, or all of them."""
    return lambda connection: ids_named(connection, product_id, pic_name)
