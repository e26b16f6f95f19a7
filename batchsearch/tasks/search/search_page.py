"""One search as people read it: what became of the image, and a table of hits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from batchsearch.streams import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchsearch.images.outcome import ImageFacts
    from batchsearch.tasks.search.query import Found

_ALWAYS: Final = ("rank", "score", "product_id", "pic_name")
_NUMBERS: Final = frozenset(
    {"rank", "score", "category_id", "int_attr", "int_attr2", "int_attr3", "int_attr4"}
)
_HEADINGS: Final = {"product_id": "product", "pic_name": "image", "category_id": "category"}
_ONE_CATEGORY: Final = 88888888
_LONGEST_CELL: Final = 60


def lines_of(found: Found) -> Iterator[str]:
    """What there is to say beside the table, line by line."""
    if found.source is not None:
        yield f"{_clean(found.shown)}: {_facts(found.source)}, {_verdict(found)}"
    if found.failure is not None:
        yield f"{_clean(found.failure.code)}: {_clean(found.failure.message)}"
        yield f"-> {found.advice}"
        return
    several = f"{found.calls} calls" if found.calls != 1 else "1 call"
    count = "no hit" if not found.hits else "1 hit" if len(found.hits) == 1 else f"{len(found.hits)} hits"
    named = f"request id {_clean(found.request_id or 'none')}"
    yield f"{found.instance}: {count}, {several}, {found.seconds:.2f} s, {named}"
    subject = []
    if (region := found.fields.get("pic_region")) is not None:
        subject.append(f"subject {_clean(region)} (x1,x2,y1,y2)")
    category = found.fields.get("pic_category_id")
    if category is not None and category != _ONE_CATEGORY:
        subject.append(f"category {category}")
    if subject:
        yield ", ".join(subject)


def table_of(found: Found) -> Table:
    """The hits; columns that no hit has are left out."""
    filled = {name for hit in found.hits for name, value in hit.items() if value is not None}
    categories = {hit.get("category_id") for hit in found.hits}
    names = [*_ALWAYS, *(name for name in _in_order(found) if name in filled and name not in _ALWAYS)]
    names = [name for name in names if name != "sort_expr_values"]
    if categories <= {None, _ONE_CATEGORY}:
        names = [name for name in names if name != "category_id"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(_HEADINGS.get(name, name), justify="right" if name in _NUMBERS else "left")
    for hit in found.hits:
        table.add_row(*(Text(_cell(name, hit.get(name))) for name in names))
    return table


def _in_order(found: Found) -> list[str]:
    return list(dict.fromkeys(name for hit in found.hits for name in hit))


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "score" and isinstance(value, float):
        return f"{value:.4f}"
    text = _clean(str(value))
    # Ids are whole, to be copied; what else was kept with an image may be long.
    return text if name in _ALWAYS or len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"


def _facts(facts: ImageFacts) -> str:
    return f"{facts.format} {facts.width} x {facts.height}, {facts.bytes / 1000:,.0f} kB"


def _verdict(found: Found) -> str:
    if found.sent is None:
        return "not sent"
    if not found.transforms:
        return "sent as it is"
    return f"sent as {_facts(found.sent)} ({', '.join(found.transforms)})"


def _clean(text: str) -> str:
    """Text from outside on one line, without what a terminal would obey."""
    return printable(" ".join(text.split()))
