"""What a program may give as a manifest: a table of whichever library, or a path."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias
from weakref import WeakSet

import pyarrow as pa

from batchsearch.errors import ConfigError, ManifestError, Problem
from batchsearch.manifest.given import handed_over
from batchsearch.python_api.jobs import as_texts, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchsearch.config.model import JobSettings
    from batchsearch.python_api.jobs import JobLike, Overrides


class ArrowStream(Protocol):
    """A table that speaks Arrow's C stream interface: of pyarrow, Polars, DuckDB, pandas and others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """See Arrow's PyCapsule interface."""


ManifestLike: TypeAlias = "str | os.PathLike[str] | ArrowStream | Sequence[Mapping[str, Any]]"
"""A manifest: a pandas or Polars DataFrame, an Arrow table, batch or reader, a list of rows as mappings; or
the path of a file, as in `manifest.path`."""

_NAME: Final = "the given manifest"
_READ: Final[WeakSet[pa.RecordBatchReader]] = WeakSet()
_PLAIN: Final = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


@contextmanager
def job_over(job: JobLike, overrides: Overrides, manifest: ManifestLike | None) -> Iterator[JobSettings]:
    """The settings of a job over a manifest that a program gives; the job's own where it gives none.

    Raises:
        ConfigError: With every problem of the job, or `manifest` is no table.
        ManifestError: The table has columns that mean nothing.
    """
    if manifest is None:
        yield load(job, overrides)
    elif isinstance(manifest, str | os.PathLike):
        yield load(job, (*as_texts(overrides), f"manifest.path={os.fspath(manifest)}"))
    else:
        with handed_over(arrow_table(manifest), _NAME) as path:
            yield load(job, (*as_texts(overrides), f"manifest.path={path}", "manifest.format=auto"))


def arrow_table(manifest: object) -> pa.Table:
    """A table of whichever library as an Arrow table; where it can be, without a copy.

    Of pandas the index is a column where it has a name. Columns' names are text.

    Raises:
        ConfigError: It is no table.
        ManifestError: A column's values are of several types.
    """
    pandas = sys.modules.get("pandas")
    try:
        if pandas is not None and isinstance(manifest, pandas.DataFrame):
            return _plain(_of_pandas(manifest))
        if isinstance(manifest, list | tuple):
            return _plain(_of_mappings(manifest))
        if hasattr(manifest, "__arrow_c_stream__"):
            if isinstance(manifest, pa.RecordBatchReader):
                _read_once(manifest)
            return _plain(pa.RecordBatchReader.from_stream(manifest).read_all())
        if hasattr(manifest, "__arrow_c_array__"):
            return _plain(pa.table(manifest))
    except (pa.ArrowException, TypeError, ValueError, AttributeError) as error:
        said = " ".join(str(part) for part in error.args)[:300]
        what = f"cannot be read as a table: {said}; give each column values of one type"
        raise ManifestError.at(_NAME, what) from None
    hint = "; call its `collect()` first" if hasattr(manifest, "collect") else ""
    raise ConfigError(
        [
            Problem(
                "manifest",
                "takes a DataFrame of pandas or Polars, an Arrow table, a list of mappings or a path, "
                f"not {type(manifest).__module__}.{type(manifest).__qualname__}{hint}",
            )
        ],
        summary="the job is not usable:",
    )


def _read_once(reader: pa.RecordBatchReader) -> None:
    """Refuse a reader that an earlier call has read to its end: it would be a manifest without rows."""
    if reader in _READ:
        what = "is a reader that an earlier call has read to its end; make it anew, or give the table"
        raise ConfigError([Problem("manifest", what)], summary="the job is not usable:")
    _READ.add(reader)


def _of_mappings(rows: Sequence[Any]) -> pa.Table:
    """Rows as mappings: each column that any of them has, in the order of coming; absent cells are null."""
    names = dict.fromkeys(name for row in rows for name in row)
    whole = [{name: row.get(name) for name in names} for row in rows]
    return pa.Table.from_pylist(whole)


def _of_pandas(frame: Any) -> pa.Table:
    if any(name is not None and name not in frame.columns for name in frame.index.names):
        frame = frame.reset_index()
    frame = frame.set_axis([str(name) for name in frame.columns], axis="columns")
    for place, kind in enumerate(frame.dtypes):
        column = frame.iloc[:, place]
        if kind == object and column.map(lambda value: isinstance(value, os.PathLike)).any():  # noqa: E721 - a dtype
            name = frame.columns[place]
            frame = frame.assign(**{name: column.map(_text_of_path)})
    return pa.Table.from_pandas(frame, preserve_index=False)


def _text_of_path(value: object) -> object:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _plain(table: pa.Table) -> pa.Table:
    """The table in types that files have, too: no views, no dictionaries."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type) and field.type.value_type in _PLAIN:
            # Polars' categories; Arrow does not take them apart as they are.
            table = table.set_column(place, field.name, _with_plain_words(table.column(place)))
    fields = [field.with_type(_plain_type(field.type)) for field in table.schema]
    return table.cast(pa.schema(fields))


def _with_plain_words(column: pa.ChunkedArray) -> pa.ChunkedArray:
    words = _PLAIN[column.type.value_type]
    chunks = [
        pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(words)) for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, pa.dictionary(column.type.index_type, words))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain_type(field.type)) for field in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        make = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return make(kind.value_field.with_type(_plain_type(kind.value_type)))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_plain_type(kind.value_type)), kind.list_size)
    return _PLAIN.get(kind, kind)
