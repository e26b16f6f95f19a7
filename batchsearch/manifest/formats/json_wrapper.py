"""Where the rows of a JSON file are that is one object: the answer of a shop's API, page and all (pure).

`{"products": [{…}, …], "page": 1}` is what Shopify answers, `{"items": […], "total_count": 2}` Magento,
`{"data": […], "meta": {…}}` many others. JSON Lines begin with an object as well: where another line follows
the first object it is a row, whatever it holds.
"""

from __future__ import annotations

import json
from typing import Final

_NAMES: Final = frozenset(
    {
        "catalog",
        "catalogue",
        "content",
        "data",
        "elements",
        "entries",
        "hits",
        "items",
        "list",
        "objects",
        "offers",
        "products",
        "records",
        "response",
        "result",
        "results",
        "rows",
        "value",
    }
)
"""Members that hold an answer's rows, or the object that does; compared without case."""

_BLANKS: Final = " \t\r\n"


def array_in(head: str, *, is_whole: bool) -> tuple[int, int] | None:
    """Where the array of rows begins, and how many objects deep; None where the file is no such object.

    Args:
        head: The file's first characters.
        is_whole: Whether there are no more.
    """
    return None if _is_line(head, is_whole=is_whole) else _Walk(head).array()


def _is_line(head: str, *, is_whole: bool) -> bool:
    """Whether the first line is a row of its own: a whole value, and something follows it."""
    line, _, rest = head.strip(_BLANKS).partition("\n")
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return bool(rest.strip(_BLANKS)) or not is_whole


class _Walk:
    """Goes through an object's members up to the array that is looked for.

    Args:
        text: Begins with the object; may be cut.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._value = json.JSONDecoder().raw_decode

    def array(self) -> tuple[int, int] | None:
        """The array's place, and how deep it is; None where there is none before the text ends."""
        if self._next() != "{":
            return None
        depth = 1
        self._place += 1
        try:
            while depth:
                sign = self._next()
                if sign == "}":
                    depth -= 1
                elif sign != ",":
                    name = self._skipped()
                    self._place += self._next() == ":"
                    begins = self._next()
                    known = isinstance(name, str) and name.lower() in _NAMES
                    if known and begins == "[" and self._next(1) in ("{", "]"):
                        return self._place, depth
                    if not known or begins != "{":
                        self._skipped()
                        continue
                    depth += 1
                self._place += 1
        except (ValueError, RecursionError):
            pass
        return None

    def _next(self, more: int = 0) -> str:
        """The next character that is no blank, where the walk goes on; or the one after so many more."""
        while self._text[self._place : self._place + 1] in tuple(_BLANKS):
            self._place += 1
        place = self._place + more
        while self._text[place : place + 1] in tuple(_BLANKS):
            place += 1
        return self._text[place : place + 1]

    def _skipped(self) -> object:
        """The value that is next; the walk goes on behind it.

        Raises:
            ValueError: It is cut, or none.
        """
        found, self._place = self._value(self._text, self._place)
        return found
