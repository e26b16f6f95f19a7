"""An index made anew, for an output in a store that has lost it: from the ledger carried there last."""

from __future__ import annotations

import os
import re
import secrets
import socket
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.errors import ConfigError, OutputDamagedError, OutputError
from batchsearch.storage import output_layout
from batchsearch.storage.file_sum import sha256_of
from batchsearch.storage.remote.cargo import BEGUN, INDEXES, LEASES, LEDGER, LEDGERS, read_index
from batchsearch.storage.remote.lease import Lease, Owner, numbered
from batchsearch.storage.remote.output_index import TAG_LETTERS, Index, Moment, StoredFile, object_name
from batchsearch.storage.remote.store_output import address_of
from batchsearch.storage.remote.work_folder import NOTE, read_note, write_note
from batchsearch.storage.stores.object_store import ObjectStore, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchsearch.config.sections.store_settings import ConnectionsSettings
    from batchsearch.storage.sealed.inventory import SealedFile
    from batchsearch.storage.stores.address import StoreAddress

_COPY: Final = re.compile(rf"(\d+)-(\d+)-([0-9a-f]{{{TAG_LETTERS}}})\.sqlite3")
_MOST_LISTED: Final = 10


def index_anew(
    output_dir: str,
    connections: ConnectionsSettings | None,
    folder: Path,
    files_of: Callable[[Path], Sequence[SealedFile] | None],
) -> Index:
    """Write the index of an output that has lost it; nothing else in the store is changed.

    Args:
        output_dir: The output's address.
        connections: How stores are reached.
        folder: The output's work folder on this machine, whether it is there or not.
        files_of: The files that a ledger counts, given the path of a copy of it.

    Returns:
        The index: the one that is there, when there is one.

    Raises:
        ConfigError: The address names no place.
        OutputInUseError: A run works there.
        OutputDamagedError: No ledger was carried there whose files are all there; nothing was changed.
        OutputError: The store cannot be read or written.
    """
    output = address_of(output_dir)
    store = ObjectStore(output.scheme, connections, wanted_for="recover", writes=True)
    lease = Lease(
        store,
        output.below(*LEASES),
        output.below(*INDEXES),
        _owner(folder),
        shown=str(output),
    )
    try:
        lease.take()
        try:
            index = read_index(store, output)
            if index is None:
                index, before = _found(store, output, Moment(lease.generation, 1), files_of)
                index = _of_this_folder(index, before, folder, str(output))
                text = index.as_json().encode()
                store.put(output.below(*INDEXES, numbered(index.moment.generation, ".json")), text)
                store.delete([output.below(BEGUN)])
        finally:
            lease.give_up()
    except StoreError as error:
        raise OutputError(f"{error.place}: {error.strerror}") from error
    return index


def _owner(folder: Path) -> Owner:
    return Owner(
        token=secrets.token_hex(16),
        run="recover",
        host=socket.gethostname(),
        pid=os.getpid(),
        work=secrets.token_hex(8),
        folder=str(folder),
        since=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _found(
    store: ObjectStore,
    output: StoreAddress,
    moment: Moment,
    files_of: Callable[[Path], Sequence[SealedFile] | None],
) -> tuple[Index, Moment]:
    """The index of the latest ledger that was carried there whole, and when that was."""
    base = len(output.path) + 1
    there = {each.address.path[base:] for each in store.listing(output)}
    copies = [
        (int(match[1]), int(match[2]), name, match[3])
        for name in there
        if name.startswith(f"{LEDGERS}/") and (match := _COPY.fullmatch(name.rpartition("/")[2]))
    ]
    if not there:
        raise ConfigError(f"{output}: there is no output here")
    why = "no ledger was carried there"
    for generation, sequence, name, tag in sorted(copies, reverse=True):
        with tempfile.TemporaryDirectory(prefix="batchsearch-recover-") as room:
            copy = Path(room, output_layout.LEDGER.name)
            facts = store.facts(output.below(name))
            if facts is None:
                continue
            store.fetch(facts, copy)
            sha256 = sha256_of(copy)
            if not sha256.startswith(tag):
                why = f"{name} is not what was carried there"
                continue
            counted = files_of(copy)
        if counted is None:
            continue
        files = tuple(
            StoredFile(file.path, object_name(file.path, file.sha256), file.sha256, file.rows)
            for file in counted
        )
        missing = [file.object for file in files if file.object not in there]
        if not missing:
            ledger = StoredFile(LEDGER, name, sha256)
            return Index(moment, secrets.token_hex(8), "recover", ledger, files), Moment(generation, sequence)
        why = "objects are not there that the ledger counts: " + ", ".join(missing[:_MOST_LISTED])
    raise OutputDamagedError(
        f"{output}: the index cannot be made anew: {why}. Nothing was changed. Put the objects back; or "
        "bring `results/` and `hits/` down into a local folder, without the tags in their names, and recover "
        "that."
    )


def _of_this_folder(index: Index, before: Moment, folder: Path, address: str) -> Index:
    """The index as this machine's own, where its work folder is what that ledger was carried from."""
    if not (folder / NOTE).exists() or not (folder / LEDGER).exists():
        return index
    note = read_note(folder, address)
    if before not in (note.carried, note.sending):
        return index
    write_note(folder, replace(note, carried=index.moment, sending=None))
    return replace(index, work=note.work)
