r"""Conditions on the rows of a table: the grammar of `Filter`, over columns of any name and type (pure).

What is added to `filter`'s grammar::

    comparison := … | column "IS" ["NOT"] "NULL"
    column     := a word, or any name in backticks: `Variant SKU`

Text columns take `=`, `!=`, `in` and `not in`; numbers and dates also `>`, `>=`, `<` and `<=`; true/false
columns `=`, `!=` and the words `true` and `false`. A date is written as text: `"2026-11-01"`. As with
`Filter`, a cell without a value matches no comparison, `!=` and `not in` included: `IS NULL` asks for it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

from batchsearch.nearest import did_you_mean
from batchsearch.service.expressions import And, Comparison, Expression, Or
from batchsearch.service.filter import FilterError, Parser

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batchsearch.service.expressions import Value

Kind: TypeAlias = Literal["text", "number", "truth", "date", "other"]
"""What the cells of a column are, as far as comparing goes; `other` ones are null or not, and no more."""

IS_NULL: Final = "is null"
IS_NOT_NULL: Final = "is not null"
MOST_CHARACTERS: Final = 65_536

_ORDERED: Final = (">", ">=", "<", "<=", "=", "!=", "in", "not in")
_UNORDERED: Final = ("=", "!=", "in", "not in")
_OPERATORS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "text": _UNORDERED,
    "number": _ORDERED,
    "truth": ("=", "!="),
    "date": _ORDERED,
    "other": (),
}
_TOKENS: Final = re.compile(
    r"""\s*(?:
        (?P<symbol> >= | <= | != | <> | == | && | \|\| | [><=(),!] )
      | (?P<number> -?[0-9]+(?:\.[0-9]+)? (?![\w.]) )
      | (?P<string> "(?:[^"\\]|\\["\\])*" )
      | (?P<name> `[^`]+` )
      | (?P<word> [^\W\d]\w* )
      | (?P<end> \Z )
    )""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r'\\(["\\])')


def parse_conditions(text: str, kinds: Mapping[str, Kind] | None = None) -> Expression:
    """The expression that a text says.

    Args:
        text: The conditions.
        kinds: The columns that there are; None where that is not known yet: any column may be compared
            with anything.

    Raises:
        FilterError: The text is none, or does not fit the columns; says what was expected, and where.
    """
    if len(text) > MOST_CHARACTERS:
        message = f"has {len(text):,} characters; {MOST_CHARACTERS:,} are the most"
        raise FilterError(message, MOST_CHARACTERS, text)
    return _Conditions(text, kinds).parsed()


def columns_in(expression: Expression) -> frozenset[str]:
    """The columns that an expression speaks of."""
    return frozenset(_columns_in(expression))


def _columns_in(expression: Expression) -> Iterator[str]:
    if isinstance(expression, And | Or):
        for term in expression.terms:
            yield from _columns_in(term)
    else:
        yield expression.field


class _Conditions(Parser):
    """The parser of `filter`, with columns for attributes."""

    tokens: ClassVar[re.Pattern[str]] = _TOKENS
    noun: ClassVar[str] = "conditions"
    number: ClassVar[str] = "number"

    def __init__(self, text: str, kinds: Mapping[str, Kind] | None) -> None:
        self._kinds = kinds
        super().__init__(text)

    def _comparison(self) -> Comparison:
        field = self._field()
        if self._take_word("is"):
            negated = self._take_word("not")
            if not self._take_word("null"):
                raise self._error(f"expected NULL or NOT NULL after IS, found {self._next_shown}")
            return Comparison(field, IS_NOT_NULL if negated else IS_NULL, ())
        kind = self._kind(field)
        if kind == "other":
            raise self._error(f"the column `{field}` holds no plain values: it takes only IS [NOT] NULL")
        if kind == "text" and self._next.text in {">", ">=", "<", "<="}:
            raise self._error(
                f"the column `{field}` is text, which has no order; of a CSV file, say what it is: "
                f"`manifest.csv.types: {{{field}: float64}}`"
            )
        sign = self._operator(field, self._operators(field))
        values = self._listed(field) if sign in {"in", "not in"} else (self._value(field),)
        return Comparison(field, sign, values)

    def _kind(self, field: str) -> Kind | None:
        return None if self._kinds is None else self._kinds[field]

    def _operators(self, field: str) -> tuple[str, ...]:
        kind = self._kind(field)
        return _ORDERED if kind is None else _OPERATORS[kind]

    def _field(self) -> str:
        token = self._next
        if token.kind not in {"word", "name"}:
            if token.kind == "end" and not self._text.strip():
                raise self._error("there are no conditions; leave the setting out instead")
            raise self._error(f"expected a column, found {self._next_shown}")
        name = token.text.strip("`") if token.kind == "name" else token.text
        if self._kinds is not None and name not in self._kinds:
            if name.lower() == "not":
                raise self._error("NOT stands only before IN and NULL; use `!=` or `not in`")
            raise self._error(f"there is no column `{name[:60]}`{did_you_mean(name, self._kinds)}")
        self._advance()
        return name

    def _value(self, field: str) -> Value:
        token, kind = self._next, self._kind(field)
        if token.kind == "number" and kind in {None, "number"}:
            text = self._advance().text
            return float(text) if "." in text else int(text)
        if token.kind == "string" and kind in {None, "text"}:
            return _ESCAPE.sub(r"\1", self._advance().text[1:-1])
        if token.kind == "string" and kind == "date":
            return self._date(token.text[1:-1])
        truth = token.kind == "word" and token.text.lower() in {"true", "false"}
        if truth and kind in {None, "truth"}:
            return self._advance().text.lower() == "true"
        wanted = {
            "number": "is a number: write one, without quotes",
            "text": 'is text: write it in double quotes, "…"',
            "truth": "is true or false",
            "date": 'is a date: write it as "2026-11-30" or "2026-11-30T08:00"',
        }.get(kind or "", 'is compared with a number, true, false or text in double quotes, "…"')
        raise self._error(f"the column `{field}` {wanted}; found {self._next_shown}")

    def _date(self, text: str) -> str:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise self._error(
                f'{text[:40]!r} is no date such as "2026-11-30" or "2026-11-30T08:00"'
            ) from None
        self._advance()
        return text
