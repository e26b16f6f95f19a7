"""The space of all digests, cut into spans that hold about so many rows of a table (pure).

A span is asked for with a statement that neither sorts nor counts to a limit: half the time of one that
does. Digests are spread evenly, so a span's width says how many there are; where they are not, the next spans
are as much wider or narrower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Span: TypeAlias = tuple[bytes, bytes]
"""Digests greater than the first and up to the second."""

_SPACE: Final = 1 << 64
_FIRST: Final = _SPACE >> 12
_MOST_WIDER: Final = 16
"""A span is so many times as wide as the one before at most: the last one may have held none by chance."""


class Spans:
    """Spans one after the other, from one digest to another; `held` is to be called for each of them.

    Args:
        most: How many rows a span is to hold, about.
        after: Only digests greater than this one.
        upto: Only digests up to this one, of at least eight bytes; None for all.
    """

    def __init__(self, most: int, after: bytes = b"", upto: bytes | None = None) -> None:
        self._most = most
        self._after = after
        self._upto = upto
        self._width = _FIRST
        self._given = 0

    def held(self, rows: int) -> None:
        """The last span had so many rows."""
        if rows <= self._most and self._given < self._width // 2:
            # What was left before the end says little.
            return
        wanted = self._given * self._most // max(rows, 1)
        self._width = max(1, min(wanted, self._given * _MOST_WIDER))

    def between(self, after: bytes, upto: bytes) -> Spans:
        """Spans of other digests of the same table, as wide as the last ones."""
        other = Spans(self._most, after, upto)
        other._width = self._width
        return other

    def __iter__(self) -> Iterator[Span]:
        begin = int.from_bytes(self._after[:8].ljust(8, b"\0"))
        last = _SPACE - 1 if self._upto is None else int.from_bytes(self._upto[:8])
        after = self._after
        while True:
            end = begin + self._width - 1
            self._given = min(end, last) - begin + 1
            if end >= last:
                yield after, b"\xff" * 64 if self._upto is None else self._upto
                return
            upto = end.to_bytes(8) + b"\xff" * 56
            yield after, upto
            after, begin = upto, end + 1
