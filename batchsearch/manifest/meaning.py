"""What each column of a manifest is for, settled from the headers alone (pure).

A column may name rows, hold an image, give a parameter, or be none of the batch's business; all but inline
images is carried into the results (see `carried`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from batchsearch.errors import ManifestError, Problem
from batchsearch.manifest.agreement import agreed, headerless, lacking
from batchsearch.manifest.column_types import (
    cell,
    has_path,
    image_type_problem,
    is_image_struct,
    key_type_problem,
    parameter_type_problem,
)
from batchsearch.manifest.passthrough import passthrough_type_problem
from batchsearch.manifest.row_findings import LISTED
from batchsearch.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from batchsearch.config.image_texts import TextKind
    from batchsearch.config.sections.manifest_settings import ManifestSettings
    from batchsearch.manifest.agreement import Kind
    from batchsearch.manifest.formats.table_file import TableFile
    from batchsearch.manifest.instance_rows import InstanceRows


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operation takes from each row.

    Attributes:
        images: The images' roles in the operation's order, such as `("image",)`.
        required: Parameters that a row must give, because nothing else does.
        allowed: All parameters that a row may give.
        texts: What a text in an image column is that has no scheme.
        kept: Columns that other parts of the job read in the results, so that they are carried whatever
            `manifest.carry` says.
        of_instance: The only rows that are wanted, where they are those of one instance.
    """

    images: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    allowed: frozenset[str] = frozenset()
    texts: TextKind = "path"
    kept: frozenset[str] = frozenset()
    of_instance: InstanceRows | None = None


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """One column and what is read of it.

    Attributes:
        name: Its name.
        type: Its type as `columns.normal_type` says, the same in all files.
        is_image: Whether the operation takes its images.
        carried: Its type in the results: for a struct of `bytes` and `path` that of the path; None if
            nothing of it is carried.
    """

    name: str
    type: pa.DataType
    is_image: bool
    carried: pa.DataType | None

    @property
    def has_bytes(self) -> bool:
        """Whether it holds images as bytes, so that at most their paths are carried."""
        return self.is_image and (pa.types.is_binary(self.type) or pa.types.is_struct(self.type))


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a manifest's columns are for.

    Attributes:
        columns: All that are read, in the order of the first file.
        images: The image columns, in the operation's order.
        parameters: Column names by the parameters that they give.
        texts: What a text in an image column is that has no scheme.
    """

    columns: tuple[ColumnUse, ...]
    images: tuple[str, ...]
    parameters: Mapping[str, str]
    texts: TextKind

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
    first = str(tables[0].path)
    roles = {role: settings.columns.get(role, role) for role in wanted.images}
    given = {name: column for name, column in settings.columns.items() if name not in roles}
    parameters = {name: given.get(name, name) for name in wanted.required} | given
    known = [name for name in parameters if name in wanted.allowed or name in wanted.required]
    named = {*settings.key, *(parameters[name] for name in known)} - set(roles.values())
    needed = {*settings.key, *roles.values(), *(parameters[name] for name in wanted.required)}
    carry = {*settings.carry, *wanted.kept} if isinstance(settings.carry, tuple) else wanted.kept
    read = None if settings.carry == "all" else needed | named | carry
    found = agreed(tables, key=frozenset(settings.key), named=frozenset(named), read=read)
    types = {name: each.normal for name, each in found.kinds.items()}
    names = tuple({name: None for table in tables for name in table.schema.names})
    uses = tuple(_uses(found.kinds, set(roles.values()), None if settings.carry == "all" else carry))
    asked = _Asked(types, names, headerless(tables[0], settings), any(table.rows != 0 for table in tables))
    bodies = frozenset(roles.values()) if wanted.texts == "base64" else frozenset()
    about_first = [
        *_unknown_meanings(parameters, roles, wanted),
        *_key_problems(asked, settings, bodies),
        *_not_carried(uses),
        *_unknown_names(asked, settings, is_csv=tables[0].rows is None),
        *_use_problems(asked, roles, "image", image_type_problem),
        *_use_problems(
            asked, {name: parameters[name] for name in known}, "parameter", parameter_type_problem
        ),
    ]
    problems = [
        *found.problems,
        *(Problem(first, what) for what in about_first),
        *lacking(tables, needed & types.keys()),
    ]
    if problems:
        more = len(problems) - LISTED
        listed = problems[:LISTED]
        if more > 0:
            listed.append(Problem("in all", f"{len(problems)} problems; these are the first {LISTED}"))
        raise ManifestError(listed)
    return Meaning(uses, tuple(roles.values()), parameters, wanted.texts)


def _uses(kinds: Mapping[str, Kind], images: set[str], carry: Collection[str] | None) -> Iterator[ColumnUse]:
    """What is read of each column; `carry` are those that are carried, None for all."""
    for name, kind in kinds.items():
        is_image = name in images
        carried: pa.DataType | None = kind.carried if carry is None or name in carry else None
        if is_image and is_image_struct(kind.normal):
            carried = pa.string() if carried is not None and has_path(kind.normal) else None
        elif is_image and pa.types.is_binary(kind.normal):
            carried = None
        yield ColumnUse(name, kind.normal, is_image, carried)


def _not_carried(uses: Sequence[ColumnUse]) -> Iterator[str]:
    problems: dict[pa.DataType, str | None] = {}
    for use in uses:
        if use.carried is None:
            continue
        if use.carried not in problems:
            problems[use.carried] = passthrough_type_problem(use.carried)
        if (problem := problems[use.carried]) is not None:
            yield (
                f"column {cell(use.name)} {problem}; leave it out (`manifest.carry` lists the columns that "
                "are carried) or write it as another type"
            )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What columns are asked about.

    Attributes:
        types: Normal types by name, of those that are read.
        names: All names.
        headerless: What more to say where a column is missing.
        has_rows: Whether there may be a row; without one nobody knows what a type was to be, and pandas
            writes double.
    """

    types: Mapping[str, pa.DataType]
    names: Sequence[str]
    headerless: str
    has_rows: bool

    def missing(self, use: str, column: str, setting: str) -> str:
        """What to say of a column that is not there."""
        hint = did_you_mean(column, self.names)
        end = "" if hint.endswith("?") else "."
        what = f"has no column {cell(column)} {use}{hint}{end} Say which it is under `manifest`: `{setting}`"
        return what + self.headerless


def _key_problems(asked: _Asked, settings: ManifestSettings, bodies: frozenset[str]) -> Iterator[str]:
    """What is wrong with the columns that name rows; `bodies` are those that hold whole images as text."""
    for column in settings.key:
        if column not in asked.types:
            yield asked.missing("that is to name rows", column, "key: [column, …]")
        elif asked.has_rows and (problem := key_type_problem(asked.types[column])) is not None:
            yield f"column {cell(column)}, which is to name rows, {problem}"
        elif column in bodies:
            yield f"column {cell(column)}, which is to name rows, holds the images (`images.text: base64`)"


def _use_problems(
    asked: _Asked, uses: Mapping[str, str], what: str, type_problem: Callable[[pa.DataType], str | None]
) -> Iterator[str]:
    """What is wrong with columns that give images or parameters."""
    for name, column in uses.items():
        if column not in asked.types:
            yield asked.missing(f"for the {what} `{name}`", column, f"columns: {{{name}: …}}")
        elif asked.has_rows and (problem := type_problem(asked.types[column])) is not None:
            yield f"column {cell(column)}, mapped to `{name}`, {problem}"


def _unknown_names(asked: _Asked, settings: ManifestSettings, *, is_csv: bool) -> Iterator[str]:
    """Settings that name columns that no file has."""
    named = {"manifest.csv.types": tuple(settings.csv.types) if is_csv else ()}
    named["manifest.carry"] = settings.carry if isinstance(settings.carry, tuple) else ()
    for setting, columns in named.items():
        for column in columns:
            if column not in asked.names:
                yield f"has no column {cell(column)} ({setting}){did_you_mean(column, asked.names)}"


def _unknown_meanings(
    parameters: Mapping[str, str], roles: Mapping[str, str], wanted: Wanted
) -> Iterator[str]:
    known = {*wanted.allowed, *wanted.required}
    for name in parameters:
        if name not in known:
            hint = did_you_mean(name, sorted({*known, *roles}))
            yield f"`manifest.columns` has `{name[:60]}`, which the operation does not take{hint}"
