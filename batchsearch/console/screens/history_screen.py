"""What was asked before: free to look at, to be asked again for a call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from batchsearch.console.answer_view import view_of
from batchsearch.console.posted_form import posted, whole
from batchsearch.console.rendering import SESSION, message, page, see
from batchsearch.console.wording import say

if TYPE_CHECKING:
    from aiohttp import web

    from batchsearch.console.answer_view import HitView
    from batchsearch.console.asked import Asked

_SCREEN: Final = "history"
_PAGE: Final = 50


async def show(request: web.Request) -> web.Response:
    """`GET /history`: answers, pinned ones first, then newest first."""
    history = request.app[SESSION].history
    entries = sorted(history, key=lambda each: not each.pinned)
    start = whole(request.query.get("start", ""))
    shown = [(each, view_of(each)) for each in entries[start : start + _PAGE]]
    after = start + _PAGE if start + _PAGE < len(entries) else None
    return page(
        request,
        "history",
        screen=_SCREEN,
        entries=shown,
        total=len(entries),
        after=after,
        trouble=history.trouble,
    )


async def change(request: web.Request) -> web.Response:
    """`POST /history`: names, pins or deletes an answer."""
    history = request.app[SESSION].history
    form = await posted(request)
    name, wish = form.get("id"), form.get("do")
    changed = None
    if wish == "delete":
        history.remove(name)
    elif wish == "pin":
        before = history.get(name)
        changed = history.change(name, pinned=before is not None and not before.pinned)
    elif wish == "name":
        changed = history.change(name, title=form.get("title"))
    if changed is not None:
        await asyncio.to_thread(history.write, changed)
    return see("/history")


async def compare(request: web.Request) -> web.Response:
    """`GET /history/compare?answer=ID&answer=ID`: what is new, gone or moved between two answers; free."""
    history = request.app[SESSION].history
    named = [history.get(name) for name in request.query.getall("answer", [])]
    one, other = named if len(named) == len(("one", "other")) else (None, None)
    if one is None or other is None:
        return message(
            request,
            404,
            say("answers.choose"),
            say("answers.choose_text"),
            screen=_SCREEN,
            action=("/history", say("history.title")),
        )
    if one.at > other.at:
        one, other = other, one
    return page(request, "answers", screen=_SCREEN, one=one, other=other, moves=moves(one, other))


def moves(one: Asked, other: Asked) -> list[tuple[str, HitView | None, HitView | None]]:
    """The hits of two answers, each once, in the order of the later one; those that are gone come last.

    Returns:
        For each what became of it, and its entry in the earlier and in the later answer.
    """
    before = {(hit.product_id, hit.pic_name): hit for hit in view_of(one).hits}
    after = {(hit.product_id, hit.pic_name): hit for hit in view_of(other).hits}
    found: list[tuple[str, HitView | None, HitView | None]] = []
    for key, hit in after.items():
        earlier = before.get(key)
        if earlier is None:
            found.append((say("answers.new"), None, hit))
        else:
            found.append((_moved(earlier.rank - hit.rank), earlier, hit))
    found += [(say("answers.gone"), hit, None) for key, hit in before.items() if key not in after]
    return found


def _moved(by: int) -> str:
    if not by:
        return say("answers.same_place")
    return say("answers.up", places=by) if by > 0 else say("answers.down", places=-by)
