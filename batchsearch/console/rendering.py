"""From a template and facts to a page: what every page has, and the answers around it."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from aiohttp import web
from markupsafe import Markup, escape

from batchsearch._version import __version__
from batchsearch.console.answer_view import shortened
from batchsearch.console.gate import Gate
from batchsearch.console.session import Session
from batchsearch.console.wording import operations, screens, script_texts, texts
from batchsearch.pages.html_templates import html_environment, visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jinja2

SESSION: Final = web.AppKey("session", Session)
GATE: Final = web.AppKey("gate", Gate)

SCREENS: Final = (
    ("search", "/search", "s"),
    ("compare", "/compare", "c"),
    ("items", "/items", "i"),
    ("review", "/runs", "d"),
    ("history", "/history", "h"),
)
"""The screens by name: address, and the letter after `g` that leads there."""


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
    titles = screens()
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
            screens=[(name, path, titles[name], letter) for name, path, letter in SCREENS],
            screen=screen,
            version=__version__,
            operations=operations(),
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
    environment.globals["say"] = _said
    environment.globals["tag"] = _tag
    return environment


def _said(key: str, /, **values: Any) -> Markup:
    """A text of the table as markup: values are escaped, but for those that are markup already."""
    shown = {name: visible(value) for name, value in values.items()}
    return escape(texts().text(key, values.get("n"))).format(**shown)


def _tag(name: str, content: Any, kind: str = "") -> Markup:
    """A value of a text inside an element, of a class where it has one."""
    shown = visible(content)
    if not kind:
        return Markup("<{0}>{1}</{0}>").format(name, shown)
    return Markup('<{0} class="{1}">{2}</{0}>').format(name, kind, shown)


def _query(values: Mapping[str, str | None]) -> str:
    """Values as the query of an address."""
    return urlencode({name: value for name, value in values.items() if value not in {None, ""}})


def texts_module() -> bytes:
    """The texts of the scripts, as the module that they import."""
    return f"export default {json.dumps(script_texts(), ensure_ascii=False)};\n".encode()


@cache
def own_asset(name: str) -> bytes:
    """A file of the console's own, by name; raises FileNotFoundError for any other."""
    if name not in _assets():
        raise FileNotFoundError(name)
    return files("batchsearch.console").joinpath("assets", name).read_bytes()


@cache
def _assets() -> frozenset[str]:
    return frozenset(each.name for each in files("batchsearch.console").joinpath("assets").iterdir())
