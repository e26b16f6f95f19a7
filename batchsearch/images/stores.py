"""Pictures in object stores: `s3:`, `oss:` and `gs:` addresses, read through fsspec.

References are untrusted: only buckets that the job names are read. One request brings a picture, asked
for as a range, so that nothing larger than the bound ever comes. `oss:` goes through OSS's S3-compatible
endpoint (virtual-hosted addresses and the older S3 signature, as its page on the AWS SDKs has it), since
no fsspec package for OSS itself is kept up.

Credentials come from where each provider's own tools look: the AWS chain, Google's default credentials,
and for OSS the variables of `OSS_VARIABLES`, which need not be those of the Image Search account.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import MissingExtraError
from batchsearch.images.addresses import shown_address
from batchsearch.images.outcome import Rejected, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from batchsearch.config.image_settings import StoreSettings, StoresSettings

SCHEMES: Final = frozenset({"s3", "oss", "gs"})
OSS_VARIABLES: Final = (
    ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"),
    ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"),
)
"""Variables with OSS credentials, key id, secret and token; the first pair that is set counts."""

_ADDRESS: Final = re.compile(r"(?P<scheme>[A-Za-z0-9]+)://(?P<bucket>[A-Za-z0-9][\w.-]{1,221})/(?P<key>.+)")
_UNREADABLE: Final = re.compile(r"[\x00-\x1f\x7f]")
_ABSENT: Final = frozenset({"NoSuchKey", "404"})
_NO_BUCKET: Final = frozenset({"NoSuchBucket"})
_NOTHING_IN_RANGE: Final = frozenset({"InvalidRange", "416"})
_DENIED: Final = frozenset(
    {
        "401",
        "403",
        "AccessDenied",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "NoCredentialsError",
        "PermissionError",
        "SignatureDoesNotMatch",
    }
)
"""What stores call their errors, by what it says of the picture. Names of exceptions stand in for codes."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of store is read: the extra and module that do it, and how its file system is made."""

    extra: str
    module: str
    make: Callable[[StoreSettings, float], Any]


class ObjectStores:
    """Gets pictures from the stores that a job allows; used on one event loop.

    Args:
        settings: The job's `images.stores`.
        timeout: Seconds for one picture.
        per_store: Most requests at a time to one store.
        limit: Most bytes of one picture.

    Raises:
        MissingExtraError: A store is allowed whose package is not installed.
    """

    def __init__(self, settings: StoresSettings, *, timeout: float, per_store: int, limit: int) -> None:
        self._timeout = timeout
        self._limit = limit
        self._stores: dict[str, _Store] = {}
        for scheme, kind in _KINDS.items():
            allowed: StoreSettings | None = getattr(settings, scheme)
            if allowed is None:
                continue
            if find_spec(kind.module) is None:
                raise MissingExtraError(kind.extra, f"reading {scheme}:// addresses (images.stores.{scheme})")
            self._stores[scheme] = _Store(kind, allowed, timeout, per_store)

    async def close(self) -> None:
        """Closes all connections."""
        for store in self._stores.values():
            await store.close()

    async def get(self, address: str) -> bytes | Rejected | Unreachable:
        """One picture's bytes."""
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
            return Rejected(
                "Local.ImageFileTooLarge",
                f"{shown} is larger than {self._limit // (1024 * 1024)} MB, the most that is read",
            )
        return data


class _Store:
    """One store: opened when it is first read, so that a job pays for none that its rows do not name."""

    def __init__(self, kind: _Kind, settings: StoreSettings, timeout: float, at_once: int) -> None:
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
                if _NOTHING_IN_RANGE.isdisjoint(_names(error)):
                    raise
                return b""  # an empty object has no first byte to ask for
            return bytes(data)

    async def _open(self) -> None:
        files = await asyncio.to_thread(self._kind.make, self._settings, self._timeout)
        begin = getattr(files, "set_session", None) or files._set_session  # noqa: SLF001 - gcsfs has no public name
        self._session = await begin()
        self._files = files

    async def close(self) -> None:
        if self._session is not None:
            with suppress(Exception):
                await self._session.close()
            self._session = self._files = None


def _s3(settings: StoreSettings, timeout: float) -> Any:
    from s3fs import S3FileSystem

    return S3FileSystem(
        anon=settings.anonymous,
        endpoint_url=settings.endpoint,
        client_kwargs={"region_name": settings.region} if settings.region else {},
        config_kwargs=_connection(timeout),
        **_PRIVATE,
    )


def _oss(settings: StoreSettings, timeout: float) -> Any:
    from s3fs import S3FileSystem

    key, secret, token = _oss_credentials(os.environ)
    return S3FileSystem(
        # Without a key of its own s3fs would send the AWS account's.
        anon=settings.anonymous or key is None,
        key=key,
        secret=secret,
        token=token,
        endpoint_url=settings.endpoint or f"https://s3.oss-{settings.region}.aliyuncs.com",
        client_kwargs={"region_name": settings.region or "oss"},
        config_kwargs={
            **_connection(timeout),
            "signature_version": "s3",
            "s3": {"addressing_style": "virtual"},
            "response_checksum_validation": "when_required",
        },
        **_PRIVATE,
    )


def _gs(settings: StoreSettings, timeout: float) -> Any:
    from gcsfs import GCSFileSystem

    return GCSFileSystem(
        access="read_only",
        token="anon" if settings.anonymous else None,
        endpoint_url=settings.endpoint,
        requests_timeout=timeout,
        **_PRIVATE,
    )


_PRIVATE: Final[Mapping[str, bool]] = MappingProxyType(
    {"asynchronous": True, "skip_instance_cache": True, "use_listings_cache": False}
)
"""A file system on our own event loop, shared with nobody, that remembers no listings."""
_KINDS: Final[Mapping[str, _Kind]] = MappingProxyType(
    {"s3": _Kind("s3", "s3fs", _s3), "oss": _Kind("s3", "s3fs", _oss), "gs": _Kind("gs", "gcsfs", _gs)}
)


def _connection(timeout: float) -> dict[str, Any]:
    """Few repeats: the whole picture is asked for again with a wait of its own."""
    return {
        "connect_timeout": timeout,
        "read_timeout": timeout,
        "retries": {"mode": "standard", "total_max_attempts": 2},
    }


def _oss_credentials(environ: Mapping[str, str]) -> tuple[str | None, str | None, str | None]:
    for key, secret, token in OSS_VARIABLES:
        if environ.get(key) and environ.get(secret):
            return environ[key], environ[secret], environ.get(token) or None
    return None, None, None


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


def _names(error: BaseException | None) -> Iterator[str]:
    """What an error and its causes are called: the store's codes, HTTP statuses, names of exceptions."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            yield str(response.get("Error", {}).get("Code"))
            yield str(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
        yield str(getattr(error, "code", ""))
        yield type(error).__name__
        # gcsfs says it in words only.
        if isinstance(error, OSError) and str(error).startswith("Forbidden"):
            yield "403"
        error = error.__cause__ or error.__context__


def _ending_of(error: Exception, shown: str, scheme: str) -> Rejected | Unreachable:
    """What an error says about the picture. The error's own text is not shown: it may quote a request."""
    names = list(_names(error))
    if not _NO_BUCKET.isdisjoint(names):
        return Unreachable(
            "Transport.ImageHttpStatus",
            f"{shown}: the store has no such bucket; is images.stores.{scheme} right?",
            transient=False,
        )
    if not _ABSENT.isdisjoint(names) or isinstance(error, FileNotFoundError):
        return Rejected("Local.ImageMissing", f"{shown}: the store has no such object")
    if not _DENIED.isdisjoint(names):
        return Unreachable(
            "Transport.ImageHttpStatus",
            f"{shown}: the store lets these credentials read nothing there "
            "(some stores say so of a missing object, too, to those who may not list the bucket)",
            transient=False,
        )
    if isinstance(error, ValueError):
        return Rejected("Local.ImageReferenceInvalid", f"{shown}: the store takes this for no address")
    return Unreachable(
        "Transport.ImageConnect", f"{shown}: the request failed ({type(error).__name__})", transient=True
    )
