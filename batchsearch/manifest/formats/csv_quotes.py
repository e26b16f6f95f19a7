"""Quotes and escapes in CSV bytes as they stream by: what Arrow would take for something else (pure).

A quote inside a quoted text that is neither doubled nor escaped ends it for Arrow, and what follows is more
of the text: cells change, or rows vanish into one another, and nobody is told. Here such a text is found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LINE_ENDS = b"\r\n"
_BOM = b"\xef\xbb\xbf"


class MisquotedError(ValueError):
    """A quoted text goes on after its closing quote.

    Attributes:
        looks_escaped: Whether quotes nearby have a backslash before them.
    """

    def __init__(self, *, looks_escaped: bool) -> None:
        self.looks_escaped = looks_escaped
        super().__init__("a quoted text goes on after its closing quote")


class QuoteCheck:
    """Follows the quotes of a CSV file in UTF-8, chunk by chunk."""

    def __init__(self, *, delimiter: str, quote: str) -> None:
        self._quote = quote.encode()
        self._bounds = delimiter.encode() + _LINE_ENDS
        self._before = b"\n"
        self._closed = False
        self.inside = False

    def follow(self, chunk: bytes) -> None:
        """Takes the next bytes; `inside` is then whether they end within quotes.

        Raises:
            MisquotedError: A quoted text goes on after its closing quote.
        """
        if not chunk:
            return
        if self._before == b"\n" and chunk.startswith(_BOM):
            chunk = chunk[len(_BOM) :]
        # A closing quote at the end of a chunk is judged with what follows it.
        data = self._before + chunk
        if self._quote in chunk or self._closed:
            self._judge(data, 1 if not self._closed else 0)
        self._before = data[-1:]

    def _judge(self, data: bytes, start: int) -> None:
        found = np.frombuffer(data, dtype=np.uint8)
        places = np.flatnonzero(found[start:] == self._quote[0]) + start
        if self._closed:
            self.inside, self._closed = True, False
        if not self._is_plain(found, places):
            self._walk(data, places.tolist())
            return
        self.inside ^= len(places) % 2 == 1
        self._closed = bool(not self.inside and len(places) and places[-1] == len(data) - 1)

    def _is_plain(self, found: NDArray[np.uint8], places: NDArray[np.intp]) -> bool:
        """Whether quotes open and close texts by turns, each at the bounds of a field or doubled."""
        opening, closing = (places[1::2], places[::2]) if self.inside else (places[::2], places[1::2])
        allowed = np.frombuffer(self._bounds + self._quote, dtype=np.uint8)
        before = found[opening - 1]
        after = found[closing[closing + 1 < len(found)] + 1]
        is_doubled = before == self._quote[0]
        if is_doubled.any() and not np.isin(opening[is_doubled] - 1, closing).all():
            return False
        return bool(np.isin(before, allowed).all() and np.isin(after, allowed).all())

    def _walk(self, data: bytes, places: list[int]) -> None:
        """The same quote by quote, with those that stand in texts without quotes."""
        inside, skipped = self.inside, -1
        last = len(data) - 1
        for place in places:
            if place == skipped:
                continue
            if not inside:
                inside = place == 0 or data[place - 1] in self._bounds
            elif place == last:
                self.inside, self._closed = False, True
                return
            elif data[place + 1] == self._quote[0]:
                skipped = place + 1
            elif data[place + 1] in self._bounds:
                inside = False
            else:
                raise MisquotedError(looks_escaped=b"\\" + self._quote in data)
        self.inside = inside


class Escapes:
    """Leaves an escape only where it takes away a meaning, and shows where the quotes are that have one."""

    def __init__(self, *, escape: str, delimiter: str, quote: str) -> None:
        self._escape = escape.encode()
        self._special = (delimiter + quote + escape).encode() + _LINE_ENDS
        self._pairs = re.compile(re.escape(self._escape) + b"(.)", re.DOTALL)
        self._held = b""

    def take(self, chunk: bytes, *, is_last: bool = False) -> tuple[bytes, bytes]:
        """The next bytes as Arrow is to read them, and the same for `QuoteCheck`.

        An escape before what has no meaning is doubled, so that Arrow leaves both where they are.
        """
        chunk = self._held + chunk
        self._held = b""
        if self._escape not in chunk:
            return chunk, chunk
        if not is_last:
            escapes = len(chunk) - len(chunk.rstrip(self._escape))
            if escapes % 2:
                self._held, chunk = chunk[-1:], chunk[:-1]
        elif (len(chunk) - len(chunk.rstrip(self._escape))) % 2:
            chunk += self._escape
        return self._pairs.sub(self._kept, chunk), self._pairs.sub(b"xx", chunk)

    def _kept(self, found: re.Match[bytes]) -> bytes:
        return found[0] if found[1] in self._special else self._escape + found[0]
