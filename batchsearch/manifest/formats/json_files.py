"""JSON Lines: an object a line, its names the columns. A file that is one array of objects is read, too.

So is the answer of a shop's API: one object that has such an array as one of its members (`json_wrapper`).
Numbers and texts stay what they are; a list of texts is one; what is nested otherwise is its JSON as text.
"""

from __future__ import annotations

import codecs
import json
from typing import IO, TYPE_CHECKING, Any, Final

from batchsearch.manifest.formats.json_wrapper import array_in
from batchsearch.manifest.formats.table_file import UnreadableError
from batchsearch.manifest.formats.unpacked import opened, packing_of, unpacked
from batchsearch.manifest.formats.value_table import LONGEST_ROW, RowError, ValueTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEEPEST: Final = 100
_TOO_DEEP: Final = f"is nested more than {_DEEPEST} deep"
_TOO_LONG: Final = f"is longer than {LONGEST_ROW // 2**20} MiB; JSON Lines has one object a line"
_BLANKS: Final = b" \t\r\n"
_LEAST_READ: Final = 64 * 1024


class JsonFile(ValueTable):
    """One file of JSON Lines, or one array of objects."""

    def _records(self) -> Iterator[tuple[int, Mapping[str, Any], int] | RowError]:
        self._look()
        with unpacked(self.path) as file:
            head = file.read(_LEAST_READ)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise UnreadableError(None, "is UTF-16 text; JSON Lines are UTF-8: save it as such")
        mark = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
        begins = head[mark:].decode("utf-8", "replace")
        with unpacked(self.path) as file:
            file.read(mark)
            if begins.lstrip(" \t\r\n").startswith("["):
                yield from _array(_Text(file))
            elif (found := array_in(begins, is_whole=len(head) < _LEAST_READ)) is not None:
                yield from _wrapped(_Text(file), *found)
            else:
                yield from _lines(file)

    def _look(self) -> None:
        """Refuse a file that is packed otherwise than its name says."""
        packing = packing_of(self.path)
        with opened(self.path) as file:
            begins = file.read(4)
        if begins[:2] == b"\x1f\x8b" and packing is None:
            what = "is packed with gzip, and its name does not say so: let it end with `.gz`"
            raise UnreadableError(None, what)
        if packing is not None and begins and not begins.startswith(packing.mark):
            what = f"is not packed with {packing.name}, although its name ends with `{packing.suffix}`"
            raise UnreadableError(None, f"{what}; take that away")


def _lines(file: IO[bytes]) -> Iterator[tuple[int, Mapping[str, Any], int] | RowError]:
    number = 0
    while line := file.readline(LONGEST_ROW + 1):
        number += 1
        if len(line) > LONGEST_ROW:
            raise UnreadableError(number, _TOO_LONG)
        if not line.strip(_BLANKS):
            continue
        found = _read(line)
        if isinstance(found, str):
            if number == 1 and line.strip(_BLANKS) == b"{":
                found = (
                    "begins an object of several lines; JSON Lines has one object a line (`jq -c` writes it)"
                )
            yield RowError(number, found)
        else:
            yield number, found, len(line)


def _array(text: _Text) -> Iterator[tuple[int, Mapping[str, Any], int] | RowError]:
    """The objects of an array, which may take several lines each."""
    text.skip_one()
    while text.begins() != "]":
        value, end = text.value()
        checked = _checked(value)
        yield RowError(text.line, checked) if isinstance(checked, str) else (text.line, checked, end)
        text.drop(end)
        if text.begins() not in (",", "]"):
            raise UnreadableError(text.line, "is no whole JSON array: a comma or `]` belongs here")
        if text.begins() == ",":
            text.skip_one()
    text.skip_one()


def _wrapped(text: _Text, place: int, depth: int) -> Iterator[tuple[int, Mapping[str, Any], int] | RowError]:
    """The objects of an array that begins at a place, so many objects deep; what is behind it is no row."""
    while len(text.held) <= place:
        text.more()
    text.drop(place)
    yield from _array(text)
    while depth:
        if text.begins() == "}":
            depth -= 1
            text.skip_one()
            continue
        for before in (",", ":"):
            if text.begins() != before:
                raise UnreadableError(text.line, "is no whole JSON object: it is cut, or a comma is missing")
            text.skip_one()
            text.begins()
            value, end = text.value()
            if isinstance(value, list | dict) and _is_deep(value):
                raise UnreadableError(text.line, _TOO_DEEP)
            text.drop(end)
    if text.begins():
        raise UnreadableError(text.line, "goes on behind the object that holds its rows")


class _Text:
    """What of a file is in memory, and on which line it begins."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._read_value = json.JSONDecoder(parse_constant=_no_number).raw_decode
        self.held = ""
        self.line = 1
        self.ended = False

    def more(self) -> None:
        """Read on."""
        data = self._file.read(max(_LEAST_READ, len(self.held)))
        self.ended = not data
        self.held += self._decode(data, final=self.ended)

    def drop(self, length: int) -> None:
        """Go on behind so many characters."""
        self.line += self.held.count("\n", 0, length)
        self.held = self.held[length:]

    def begins(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            rest = self.held.lstrip(" \t\r\n")
            self.drop(len(self.held) - len(rest))
            if rest or self.ended:
                return rest[:1]
            self.more()

    def value(self) -> tuple[Any, int]:
        """The value that begins here, and how many characters it is.

        Raises:
            UnreadableError: There is none, or it is too long or too deep.
        """
        while True:
            try:
                return self._read_value(self.held)
            except RecursionError:
                raise UnreadableError(self.line, _TOO_DEEP) from None
            except ValueError as error:
                if self.ended:
                    raise UnreadableError(self.line, f"{_said(error)}, or ends too early") from None
                if len(self.held) > LONGEST_ROW:
                    raise UnreadableError(self.line, _TOO_LONG) from None
                # As much again as there is: an object that does not fit is tried a few times only.
                self.more()

    def skip_one(self) -> None:
        """Go on behind the next character that is no blank."""
        self.begins()
        self.drop(1)


def _read(line: bytes) -> Mapping[str, Any] | str:
    """The object that a line is, or what is wrong with it."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "is not UTF-8 text, as JSON Lines are"
    try:
        return _checked(json.loads(text, parse_constant=_no_number))
    except RecursionError:
        return _TOO_DEEP
    except ValueError as error:
        return _said(error)


def _checked(value: Any) -> Mapping[str, Any] | str:
    if not isinstance(value, dict):
        return f'is {_called(value)} and no object; a row is written {{"id": …, "image": …}}'
    for name, each in value.items():
        if isinstance(each, list | dict) and _is_deep(each):
            return _TOO_DEEP
        try:
            name.encode()
        except UnicodeEncodeError:
            return "has a name with half a character (a lone surrogate)"
    return value


def _is_deep(value: Any) -> bool:
    """Whether something is nested too deeply; looked at level by level."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            below
            for each in level
            for below in (each.values() if isinstance(each, dict) else each)
            if isinstance(below, list | dict)
        ]
        if not level:
            return False
    return True


def _called(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _said(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        # What the library says after that repeats the row.
        return f"is not JSON: {error.msg[:60].lower()} at character {error.colno}"
    return "holds a number with thousands of digits"


def _no_number(_: str) -> None:
    """NaN and Infinity, which JSON does not have, are no value."""
