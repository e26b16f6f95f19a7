"""Moves an output between its work folder and the store: up with an index written last, down by an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.publish import make_folder, publish
from batchsearch.storage import output_layout
from batchsearch.storage.file_sum import sha256_of
from batchsearch.storage.remote.lease import highest, number_of, numbered
from batchsearch.storage.remote.output_index import (
    SET_ASIDE,
    BadIndexError,
    Index,
    Moment,
    StoredFile,
    index_from,
    is_carried_object,
    left_over,
    object_name,
)
from batchsearch.storage.remote.snapshot import copy_ledger
from batchsearch.storage.remote.work_folder import (
    clear_coming,
    make_room,
    room_for_coming,
    set_ledger,
)
from batchsearch.storage.stores.object_store import StoreError
from batchsearch.storage.stores.store_failures import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from batchsearch.storage.sealed.inventory import SealedFile
    from batchsearch.storage.stores.address import StoreAddress
    from batchsearch.storage.stores.object_store import ObjectStore

INDEXES: Final = ("_carried", "index")
LEASES: Final = ("_carried", "lease")
LEDGERS: Final = "_carried/ledger"
BEGUN: Final = "_carried/begun"
"""There while an output is carried for the first time, until it has an index."""

LEDGER: Final = output_layout.LEDGER.as_posix()
"""Where a ledger is in its work folder."""

_CHANGING: Final = 3
"""How often a copy of the ledger is made whose files are gone before they are sent, as after compaction."""


def read_index(store: ObjectStore, output: StoreAddress) -> Index | None:
    """The index of an output that counts; None where nothing was carried yet.

    Raises:
        OutputError: There is one, and it cannot be understood.
        StoreError: The store cannot be asked.
    """
    folder = output.below(*INDEXES)
    for _ in range(_CHANGING):
        found = store.listing(folder)
        if not highest(found):
            return None
        last = max(found, key=lambda each: number_of(each.address) or 0)
        facts = store.facts(last.address)
        if facts is None:  # The next run has just written its own, and removed this one.
            continue
        try:
            return index_from(store.read(facts))
        except BadIndexError as error:
            raise OutputError(f"{last.address}: {error}") from None
        except StoreError as error:
            if error.failure is not Failure.CHANGED:
                raise
    raise OutputError(f"{folder}: changes faster than it can be read; try again")


def bring_down(store: ObjectStore, output: StoreAddress, index: Index, folder: Path) -> int:
    """Make a folder hold what an index names; files that are there already stay.

    The ledger comes last: until it is in its place, the folder's ledger is that from before.

    Returns:
        How many files were fetched.

    Raises:
        OutputError: An object is missing or not what the index says, or the disk refuses.
        StoreError: The store cannot be read.
    """
    try:
        room = room_for_coming(folder)
        fetched = 0
        # The ledger first of all: without it nothing here may be changed.
        facts = store.facts(output.below(index.ledger.object))
        if facts is None:
            raise OutputDamagedError(
                f"{output.below(index.ledger.object)}: is not in the store, though the index names it"
            )
        make_room(folder, {file.path: file.sha256 for file in index.files})
        for file in index.files:
            place = folder / file.path
            if place.is_file() and sha256_of(place) == file.sha256:
                continue
            arrived = _fetched(store, output, file, room)
            make_folder(place.parent)
            publish(arrived, place)
            fetched += 1
        set_ledger(_fetched(store, output, index.ledger, room), folder / LEDGER)
        clear_coming(folder)
    except StoreError:
        raise
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return fetched + 1


def _fetched(store: ObjectStore, output: StoreAddress, file: StoredFile, room: Path) -> Path:
    place = room / "file"
    address = output.below(file.object)
    facts = store.facts(address)
    if facts is None:
        raise OutputDamagedError(f"{address}: is not in the store, though the output's index names it")
    store.fetch(facts, place)
    if sha256_of(place) != file.sha256:
        raise OutputDamagedError(f"{address}: is not what was carried there (its SHA-256 differs)")
    return place


class Cargo:
    """What one run carries up; used by one thread at a time.

    Args:
        store: Where the output is.
        output: Its address.
        folder: The work folder.
        files_of: The files that a copy of the ledger counts, those of `results` and `hits` and others; None
            when it was copied in the middle of an exchange of parts, so that another copy has to be made.
    """

    def __init__(
        self,
        store: ObjectStore,
        output: StoreAddress,
        folder: Path,
        files_of: Callable[[Path], Sequence[SealedFile] | None],
    ) -> None:
        self._store = store
        self._output = output
        self._folder = folder
        self._files_of = files_of
        self._there: set[str] = set()
        # Sizes in bytes of those that were there before this run sent any.
        self._sizes: dict[str, int] = {}
        # What an index has named, or this run has sent: known to be replaced when a later index drops it.
        self._known: set[str] = set()

    def know(self, index: Index) -> None:
        """Learn what an index names: when a later one names it no more, it may go."""
        self._known |= index.objects()

    def begin(self) -> None:
        """Note that an output is carried for the first time: until its index is there, it has none to lose.

        Raises:
            StoreError: The store does not take it.
        """
        self._store.put(self._output.below(BEGUN), b"")
        self._there.add(BEGUN)

    def begun(self) -> None:
        """Note that it has its index.

        Raises:
            StoreError: The store refuses.
        """
        if BEGUN in self._there:
            self._store.delete([self._output.below(BEGUN)])
            self._there.discard(BEGUN)

    def unindexed(self) -> list[str]:
        """Objects of an output that has lost its index, but for those that this folder's ledger counts."""
        if BEGUN in self._there:
            return []
        mine: set[str] = set()
        if (self._folder / LEDGER).exists():
            counted = self._files_of(self._folder / LEDGER) or ()
            mine = {object_name(file.path, file.sha256) for file in counted}
        return sorted(
            name
            for name in self._there
            if is_carried_object(name) and name not in mine and not name.startswith(f"{LEDGERS}/")
        )

    def look(self) -> None:
        """Learn which objects are there, so that none is sent twice and none is missed.

        Raises:
            StoreError: The store cannot be listed.
        """
        base = len(self._output.path) + 1
        self._sizes = {each.address.path[base:]: each.size for each in self._store.listing(self._output)}
        self._there = set(self._sizes)

    def pack(self, moment: Moment, work: str, run: str) -> Index | None:
        """Send everything that an index of this moment names, but for the index; None in an exchange.

        Raises:
            OutputError: A file is not what the ledger says, or the ledger cannot be copied.
            StoreError: The store does not take it.
        """
        for more in reversed(range(_CHANGING)):
            room = room_for_coming(self._folder)
            copy = room / output_layout.LEDGER.name
            copy_ledger(self._folder / LEDGER, copy)
            counted = self._files_of(copy)
            if counted is None:
                return None
            files = [
                StoredFile(file.path, object_name(file.path, file.sha256), file.sha256, file.rows)
                for file in counted
            ]
            try:
                for file in files:
                    self._send(file)
            except FileNotFoundError:
                if not more:
                    raise
                continue
            sha256 = sha256_of(copy)
            name = object_name(
                f"{LEDGERS}/{numbered(moment.generation, f'-{moment.sequence:08d}')}.sqlite3", sha256
            )
            ledger = StoredFile(LEDGER, name, sha256)
            self._store.put_file(self._output.below(name), copy)
            self._there.add(name)
            clear_coming(self._folder)
            return Index(moment, work, run, ledger, tuple(files))
        raise AssertionError("the last try has returned or raised")

    def _send(self, file: StoredFile) -> None:
        place = self._folder / file.path
        if file.object in self._there and not self._is_cut(file.object, place):
            return
        if sha256_of(place) != file.sha256:
            raise OutputError(f"{place}: is not what was sealed; it was not carried to the store")
        self._store.put_file(self._output.below(file.object), place)
        self._there.add(file.object)
        self._sizes.pop(file.object, None)
        self._known.add(file.object)

    def _is_cut(self, name: str, place: Path) -> bool:
        """Whether an object that was there has another size than the file that it is the copy of."""
        size = self._sizes.get(name)
        try:
            return size is not None and size != place.stat().st_size
        except FileNotFoundError:
            return False

    def publish(self, index: Index) -> None:
        """Write the index: from now on it counts.

        Raises:
            StoreError: The store does not take it.
        """
        self._store.put(self._index(index.moment.generation), index.as_json().encode())

    def tidy(self, index: Index) -> None:
        """Remove what this output has had and the index does not name.

        Raises:
            StoreError: The store refuses.
        """
        self.know(index)
        for name in left_over(self._there, index):
            # A copy of the ledger that this index has left behind is an older one; a part that no index has
            # named may be all that is left of what somebody was answered.
            if name in self._known or name.startswith(f"{LEDGERS}/"):
                self._store.delete([self._output.below(name)])
            else:
                self._store.move(self._output.below(name), self._output.below(f"{SET_ASIDE}/{name}"))
            self._there.discard(name)
        own = index.moment.generation
        earlier = (each.address for each in self._store.listing(self._output.below(*INDEXES)))
        self._store.delete(address for address in earlier if (number_of(address) or own) < own)

    def send_extra(self, name: str) -> None:
        """Send a small file under its own name, if it is there.

        Raises:
            StoreError: The store does not take it.
        """
        file = self._folder / name
        if file.is_file():
            self._store.put_file(self._output.below(name), file)

    def _index(self, generation: int) -> StoreAddress:
        return self._output.below(*INDEXES, numbered(generation, ".json"))
