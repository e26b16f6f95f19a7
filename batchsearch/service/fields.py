"""Reading an object of an answer field by field: nothing in it fails, every deviation is noted (pure)."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
"""Text that is a whole number."""

INT64: Final = 2**63
"""What the columns' whole numbers stay below."""


class Fields:
    """One object of the answer, read field by field; deviations are noted once for each place and kind."""

    __slots__ = ("_place", "_seen", "content", "problems")

    def __init__(self, content: Mapping[str, Any], place: str, problems: set[str]) -> None:
        self.content = content
        self.problems = problems
        self._place = place
        self._seen: set[str] = set()

    def text(self, name: str, *, expected: bool = False) -> str | None:
        """A text; a number is noted and read as one."""
        value = self._take(name, expected=expected)
        if isinstance(value, str):
            if value.isascii():
                return value
            readable = value.encode("utf-8", "replace").decode()  # half a surrogate pair fits no column
            if readable != value:
                self._note(name)
            return readable
        if value is None:
            return None
        self._note(name)
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def integer(self, name: str, *, expected: bool = False) -> int | None:
        """A 64-bit integer; what says one without loss is noted and read."""
        value = self._take(name, expected=expected)
        if type(value) is int and -INT64 <= value < INT64:
            return value
        if value is None:
            return None
        self._note(name)
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            return int(value)
        if isinstance(value, str) and WHOLE.fullmatch(value.strip()) and abs(int(value)) < INT64:
            return int(value)
        return None

    def word(self, name: str, *, expected: bool = False) -> str | None:
        """What names something: text or a whole number, and no deviation where pages and samples differ."""
        value = self._take(name, expected=expected)
        if type(value) is int:
            return str(value)
        return self.text(name) if value is not None else None

    def whole(self, name: str) -> int | None:
        """A 64-bit integer that comes as a number or as text, neither of them a deviation."""
        value = self._take(name, expected=False)
        if isinstance(value, str) and WHOLE.fullmatch(value.strip()) and abs(int(value)) < INT64:
            return int(value)
        return self.integer(name) if value is not None else None

    def real(self, name: str, *, expected: bool = False) -> float | None:
        """A finite number, likewise."""
        value = self._take(name, expected=expected)
        if type(value) is float and math.isfinite(value):
            return value
        if type(value) is int and abs(value) < INT64:
            return float(value)
        if value is None:
            return None
        self._note(name)
        if isinstance(value, str):
            try:
                number = float(value)
            except ValueError:
                return None
            return number if math.isfinite(number) else None
        return None

    def boolean(self, name: str, *, expected: bool = False) -> bool | None:
        """A truth value, likewise."""
        value = self._take(name, expected=expected)
        if value is None or isinstance(value, bool):
            return value
        self._note(name)
        return {"true": True, "false": False, "1": True, "0": False}.get(str(value).strip().lower())

    def inner(self, name: str, *, expected: bool = False) -> Fields | None:
        """An object inside this one."""
        value = self._take(name, expected=expected)
        if isinstance(value, dict):
            return Fields(value, f"{self._place}{name}.", self.problems)
        if value is not None:
            self._note(name)
        return None

    def each(self, name: str, *, expected: bool = False) -> list[Fields]:
        """The objects of a list; entries that are none are noted and left out."""
        value = self._take(name, expected=expected)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self._note(name)
        entries = value if isinstance(value, list) else []
        place = f"{self._place}{name}[]."
        return [Fields(entry, place, self.problems) for entry in entries if isinstance(entry, dict)]

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of a list; entries that are none are noted and left out."""
        value = self._take(name, expected=False)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            self._note(name)
        entries = value if isinstance(value, list) else []
        return tuple(entry for entry in entries if isinstance(entry, str))

    def done(self, *others: str) -> None:
        """Note the fields that nobody asked for; `others` are known and deliberately not kept."""
        for name in self.content:
            if name not in self._seen and name not in others:
                self.problems.add(f"{self._place}{name[:64]} is not documented")

    def _take(self, name: str, *, expected: bool) -> Any:
        self._seen.add(name)
        value = self.content.get(name)
        if value is None and (expected or name in self.content):
            self.problems.add(f"{self._place}{name} is missing or null")
        return value

    def _note(self, name: str) -> None:
        self.problems.add(f"{self._place}{name} is of another type")
