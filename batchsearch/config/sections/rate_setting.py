"""A rate as job files write it: a number above 0, or `unlimited`; as settings hold it: infinite, then."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, PlainSerializer, WithJsonSchema, WrapValidator

from batchsearch.nearest import nearest

if TYPE_CHECKING:
    from pydantic import ValidatorFunctionWrapHandler

UNLIMITED: Final = "unlimited"


def _read(value: object, as_number: ValidatorFunctionWrapHandler) -> Any:
    if not isinstance(value, str):
        return as_number(value)
    if value.strip() == UNLIMITED:
        return math.inf
    if nearest(value, [UNLIMITED]) is not None:
        raise ValueError(f"must be a number or `{UNLIMITED}`, not {value[:40]!r}")
    return as_number(value)


def _written(rate: float) -> Any:
    return UNLIMITED if math.isinf(rate) else rate


Rate = Annotated[
    float,
    Field(gt=0),
    WrapValidator(_read),
    PlainSerializer(_written),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": UNLIMITED}]}),
]
"""Calls per second."""
