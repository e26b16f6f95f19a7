"""Images for pages: copies that this process has written itself, never a file as it came."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from batchsearch.console.rendering import SESSION
from batchsearch.console.wording import say

if TYPE_CHECKING:
    from batchsearch.console.session import Session

_MOST_KEPT = 2_000


def _jpeg(data: bytes) -> web.Response:
    return web.Response(
        body=data, content_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"}
    )


async def preview(request: web.Request) -> web.Response:
    """`GET /preview/SHA256`: what is sent of an image on the page, made smaller."""
    session = request.app[SESSION]
    found = session.shelf.any_of(request.match_info["sha"])
    if found is None or found.preview is None:
        raise web.HTTPNotFound(text=say("images.not_kept"))
    return _jpeg(found.preview.data)


async def item_thumbnail(request: web.Request) -> web.Response:
    """`GET /thumbnail?product_id=…&pic_name=…`: an item's image, from a table of the job or the instance."""
    session = request.app[SESSION]
    key = request.query.get("product_id", ""), request.query.get("pic_name", "")
    data = await _thumbnail(session, key)
    if data is None:
        # Not remembered: the item may get another image.
        shown = session.shown(session.instance(session.current))
        data = await asyncio.to_thread(shown.copy, *key)
    if data is None:
        raise web.HTTPNotFound(text=say("images.unknown"))
    return _jpeg(data)


async def _thumbnail(session: Session, key: tuple[str, str]) -> bytes | None:
    if key in session.thumbnails:
        return session.thumbnails[key]
    data = await session.item_copy(*key)
    while len(session.thumbnails) >= _MOST_KEPT:
        del session.thumbnails[next(iter(session.thumbnails))]
    session.thumbnails[key] = data
    return data


async def history_thumbnail(request: web.Request) -> web.Response:
    """`GET /history/ID/image`: what an answer was about."""
    data = request.app[SESSION].history.thumbnail(request.match_info["id"])
    if data is None:
        raise web.HTTPNotFound(text=say("images.none"))
    return _jpeg(data)
