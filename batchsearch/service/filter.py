r"""The `Filter` parameter's language: text to a checked expression.

One parser serves the client (a bad filter costs no call) and the emulator (which items a filter keeps);
`conditions` builds on it for the rows of a manifest.

Grammar, from the `Filter` rows of SearchImageByPic 2025-05 and Image query 2026-01::

    expression := conjunction ("OR" conjunction)*
    conjunction := factor ("AND" factor)*                        AND binds tighter than OR
    factor     := "(" expression ")" | comparison
    comparison := int field (">" | ">=" | "<" | "<=" | "=") integer
                | str field ("=" | "!=") string
                | field ["NOT"] "IN" "(" value ("," value)* ")"

Fields are `int_attr`, `int_attr2` to `int_attr4`, `str_attr`, `str_attr2` to `str_attr4`, in lower case as
on the pages; keywords in any case. An integer is a 32-bit one and may be negative. A string stands in
double quotes, the only ones the pages show; inside, `\"` is a quote and `\\` a backslash.

What the pages leave open is decided here: parentheses may nest `MAX_DEPTH` deep.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from batchsearch.service.expressions import (
    FIELDS,
    INT_FIELDS,
    INT_OPERATORS,
    STR_OPERATORS,
    And,
    Comparison,
    Or,
)
from batchsearch.service.facts import INT32_MAX, INT32_MIN, MAX_FILTER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batchsearch.service.expressions import Expression, Value

MAX_DEPTH: Final = 32
"""Deepest nesting of parentheses; bounds the parser's recursion on hostile input."""

_MAX_DIGITS: Final = 64  # longest integer literal that is converted at all; leading zeros are allowed
_WINDOW: Final = 60  # characters of the filter shown on each side of an error


class FilterError(ValueError):
    """A filter that the service would refuse as `InvalidFilterClause`.

    Attributes:
        message: What is wrong and what to write instead, without the image of the place.
        position: Index into the filter's characters, from 0; its length when the end came too early.
    """

    def __init__(self, message: str, position: int, text: str) -> None:
        self.message = message
        self.position = position
        super().__init__(f"{message}\n{_point_at(text, position)}")


def parse_filter(text: str) -> Expression:
    """The expression that a filter's text says; `str()` of it is a filter that parses to the same.

    Args:
        text: The filter, at most 4,096 characters.

    Raises:
        FilterError: The text is no filter; says what was expected and shows the place.
    """
    if len(text) > MAX_FILTER:
        message = f"the filter has {len(text):,} characters; the service takes {MAX_FILTER:,}"
        raise FilterError(message, MAX_FILTER, text)
    return Parser(text).parsed()


_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<symbol> >= | <= | != | <> | == | && | \|\| | [><=(),!] )
      | (?P<integer> -?[0-9]+ (?![A-Za-z0-9_.]) )
      | (?P<string> "(?:[^"\\]|\\["\\])*" )
      | (?P<word> [A-Za-z_][A-Za-z0-9_]* )
      | (?P<end> \Z )
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r'\\(["\\])')

# What people write from habit, and the filter language's way of saying it.
_HABITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "==": "equality is written `=`",
        "<>": "inequality is written `!=`",
        "!": "there is no `!`; use `!=` or `not in`",
        "&&": "conditions are joined with AND",
        "||": "conditions are joined with OR",
    }
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number, text or sign of an expression.

    Attributes:
        kind: The name of its group in the language's pattern.
        text: As it is written; empty at the end.
        position: Index of its first character.
    """

    kind: str
    text: str
    position: int

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else f"`{_shortened(self.text)}`"


class Parser:
    """Recursive descent with one token of look-ahead; a language of its own is a subclass.

    Attributes:
        tokens: The tokens, each a named group.
        noun: What an expression of the language is called in messages.
        number: What its numbers are.
    """

    tokens: ClassVar[re.Pattern[str]] = _TOKEN
    noun: ClassVar[str] = "filter"
    number: ClassVar[str] = "whole number"

    def __init__(self, text: str) -> None:
        self._text = text
        self._scanned = self._scan()
        self._next = next(self._scanned)

    def parsed(self) -> Expression:
        """The expression that the whole text says.

        Raises:
            FilterError: It says none.
        """
        expression = self._expression(0)
        self._expect_end()
        return expression

    def _expression(self, depth: int) -> Expression:
        terms = [self._conjunction(depth)]
        while self._take_word("or"):
            terms.append(self._conjunction(depth))
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _expect_end(self) -> None:
        if self._next.kind == "end":
            return
        if self._next.text == ")":
            raise self._error("this parenthesis closes nothing")
        raise self._error(f"expected AND, OR or the end of the {self.noun}, found {self._next_shown}")

    def _conjunction(self, depth: int) -> Expression:
        terms = [self._factor(depth)]
        while self._take_word("and"):
            terms.append(self._factor(depth))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _factor(self, depth: int) -> Expression:
        if self._next.text != "(":
            return self._comparison()
        if depth >= MAX_DEPTH:
            raise self._error(f"parentheses nest deeper than {MAX_DEPTH}")
        opening = self._advance()
        inside = self._expression(depth + 1)
        if self._next.text != ")":
            what = f"expected AND, OR or the `)` of the `(` at character {opening.position + 1}"
            raise self._error(f"{what}, found {self._next_shown}")
        self._advance()
        return inside

    def _comparison(self) -> Comparison:
        field = self._field()
        allowed = self._operators(field)
        sign = self._operator(field, allowed)
        values = self._listed(field) if sign in ("in", "not in") else (self._value(field),)
        return Comparison(field, sign, values)

    def _operators(self, field: str) -> tuple[str, ...]:
        """What a field may be compared by."""
        return INT_OPERATORS if field in INT_FIELDS else STR_OPERATORS

    def _field(self) -> str:
        token = self._next
        if token.kind == "word" and token.text in FIELDS:
            return self._advance().text
        if token.kind == "word" and token.text.lower() == "not":
            raise self._error("NOT stands only before IN; use `!=` or `not in`")
        if token.kind == "word":
            spelled = re.sub(r"(?<=[a-z])Attr", "_attr", token.text).lower()
            near = difflib.get_close_matches(spelled, FIELDS, n=1, cutoff=0.7)
            hint = f"; did you mean `{near[0]}`?" if near else f"; there are {', '.join(FIELDS)}"
            raise self._error(f"no attribute is called {token}{hint}")
        if token.kind == "end" and not self._text.strip():
            raise self._error("the filter is empty; leave the parameter out instead")
        raise self._error(f"expected an attribute such as `int_attr`, found {self._next_shown}")

    def _operator(self, field: str, allowed: tuple[str, ...]) -> str:
        token = self._next
        choice = ", ".join(f"`{sign}`" for sign in allowed)
        if token.kind == "symbol" and token.text in allowed:
            return self._advance().text
        if self._take_word("in"):
            return "in"
        if self._take_word("not"):
            if not self._take_word("in"):
                raise self._error(f"expected IN after NOT, found {self._next_shown}")
            return "not in"
        if token.text == "!=":
            raise self._error(f"`{field}` has no `!=`; write `{field} not in (…)`")
        if token.text in _HABITS:
            raise self._error(f"{_HABITS[token.text]}; `{field}` takes {choice}")
        raise self._error(f"expected one of {choice} after `{field}`, found {self._next_shown}")

    def _listed(self, field: str) -> tuple[Value, ...]:
        if self._next.text != "(":
            raise self._error(f"expected a list in parentheses after IN, found {self._next_shown}")
        self._advance()
        values = [self._value(field)]
        while self._next.text == ",":
            self._advance()
            values.append(self._value(field))
        if self._next.text != ")":
            raise self._error(f"expected `,` or `)` in the list, found {self._next_shown}")
        self._advance()
        return tuple(values)

    def _value(self, field: str) -> Value:
        token = self._next
        if field in INT_FIELDS:
            if token.kind != "integer":
                raise self._error(f"`{field}` is compared with an integer, found {self._next_shown}")
            # Long digit runs are judged by length: converting thousands of digits would be wasted work.
            number = int(token.text) if len(token.text) <= _MAX_DIGITS else INT32_MAX + 1
            if not INT32_MIN <= number <= INT32_MAX:
                raise self._error(f"{token} is not a 32-bit integer ({INT32_MIN} to {INT32_MAX})")
            self._advance()
            return number
        if token.kind != "string":
            raise self._error(f"`{field}` is compared with text in double quotes, found {self._next_shown}")
        return _ESCAPE.sub(r"\1", self._advance().text[1:-1])

    @property
    def _next_shown(self) -> str:
        """What comes next, as messages call it."""
        return f"the end of the {self.noun}" if self._next.kind == "end" else str(self._next)

    def _take_word(self, word: str) -> bool:
        if self._next.kind == "word" and self._next.text.lower() == word:
            self._advance()
            return True
        return False

    def _advance(self) -> Token:
        token = self._next
        self._next = next(self._scanned)
        return token

    def _error(self, message: str) -> FilterError:
        return FilterError(message, self._next.position, self._text)

    def _scan(self) -> Iterator[Token]:
        position = 0
        while True:
            found = self.tokens.match(self._text, position)
            if found is None or found.lastgroup is None:
                raise self._unreadable(position)
            kind = found.lastgroup
            yield Token(kind, found[kind], found.start(kind))
            position = found.end()

    def _unreadable(self, position: int) -> FilterError:
        text = self._text
        while text[position] in " \t\r\n":
            position += 1
        rest = text[position:]
        if rest[0] == '"':
            broken = re.match(r'"(?:[^"\\]|\\["\\])*', rest)
            stop = position + (broken.end() if broken else 0)
            if stop < len(text):
                return FilterError(r"a backslash in text is written `\\`, a quote `\"`", stop, text)
            return FilterError("this text has no closing double quote", position, text)
        if rest[0] in "'\N{LEFT SINGLE QUOTATION MARK}\N{LEFT DOUBLE QUOTATION MARK}":
            return FilterError('text stands in double quotes: "value"', position, text)
        if rest[0] in "-0123456789":
            return FilterError(f"this is no {self.number}", position, text)
        return FilterError(f"unexpected character `{rest[0]}`", position, text)


def _shortened(text: str) -> str:
    return text if len(text) <= _WINDOW else f"{text[: _WINDOW - 1]}…"


def _point_at(text: str, position: int) -> str:
    """Two lines: the filter around the place, and a caret under the place."""
    start = max(0, position - _WINDOW)
    before = ("…" if start else "") + text[start:position]
    after = text[position : position + _WINDOW] + ("…" if position + _WINDOW < len(text) else "")
    shown = "".join(character if character.isprintable() else " " for character in before + after)
    # Wide characters (CJK) take two columns of a terminal, combining ones none.
    columns = sum(_columns(character) for character in shown[: len(before)])
    return f"  {shown}\n  {' ' * columns}^"


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
