"""Buckets that images are taken in from: what is asked of one, and a local folder that stands for one.

A bucket in an object store is `batchsearch.storage.stores.store_bucket`, which this room must not know of.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from batchsearch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


class BucketError(Exception):
    """Something of a bucket cannot be read.

    Attributes:
        is_whole: Whether it is the bucket that cannot be read, rather than one object.
    """

    def __init__(self, message: str, *, is_whole: bool) -> None:
        self.is_whole = is_whole
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class SourceObject:
    """An object as it was seen.

    Attributes:
        key: Its name in the bucket.
        size: Bytes.
        tag: What changes with its content.
        place: Whatever the bucket finds it by.
    """

    key: str
    size: int
    tag: str
    place: Any = None


class SourceBucket(Protocol):
    """A bucket. Calls may come from any thread."""

    def find(self, key: str) -> SourceObject | None:
        """An object, None where there is none.

        Raises:
            BucketError: The bucket cannot be asked.
        """

    def read(self, found: SourceObject, start: int, stop: int) -> bytes:
        """Bytes of an object that is still as it was.

        Raises:
            BucketError: It cannot be read, or was replaced.
        """

    def close(self) -> None:
        """Ask for nothing more."""


if TYPE_CHECKING:
    BucketOpener = Callable[[str], SourceBucket]
    """Opens the bucket at a place: a folder's path, or an address."""


class FolderBucket:
    """A local folder that stands for a bucket; objects are the files below it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> SourceObject | None:
        """A file, None where there is none; one outside the folder, by a link, counts as absent."""
        if not self._folder.is_dir():
            raise BucketError("the folder that stands for the bucket is not there", is_whole=True)
        path = self._folder / key
        try:
            if not path.resolve().is_relative_to(self._folder.resolve()) or not path.is_file():
                return None
            seen = path.stat()
        except (OSError, ValueError):
            return None
        return SourceObject(key, seen.st_size, f"{seen.st_ino}-{seen.st_size}-{seen.st_mtime_ns}", path)

    def read(self, found: SourceObject, start: int, stop: int) -> bytes:
        """Bytes of a file that is still as it was."""
        path: Path = found.place
        try:
            with path.open("rb") as file:
                file.seek(start)
                data = file.read(stop - start)
        except OSError as error:
            raise BucketError(f"{found.key}: {error.strerror or error}", is_whole=False) from error
        now = self.find(found.key)
        if now is None or now.tag != found.tag:
            raise BucketError(f"{found.key} was replaced while it was read", is_whole=False)
        return data

    def close(self) -> None:
        """Nothing is held open."""


def open_folder(place: str) -> SourceBucket:
    """The folder that stands for a bucket; it need not be there before a task reads from it.

    Raises:
        ConfigError: It is an address.
    """
    if "://" in place:
        raise ConfigError(f"bucket {place}: give the path of a folder; object stores are not opened here")
    return FolderBucket(Path(place))
