"""From a template and facts to a page: what every page has, and the answers around it."""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from aiohttp import web

from batchsearch._version import __version__
from batchsearch.console.answer_view import shortened
from batchsearch.console.gate import Gate
from batchsearch.console.session import Session
from batchsearch.console.wording import OPERATIONS
from batchsearch.pages.html_templates import html_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jinja2

SESSION: Final = web.AppKey("session", Session)
GATE: Final = web.AppKey("gate", Gate)

SCREENS: Final = (
    ("search", "/search", "Search", "s"),
    ("compare", "/compare", "Compare", "c"),
    ("items", "/items", "Items", "i"),
    ("review", "/runs", "Runs and duplicates", "d"),
    ("history", "/history", "History", "h"),
)
"""The screens by name: address, title, and the letter after `g` that leads there."""


def page(
    request: web.Request, template: str, *, status: int = 200, screen: str = "", **facts: Any
) -> web.Response:
    """A page as the answer.

    Args:
        request: What asks for it; gives the session.
        template: Name of its template, without its ending.
        status: Of HTTP.
        screen: Which of `SCREENS` it belongs to.
        facts: What the template shows.
    """
    session, gate = request.app[SESSION], request.app[GATE]
    instance = session.instance(session.current)
    rate = session.rate(instance)
    text = (
        _environment()
        .get_template(f"{template}.html.j2")
        .render(
            session=session,
            instance=instance,
            embedded=session.is_embedded(instance),
            may_change=session.may_change(instance),
            meter=session.meter.as_dict(rate),
            rate=None if math.isinf(rate) else rate,
            today=session.look().calls_today,
            csrf=gate.csrf,
            screens=SCREENS,
            screen=screen,
            version=__version__,
            operations=OPERATIONS,
            night=session.look().is_running,
            **facts,
        )
    )
    session.looked_at.set()
    return web.Response(text=text, status=status, content_type="text/html")


def message(
    request: web.Request,
    status: int,
    title: str,
    text: str,
    *,
    screen: str = "",
    action: tuple[str, str] | None = None,
) -> web.Response:
    """A page that says one thing.

    Args:
        request: What asks for it.
        status: Of HTTP.
        title: What it is about.
        text: What happened and what to do.
        screen: Which of `SCREENS` it belongs to.
        action: Address and title of what to do next.
    """
    return page(request, "message", status=status, screen=screen, title=title, text=text, action=action)


def see(address: str, **query: str) -> web.Response:
    """Leads the browser on, so that a reload asks for nothing twice."""
    found = {name: value for name, value in query.items() if value}
    return web.Response(
        status=303, headers={"Location": f"{address}?{urlencode(found)}" if found else address}
    )


@cache
def _environment() -> jinja2.Environment:
    environment = html_environment("batchsearch.console")
    environment.filters["shortened"] = shortened
    environment.filters["query"] = _query
    return environment


def _query(values: Mapping[str, str | None]) -> str:
    """Values as the query of an address."""
    return urlencode({name: value for name, value in values.items() if value not in {None, ""}})


@cache
def own_asset(name: str) -> bytes:
    """A file of the console's own, by name; raises FileNotFoundError for any other."""
    if name not in _assets():
        raise FileNotFoundError(name)
    return files("batchsearch.console").joinpath("assets", name).read_bytes()


@cache
def _assets() -> frozenset[str]:
    return frozenset(each.name for each in files("batchsearch.console").joinpath("assets").iterdir())
