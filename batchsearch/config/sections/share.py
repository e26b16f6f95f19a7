"""Settings that are a share (`5%`) or a number of rows (pure)."""

from __future__ import annotations

import math
from typing import Final

_HUNDRED_PERCENT: Final = 100.0


def checked_share(setting: str | float) -> str | float:
    """The setting as it is.

    Raises:
        ValueError: It is neither a share from 0 to 100 % nor a number from 0.
    """
    number, of_rows = _read(setting)
    if not math.isfinite(number) or number < 0 or (of_rows and number > _HUNDRED_PERCENT):
        raise ValueError(f"{str(setting)[:40]!r} is neither a share like `5%` nor a number of rows")
    return setting


def allowed_of(setting: str | float, rows: int) -> float:
    """How many of `rows` a checked setting allows."""
    number, of_rows = _read(setting)
    return number / 100 * rows if of_rows else number


def _read(setting: str | float) -> tuple[float, bool]:
    """The number, NaN for what is none, and whether it is per cent."""
    text = str(setting).strip()
    try:
        return float(text.removesuffix("%")), text.endswith("%")
    except ValueError:
        return math.nan, False
