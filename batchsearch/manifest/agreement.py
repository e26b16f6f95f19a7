"""What the files of one manifest have in common: the type of each column over all of them (pure).

A column without any value in one file takes its type from the others, and so does a file without rows. Where
files differ, the column is read with the wider type (see `widening`); one that some files lack is null there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from batchsearch.errors import Problem
from batchsearch.manifest.column_types import cell, key_type_problem, normal_type
from batchsearch.manifest.passthrough import passthrough_type
from batchsearch.nearest import did_you_mean
from batchsearch.widening import wider_type

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from batchsearch.config.sections.manifest_settings import ManifestSettings
    from batchsearch.manifest.formats.table_file import TableFile

_DELIMITERS: Final = {";": '";"', "\t": "tab", "|": '"|"', ",": '","'}
_LOOKS_LIKE_A_CELL: Final = re.compile(
    r"(?i)[a-z][a-z0-9+.-]*://|data:|[^ ]*[\w)]\.(?:jpe?g|png|gif|webp|bmp|tiff?|avif|heic)$|\d+$"
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A column's types over all files.

    Attributes:
        normal: In which keys, parameters and images are read.
        carried: In which it goes into the results.
    """

    normal: pa.DataType
    carried: pa.DataType


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the files have in common.

    Attributes:
        kinds: Each column's types, by name.
        problems: Where files contradict each other.
    """

    kinds: dict[str, Kind]
    problems: list[Problem]


def agreed(
    tables: Sequence[TableFile],
    *,
    key: frozenset[str],
    named: frozenset[str],
    read: Collection[str] | None,
) -> Agreed:
    """The types of each column over all files, and where there is none for all.

    Args:
        tables: The files, at least one.
        key: Columns that name rows.
        named: Columns that name rows or give parameters: bytes in them are text.
        read: Columns that are read at all; None for all.
    """
    kinds: dict[str, Kind] = {}
    problems: list[Problem] = []
    made: dict[tuple[pa.DataType, bool], Kind] = {}
    # Files without rows come last: nobody knows what their types were to be.
    for table in sorted(tables, key=lambda each: each.rows == 0):
        for field in table.schema:
            name = field.name
            if read is not None and name not in read:
                continue
            asked = (field.type, name in named)
            if asked not in made:
                made[asked] = _kind(*asked)
            own, known = made[asked], kinds.get(name)
            if known is None:
                kinds[name] = own
            elif table.rows == 0 or pa.types.is_null(own.normal) or own == known:
                continue
            elif pa.types.is_null(known.normal):
                kinds[name] = own
            elif (wider := _wider(known, own, is_key=name in key)) is not None:
                kinds[name] = wider
            else:
                problems.append(Problem(str(table.path), _contradicts(name, known, own, is_key=name in key)))
    order = {name: place for place, name in enumerate(_names(tables))}
    return Agreed(dict(sorted(kinds.items(), key=lambda each: order[each[0]])), problems)


def lacking(tables: Sequence[TableFile], needed: Collection[str]) -> list[Problem]:
    """Files without a column that every row needs, which others have."""
    found = []
    for table in tables:
        names = table.schema.names
        found += [
            Problem(
                str(table.path),
                f"has no column {cell(name)}, which other files of the manifest have and each row needs"
                f"{did_you_mean(name, names)}",
            )
            for name in sorted({*needed} - {*names})
            if table.rows != 0
        ]
    return found


def headerless(table: TableFile, settings: ManifestSettings) -> str:
    """What more to say where a column is missing: the first line may be no header, or wrongly split."""
    names = table.schema.names
    csv = settings.csv
    if table.rows is not None or csv.header:
        return ""
    if len(names) == 1:
        other = next((mark for mark in _DELIMITERS if mark != csv.delimiter and mark in names[0]), None)
        if other is not None:
            return (
                f". The first line has no {_DELIMITERS.get(csv.delimiter, csv.delimiter)} but "
                f"{_DELIMITERS[other]}: set `manifest.csv.delimiter: {_DELIMITERS[other]}`"
            )
    if any(_LOOKS_LIKE_A_CELL.match(name) for name in names):
        wanted = ", ".join(["…"] * len(names))
        return (
            f". The first line is taken for column names, and {cell(_value_like(names))} looks like a value: "
            f"if the file has no header, name its columns: `manifest.csv.header: [{wanted}]`"
        )
    return ""


def _value_like(names: Sequence[str]) -> str:
    return next(name for name in names if _LOOKS_LIKE_A_CELL.match(name))


def _names(tables: Sequence[TableFile]) -> Iterator[str]:
    """All column names, those of the first file first."""
    seen: dict[str, None] = {}
    for table in tables:
        seen |= dict.fromkeys(table.schema.names)
    return iter(seen)


def _kind(kind: pa.DataType, is_named: bool) -> Kind:
    normal = normal_type(kind)
    if is_named and pa.types.is_binary(normal):
        return Kind(pa.string(), pa.string())
    return Kind(normal, passthrough_type(kind))


def _wider(known: Kind, own: Kind, *, is_key: bool) -> Kind | None:
    if own.normal == known.normal:
        return known if own.carried == known.carried else Kind(known.normal, known.normal)
    wider = wider_type(known.normal, own.normal)
    if wider is None or (is_key and not _names_alike(known.normal, own.normal, wider)):
        return None
    return Kind(wider, known.carried if known.carried == own.carried else wider)


def _names_alike(one: pa.DataType, other: pa.DataType, wider: pa.DataType) -> bool:
    """Whether cells of either type name the same rows when they are read with the wider one."""
    for kind in (one, other):
        if key_type_problem(kind) is not None:
            return False
        if pa.types.is_string(wider) and pa.types.is_decimal(kind) and kind.scale != 0:
            return False
    return True


def _contradicts(name: str, known: Kind, own: Kind, *, is_key: bool) -> str:
    what = (
        f"column {cell(name)} is {str(own.normal)[:80]} here but {str(known.normal)[:80]} in the files before"
    )
    if is_key:
        return f"{what}; it names rows: write it alike in all files, as text or as whole numbers"
    return (
        f"{what}; write it alike in all files, or leave it out (`manifest.carry` lists the columns that are "
        "carried)"
    )
