"""Templates of HTML pages: everything that goes into one is escaped, and nothing invisible stays so.

The files that pages share are in `assets/`: the report inlines them, the console serves them.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

import jinja2

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line ends, and those that turn the direction of what follows."""


def html_environment(package: str, *, is_markup: bool = True) -> jinja2.Environment:
    """The templates in a package's folder `templates`; a name that has no value is an error.

    Args:
        package: The package's dotted name.
        is_markup: False for templates of another language, which quote their values themselves.
    """
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package, "templates"),
        autoescape=is_markup,  # noqa: S701 - a template that is no markup quotes its values itself
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=visible if is_markup else None,
    )


def visible(value: Any) -> Any:
    """A text with its control characters written out: no page may hold most of them, and none shows them."""
    if type(value) is not str:
        return value
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), value)


Asset = Literal["base.css", "viewer.js"]

BASE_STYLE: Final[Asset] = "base.css"
VIEWER: Final[Asset] = "viewer.js"
"""A module that exports `openViewer`."""


@cache
def asset(name: Asset) -> str:
    """The text of one of them."""
    return files("batchsearch.pages").joinpath("assets", name).read_text(encoding="utf-8")
