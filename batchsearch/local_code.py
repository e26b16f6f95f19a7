"""A code that this side gives, before any call; each table of them has its own module."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LocalCode:
    """A refusal made here, before any call.

    Attributes:
        name: What stands in the results as the error code: `Local.…`, or `Transport.…`.
        prevents: The vendor's code that the call would have been answered with, where it is known; a
            problem may name a closer one.
        meaning: What is wrong, one sentence.
        advice: What to do about it, one sentence.
    """

    name: str
    prevents: str | None
    meaning: str
    advice: str
