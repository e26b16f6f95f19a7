"""An output's address in a job file, and what is made of it: a work folder and a mirror."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import ConfigError, OutputError
from batchsearch.storage.output_layout import is_lane
from batchsearch.storage.remote.cargo import LEASES, bring_down, read_index
from batchsearch.storage.remote.lease import lapse_said, number_of
from batchsearch.storage.remote.mirror import Mirror
from batchsearch.storage.remote.rhythm import Rhythm
from batchsearch.storage.remote.work_folder import default_folder
from batchsearch.storage.stores.address import (
    AddressError,
    StoreAddress,
    parse_address,
    shown_url,
)
from batchsearch.storage.stores.object_store import ObjectStore, Patience, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batchsearch.config.sections.store_settings import ConnectionsSettings
    from batchsearch.storage.remote.output_index import Index
    from batchsearch.storage.sealed.inventory import SealedFile

WRITABLE: Final = ("s3", "oss", "gs", "memory")
"""Stores that can make an object only where there is none, which a lease needs."""

_PATIENCE: Final = Patience(timeout=15.0, pauses=(0.5, 1.0, 2.0, 4.0))
_SETTING: Final = "output.dir"


def work_folder(output_dir: str, work_dir: str | None = None) -> Path:
    """The local folder of a run over an output in a store.

    Args:
        output_dir: The output's address.
        work_dir: As the job says it; a folder of the user's cache when absent.

    Raises:
        ConfigError: The address names no place that can be written to.
    """
    address = address_of(output_dir)
    return default_folder(str(address)) if work_dir is None else Path(work_dir)


def open_mirror(
    output_dir: str,
    connections: ConnectionsSettings | None,
    *,
    folder: Path,
    run: str,
    files_of: Callable[[Path], Sequence[SealedFile] | None],
    carry_seconds: float = 60.0,
    lease_seconds: float = 180.0,
    journal_seconds: float | None = None,
    log: Any = None,
) -> Mirror:
    """The mirror of a job's output; nothing is asked of the store yet.

    Args:
        output_dir: The output's address.
        connections: How stores are reached.
        folder: The work folder, from `work_folder`.
        run: The run's name.
        files_of: The files that a ledger counts, given the path of a copy of it; None while parts are being
            exchanged.
        carry_seconds: Seconds between carryings, at least.
        lease_seconds: Seconds after which others may take over from a run that is not heard of any more.
        journal_seconds: How long answers are gathered before they are kept there; None keeps none.
        log: A structlog logger.

    Raises:
        ConfigError: The address names no place that can be written to.
        MissingExtraError: The package for such stores is not installed.
    """
    address = address_of(output_dir)
    store = ObjectStore(address.scheme, connections, wanted_for=_SETTING, writes=True, patience=_PATIENCE)
    rhythm = Rhythm.of(lease=lease_seconds, carry=carry_seconds)
    return Mirror(
        store,
        address,
        folder,
        run=run,
        files_of=files_of,
        rhythm=rhythm,
        log=log,
        journal_seconds=journal_seconds,
    )


def fetch_output(
    output_dir: str,
    connections: ConnectionsSettings | None,
    folder: Path,
    *,
    without_tables: bool = False,
) -> Index | None:
    """Bring an output down to look at it, while a run may go on there: `status`, `verify`, reports.

    Args:
        output_dir: The output's address.
        connections: How stores are reached.
        folder: Where it goes; a folder of its own, never a work folder.
        without_tables: Bring the ledger and what tells of the run, and no Parquet file.

    Returns:
        What was brought; None where nothing was carried there yet.

    Raises:
        ConfigError: The address names no place.
        OutputError: The store cannot be read, or what is there is not whole.
    """
    address = address_of(output_dir)
    store = ObjectStore(address.scheme, connections, wanted_for=_SETTING, patience=_PATIENCE)
    for more in (True, True, False):
        try:
            index = read_index(store, address)
            if index is not None and without_tables:
                index = replace(index, files=tuple(file for file in index.files if file.rows is None))
            if index is not None:
                bring_down(store, address, index, folder)
        except StoreError as error:
            raise OutputError(f"{error.place}: {error.strerror}") from error
        except OutputError:
            # A run that goes on may have replaced some files meanwhile; its next index names what is there.
            if not more:
                raise
        else:
            return index
    raise AssertionError("the last try has returned or raised")


def fetch_outputs(
    output_dir: str,
    connections: ConnectionsSettings | None,
    folder: Path,
    *,
    without_tables: bool = False,
) -> bool:
    """Like `fetch_output`, of an output whose instances may have a folder each: all of them, each in its own.

    Returns:
        Whether there is anything.

    Raises:
        ConfigError: The address names no place.
        OutputError: The store cannot be read, or what is there is not whole.
    """
    if fetch_output(output_dir, connections, folder, without_tables=without_tables) is not None:
        return True
    found = False
    for name in lanes_at(output_dir, connections):
        lane = folder / name
        lane.mkdir()
        address = f"{address_of(output_dir)}/{name}"
        if fetch_output(address, connections, lane, without_tables=without_tables) is not None:
            found = True
    return found


@contextmanager
def _store_at(
    output_dir: str, connections: ConnectionsSettings | None, *, writes: bool = False
) -> Iterator[tuple[ObjectStore, StoreAddress]]:
    """The store of an output, and the output's address; what the store says is raised as an OutputError."""
    address = address_of(output_dir)
    store = ObjectStore(address.scheme, connections, wanted_for=_SETTING, writes=writes, patience=_PATIENCE)
    try:
        yield store, address
    except StoreError as error:
        raise OutputError(f"{error.place}: {error.strerror}") from error


def lanes_at(output_dir: str, connections: ConnectionsSettings | None) -> list[str]:
    """The folders of instances below an output's address, by name; empty where it has none.

    Raises:
        ConfigError: The address names no place.
        OutputError: The store cannot be read.
    """
    with _store_at(output_dir, connections) as (store, address):
        return [name for name in store.folders(address) if is_lane(name)]


def put_beside(output_dir: str, connections: ConnectionsSettings | None, name: str, data: bytes) -> None:
    """Write a small object at an output's address, beside those of its instances.

    Raises:
        ConfigError: The address names no place.
        OutputError: The store does not take it.
    """
    with _store_at(output_dir, connections, writes=True) as (store, address):
        store.put(address.below(name), data)


def has_output(output_dir: str, connections: ConnectionsSettings | None) -> bool:
    """Whether an output is at an address itself, and not one below for each instance.

    Raises:
        ConfigError: The address names no place.
        OutputError: The store cannot be read, or what is there cannot be understood.
    """
    with _store_at(output_dir, connections) as (store, address):
        return read_index(store, address) is not None


def held_by(output_dir: str, connections: ConnectionsSettings | None) -> dict[str, Any] | None:
    """Who works on an output in a store, as the lease says it; None where nobody does.

    A lease that was not renewed for so long that it has lapsed is nobody's, by this machine's clock.

    Raises:
        ConfigError: The address names no place.
        OutputError: The store cannot be read.
    """
    try:
        with _store_at(output_dir, connections) as (store, address):
            leases = store.listing(address.below(*LEASES))
            last = max(leases, key=lambda each: number_of(each.address) or 0, default=None)
            if last is None or last.modified is None:
                return None
            renewed = last.modified
            facts = store.facts(last.address)
            values = {} if facts is None else json.loads(store.read(facts))
    except ValueError:
        values = {}
    values = values if isinstance(values, dict) else {}
    has_lapsed = (datetime.now(UTC) - renewed).total_seconds() > lapse_said(values)
    return None if has_lapsed else values


def address_of(output_dir: str) -> StoreAddress:
    """The address of an output in a store.

    Raises:
        ConfigError: It names no place that can be written to.
    """
    try:
        address = parse_address(output_dir)
    except AddressError as error:
        raise ConfigError(f"{_SETTING}: {shown_url(output_dir)} {error}") from None
    if address.scheme not in WRITABLE:
        known = ", ".join(f"{scheme}://" for scheme in WRITABLE[:-1])
        raise ConfigError(f"{_SETTING}: no output can be kept in {address.scheme}://; {known} can")
    if "/" not in address.path:
        raise ConfigError(
            f"{_SETTING}: {address} is a whole bucket; give the output a folder of its own in it"
        )
    return address
