"""The request body, built in one pass: base64, percent-encoding and sha256 piece by piece.

An image goes through in pieces of 48 KiB that stay in the processor's cache, so a 4 MB body costs a
fifteenth of what `urlencode` of its base64 takes, and the signature's hash is ready with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pybase64 import b64encode

from batchsearch.quick_record import quick_record
from batchsearch.service.facts import MAX_BODY_BYTES
from batchsearch.service.operations import OPERATIONS
from batchsearch.service.parameters import ParameterProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchsearch.service.operations import Operation

PIECE_BYTES: Final = 3 * 2**14
"""Raw bytes encoded at a time: a multiple of 3, so that only the last piece is padded."""

_MORE_EACH: Final = 64
"""Bytes for an image's name, `&` and `=` at most."""


@quick_record
class Call:
    """One request, all but its signature; the same call may be sent again.

    Attributes:
        operation: A name in `OPERATIONS`.
        query: Parameters of the URL, not encoded.
        body: The form body: names and values percent-encoded after RFC 3986, UTF-8. Empty when the
            operation has none.
        body_sha256: Lower-case hexadecimal SHA-256 of the body.
        handed: Images that go beside the body, by the parameters that would hold them: to an instance within
            this process.
    """

    operation: str
    query: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    body_sha256: str
    handed: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)


def build_call(
    operation: str, instance: str, values: Mapping[str, Any], images: Sequence[bytes | str]
) -> Call | ParameterProblem:
    """The call that says these values about these images.

    Args:
        operation: A name in `OPERATIONS`.
        instance: The instance's name.
        values: What `check_parameters` returned, without problems.
        images: One for each of the operation's images, in its order: the file's bytes, or the address
            of an uploaded object.

    Returns:
        The call, or the problem `Local.BodyTooLarge`: a body over 8 MB is refused by the service.
    """
    described = OPERATIONS[operation]
    query, form = _placed(described, instance, values)
    digest = hashlib.sha256()
    body = bytearray()
    for piece in _pieces(form, described, images):
        digest.update(piece)
        body += piece
    if len(body) > MAX_BODY_BYTES:
        return _too_large(described, len(body))
    return Call(operation, query, bytes(body), digest.hexdigest())


def build_handed_call(
    operation: str, instance: str, values: Mapping[str, Any], images: Sequence[bytes | str]
) -> Call | ParameterProblem:
    """The same for an instance within this process: images stay what they are, beside the body.

    What is too large to be sent is too large here as well, so that a job does not depend on the way.
    """
    described = OPERATIONS[operation]
    query, form = _placed(described, instance, values)
    named = list(zip(described.images, images, strict=True))
    form += [(image.wire, content) for image, content in named if isinstance(content, str)]
    handed = tuple((image.wire, content) for image, content in named if isinstance(content, bytes))
    body = _encoded_form(form)
    # Base64 takes 4 bytes for 3, and an escape 3 for 1.
    if len(body) + sum(4 * len(content) + _MORE_EACH for _, content in handed) > MAX_BODY_BYTES:
        whole = _pieces(_placed(described, instance, values)[1], described, images)
        encoded = sum(len(piece) for piece in whole)
        if encoded > MAX_BODY_BYTES:
            return _too_large(described, encoded)
    return Call(operation, query, body, hashlib.sha256(body).hexdigest(), handed)


def _placed(
    described: Operation, instance: str, values: Mapping[str, Any]
) -> tuple[tuple[tuple[str, str], ...], list[tuple[str, str]]]:
    """The parameters of the URL and those of the form."""
    query: list[tuple[str, str]] = []
    form: list[tuple[str, str]] = []
    (form if described.instance_place == "form" else query).append(("InstanceName", instance))
    for parameter in described.parameters:
        if parameter.key in values:
            place = form if parameter.place == "form" else query
            place.append((parameter.wire, _text(values[parameter.key])))
    return tuple(query), form


def _too_large(described: Operation, size: int) -> ParameterProblem:
    roles = " and ".join(f"`{image.role}`" for image in described.images)
    message = (
        f"the encoded request has {size:,} bytes, the service accepts {MAX_BODY_BYTES:,}; "
        f"make {roles} smaller (`images.max_side`, `images.quality`)"
    )
    return ParameterProblem(described.images[0].role, "Local.BodyTooLarge", None, message)


def _pieces(
    form: Sequence[tuple[str, str]], described: Operation, images: Sequence[bytes | str]
) -> Iterator[bytes]:
    yield _encoded_form(form)
    for image, content in zip(described.images, images, strict=True):
        yield f"&{image.wire}=".encode()
        if isinstance(content, str):
            yield quote(content, safe="").encode()
        else:
            yield from _encoded(content)


def _encoded_form(form: Sequence[tuple[str, str]]) -> bytes:
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in form).encode()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _base64_pieces(image: bytes) -> Iterator[bytes]:
    view = memoryview(image)
    for start in range(0, len(view), PIECE_BYTES):
        yield b64encode(view[start : start + PIECE_BYTES])


def _encoded(image: bytes) -> Iterator[bytes]:
    for piece in _base64_pieces(image):
        encoded = piece.replace(b"+", b"%2B").replace(b"/", b"%2F")
        yield encoded.replace(b"=", b"%3D") if encoded.endswith(b"=") else encoded
