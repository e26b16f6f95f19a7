"""What each column of a manifest is for, settled from the headers alone (pure).

A column may name rows, hold a picture, give a parameter, or be none of the batch's business; all but inline
pictures is carried into the results (see `carried`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from batchsearch.config.nearest import did_you_mean
from batchsearch.errors import ManifestError, Problem
from batchsearch.manifest.carried import carried_type, carried_type_problem
from batchsearch.manifest.columns import (
    cell,
    has_path,
    is_picture_struct,
    key_type_problem,
    normal_type,
    parameter_type_problem,
    picture_type_problem,
)
from batchsearch.manifest.findings import LISTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchsearch.config.manifest_settings import ManifestSettings
    from batchsearch.manifest.table_file import TableFile


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operation takes from each row.

    Attributes:
        images: The pictures' roles in the operation's order, such as `("image",)`.
        required: Parameters that a row must give, because nothing else does.
        allowed: All parameters that a row may give.
        base64: Text in a picture column that is no address is the picture itself, in base64.
    """

    images: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    allowed: frozenset[str] = frozenset()
    base64: bool = False


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """One column and what is read of it.

    Attributes:
        name: Its name.
        type: Its type as `columns.normal_type` says, the same in all files.
        is_picture: Whether the operation takes its pictures.
        carried: Its type in the results: for a struct of `bytes` and `path` that of the path; None if
            nothing of it is carried.
    """

    name: str
    type: pa.DataType
    is_picture: bool
    carried: pa.DataType | None

    @property
    def has_bytes(self) -> bool:
        """Whether it holds pictures as bytes, so that at most their paths are carried."""
        return self.is_picture and (pa.types.is_binary(self.type) or pa.types.is_struct(self.type))


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a manifest's columns are for.

    Attributes:
        columns: All that are read, in the order of the first file.
        pictures: The picture columns, in the operation's order.
        parameters: Column names by the parameters that they give.
        base64: Text in a picture column that is no address is the picture itself, in base64.
    """

    columns: tuple[ColumnUse, ...]
    pictures: tuple[str, ...]
    parameters: Mapping[str, str]
    base64: bool

    @property
    def types(self) -> dict[str, pa.DataType]:
        """Each column's normal type, by name."""
        return {use.name: use.type for use in self.columns}

    @property
    def carried(self) -> pa.Schema:
        """The columns as they go into the results."""
        return pa.schema([(use.name, use.carried) for use in self.columns if use.carried is not None])


def understand(tables: Sequence[TableFile], settings: ManifestSettings, wanted: Wanted) -> Meaning:
    """Settles what each column means.

    Args:
        tables: The files, at least one.
        settings: Key and columns.
        wanted: What the operation takes.

    Raises:
        ManifestError: With every disagreement between files, missing column and unusable type.
    """
    kinds, problems = _common_types(tables)
    types = {name: each.normal for name, each in kinds.items()}
    first = str(tables[0].path)
    roles = {role: settings.columns.get(role, role) for role in wanted.images}
    given = {name: column for name, column in settings.columns.items() if name not in roles}
    parameters = {name: given.get(name, name) for name in wanted.required} | given
    problems += [Problem(first, what) for what in _unknown_meanings(parameters, roles, wanted)]
    bodies = frozenset(roles.values()) if wanted.base64 else frozenset()
    problems += [Problem(first, what) for what in _key_problems(types, settings, bodies)]
    uses = tuple(_uses(kinds, set(roles.values())))
    problems += [Problem(first, what) for what in _not_carried(uses)]
    for role, column in roles.items():
        if column not in types:
            what = _missing(f"for the picture `{role}`", column, types, f"columns: {{{role}: …}}")
            problems.append(Problem(first, what))
        elif (what := picture_type_problem(types[column]) or "") != "":
            problems.append(Problem(first, f"column {cell(column)}, mapped to `{role}`, {what}"))
    for name, column in parameters.items():
        if name not in wanted.allowed and name not in wanted.required:
            continue
        if column not in types:
            what = _missing(f"for the parameter `{name}`", column, types, f"columns: {{{name}: …}}")
            problems.append(Problem(first, what))
        elif (what := parameter_type_problem(types[column]) or "") != "":
            problems.append(Problem(first, f"column {cell(column)}, mapped to `{name}`, {what}"))
    if problems:
        more = len(problems) - LISTED
        listed = problems[:LISTED]
        if more > 0:
            listed.append(Problem("in all", f"{len(problems)} problems; these are the first {LISTED}"))
        raise ManifestError(listed)
    return Meaning(uses, tuple(roles.values()), parameters, wanted.base64)


def _uses(kinds: Mapping[str, _Kind], pictures: set[str]) -> Iterator[ColumnUse]:
    for name, kind in kinds.items():
        is_picture = name in pictures
        carried: pa.DataType | None = kind.carried
        if is_picture and is_picture_struct(kind.normal):
            carried = pa.string() if has_path(kind.normal) else None
        elif is_picture and pa.types.is_binary(kind.normal):
            carried = None
        yield ColumnUse(name, kind.normal, is_picture, carried)


def _not_carried(uses: Sequence[ColumnUse]) -> Iterator[str]:
    for use in uses:
        if use.carried is not None and (problem := carried_type_problem(use.carried)) is not None:
            yield f"column {cell(use.name)} {problem}; leave it out or write it as another type"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A column's types over all files."""

    normal: pa.DataType
    carried: pa.DataType


def _kind(kind: pa.DataType) -> _Kind:
    return _Kind(normal_type(kind), carried_type(kind))


def _common_types(tables: Sequence[TableFile]) -> tuple[dict[str, _Kind], list[Problem]]:
    """The types of each column over all files, and where the files disagree with the first one.

    A column without any value in one file takes its type from the others. Where files differ in what
    `normal_type` makes equal, such as the width of text, the column is carried in the normal type.
    """
    first = tables[0]
    kinds = {field.name: _kind(field.type) for field in first.schema}
    for table in tables[1:]:
        for field in table.schema:
            known, own = kinds.get(field.name), _kind(field.type)
            if known is None or pa.types.is_null(own.normal):
                continue
            if pa.types.is_null(known.normal):
                kinds[field.name] = own
            elif own.normal == known.normal and own.carried != known.carried:
                kinds[field.name] = _Kind(known.normal, known.normal)
    problems = []
    for table in tables[1:]:
        given = {field.name: normal_type(field.type) for field in table.schema}
        path = str(table.path)
        problems += [
            Problem(path, f"has no column {cell(name)}, which {first.path.name} has; all files need the same")
            for name in kinds
            if name not in given
        ]
        problems += [
            Problem(
                path, f"has a column {cell(name)} that {first.path.name} has not; all files need the same"
            )
            for name in given
            if name not in kinds
        ]
        problems += [
            Problem(path, f"column {cell(name)} is {kind} here but {kinds[name].normal} in the files before")
            for name, kind in given.items()
            if name in kinds and kind != kinds[name].normal and not pa.types.is_null(kind)
        ]
    return kinds, problems


def _missing(use: str, column: str, types: Mapping[str, pa.DataType], setting: str) -> str:
    hint = did_you_mean(column, types)
    end = "" if hint.endswith("?") else "."
    return f"has no column {cell(column)} {use}{hint}{end} Say which it is under `manifest`: `{setting}`"


def _key_problems(
    types: Mapping[str, pa.DataType], settings: ManifestSettings, bodies: frozenset[str]
) -> Iterator[str]:
    """What is wrong with the columns that name rows; `bodies` are those that hold whole pictures as text."""
    for column in settings.key:
        if column not in types:
            yield _missing("that is to name rows", column, types, "key: [column, …]")
        elif (problem := key_type_problem(types[column])) is not None:
            yield f"column {cell(column)}, which is to name rows, {problem}"
        elif column in bodies:
            yield f"column {cell(column)}, which is to name rows, holds the pictures (`images.text: base64`)"


def _unknown_meanings(
    parameters: Mapping[str, str], roles: Mapping[str, str], wanted: Wanted
) -> Iterator[str]:
    known = {*wanted.allowed, *wanted.required}
    for name in parameters:
        if name not in known:
            hint = did_you_mean(name, sorted({*known, *roles}))
            yield f"`manifest.columns` has `{name[:60]}`, which the operation does not take{hint}"
