"""Failures for people: each code with how many rows have it, what it means and what to do (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def failure_lines(
    counts: Mapping[str, int],
    meanings: Mapping[str, str],
    advice: Mapping[str, str],
    examples: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """The most frequent code first, a few lines each.

    Args:
        counts: Rows by code.
        meanings: What each code means.
        advice: What to do about it.
        examples: A few rows of each, as they are to be shown.
    """
    lines = []
    for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        lines.append(f"    {count:>7,}  {code}")
        lines += [f"             {meanings[code]}"] if meanings.get(code) else []
        lines += [f"             → {advice[code]}"] if advice.get(code) else []
        lines += [f"             {example}" for example in (examples or {}).get(code, ())]
    return lines
