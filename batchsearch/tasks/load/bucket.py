"""The bucket that images and their list are put into: in an object store, or a folder that stands for one."""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.errors import ConfigError, OutputError
from batchsearch.publish import disk_errors, make_folder, publishing
from batchsearch.storage.file_sum import sha256_of
from batchsearch.storage.stores.address import AddressError, StoreAddress, is_store_url, parse_address
from batchsearch.storage.stores.object_store import ObjectStore, StoreError
from batchsearch.storage.stores.store_failures import Failure
from batchsearch.tasks.load.lines import META

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchsearch.config.model import JobSettings

_EDGE: Final = 4 * 1024 * 1024
"""Bytes at either end by which a list is told from another one of its size."""
FOLDER: Final = "batchsearch"
"""Folder of a bucket where the setting names none: a task's path may not be the bucket's root."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the objects of a load are, as the service is told.

    Attributes:
        bucket: The bucket's name.
        folder: Folder of `increment.meta` in it, without a slash at either end.
        stands_in: The local folder that stands for the bucket; None for a real one.
        address: The folder in its store; None for a local one.
    """

    bucket: str
    folder: str
    stands_in: Path | None = None
    address: StoreAddress | None = None

    @property
    def path(self) -> str:
        """What `IncreaseInstance` calls `Path`."""
        return f"/{self.folder}"

    def __str__(self) -> str:
        return str(self.address) if self.address is not None else f"{self.stands_in}/{self.folder}"


def place_of(settings: JobSettings) -> Place:
    """Where a job's `load.to` is.

    Raises:
        ConfigError: The job has no such section, or the place is none that the service could read.
    """
    load = settings.load
    if load is None:
        what = "is needed: the bucket that images are put into, such as `load: {to: oss://bucket/folder}`"
        raise ConfigError.at("load", what)
    if not is_store_url(load.to):
        if settings.instance.endpoint is None:
            what = (
                f"{load.to} is a folder of this machine, which a purchased instance cannot read; name a "
                "bucket in the instance's region, such as oss://bucket/folder"
            )
            raise ConfigError.at("load.to", what)
        return Place(load.bucket[0], FOLDER, stands_in=Path(load.to))
    try:
        address = parse_address(load.to)
    except AddressError as error:
        raise ConfigError.at("load.to", str(error)) from None
    if settings.instance.endpoint is None and address.scheme != "oss":
        what = f"{address.scheme}:// is no bucket that Image Search reads; it reads OSS: oss://bucket/folder"
        raise ConfigError.at("load.to", what)
    bucket, _, folder = address.path.partition("/")
    folder = folder or FOLDER
    return Place(bucket, folder, address=StoreAddress(address.scheme, f"{bucket}/{folder}"))


def open_bucket(settings: JobSettings, place: Place) -> Bucket:
    """The bucket of a place.

    Raises:
        ConfigError: No package reads such addresses.
        OutputError: The folder cannot be made.
    """
    if place.stands_in is not None:
        return _FolderBucket(place.stands_in / place.folder)
    if place.address is None:
        raise AssertionError("a place is a folder or an address")
    store = ObjectStore(place.address.scheme, settings.stores, wanted_for="load.to", writes=True)
    return _StoreBucket(store, place.address)


def is_embedded(settings: JobSettings) -> bool:
    """Whether the job's own embedded instance reads the bucket."""
    return settings.instance.endpoint == EMULATOR


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{error}") from error


class _StoreBucket:
    """Puts objects into the folder; every method blocks, from any thread, and raises OutputError."""

    def __init__(self, store: ObjectStore, folder: StoreAddress) -> None:
        self._store = store
        self._folder = folder

    def put(self, name: str, data: bytes) -> None:
        """Write an object, replacing one that is there."""
        with _store_errors():
            self._store.put(self._folder.below(name), data)

    def put_file(self, name: str, file: Path) -> str | None:
        """Write a local file as one object, replacing one that is there; its mark.

        None where another one has come in its place since.
        """
        address = self._folder.below(name)
        with _store_errors():
            try:
                self._store.put_file(address, file)
                facts = self._store.facts(address)
                size = file.stat().st_size
                if facts is None or facts.size != size:
                    return None
                with file.open("rb") as local:
                    for start in sorted({0, max(0, size - _EDGE)}):
                        local.seek(start)
                        if self._store.read(facts, start, start + _EDGE) != local.read(_EDGE):
                            return None
            except StoreError as error:
                if error.failure is Failure.CHANGED:
                    return None
                raise
        return facts.tag

    def mark(self, name: str) -> str | None:
        """What changes with an object's content; None where there is no such object."""
        with _store_errors():
            facts = self._store.facts(self._folder.below(name))
        return None if facts is None else facts.tag

    def listing(self) -> Iterator[tuple[str, str, int]]:
        """Names, MD5 and sizes of the images that are there, as far as the store tells them."""
        with _store_errors():
            found = self._store.listing(self._folder)
        before = len(self._folder.path) + 1
        for each in found:
            if each.address.path[before:] == META:
                continue
            # The tag of an object that was put in one piece is its MD5.
            yield each.address.path[before:], each.tag.strip('"').lower(), each.size

    def close(self) -> None:
        """Ask for nothing more."""
        self._store.close()


class _FolderBucket:
    """A folder of this machine, whose files are written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: set[Path] = set()

    def put(self, name: str, data: bytes) -> None:
        path = self._path(name)
        with disk_errors(path, "cannot be written"), publishing(path) as file:
            file.write(data)

    def put_file(self, name: str, file: Path) -> str | None:
        path = self._path(name)
        with disk_errors(path, "cannot be written"):
            # Another load of this process may write the same object.
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
            with file.open("rb") as source, publishing(path, temporary) as target:
                shutil.copyfileobj(source, target)
            mark = sha256_of(file)
        return mark if self.mark(name) == mark else None

    def mark(self, name: str) -> str | None:
        path = self._path(name)
        try:
            return sha256_of(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(f"{path}: cannot be read: {error.strerror or error}") from error

    def listing(self) -> Iterator[tuple[str, str, int]]:
        return iter(())

    def close(self) -> None:
        pass

    def _path(self, name: str) -> Path:
        path = self._folder / name
        if path.parent not in self._made:
            with disk_errors(path.parent, "cannot be written"):
                make_folder(path.parent)
            self._made.add(path.parent)
        return path


Bucket: TypeAlias = _StoreBucket | _FolderBucket
"""Puts objects into a place's folder."""
