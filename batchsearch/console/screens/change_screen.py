"""Add, change and delete: one item at a time, behind a switch, with what goes shown before it goes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from batchsearch.console.form_fields import METHOD, categories_of, fields_of, read_posted
from batchsearch.console.posted_form import posted
from batchsearch.console.rendering import SESSION, message, page
from batchsearch.console.screens.search_screen import asked_page, judged, shelved
from batchsearch.console.wording import say
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.console.form_fields import Problem
    from batchsearch.console.image_shelf import ShelvedImage
    from batchsearch.console.session import Session
    from batchsearch.emulator.search.records import Item
    from batchsearch.service.operations import Operation

CHANGES: Final = {"add": "AddImage", "update": "UpdateImage", "delete": "DeleteImage"}
_SCREEN: Final = "items"
_SHOWN: Final = 50


def refusal(session: Session, instance: InstanceSettings) -> str:
    """Why nothing of an instance may be changed from here; empty when it may."""
    if session.options.read_only:
        return say("change.read_only")
    if not session.may_change(instance):
        return say("change.not_allowed")
    return ""


async def show(request: web.Request) -> web.Response:
    """`GET /change/add|update|delete`: the form; free."""
    session = request.app[SESSION]
    operation = OPERATIONS[CHANGES[request.match_info["what"]]]
    refused = refusal(session, session.instance(session.current))
    if refused:
        return _told(request, 403, say("change.refused"), refused)
    return await _page(request, operation, read_posted(operation, request.query))


async def change(request: web.Request) -> web.Response:
    """`POST /change/add|update|delete`: makes the change (1 call)."""
    session = request.app[SESSION]
    form = await posted(request)
    operation = OPERATIONS[CHANGES[request.match_info["what"]]]
    instance = session.instance(session.current)
    refused = refusal(session, instance)
    if refused:
        return _told(request, 403, say("change.refused"), refused)
    entered = read_posted(operation, form.values) | {
        name: form.values[name] for name in (METHOD,) if name in form.values
    }
    image, trouble = await shelved(session, instance, operation, form) if operation.images else (None, "")
    values, problems, trouble = judged(operation, instance, entered, image, trouble)
    if operation.name == "DeleteImage" and not problems and not trouble:
        if form.get("do") != "delete":
            return await _page(request, operation, entered, going=True)
        if not session.is_embedded(instance) and form.get("confirm") != instance.name:
            trouble = say("change.confirm", name=instance.name)
            return await _page(request, operation, entered, trouble=trouble, going=True, status=422)
    if problems or trouble:
        return await _page(
            request, operation, entered, image=image, problems=problems, trouble=trouble, status=422
        )

    def told(text: str, status: int) -> web.Response:
        return _told(request, status, say("change.unchanged"), text)

    return await asked_page(request, operation, values, entered, [image] if image is not None else [], told)


def _told(request: web.Request, status: int, title: str, text: str) -> web.Response:
    action = ("/items", say("items.title"))
    return message(request, status, title, text, screen=_SCREEN, action=action)


async def _going(session: Session, entered: Mapping[str, str]) -> tuple[list[tuple[str, str]], int | None]:
    """What a deletion takes away: some of it by name, and how much it is where that is known."""
    instance = session.instance(session.current)
    product, name = entered.get("product_id", ""), entered.get("pic_name", "")
    catalogue = session.catalogue(instance)
    by_filter = entered.get("is_delete_by_filter") == "true"
    if catalogue is None:
        there = [key for key in session.known.places if key[0] == product and name in {"", key[1]}]
        return ([] if by_filter else there[:_SHOWN]), None
    from batchsearch.service.expressions import FIELDS
    from batchsearch.service.filter import parse_filter

    expression = parse_filter(entered.get("filter", "")) if by_filter else None

    def goes(item: Item) -> bool:
        if expression is None:
            return item.product_id == product and name in {"", item.pic_name}
        return expression.matches({field: getattr(item, field) for field in FIELDS})

    found, more = await asyncio.to_thread(catalogue.listed, goes, most=_SHOWN)
    names = [(item.product_id, item.pic_name) for item, _ in found]
    return names, None if more is not None else len(names)


async def _page(
    request: web.Request,
    operation: Operation,
    entered: Mapping[str, str],
    *,
    image: ShelvedImage | None = None,
    problems: Mapping[str, Problem] | None = None,
    trouble: str = "",
    going: bool = False,
    status: int = 200,
) -> web.Response:
    session = request.app[SESSION]
    instance = session.instance(session.current)
    gone: Any = await _going(session, entered) if going else None
    return page(
        request,
        "change",
        status=status,
        screen=_SCREEN,
        operation=operation,
        what=request.match_info["what"],
        fields=fields_of(operation, entered, problems or {}, service_type=instance.service_type),
        method=entered.get(METHOD) or ("custom" if entered.get("region") else "auto"),
        categories=categories_of(instance.service_type, session.categories.get(instance.name, ())),
        image=image,
        going=gone,
        trouble=trouble,
        known=session.shown(instance),
    )
