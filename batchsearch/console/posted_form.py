"""A posted form, read within limits of size and time, and only from a page of this server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aiohttp import BodyPartReader, web

from batchsearch.console.gate import CSRF_FIELD, CSRF_HEADER
from batchsearch.console.rendering import GATE
from batchsearch.console.wording import say

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_FILE: Final = 24_000_000
"""Of one image: more than the service takes, since images are made to fit before they are sent."""
MOST_BYTES: Final = 2 * MOST_FILE + 1_000_000
"""Of a body: two images and a few fields."""
READ_SECONDS: Final = 30.0
_MOST_FIELD: Final = 100_000
_MOST_FIELDS: Final = 2_000
_LONGEST_NAME: Final = 200
_MOST_DIGITS: Final = 15


@dataclass(frozen=True, slots=True)
class Posted:
    """A form.

    Attributes:
        values: The last value of each field.
        files: Name and bytes of each file that was given.
        every: All values of each field.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)
    every: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """A field's value; empty for one that is not there."""
        return self.values.get(name, "")


def whole(text: str, default: int = 0) -> int:
    """The whole number that a field or an address says; the default for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else default


async def posted(request: web.Request) -> Posted:
    """The form that a request carries.

    Raises:
        HTTPException: It is too large, came too slowly, or knows no token of this server's pages.
    """
    if (request.content_length or 0) > MOST_BYTES:
        raise web.HTTPRequestEntityTooLarge(MOST_BYTES, request.content_length or 0)
    try:
        async with asyncio.timeout(READ_SECONDS):
            form = await _read(request)
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=say("refused.too_slow", seconds=READ_SECONDS)) from None
    except ValueError as error:
        raise web.HTTPBadRequest(text=say("refused.unreadable", error=error)) from error
    if not request.app[GATE].has_token(request.headers.get(CSRF_HEADER) or form.get(CSRF_FIELD)):
        raise web.HTTPForbidden(text=say("refused.no_token"))
    return form


async def _read(request: web.Request) -> Posted:
    every: dict[str, list[str]] = {}
    files: dict[str, tuple[str, bytes]] = {}
    if request.content_type == "multipart/form-data":
        left = MOST_BYTES
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None or len(every) > _MOST_FIELDS:
                raise web.HTTPBadRequest(text=say("refused.parts"))
            limit = min(left, MOST_FILE if part.filename is not None else _MOST_FIELD)
            content = await _content(part, limit)
            left -= len(content)
            if part.filename:
                files[part.name] = (part.filename[-_LONGEST_NAME:], content)
            elif part.filename is None:
                every.setdefault(part.name, []).append(content.decode("utf-8"))
    else:
        for name, value in (await request.post()).items():
            if isinstance(value, str):
                every.setdefault(name, []).append(value)
    values = {name: found[-1] for name, found in every.items()}
    return Posted(values, files, {name: tuple(found) for name, found in every.items()})


async def _content(part: BodyPartReader, limit: int) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(65_536):
        content += chunk
        if len(content) > limit:
            text = say("refused.too_large", limit=limit)
            raise web.HTTPRequestEntityTooLarge(limit, len(content), text=text)
    return bytes(content)
