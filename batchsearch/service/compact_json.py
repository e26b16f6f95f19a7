"""JSON as it is kept and read by the thousand: with orjson where that is installed, else with Python's own.

Both write the same values. What orjson refuses and Python does not (half a surrogate pair, numbers of more
than 64 bits, text that is no UTF-8) goes Python's way.
"""

from __future__ import annotations

import json
from typing import Any, Final


def _installed() -> Any:
    """The extra `fast`, None where it is not installed."""
    try:
        import orjson
    except ImportError:
        return None
    return orjson


_fast: Final = _installed()

# `json.dumps` with these options would make an encoder for every line.
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def encoded(value: Any) -> bytes:
    """One line of UTF-8 without blanks; half a surrogate pair, which no column can hold, becomes `?`."""
    if _fast is not None:
        try:
            line: bytes = _fast.dumps(value)
        except TypeError:
            pass
        else:
            return line
    return _encode(value).encode("utf-8", "replace")


def decoded(text: bytes) -> Any:
    """What JSON says.

    Raises:
        ValueError: It is none.
        RecursionError: It is nested too deeply.
    """
    if _fast is not None:
        try:
            return _fast.loads(text)
        except ValueError:
            pass
    return json.loads(text)
