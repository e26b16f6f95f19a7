"""The name that was probably meant (pure)."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_LISTED: Final = 12
_SHORTEST_BEGINNING: Final = 3


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like a given one, small differences of case and dashes aside, or None."""
    by_plain: dict[str, str] = {}
    for each in known:
        by_plain.setdefault(_plain(each), each)
    plain = _plain(name[:200])
    # `pic` is `pic_name` cut short rather than `price` misspelt.
    longer = [each for each in by_plain if len(plain) >= _SHORTEST_BEGINNING and each.startswith(plain)]
    found = sorted(longer, key=len) or difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    return by_plain[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest one, or those there are."""
    names = tuple(known)
    if (near := nearest(name, names)) is not None:
        return f"; did you mean `{near}`?"
    if not names:
        return ""
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return "; there are " + ", ".join(f"`{each}`" for each in names[:_MOST_LISTED]) + more


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")
