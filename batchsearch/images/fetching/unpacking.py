"""Bodies that a host has compressed, unpacked piece by piece and never beyond a bound.

Hosts are asked for bodies as they are, and some compress all the same. Some only say so: what begins like
an image was not compressed, whatever the header says.
"""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

from batchsearch.images.inspect import begins_like_an_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENOUGH: Final = 32
"""Bytes that are enough to see whether a body is an image."""
_GZIP: Final = b"\x1f\x8b"
_PLAIN: Final = frozenset({"", "identity", "none", "binary", "utf-8", "aws-chunked"})
"""What some hosts write where nothing is compressed."""
_ZLIB_METHOD, _ZLIB_CHECK = 8, 31


class BrokenBodyError(Exception):
    """A body ends too early, or is not what it says that it is."""


class UnknownEncodingError(Exception):
    """A body is compressed in a way that is not read here."""


class Unpacker(Protocol):
    """Unpacks one body."""

    def feed(self, piece: bytes, most: int) -> bytes:
        """What a piece unpacks to, at most so many bytes; what is beyond is lost.

        Raises:
            BrokenBodyError: It is damaged.
        """

    def end(self) -> None:
        """Hear that there is no more.

        Raises:
            BrokenBodyError: There should be.
        """


def unpacker_for(encoding: str, start: bytes) -> Unpacker | None:
    """What unpacks a body; None for one that is there as it is.

    Args:
        encoding: The answer's `Content-Encoding`.
        start: The body's first `ENOUGH` bytes, fewer if it has no more.

    Raises:
        UnknownEncodingError: Nothing here does.
    """
    name = encoding.strip().lower()
    if name in _PLAIN or not start or begins_like_an_image(start):
        return None
    make = _UNPACKERS.get(name)
    if make is None:
        raise UnknownEncodingError
    return make(start)


class _Deflated:
    """gzip with any number of members, or deflate with or without the header of zlib."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._unpack = zlib.decompressobj(wbits)

    def feed(self, piece: bytes, most: int) -> bytes:
        found = bytearray()
        while piece and len(found) < most:
            if self._unpack.eof:
                # Only gzip has members; what else follows the end is no part of the body.
                if not (self._wbits > zlib.MAX_WBITS and piece.startswith(_GZIP[: len(piece)])):
                    break
                self._unpack = zlib.decompressobj(self._wbits)
            try:
                found += self._unpack.decompress(piece, most - len(found))
            except zlib.error:
                raise BrokenBodyError from None
            piece = self._unpack.unused_data
        return bytes(found)

    def end(self) -> None:
        if not self._unpack.eof:
            raise BrokenBodyError


class _Brotli:
    """Brotli, by the package of that name."""

    def __init__(self, _: bytes) -> None:
        try:
            brotli = import_module("brotli")
        except ImportError:
            raise UnknownEncodingError from None
        self._broken: type[Exception] = brotli.error
        self._unpack = brotli.Decompressor()

    def feed(self, piece: bytes, most: int) -> bytes:
        found = bytearray()
        try:
            found += self._unpack.process(piece, output_buffer_limit=most)
            while len(found) < most and not self._unpack.can_accept_more_data():
                more = self._unpack.process(b"", output_buffer_limit=most - len(found))
                if not more:
                    break
                found += more
        except self._broken:
            raise BrokenBodyError from None
        return bytes(found[:most])  # the limit is one of whole blocks

    def end(self) -> None:
        if not self._unpack.is_finished():
            raise BrokenBodyError


def _gzip(_: bytes) -> Unpacker:
    return _Deflated(zlib.MAX_WBITS | 16)


def _deflate(start: bytes) -> Unpacker:
    has_header = start[0] & 15 == _ZLIB_METHOD and int.from_bytes(start[:2], "big") % _ZLIB_CHECK == 0
    return _Deflated(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)


_UNPACKERS: Final[Mapping[str, Callable[[bytes], Unpacker]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _Brotli,
}
