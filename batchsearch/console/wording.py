"""Words of the console's pages: one table, so that another language can follow as another file.

`texts/en.toml` has every text by its key: `[page]`, then a name. A text has `{fields}` of `str.format`; one
that goes by a number has two forms, `one` and `many`, chosen by the field `n`. Names of operations, of
parameters and of columns, and error codes, are the service's own and in no table.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

_FORMS: Final = frozenset({"one", "many"})
_SCRIPT: Final = "script"


@dataclass(frozen=True, slots=True)
class Plural:
    """A text that goes by a number."""

    one: str
    many: str


@dataclass(frozen=True, slots=True)
class Words:
    """How a parameter is called, and what is said about it."""

    label: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Texts:
    """A table of texts.

    Attributes:
        by_key: Each text by its key.
    """

    by_key: Mapping[str, str | Plural]

    @classmethod
    def of(cls, table: str) -> Self:
        """The table that a TOML file holds."""
        return cls(MappingProxyType(dict(_flat(tomllib.loads(table)))))

    def text(self, key: str, n: Any = None) -> str:
        """A text with its fields still open.

        Args:
            key: Names it; raises KeyError for a key that the table lacks.
            n: The number that its form goes by.
        """
        found = self.by_key[key]
        if isinstance(found, Plural):
            return found.one if n == 1 else found.many
        return found

    def family(self, name: str) -> dict[str, str | Plural]:
        """All texts below a name, by the rest of their keys."""
        before = f"{name}."
        return {key.removeprefix(before): each for key, each in self.by_key.items() if key.startswith(before)}


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str | Plural]]:
    for name, each in table.items():
        key = f"{before}{name}"
        if isinstance(each, str):
            yield key, each
        elif each.keys() == _FORMS:
            yield key, Plural(each["one"], each["many"])
        else:
            yield from _flat(each, f"{key}.")


@cache
def texts() -> Texts:
    """The table that pages are made with."""
    table = files("batchsearch.console").joinpath("texts", "en.toml")
    return Texts.of(table.read_text(encoding="utf-8"))


def say(key: str, /, **values: Any) -> str:
    """A text of the table.

    Args:
        key: Names it.
        values: What its fields are; `n` chooses the form of one that goes by a number.
    """
    return texts().text(key, values.get("n")).format(**values)


def parameters() -> dict[str, Words]:
    """The words of each parameter, by its snake_case name."""
    told: dict[str, dict[str, str]] = {}
    for key in texts().family("parameters"):
        name, _, part = key.rpartition(".")
        told.setdefault(name, {})[part] = texts().text(f"parameters.{key}")
    return {name: Words(**each) for name, each in told.items()}


def operations() -> dict[str, str]:
    """What each operation is called, by its name."""
    return {name: texts().text(f"operations.{name}") for name in texts().family("operations")}


def screens() -> dict[str, str]:
    """What each screen is called, by its name."""
    return {name: texts().text(f"screens.{name}") for name in texts().family("screens")}


def script_texts() -> dict[str, Any]:
    """The texts of the scripts by the rest of their keys."""
    return {
        key: {"one": each.one, "many": each.many} if isinstance(each, Plural) else each
        for key, each in texts().family(_SCRIPT).items()
    }
