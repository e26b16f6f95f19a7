"""An image's bytes from where the manifest says: a path, an address, or the manifest itself.

Three endings, never an exception: the bytes; `Rejected`, an outcome of the row for good; `Unreachable`,
which says nothing about the image and may be tried again. References are untrusted: paths stay under
the root (`paths`), addresses lead to public hosts only (`addresses`, checked again after every redirect
and for every address that a name resolves to), nothing is larger or slower than its bound.
"""

from __future__ import annotations

import asyncio
import errno
import os
from base64 import b64decode
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import unquote, unquote_to_bytes

from batchsearch.config.image_texts import lacks_scheme, shown
from batchsearch.descriptors import EXHAUSTED
from batchsearch.images.fetching.paths import (
    NotAFileError,
    OutsideRootError,
    RootError,
    TooLargeError,
    read_under,
)
from batchsearch.images.fetching.request_headers import HostHeaders
from batchsearch.images.fetching.store_images import SCHEMES as STORES
from batchsearch.images.fetching.store_images import ObjectStores
from batchsearch.images.image_identity import address_of, is_inline, path_in, scheme_of
from batchsearch.images.outcome import Rejected, Unreachable, file_too_large, without_descriptors
from batchsearch.path_spellings import other_spellings, remarks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.images.fetching.download import Downloader
    from batchsearch.manifest.rows import ImageReference

__all__ = ["MAX_FILE_BYTES", "Fetcher", "Rejected", "Unreachable"]

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
"""Most bytes of one file: well above what can be repaired to the service's 4 MB."""
_REMOTE: Final = frozenset({"http", "https"}) | STORES
_TRANSIENT: Final = frozenset(
    {
        errno.EIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.EAGAIN,
        errno.ENOMEM,
        errno.EINTR,
    }
)
"""System errors of a file that may be gone at the next attempt."""


Fetched = bytes | Rejected | Unreachable


_LOOKED_FOR_AGAIN: Final = frozenset({"Local.ImageMissing", "Local.ImageOutsideRoot"})
"""Endings of a path that may be meant in another spelling."""
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
"""System errors that mean: there is no such file."""
_LONGEST_SHOWN: Final = 300
_FROM_URL_SAFE: Final = str.maketrans("-_", "+/")


class Fetcher:
    """Brings the bytes of images; an asynchronous context manager that owns its connections.

    `read` and `read_path` work in any thread, and outside the context: what needs no network can be read
    and prepared in one hop to a worker thread.

    Raises:
        MissingExtraError: The job reads from an object store whose package is not installed.
        ConfigError: A variable that `images.headers` names is missing.
    """

    def __init__(self, root: Path, settings: ImageSettings) -> None:
        self._root = root.absolute()
        # A folder that was never there is no folder that comes back.
        self._root_was_there = self._root.is_dir()
        self._settings = settings
        self._headers = HostHeaders(settings.headers, os.environ)
        self._downloader: Downloader | None = None
        self._stores = ObjectStores(
            settings.stores,
            timeout=settings.fetch_timeout,
            per_store=settings.fetch_per_host,
            limit=MAX_FILE_BYTES,
        )
        self._schemes: Mapping[str, Callable[[str], Fetched]] = {
            "file": self._read_file_url,
            "data": _read_data_url,
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._downloader is not None:
            await self._downloader.close()
            self._downloader = None
        await self._stores.close()

    def is_local(self, ref: ImageReference) -> bool:
        """Whether `read` can bring this image: everything but addresses of hosts and stores."""
        url = address_of(ref, self._settings)
        return url is None or scheme_of(url) not in _REMOTE

    async def fetch(self, ref: ImageReference) -> Fetched:
        """Brings one image's bytes, from anywhere. Files are read in a thread."""
        if ref.data is not None:
            return ref.data
        url = address_of(ref, self._settings)
        scheme = None if url is None else scheme_of(url)
        if url is not None and scheme in STORES:
            return await self._stores.get(url)
        if url is not None and scheme in _REMOTE:
            if self._downloader is None:
                from batchsearch.images.fetching.download import (
                    Downloader,  # aiohttp is imported only for addresses
                )

                self._downloader = Downloader(self._settings, self._headers, limit=MAX_FILE_BYTES)
            return await self._downloader.get(url)
        return await asyncio.to_thread(self.read, ref)

    def read(self, ref: ImageReference) -> Fetched:
        """Brings one image's bytes where that needs no network (see `is_local`)."""
        if ref.data is not None:
            return ref.data
        if ref.path is not None:
            return _read_base64(ref.path) if is_inline(ref, self._settings) else self.read_path(ref.path)
        if ref.url is None:
            return Rejected("Local.ImageMissing", "the row names no image")
        scheme = scheme_of(ref.url)
        read = self._schemes.get(scheme or "")
        if read is None:
            known = ", ".join(f"{name}:" for name in sorted({*self._schemes, *_REMOTE}))
            return Rejected(
                "Local.ImageReferenceInvalid",
                f"{scheme}: addresses are not read here; known are {known}"
                if scheme
                else "the address has no scheme such as https:",
            )
        return read(ref.url)

    def read_path(self, path: str) -> Fetched:
        """Reads a file below the root, by relative or absolute path, in the spelling that there is."""
        if self._settings.base_url is not None:
            return _not_under_base(path)
        found = self._read_spelling(path)
        if not isinstance(found, Rejected) or found.code not in _LOOKED_FOR_AGAIN:
            return found
        if lacks_scheme(path):
            return Rejected(
                "Local.ImageReferenceInvalid",
                f"{shown(path)[:_LONGEST_SHOWN]!r} is an address without its scheme; write `https:` before "
                "it, or set `images.scheme: https`",
            )
        for spelling in other_spellings(path):
            other = self._read_spelling(spelling)
            if isinstance(other, bytes | Unreachable):
                return other
        return Rejected(found.code, f"{found.message}{remarks(path)}")

    def _read_spelling(self, path: str) -> Fetched:
        try:
            return read_under(self._root, path, MAX_FILE_BYTES, self._settings.allow_links)
        except (OutsideRootError, NotAFileError, TooLargeError, RootError, OSError, ValueError) as error:
            return _ending_of(error, repr(shown(path)[:_LONGEST_SHOWN]), root_was_there=self._root_was_there)

    def _read_file_url(self, url: str) -> Fetched:
        try:
            path = path_in(url)
        except ValueError:
            return Rejected("Local.ImageReferenceInvalid", "the file: address cannot be read")
        if path is None:
            return Rejected("Local.ImageReferenceInvalid", "a file: address on another host is not read")
        return self.read_path(path)


def _not_under_base(path: str) -> Rejected:
    """The ending of a path that is no address below `images.base_url`, and so none at all."""
    said = repr(shown(path, "address")[:_LONGEST_SHOWN])
    if lacks_scheme(path):
        what = "names a host, and is no address below images.base_url; `images.scheme: https` makes it one"
    else:
        what = "leads out of images.base_url"
    return Rejected("Local.ImageReferenceInvalid", f"{said} {what}")


def _ending_of(error: Exception, said: str, *, root_was_there: bool) -> Rejected | Unreachable:
    """What an error of reading a file says about its row.

    A file that is not there is an outcome for good, and so is a reference that can never be read. Anything
    else is about this machine or its disks, and says nothing about the image.
    """
    if isinstance(error, TooLargeError):
        return file_too_large(said, MAX_FILE_BYTES)
    cause = error.error if isinstance(error, RootError) else error
    if isinstance(cause, OSError) and cause.errno in EXHAUSTED:
        return without_descriptors(said)
    if isinstance(error, RootError):
        return Unreachable(
            "Transport.ImageRead",
            f"{error.folder}: the images' folder cannot be opened ({error}); is it mounted?",
            transient=error.error.errno in _TRANSIENT,
            here="root" if root_was_there else None,
        )
    if isinstance(error, OSError) and error.errno not in _ABSENT:
        return Unreachable(
            "Transport.ImageRead", f"{said}: {error.strerror}", transient=error.errno in _TRANSIENT
        )
    code, what = {
        OutsideRootError: (
            "Local.ImageOutsideRoot",
            "leads out of images.root; where that is a link to another disk, images.allow_links may allow it",
        ),
        NotAFileError: ("Local.ImageMissing", "is a folder or a device, not a file"),
    }.get(type(error), ("Local.ImageReferenceInvalid", "is no file name"))
    if isinstance(error, OSError):
        code, what = "Local.ImageMissing", f"is not under images.root ({error.strerror})"
    return Rejected(code, f"{said} {what}")


def _read_data_url(url: str) -> Fetched:
    """The bytes inside a `data:` address (RFC 2397), read as browsers do."""
    head, comma, body = url.partition(",")
    if not comma:
        return Rejected("Local.ImageReferenceInvalid", "the data: address has no comma")
    if len(body) > 2 * MAX_FILE_BYTES:
        return file_too_large("the data: address", MAX_FILE_BYTES)
    if not head.rstrip().lower().endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return _unbase64(unquote(body) if "%" in body else body)
    except ValueError:
        return Rejected("Local.ImageReferenceInvalid", "the data: address holds broken base64")


def _read_base64(text: str) -> Fetched:
    """The bytes that a cell holds as base64, with or without line breaks."""
    if len(text) > 2 * MAX_FILE_BYTES:
        return file_too_large("the base64 text", MAX_FILE_BYTES)
    try:
        return _unbase64(text)
    except ValueError:
        return Rejected("Local.ImageReferenceInvalid", "the cell is no base64 (images.text says that it is)")


def _unbase64(text: str) -> bytes:
    """Base64 as people have it: with line breaks, without padding, in either alphabet.

    Raises:
        ValueError: It is none.
    """
    text = "".join(text.split()).rstrip("=")
    if "-" in text or "_" in text:
        text = text.translate(_FROM_URL_SAFE)
    return b64decode(text + "=" * (-len(text) % 4), validate=True)
