"""A bucket of an object store that the embedded instance takes images in from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batchsearch.emulator.batch.source_bucket import BucketError, SourceBucket, SourceObject, open_folder
from batchsearch.errors import ConfigError
from batchsearch.storage.stores.address import AddressError, is_store_url
from batchsearch.storage.stores.object_store import ObjectFacts, ObjectStore, StoreError, open_store
from batchsearch.storage.stores.store_failures import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.config.sections.store_settings import ConnectionsSettings
    from batchsearch.storage.stores.address import StoreAddress

_OF_THE_BUCKET: Final = frozenset({Failure.NO_BUCKET, Failure.DENIED, Failure.PASSING})


class StoreBucket:
    """A bucket, or a folder in one, whose objects are read through `ObjectStore`."""

    def __init__(self, store: ObjectStore, place: StoreAddress) -> None:
        self._store = store
        self._place = place

    def find(self, key: str) -> SourceObject | None:
        """What the store says of an object, None where there is none."""
        try:
            facts = self._store.facts(self._place.below(key))
        except StoreError as error:
            raise _unread(error) from None
        return None if facts is None else SourceObject(key, facts.size, facts.tag, facts)

    def read(self, found: SourceObject, start: int, stop: int) -> bytes:
        """Bytes of an object that is still as it was."""
        facts: ObjectFacts = found.place
        try:
            return self._store.read(facts, start, stop)
        except StoreError as error:
            raise _unread(error) from None

    def close(self) -> None:
        """Ask the store for nothing more."""
        self._store.close()


def _unread(error: StoreError) -> BucketError:
    return BucketError(str(error), is_whole=error.failure in _OF_THE_BUCKET)


def bucket_opener(connections: ConnectionsSettings | None = None) -> Callable[[str], SourceBucket]:
    """What opens the buckets of an embedded instance: `EmulatorOptions.open_bucket`.

    Args:
        connections: How stores are reached, a job's `stores`; as their providers' own tools would if None.

    Returns:
        Opens a place, the path of a folder or an address such as `s3://name`; raises ConfigError or
        MissingExtraError for one that cannot be a bucket.
    """

    def opened(place: str) -> SourceBucket:
        if not is_store_url(place):
            return open_folder(place)
        try:
            return StoreBucket(*open_store(place, connections, wanted_for="the embedded instance's bucket"))
        except AddressError as error:
            raise ConfigError(f"bucket {place.partition('?')[0]}: the address {error}") from error

    return opened
