"""The one type in which a column of several files is read where their types differ (pure).

Files of one table are written by different programs and in different years: whole numbers become wider, a
missing value turns them into doubles, a unit gets finer. The wider type holds the values of both. Where there
is none but text would lose nothing, the column is text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    _Wider: TypeAlias = Callable[[pa.DataType, pa.DataType], pa.DataType | None]

_DIGITS: Final = {8: 3, 16: 5, 32: 10, 64: 20}
_MOST_DIGITS: Final = 76
_DIGITS_OF_128_BITS: Final = 38
_UNITS: Final = ("s", "ms", "us", "ns")


def wider_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """A type that holds the values of both; None if there is none.

    Args:
        one: As `columns.normal_type` says.
        other: Likewise.
    """
    types = pa.types
    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    families: tuple[tuple[Callable[[pa.DataType], bool], _Wider], ...] = (
        (_is_number, _number),
        (_is_moment, _moment),
        (types.is_duration, _duration),
        (types.is_time, _time),
        (types.is_nested, _nested),
    )
    for is_member, wider in families:
        if is_member(one) and is_member(other):
            return wider(one, other)
    rest = other if types.is_string(one) else one
    has_text = types.is_string(one) or types.is_string(other)
    return pa.string() if has_text and _is_written_as_text(rest) else None


def is_uuid(kind: pa.DataType) -> bool:
    """Whether a type is that of UUIDs, sixteen bytes each."""
    return isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "arrow.uuid"


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _is_moment(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _is_written_as_text(kind: pa.DataType) -> bool:
    return is_uuid(kind) or _is_number(kind) or _is_moment(kind) or bool(pa.types.is_boolean(kind))


def _finer(one: str, other: str) -> str:
    return max(one, other, key=_UNITS.index)


def _number(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if types.is_floating(one) or types.is_floating(other):
        floats = [kind for kind in (one, other) if types.is_floating(kind)]
        is_small = len(floats) == 2 and pa.float64() not in floats  # noqa: PLR2004 - both
        return pa.float32() if is_small else pa.float64()
    if types.is_integer(one) and types.is_integer(other):
        return _whole(one, other)
    return _decimal(one, other)


def _whole(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    signed = [kind for kind in (one, other) if pa.types.is_signed_integer(kind)]
    if len(signed) != 1:
        return one if one.bit_width >= other.bit_width else other
    unsigned = other if signed[0] == one else one
    # The sign takes a bit that the unsigned numbers use.
    width = max(signed[0].bit_width, 2 * unsigned.bit_width)
    by_width = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
    return by_width.get(width) or pa.decimal128(_DIGITS[64], 0)


def _decimal(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    def digits(kind: pa.DataType) -> tuple[int, int]:
        """Before and after the point."""
        if pa.types.is_integer(kind):
            return _DIGITS[kind.bit_width], 0
        return kind.precision - kind.scale, max(kind.scale, 0)

    before = max(digits(one)[0], digits(other)[0])
    after = max(digits(one)[1], digits(other)[1])
    digits_of_both = before + after
    if digits_of_both > _MOST_DIGITS:
        return None
    narrow = digits_of_both <= _DIGITS_OF_128_BITS
    return pa.decimal128(digits_of_both, after) if narrow else pa.decimal256(digits_of_both, after)


def _duration(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    return pa.duration(_finer(one.unit, other.unit))


def _time(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    unit = _finer(one.unit, other.unit)
    return pa.time64(unit) if unit in ("us", "ns") else pa.time32(unit)


def _moment(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if types.is_date(one) and types.is_date(other):
        return pa.date32()
    if types.is_timestamp(one) and types.is_timestamp(other):
        if (one.tz is None) != (other.tz is None):
            return None  # Whose clock the one without a zone is by, nobody knows.
        zone = one.tz if one.tz == other.tz else "UTC"
        return pa.timestamp(_finer(one.unit, other.unit), zone)
    moment = one if types.is_timestamp(one) else other
    return moment if moment.tz is None else None


def _nested(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if types.is_struct(one) and types.is_struct(other):
        if [field.name for field in one] != [field.name for field in other]:
            return None
        inner = [wider_type(left.type, right.type) for left, right in zip(one, other, strict=True)]
        if any(kind is None for kind in inner):
            return None
        return pa.struct([field.with_type(kind) for field, kind in zip(one, inner, strict=True)])
    listed = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    if any(kind(one) for kind in listed) and any(kind(other) for kind in listed):
        element = wider_type(one.value_type, other.value_type)
        if element is None:
            return None
        is_large = types.is_large_list(one) or types.is_large_list(other)
        return pa.large_list(element) if is_large else pa.list_(element)
    return None
