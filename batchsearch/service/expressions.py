"""What a filter says, checked: comparisons of attributes, joined by AND and OR, and which items they match.

What the pages leave open is decided here: an attribute that an item does not have matches no comparison,
`!=` and `not in` included.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INT_FIELDS: Final = ("int_attr", "int_attr2", "int_attr3", "int_attr4")
STR_FIELDS: Final = ("str_attr", "str_attr2", "str_attr3", "str_attr4")
FIELDS: Final = INT_FIELDS + STR_FIELDS

INT_OPERATORS: Final = (">", ">=", "<", "<=", "=", "in", "not in")
STR_OPERATORS: Final = ("=", "!=", "in", "not in")

COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        ">": operator.gt,
        ">=": operator.ge,
        "<": operator.lt,
        "<=": operator.le,
        "=": operator.eq,
        "!=": operator.ne,
    }
)
"""What each operator for one value does, to single values and to arrays."""

Value: TypeAlias = int | float | str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One attribute against one value, or against a list of them for `in` and `not in`.

    Attributes:
        field: One of `FIELDS`.
        operator: One of `INT_OPERATORS` or `STR_OPERATORS`, keywords in lower case.
        values: One value, or for `in` and `not in` one or more; integers for int fields, else text.
    """

    field: str
    operator: str
    values: tuple[Value, ...]

    @property
    def value(self) -> Value:
        """The value compared with; the first of the list for `in` and `not in`."""
        return self.values[0]

    def matches(self, attributes: Mapping[str, int | str | None]) -> bool:
        """Whether an item with these attributes is kept; an absent or null attribute never is."""
        found = attributes.get(self.field)
        if found is None or isinstance(found, str) is not isinstance(self.values[0], str):
            return False
        if self.operator == "in":
            return found in self.values
        if self.operator == "not in":
            return found not in self.values
        return bool(COMPARE[self.operator](found, self.values[0]))

    def __str__(self) -> str:
        if self.operator in ("in", "not in"):
            listed = ",".join(_literal(value) for value in self.values)
            return f"{self.field} {self.operator} ({listed})"
        return f"{self.field}{self.operator}{_literal(self.values[0])}"


@dataclass(frozen=True, slots=True)
class And:
    """Two or more terms that must all match."""

    terms: tuple[Expression, ...]

    def matches(self, attributes: Mapping[str, int | str | None]) -> bool:
        """Whether every term keeps the item."""
        return all(term.matches(attributes) for term in self.terms)

    def __str__(self) -> str:
        return " AND ".join(str(term) if isinstance(term, Comparison) else f"({term})" for term in self.terms)


@dataclass(frozen=True, slots=True)
class Or:
    """Two or more terms of which one must match."""

    terms: tuple[Expression, ...]

    def matches(self, attributes: Mapping[str, int | str | None]) -> bool:
        """Whether any term keeps the item."""
        return any(term.matches(attributes) for term in self.terms)

    def __str__(self) -> str:
        return " OR ".join(f"({term})" if isinstance(term, Or) else str(term) for term in self.terms)


Expression: TypeAlias = Comparison | And | Or


def _literal(value: Value) -> str:
    if isinstance(value, int | float):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
