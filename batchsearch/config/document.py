"""YAML text to plain values with line numbers, in a small and safe part of the language.

Job files are written by people and sent around, so nothing in them is executed, expanded without bound or
guessed. What is understood, close to YAML 1.2's core:

* `null`, `~` and nothing are null; `true` and `false` (also `True`, `TRUE`) are switches. `yes`, `no`, `on`
  and `off` are text; a setting that is a switch takes them all the same.
* Whole numbers are decimal, without leading zeros, of at most 18 digits; `0.5` and `1e3` are numbers.
  `0123`, `0x1F`, `1_000`, `22:00`, `2026-11-21` and longer digits are text: identifiers stay what they are.
* Anchors and aliases work within the bound on the number of values. Tags other than `!!str`, `!!int`,
  `!!float`, `!!bool`, `!!null`, `!!map` and `!!seq`, a name given twice, several documents and names that
  are no plain values are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

import yaml

from batchsearch.config.shape import dotted
from batchsearch.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchsearch.config.shape import SettingPath

MAX_BYTES: Final = 256 * 1024
"""Largest job file: a hundred times what one needs, and parsed in seconds."""
MAX_VALUES: Final = 10_000
"""Most values of a file with its aliases written out; stops aliases of aliases of aliases."""
MAX_DEPTH: Final = 20

_TAG: Final = "tag:yaml.org,2002:"
_CONTAINER_TAGS: Final = frozenset({None, "!", f"{_TAG}map", f"{_TAG}seq"})
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_SWITCHES: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_REAL: Final = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]{0,17})?\.[0-9]+|(?:0|[1-9][0-9]{0,17})\.?)(?:[eE][-+]?[0-9]{1,3})?"
)

# What the parser says, and what it most often means. First match wins.
_ADVICE: Final = (
    (
        "cannot start any token",
        "a tab or a stray character; indent with spaces, and quote text that begins with it",
    ),
    (
        "mapping values are not allowed",
        "a second `: ` on one line, or wrong indentation; quote text that has `: ` in it",
    ),
    ("did not find expected <block end>", "the indentation does not match the lines above"),
    ("could not find expected ':'", "a name without `:` after it"),
    ("did not find expected ',' or '}'", "a `{` that is not closed"),
    ("did not find expected ',' or ']'", "a `[` that is not closed"),
    ("expected ',' or '}'", "a `{` that is not closed"),
    ("expected ',' or ']'", "a `[` that is not closed"),
    ("expected <block end>", "the indentation does not match the lines above"),
    ("found '<stream end>'", "the file ends inside a `[` or `{` that is not closed"),
    ("unexpected end of stream", "a quote that is not closed"),
    ("expected alphabetic or numeric character", "text that begins with `*` or `&` must be quoted"),
    ("undefined alias", "an alias (`*name`) whose anchor (`&name`) does not stand above it"),
    ("unknown escape character", "a `\\` in double quotes; use single quotes"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from.

    Attributes:
        kind: `file`, `environment` (a variable), `override` (`--set`) or `default`.
        name: File, variable, or the setting as `--set` named it.
        line: Line in the file, from 1.
    """

    kind: Literal["file", "environment", "override", "default"]
    name: str = ""
    line: int | None = None

    def __str__(self) -> str:
        if self.kind == "default":
            return "default"
        if self.kind == "override":
            return f"--set {self.name}"
        return self.name if self.line is None else f"{self.name}:{self.line}"

    def where(self, path: SettingPath) -> str:
        """What a person opens to mend the setting of that path, with the path unless it says it already."""
        if self.kind in ("environment", "override") or not path:
            return str(self)
        return f"{self}: {dotted(path)}"


@dataclass(slots=True)
class Document:
    """Plain values and where each stands.

    Attributes:
        root: The values: dict, list, str, int, float, bool and None.
        sources: Source of each value by its path; a value's is the line of its name.
        problems: What was wrong with the values that were left out.
    """

    root: dict[str, Any]
    sources: dict[SettingPath, Source]
    problems: list[Problem] = field(default_factory=list)

    def source(self, path: SettingPath) -> Source:
        """Where a path is given, or the nearest section around it that is."""
        for length in range(len(path), -1, -1):
            if (found := self.sources.get(path[:length])) is not None:
                return found
        return Source("default")


def parse_document(text: str, name: str) -> Document:
    """The settings in a job file's text.

    Args:
        text: The whole file.
        name: What messages call the file.

    Raises:
        ConfigError: The text is not YAML, or not settings with their values; with line and column.
    """
    builder = _Builder(name)
    try:
        root = builder.document(text)
    except yaml.YAMLError as error:
        raise ConfigError([_syntax_problem(error, name)]) from None
    if root is None:
        raise ConfigError.at(
            name, "is empty; it needs at least `operation`, `instance`, `manifest` and `output`"
        )
    if not isinstance(root, dict):
        raise ConfigError.at(name, "must be settings, one `name: value` a line")
    sources = {(): Source("file", name), **builder.sources}
    return Document(root, sources, builder.problems)


def parse_value(text: str) -> Any:
    """One value as it would stand after `name:` in a job file.

    Raises:
        ValueError: The text is no YAML value; the message says why.
    """
    builder = _Builder("")
    try:
        value = builder.document(text)
    except yaml.YAMLError as error:
        raise ValueError(_advice(error)) from None
    except ConfigError as error:
        raise ValueError(error.problems[0].what) from None
    if builder.problems:
        raise ValueError(builder.problems[0].what)
    return value


def plain_scalar(text: str) -> str | int | float | bool | None:
    """What unquoted text means."""
    if text in _NULL:
        return None
    if text in _SWITCHES:
        return _SWITCHES[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        return float(text)
    return text


class _Builder:
    """Builds values from the parser's events: the parser keeps its own stack, so depth is counted here."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sources: dict[SettingPath, Source] = {}
        self.problems: list[Problem] = []
        self.anchors: dict[str, tuple[Any, dict[SettingPath, Source]]] = {}
        self.values = 0

    def document(self, text: str) -> Any:
        """The one value of a text; None for an empty one."""
        events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        value: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "a second document begins here; a job file is one")
                value = self._value(next(events), events, ())
        return value

    def _refuse(self, event: yaml.Event, what: str) -> NoReturn:
        column = event.start_mark.column + 1 if event.start_mark is not None else 1
        raise ConfigError.at(f"{self.name}:{_line(event)}", f"{what} (column {column})")

    def _count(self, event: yaml.Event, more: int, depth: int) -> None:
        self.values += more
        if self.values > MAX_VALUES:
            self._refuse(event, f"more than {MAX_VALUES:,} values, aliases written out; no job needs so many")
        if depth > MAX_DEPTH:
            self._refuse(event, f"nested deeper than {MAX_DEPTH} levels")

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], path: SettingPath) -> Any:
        self._count(event, 1, len(path))
        before = len(self.sources)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif getattr(event, "tag", None) not in _CONTAINER_TAGS:
            self._refuse(event, f"the tag `{str(getattr(event, 'tag', ''))[:40]}` is not understood here")
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(events, path)
        else:
            value = self._sequence(events, path)
        if (anchor := getattr(event, "anchor", None)) is not None:
            inside = islice(self.sources.items(), before, None)
            self.anchors[anchor] = value, {place[len(path) :]: source for place, source in inside}
        return value

    def _alias(self, event: yaml.AliasEvent, path: SettingPath) -> Any:
        anchored = self.anchors.get(event.anchor or "")
        if anchored is None:
            self._refuse(event, "an alias (`*name`) whose anchor (`&name`) does not stand whole above it")
        value, below = anchored
        self._count(event, _size(value), len(path) + _depth(value))
        for place, source in below.items():
            self.sources.setdefault(path + place, source)
        return _copy(value)

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text = str(event.value)
        if event.tag in (None, "!"):
            return plain_scalar(text) if event.implicit[0] else text
        wanted: dict[str, tuple[type, ...]] = {
            f"{_TAG}str": (str,),
            f"{_TAG}int": (int,),
            f"{_TAG}float": (float, int),
            f"{_TAG}bool": (bool,),
            f"{_TAG}null": (type(None),),
        }
        if event.tag == f"{_TAG}str":
            return text
        value = plain_scalar(text)
        if type(value) not in wanted.get(event.tag, ()):
            self._refuse(event, f"the tag `{event.tag[:40]}` is not understood here")
        return value

    def _mapping(self, events: Iterator[yaml.Event], path: SettingPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._refuse(event, "a name must be plain text")
            name = str(event.value)
            place = (*path, name)
            source = Source("file", self.name, _line(event))
            if name in found:
                first = self.sources[place].line
                self.problems.append(
                    Problem(source.where(place), f"is given twice; the first is on line {first}")
                )
                # Parsed for what else is wrong in it, then dropped: the first stays.
                kept = dict(self.sources)
                self._value(next(events), events, place)
                self.sources = kept
                continue
            self.sources[place] = source
            found[name] = self._value(next(events), events, place)
        return found

    def _sequence(self, events: Iterator[yaml.Event], path: SettingPath) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            place = (*path, len(found))
            self.sources[place] = Source("file", self.name, _line(event))
            found.append(self._value(event, events, place))
        return found


def _line(event: yaml.Event) -> int:
    return 1 if event.start_mark is None else event.start_mark.line + 1


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(_size(below) for below in value.values())
    return 1 + sum(_size(below) for below in value) if isinstance(value, list) else 1


def _depth(value: Any) -> int:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, below), default=0)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(below) for name, below in value.items()}
    return [_copy(below) for below in value] if isinstance(value, list) else value


def _advice(error: yaml.YAMLError) -> str:
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "not readable")
    return next((meant for pattern, meant in _ADVICE if pattern in said), said[:120])


def _syntax_problem(error: yaml.YAMLError, name: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return Problem(name, f"is not YAML: {_advice(error)}")
    return Problem(f"{name}:{mark.line + 1}", f"not YAML here, column {mark.column + 1}: {_advice(error)}")
