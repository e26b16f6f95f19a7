"""Images in object stores: `s3:`, `oss:` and `gs:` addresses, read through fsspec.

References are untrusted: only buckets that the job names are read. One request brings an image, asked
for as a range, so that nothing larger than the bound ever comes. `storage.stores.kinds` says how
stores are reached.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from batchsearch.images.fetching.addresses import shown_address
from batchsearch.images.outcome import Rejected, Unreachable, file_too_large
from batchsearch.storage.stores.kinds import KINDS, need
from batchsearch.storage.stores.store_failures import Failure, failure_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.config.sections.image_settings import StoreSettings, StoresSettings
    from batchsearch.storage.stores.kinds import Kind

SCHEMES: Final = frozenset({"s3", "oss", "gs"})
_ADDRESS: Final = re.compile(r"(?P<scheme>[A-Za-z0-9]+)://(?P<bucket>[A-Za-z0-9][\w.-]{1,221})/(?P<key>.+)")
_UNREADABLE: Final = re.compile(r"[\x00-\x1f\x7f]")
_PRIVATE: Final[Mapping[str, bool]] = MappingProxyType(
    {"asynchronous": True, "skip_instance_cache": True, "use_listings_cache": False}
)
"""A file system on our own event loop, shared with nobody, that remembers no listings."""


class ObjectStores:
    """Gets images from the stores that a job allows; used on one event loop.

    Args:
        settings: The job's `images.stores`.
        timeout: Seconds for one image.
        per_store: Most requests at a time to one store.
        limit: Most bytes of one image.

    Raises:
        MissingExtraError: A store is allowed whose package is not installed.
    """

    def __init__(self, settings: StoresSettings, *, timeout: float, per_store: int, limit: int) -> None:
        self._timeout = timeout
        self._limit = limit
        self._stores: dict[str, _Store] = {}
        for scheme, kind in KINDS.items():
            allowed: StoreSettings | None = getattr(settings, scheme)
            if allowed is None:
                continue
            need(scheme, f"reading {scheme}:// addresses (images.stores.{scheme})")
            self._stores[scheme] = _Store(kind, allowed, timeout, per_store)

    async def close(self) -> None:
        """Closes all connections."""
        for store in self._stores.values():
            await store.close()

    async def get(self, address: str) -> bytes | Rejected | Unreachable:
        """One image's bytes."""
        shown = shown_address(address)
        parts = _ADDRESS.fullmatch(address)
        if parts is None or not _is_plain(parts["key"]):
            return Rejected(
                "Local.ImageReferenceInvalid",
                f"{shown}: an object's address is scheme://bucket/path/of/object",
            )
        scheme, place = parts["scheme"].lower(), f"{parts['bucket']}/{parts['key']}"
        store = self._stores.get(scheme)
        if store is None or not store.holds(place):
            return Rejected(
                "Local.ImageAddressRefused",
                f"{shown}: the job allows no such place; images.stores.{scheme}.buckets may allow it",
            )
        try:
            async with asyncio.timeout(self._timeout):
                data = await store.read(place, self._limit + 1)
        except TimeoutError:
            return Unreachable(
                "Transport.ImageTimeout", f"{shown}: not there after {self._timeout:g} s", transient=True
            )
        except Exception as error:  # noqa: BLE001 - each store's packages have errors of their own
            return _ending_of(error, shown, scheme)
        if len(data) > self._limit:
            return file_too_large(shown, self._limit)
        return data


class _Store:
    """One store: opened when it is first read, so that a job pays for none that its rows do not name."""

    def __init__(self, kind: Kind, settings: StoreSettings, timeout: float, at_once: int) -> None:
        self._kind = kind
        self._settings = settings
        self._timeout = timeout
        self._places = tuple(bucket.strip("/") + "/" for bucket in settings.buckets)
        self._opening = asyncio.Lock()
        self._room = asyncio.Semaphore(at_once)
        self._files: Any = None
        self._session: Any = None

    def holds(self, place: str) -> bool:
        """Whether the job allows `bucket/path/of/object`."""
        return place.startswith(self._places)

    async def read(self, place: str, most: int) -> bytes:
        """The first `most` bytes of an object.

        Raises:
            Exception: Whatever the store's package raises.
        """
        async with self._room:
            async with self._opening:
                if self._files is None:
                    await self._open()
            try:
                data = await self._files._cat_file(place, start=0, end=most)  # noqa: SLF001 - fsspec's documented name for asynchronous use
            except Exception as error:
                if failure_of(error) is not Failure.EMPTY_RANGE:
                    raise
                return b""  # an empty object has no first byte to ask for
            return bytes(data)

    async def _open(self) -> None:
        files = await asyncio.to_thread(self._kind.make, self._settings, self._timeout, False, _PRIVATE)
        begin = getattr(files, "set_session", None) or files._set_session  # noqa: SLF001 - gcsfs has no public name
        self._session = await begin()
        self._files = files

    async def close(self) -> None:
        if self._session is not None:
            with suppress(Exception):
                await self._session.close()
            self._session = self._files = None


def _is_plain(key: str) -> bool:
    """Whether a key names one object in every reading: no `..`, nothing that a client strips or splits."""
    segments = key.split("/")
    return (
        not _UNREADABLE.search(key)
        and not {".", ".."} & set(segments)
        and bool(segments[0])
        and bool(segments[-1])
        and "?versionId=" not in key
    )


def _ending_of(error: Exception, shown: str, scheme: str) -> Rejected | Unreachable:
    """What an error says about the image. The error's own text is not shown: it may quote a request."""
    failure = failure_of(error)
    if failure is Failure.NO_BUCKET:
        return Unreachable(
            "Transport.ImageHttpStatus",
            f"{shown}: the store has no such bucket; is images.stores.{scheme} right?",
            transient=False,
        )
    if failure is Failure.ABSENT:
        return Rejected("Local.ImageMissing", f"{shown}: the store has no such object")
    if failure is Failure.DENIED:
        return Unreachable(
            "Transport.ImageHttpStatus",
            f"{shown}: the store lets these credentials read nothing there "
            "(some stores say so of a missing object, too, to those who may not list the bucket)",
            transient=False,
        )
    if failure is Failure.INVALID:
        return Rejected("Local.ImageReferenceInvalid", f"{shown}: the store takes this for no address")
    return Unreachable(
        "Transport.ImageConnect", f"{shown}: the request failed ({type(error).__name__})", transient=True
    )
