"""The page: facts through templates, galleries as JSON beside them, and nothing that any of it could run.

Everything that came from outside is escaped where it goes: by the template engine in markup, by `embedded`
in JSON, by `textContent` in the script. Should something slip through all the same, the page's policy lets
no script run but its own, by hash, and lets nothing be loaded at all.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from batchsearch._version import __version__
from batchsearch.pages.html_templates import BASE_STYLE, VIEWER, asset, html_environment
from batchsearch.service.facts import CATEGORIES
from batchsearch.tasks.report.thumbnails import Missing, Thumbnail
from batchsearch.tasks.report.words import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import jinja2

    from batchsearch.tasks.report.cards import Card
    from batchsearch.tasks.report.charts import Chart
    from batchsearch.tasks.report.report_facts import FactTable, Figure, Section
    from batchsearch.tasks.report.summing_up.first_words import Status
    from batchsearch.tasks.report.summing_up.needs import Need

_TEMPLATES: Final = "templates"
THUMBNAILS_PER_BLOCK: Final = 100
"""Thumbnails that the page reads at a time, when the first of them comes into view."""
MOST_GALLERY_BYTES: Final = 24_000_000
"""Most bytes of one gallery's cards; the rest is left out, and the page says so."""
_UNSAFE: Final = str.maketrans(
    {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\u2028": "\\u2028",
        "\u2029": "\\u2029",
        "\x7f": "\\u007f",
    }
)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class Gallery:
    """One gallery of a page.

    Attributes:
        kind: `rows`, `pairs` (compared images), `products` (pairs of products) or `clusters`.
        title: Its heading.
        cards: What it shows, in its first order.
        total: How many there are, those not shown included.
        chosen: Which are shown when not all are, such as `the highest scores`.
        charts: Charts whose ranges choose what is shown, each with the same as a table.
    """

    kind: str
    title: str
    cards: Sequence[Card]
    total: int
    chosen: str = ""
    charts: tuple[tuple[Chart, FactTable | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Matrix:
    """How alike the members of one group are.

    Attributes:
        title: The group.
        names: Its members.
        scores: A row for each member; None where there is no score.
    """

    title: str
    names: tuple[str, ...]
    scores: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One run, or one part of a job, as the page shows it."""

    anchor: str
    title: str
    notes: tuple[str, ...]
    figures: tuple[Figure, ...]
    charts: tuple[tuple[Chart, FactTable | None], ...]
    tables: tuple[FactTable, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that is found in an output, for its page and its facts.

    Attributes:
        sections: What is stated.
        parts: The same as parts of the page.
        galleries: What can be browsed.
        needs: Who is needed for what.
        status: How things stand.
        sentence: What came of it.
    """

    sections: tuple[Section, ...]
    parts: tuple[Part, ...]
    galleries: tuple[Gallery, ...]
    needs: tuple[Need, ...]
    status: Status
    sentence: str


@dataclass(frozen=True, slots=True)
class PageFacts:
    """Everything on a page.

    Attributes:
        title: Name of the folder.
        subtitle: What it is, a few words.
        as_of: When it was looked at.
        name: Names the report for the browser's memory of judgements.
        status: How things stand, in words, with a tone (`good`, `bad`, `warn`, `plain`).
        sentence: What came of it.
        needs: Who is needed for what, the gravest first.
        notes: What a reader has to know of this page.
        figures: The figures at the top.
        galleries: What can be browsed.
        thumbnails: What `Thumbnails.made` gives.
        matrices: Similarities of small groups.
        parts: Runs and parts with their figures, charts and tables.
        judged: Whether pairs can be marked same or different.
        glossary: Words with their meanings.
        followed: Judgements that the night followed, each as its line of a file of judgements by column.
        live: Address that judgements are sent to at once, and the token that it wants; None for a page that
            keeps them in the browser.
    """

    title: str
    subtitle: str
    as_of: datetime
    name: str
    status: tuple[str, str]
    sentence: str
    needs: tuple[Need, ...]
    notes: tuple[str, ...]
    figures: tuple[Figure, ...]
    galleries: tuple[Gallery, ...]
    thumbnails: Sequence[Thumbnail | Missing]
    matrices: tuple[Matrix, ...]
    parts: tuple[Part, ...]
    judged: bool
    glossary: tuple[tuple[str, str], ...] = ()
    followed: tuple[Mapping[str, str], ...] = ()
    live: tuple[str, str] | None = None


def embedded(value: Any) -> str:
    """A value as JSON that is safe inside a `script` element, whatever texts are in it."""
    return _encode(value).translate(_UNSAFE)


def page_of(facts: PageFacts) -> str:
    """The page as HTML."""
    style, script = asset(BASE_STYLE) + _asset("style.css"), page_script()
    galleries = [_gallery(gallery) for gallery in facts.galleries]
    html: str = (
        _environment()
        .get_template("page.html.j2")
        .render(
            facts=facts,
            version=__version__,
            policy=policy(style, script),
            style=Markup(style),  # noqa: S704 - the package's own file
            script=Markup(script),  # noqa: S704 - the package's own file
            galleries=galleries,
            setup=_data(
                {
                    "name": facts.name,
                    "judged": facts.judged,
                    "per": THUMBNAILS_PER_BLOCK,
                    "categories": _names(facts),
                    "live": facts.live,
                }
            ),
            followed=_data(list(facts.followed)),
            blocks=list(_blocks(facts.thumbnails)),
        )
    )
    return html


def page_script() -> str:
    """The page's one script: the close look, which is a module elsewhere, and what this page does."""
    viewer = asset(VIEWER).replace("export const ", "const ", 1)
    return f'"use strict";\n{viewer}{_asset("app.js")}'


def policy(style: str, script: str) -> str:
    """The page's content security policy: its own style and script by hash, images from itself, no more."""
    return (
        "default-src 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _gallery(gallery: Gallery) -> Mapping[str, Any]:
    """What the template needs of a gallery, its cards as JSON of bounded length."""
    texts: list[str] = []
    left = MOST_GALLERY_BYTES
    for card in gallery.cards:
        text = embedded(card)
        left -= len(text) + 1
        if left < 0:
            break
        texts.append(text)
    return {
        "kind": gallery.kind,
        "title": gallery.title,
        "shown": len(texts),
        "total": gallery.total,
        "chosen": gallery.chosen,
        "charts": gallery.charts,
        "data": Markup(f"[{','.join(texts)}]"),  # noqa: S704 - `embedded` escapes every one
    }


def _data(value: Any) -> Markup:
    return Markup(embedded(value))  # noqa: S704 - `embedded` escapes


def _names(facts: PageFacts) -> dict[str, str]:
    """Names of the categories that the cards have."""
    used = {card.get("g") for gallery in facts.galleries for card in gallery.cards}
    return {str(number): name for number, name in CATEGORIES.items() if number in used}


def _blocks(thumbnails: Sequence[Thumbnail | Missing]) -> Iterable[Markup]:
    """Thumbnails as JSON, a hundred in a block: `[base64, width, height, boxes]`, or why there is none."""
    for start in range(0, len(thumbnails), THUMBNAILS_PER_BLOCK):
        yield _data([_thumbnail(each) for each in thumbnails[start : start + THUMBNAILS_PER_BLOCK]])


def _thumbnail(each: Thumbnail | Missing) -> Any:
    if isinstance(each, Missing):
        return each.why
    return [b64encode(each.data).decode(), each.width, each.height, each.boxes]


@cache
def _environment() -> jinja2.Environment:
    environment = html_environment("batchsearch.tasks.report")
    environment.filters["written"] = written
    return environment


@cache
def _asset(name: str) -> str:
    return files("batchsearch.tasks.report").joinpath(_TEMPLATES, name).read_text(encoding="utf-8")
