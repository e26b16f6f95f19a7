"""Lists of numbers on the command line: `1,4,16`, `1M,100M,1B`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMES: Final[Mapping[str, int]] = {"k": 10**3, "m": 10**6, "b": 10**9}
_MOST: Final = 10**13


class Counts(click.ParamType):  # type: ignore[type-arg] # only later versions of click take one
    """Whole numbers from 1, apart by commas; `k`, `M` and `B` stand for a thousand, a million, a billion."""

    name = "counts"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The numbers, smallest first; empty for an option without any."""
        if not isinstance(value, str):
            return tuple(value)
        if not value:
            return ()
        return tuple(sorted({self._count(each.strip(), value, param, ctx) for each in value.split(",")}))

    def _count(self, text: str, whole: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        times = _TIMES.get(text[-1:].lower(), 1)
        number = text if times == 1 else text[:-1]
        try:
            value = float(number.replace("_", "")) * times
        except ValueError:
            value = math.nan
        if not (1 <= value <= _MOST and value == int(value)):
            self.fail(
                f"{whole[:40]!r}: write whole numbers from 1, apart by commas, such as `1,4,16` or "
                "`1M,100M`; a job file stands before the options",
                param,
                ctx,
            )
        return int(value)


COUNTS: Final = Counts()
