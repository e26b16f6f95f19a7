"""What the instance holds: of the embedded one its own list, of a purchased one what tables say of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from batchsearch.console.posted_form import whole
from batchsearch.console.rendering import SESSION, message, page
from batchsearch.console.wording import say
from batchsearch.service.expressions import FIELDS
from batchsearch.service.facts import CATEGORIES
from batchsearch.service.filter import FilterError, parse_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchsearch.console.known_images import KnownImages
    from batchsearch.console.session import Session
    from batchsearch.emulator.search.records import Item

_SCREEN: Final = "items"
_PAGE: Final = 50
_COMPLETIONS: Final = 20
_VALUES: Final = 50


@dataclass(frozen=True, slots=True)
class ListedItem:
    """One item of a list."""

    product_id: str
    pic_name: str
    category: str
    custom_content: str
    attributes: Mapping[str, Any]


async def show(request: web.Request) -> web.Response:
    """`GET /items`: a page of items, by filter, text and category."""
    session = request.app[SESSION]
    instance = session.instance(session.current)
    query = request.query
    text, filter_, category = (
        query.get("text", "").strip(),
        query.get("filter", "").strip(),
        query.get("category", ""),
    )
    after = whole(query.get("after", ""))
    problem, expression = None, None
    try:
        expression = parse_filter(filter_) if filter_ else None
    except FilterError as error:
        problem = f"{error.message} {say('script.at_column', column=error.position + 1)}"
    words = text.casefold().split()

    def wanted(values: Mapping[str, Any]) -> bool:
        if category and str(values.get("category_id")) != category:
            return False
        if expression is not None and not expression.matches({name: values.get(name) for name in FIELDS}):
            return False
        told = " ".join(str(values.get(name) or "") for name in ("product_id", "pic_name", "custom_content"))
        return all(word in told.casefold() for word in words)

    catalogue = session.catalogue(instance)
    if catalogue is not None:
        found, following = await asyncio.to_thread(
            catalogue.listed, lambda item: wanted(asdict(item)), after=after, most=_PAGE
        )
        items = [_listed(item) for item, _ in found]
        count: int | None = catalogue.count()
        capacity: int | None = catalogue.capacity
    else:
        items, following = _known(session, wanted, after)
        count = capacity = None
    if problem:
        items, following = [], None
    return page(
        request,
        "items",
        screen=_SCREEN,
        items=items,
        after=following,
        count=count,
        capacity=capacity,
        known=session.shown(instance),
        of_instance=catalogue is not None,
        text=text,
        filter=filter_,
        category=category,
        categories=tuple(CATEGORIES.items()),
        problem=problem,
    )


def _known(
    session: Session, wanted: Callable[[Mapping[str, Any]], bool], after: int
) -> tuple[list[ListedItem], int | None]:
    """A page of what the tables of the job say."""
    found: list[ListedItem] = []
    for place, ((product_id, pic_name), values) in enumerate(session.known.attributes.items()):
        told = {**values, "product_id": product_id, "pic_name": pic_name}
        if place < after or not wanted(told):
            continue
        if len(found) == _PAGE:
            return found, place
        found.append(
            ListedItem(
                product_id,
                pic_name,
                str(values.get("category_id", "")),
                str(values.get("custom_content", "")),
                {name: values[name] for name in FIELDS if values.get(name) is not None},
            )
        )
    return found, None


def _listed(item: Item) -> ListedItem:
    number = item.category_id
    name = CATEGORIES.get(number) if number is not None else None
    category = "" if number is None else f"{name} ({number})" if name else str(number)
    attributes = {name: getattr(item, name) for name in FIELDS if getattr(item, name) is not None}
    return ListedItem(item.product_id, item.pic_name, category, item.custom_content or "", attributes)


async def one(request: web.Request) -> web.Response:
    """`GET /items/one`: an item with its attributes and regions."""
    session = request.app[SESSION]
    instance = session.instance(session.current)
    key = request.query.get("product_id", ""), request.query.get("pic_name", "")
    catalogue = session.catalogue(instance)
    regions = None
    if catalogue is not None:
        item = await asyncio.to_thread(catalogue.get, *key)
        listed = None if item is None else _listed(item)
        regions = await asyncio.to_thread(catalogue.regions, *key)
    else:
        found, _ = _known(session, lambda values: (values["product_id"], values["pic_name"]) == key, 0)
        listed = found[0] if found else None
    if listed is None:
        return message(
            request,
            404,
            say("item.none"),
            say("item.none_text"),
            screen=_SCREEN,
            action=("/items", say("items.title")),
        )
    return page(
        request,
        "item",
        screen=_SCREEN,
        item=listed,
        regions=regions,
        of_instance=catalogue is not None,
        known=session.shown(instance),
    )


async def names(request: web.Request) -> web.Response:
    """`GET /names?text=…`: product ids and image names that begin so, for completion; free."""
    session = request.app[SESSION]
    text = request.query.get("text", "").casefold()
    beginning = (key for key in session.known.places if key[0].casefold().startswith(text))
    found = islice(beginning, _COMPLETIONS)
    return web.json_response([{"product_id": product, "pic_name": name} for product, name in found])


async def values(request: web.Request) -> web.Response:
    """`GET /values`: the commonest values of each attribute that tables know, for the filter; free."""
    return web.json_response(await asyncio.to_thread(_commonest, request.app[SESSION].known))


def _commonest(known: KnownImages) -> dict[str, list[str]]:
    counts = {name: Counter[str]() for name in FIELDS}
    for each in known.attributes.values():
        for name in FIELDS:
            if each.get(name) is not None:
                counts[name][str(each[name])] += 1
    return {name: [value for value, _ in of.most_common(_VALUES)] for name, of in counts.items() if of}
