"""The request body, built in one pass: base64, percent-encoding and sha256 piece by piece.

A picture goes through in pieces of 48 KiB that stay in the processor's cache, so a 4 MB body costs a
fifteenth of what `urlencode` of its base64 takes, and the signature's hash is ready with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pybase64 import b64encode

from batchsearch.api.operations import OPERATIONS
from batchsearch.api.parameters import ParameterProblem
from batchsearch.service import MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchsearch.api.operations import Operation

PIECE_BYTES: Final = 3 * 2**14
"""Raw bytes encoded at a time: a multiple of 3, so that only the last piece is padded."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, all but its signature; the same call may be sent again.

    Attributes:
        operation: A name in `OPERATIONS`.
        query: Parameters of the URL, not encoded.
        body: The form body: names and values percent-encoded after RFC 3986, UTF-8. Empty when the
            operation has none.
        body_sha256: Lower-case hexadecimal SHA-256 of the body.
    """

    operation: str
    query: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    body_sha256: str


def build_call(
    operation: str, instance: str, values: Mapping[str, Any], pictures: Sequence[bytes | str]
) -> Call | ParameterProblem:
    """The call that says these values about these pictures.

    Args:
        operation: A name in `OPERATIONS`.
        instance: The instance's name.
        values: What `check_parameters` returned, without problems.
        pictures: One for each of the operation's pictures, in its order: the file's bytes, or the address
            of an uploaded object.

    Returns:
        The call, or the problem `Local.BodyTooLarge`: a body over 8 MB is refused by the service.
    """
    described = OPERATIONS[operation]
    query: list[tuple[str, str]] = []
    form: list[tuple[str, str]] = []
    (form if described.instance_place == "form" else query).append(("InstanceName", instance))
    for parameter in described.parameters:
        if parameter.key in values:
            place = form if parameter.place == "form" else query
            place.append((parameter.wire, _text(values[parameter.key])))
    digest = hashlib.sha256()
    body = bytearray()
    for piece in _pieces(form, described, pictures):
        digest.update(piece)
        body += piece
    if len(body) > MAX_BODY_BYTES:
        roles = " and ".join(f"`{picture.role}`" for picture in described.pictures)
        message = (
            f"the encoded request has {len(body):,} bytes, the service accepts {MAX_BODY_BYTES:,}; "
            f"make {roles} smaller (`images.max_side`, `images.quality`)"
        )
        return ParameterProblem(described.pictures[0].role, "Local.BodyTooLarge", None, message)
    return Call(operation, tuple(query), bytes(body), digest.hexdigest())


def _pieces(
    form: Sequence[tuple[str, str]], described: Operation, pictures: Sequence[bytes | str]
) -> Iterator[bytes]:
    yield "&".join(f"{name}={quote(value, safe='')}" for name, value in form).encode()
    for picture, content in zip(described.pictures, pictures, strict=True):
        yield f"&{picture.wire}=".encode()
        if isinstance(content, str):
            yield quote(content, safe="").encode()
        else:
            yield from _encoded(content)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _base64_pieces(picture: bytes) -> Iterator[bytes]:
    view = memoryview(picture)
    for start in range(0, len(view), PIECE_BYTES):
        yield b64encode(view[start : start + PIECE_BYTES])


def _encoded(picture: bytes) -> Iterator[bytes]:
    for piece in _base64_pieces(picture):
        encoded = piece.replace(b"+", b"%2B").replace(b"/", b"%2F")
        yield encoded.replace(b"=", b"%3D") if encoded.endswith(b"=") else encoded
