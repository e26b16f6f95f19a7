"""Every address of the console, and the guard in front of them all."""

from __future__ import annotations

import secrets
import time
import traceback
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from batchsearch.console.gate import HEADERS, Entrance, Gate
from batchsearch.console.posted_form import posted
from batchsearch.console.rendering import GATE, SESSION, message, own_asset, see, texts_module
from batchsearch.console.screens import (
    change_screen,
    compare_screen,
    history_screen,
    image_routes,
    item_screens,
    run_screens,
    search_screen,
)
from batchsearch.console.wording import say
from batchsearch.pages.html_templates import asset
from batchsearch.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchsearch.console.session import Session

ENTRANCE: Final = web.AppKey("entrance", Entrance)
ASK_AGAIN: Final = web.AppKey("ask_again", object)
LAST_SEEN: Final = web.AppKey("last_seen", list)
_TYPES: Final = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_SHARED: Final = ("base.css", "viewer.js")
_TEXTS: Final = "texts.js"
"""Made from the table of texts."""

_log = structlog.get_logger("batchsearch.console")


def application(
    session: Session, gate: Gate, entrance: Entrance, announce: Callable[[], object]
) -> web.Application:
    """The console as an aiohttp application.

    Args:
        session: What it shows.
        gate: Who may talk to it.
        entrance: The token of the printed address.
        announce: Prints a new address: somebody came with one that was used.
    """
    app = web.Application(middlewares=[_guarded])
    app[SESSION], app[GATE], app[ENTRANCE], app[ASK_AGAIN] = session, gate, entrance, announce
    app[LAST_SEEN] = [time.monotonic()]
    app.add_routes(
        [
            web.get("/", _enter),
            web.get("/assets/{name}", _asset),
            web.post("/instance", _choose),
            web.get("/meter", _meter),
            web.get("/search", search_screen.show),
            web.post("/search", search_screen.search),
            web.post("/check", search_screen.check),
            web.post("/cancel", search_screen.cancel),
            web.get("/answer/{id}", search_screen.answer),
            web.get("/answer/{id}/raw", search_screen.raw),
            web.get("/preview/{sha}", image_routes.preview),
            web.get("/thumbnail", image_routes.item_thumbnail),
            web.get("/compare", compare_screen.show),
            web.post("/compare", compare_screen.compare),
            web.get("/history", history_screen.show),
            web.post("/history", history_screen.change),
            web.get("/history/compare", history_screen.compare),
            web.get("/history/{id}/image", image_routes.history_thumbnail),
            web.get("/items", item_screens.show),
            web.get("/items/one", item_screens.one),
            web.get("/names", item_screens.names),
            web.get("/values", item_screens.values),
            web.get("/change/{what:add|update|delete}", change_screen.show),
            web.post("/change/{what:add|update|delete}", change_screen.change),
            web.get("/runs", run_screens.show),
            web.get("/runs/{id}/report", run_screens.report),
            web.get("/runs/{id}/failed", run_screens.failed),
            web.get("/runs/{id}/tonight", run_screens.changes),
            web.post("/runs/{id}/judge", run_screens.judge),
            web.get("/runs/{id}/judgements", run_screens.judgements),
            web.get("/requests", run_screens.requests),
        ]
    )
    return app


@web.middleware
async def _guarded(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    gate = request.app[GATE]
    refused = gate.refusal(
        request.method, request.path, request.headers, request.cookies, request.content_type
    )
    if refused is not None:
        return _with_headers(web.Response(status=refused.status, text=refused.reason))
    request.app[LAST_SEEN][0] = time.monotonic()
    try:
        answer = await handler(request)
    except web.HTTPException as error:
        answer = _told(request, error)
    except Exception as error:  # noqa: BLE001 - no stack trace reaches a page
        place = traceback.extract_tb(error.__traceback__)[-1]
        # Where it happened, and no values: they could hold an image or a key.
        _log.error(
            "console_request_failed",
            path=request.path,
            error=redacted(f"{type(error).__name__}: {error}"),
            at=f"{place.filename.rpartition('/')[2]}:{place.lineno}",
        )
        answer = message(
            request,
            500,
            say("told.fault"),
            say("told.fault_text", error=type(error).__name__),
        )
    return _with_headers(answer)


def _told(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """An answer that is a page for people, and a line for scripts."""
    text = error.text or error.reason
    if "text/html" not in request.headers.get("Accept", "") or not request.app[GATE].knows(request.cookies):
        return web.Response(status=error.status, text=text)
    title = say({404: "told.no_page", 413: "told.too_large"}.get(error.status, "told.cannot"))
    if error.status == 404 and text.startswith("404"):  # noqa: PLR2004 - of HTTP
        text = say("told.no_page_text")
    return message(request, error.status, title, text, action=("/search", say("search.title")))


def _with_headers(answer: web.StreamResponse) -> web.StreamResponse:
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


async def _enter(request: web.Request) -> web.Response:
    """`GET /?t=TOKEN`: exchanges the printed address for a cookie; without one leads to the search."""
    gate, entrance = request.app[GATE], request.app[ENTRANCE]
    given = request.query.get("t", "")
    if given and entrance.opens(given):
        answer = see("/search")
        # Nobody hears of the address with its token, the next page neither.
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.set_cookie(gate.cookie_name, gate.cookie, httponly=True, samesite="Strict", path="/")
        return answer
    if gate.knows(request.cookies):
        return see("/search")
    if given and entrance.was_used(given):
        entrance.renew(secrets.token_urlsafe(32))
        announce = request.app[ASK_AGAIN]
        if callable(announce):
            announce()
        return web.Response(status=403, text=say("refused.used"))
    return web.Response(status=403, text=say("refused.unknown"))


async def _asset(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    try:
        if name == _TEXTS:
            data = texts_module()
        else:
            data = asset(name).encode() if name in _SHARED else own_asset(name)
    except FileNotFoundError:
        raise web.HTTPNotFound(text=say("told.no_file")) from None
    return web.Response(
        body=data, content_type=_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
    )


async def _choose(request: web.Request) -> web.Response:
    """`POST /instance`: the pages are about another of the job's instances; free."""
    form = await posted(request)
    session = request.app[SESSION]
    session.current = session.instance(form.get("instance")).name
    return see("/search")


async def _meter(request: web.Request) -> web.Response:
    """`GET /meter`: what was spent, and what the call under way does; free."""
    session = request.app[SESSION]
    told = session.meter.as_dict(session.rate(session.instance(session.current)))
    return web.json_response(
        {**told, "step": session.step, "trouble": session.trouble, "ready": session.is_ready}
    )
