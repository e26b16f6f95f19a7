"""`batchsearch schema`."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any, Final

import click

from batchsearch.errors import ConfigError
from batchsearch.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchsearch.storage.tables import Table

_EXAMPLES: Final = """\b
Examples:
  batchsearch schema
  batchsearch schema results --operation CompareSimilarByImage
  batchsearch schema hits --markdown
  batchsearch schema results --json | jq -r '.columns[].name'
"""

_DEFAULT_OPERATION: Final = "SearchImageByPic"
_WIDTH: Final = 100
_NARROWEST: Final = 30


@click.command(epilog=_EXAMPLES)
@click.argument("table", required=False)
@click.option(
    "--operation",
    metavar="NAME",
    help=f"Whose columns, where operations differ.  [default: {_DEFAULT_OPERATION}]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@click.option("--markdown", "as_markdown", is_flag=True, help="A Markdown table, for documentation.")
def command(*, table: str | None, operation: str | None, as_json: bool, as_markdown: bool) -> None:
    """Say what the columns of a TABLE mean, or which tables there are.

    Tables are Parquet files in the output folder of a job. Every column says the same in its Arrow metadata.
    """
    if as_json and as_markdown:
        raise ConfigError("--json and --markdown are two ways to write one thing; give one of them")
    if table is None:
        click.echo(_listed(as_json=as_json, as_markdown=as_markdown))
        return
    found = _table(table)
    chosen = _operation(found, operation)
    rows = [
        (column.name, str(column.type), column.vendor_name or "", column.description)
        for column in found.columns(chosen or _DEFAULT_OPERATION)
    ]
    if as_json:
        click.echo(json.dumps(_as_json(table, found, chosen, rows), indent=2))
    elif as_markdown:
        click.echo(_as_markdown(("column", "type", "sent by the service as", "meaning"), rows))
    else:
        click.echo("\n".join(_as_text(table, found, chosen, rows)))


def _table(name: str) -> Table:
    from batchsearch.nearest import did_you_mean

    found = TABLES.get(name)
    if found is None:
        raise ConfigError(f"there is no table {name!r}{did_you_mean(name, TABLES)}")
    return found


def _operation(table: Table, wanted: str | None) -> str | None:
    """The operation whose columns are shown; None where they are the same for all."""
    by_operation = table.by_operation
    if by_operation is None:
        if wanted is not None:
            raise ConfigError("--operation: this table has the same columns for every operation")
        return None
    if wanted is not None and wanted not in by_operation:
        from batchsearch.nearest import did_you_mean

        raise ConfigError(
            f"--operation: there is no operation {wanted!r}{did_you_mean(wanted, by_operation)}"
        )
    return wanted or _DEFAULT_OPERATION


def _listed(*, as_json: bool, as_markdown: bool) -> str:
    if as_json:
        return json.dumps(
            [{"table": name, "where": table.where, "row": table.what} for name, table in TABLES.items()],
            indent=2,
        )
    rows = [(name, table.where, table.what) for name, table in TABLES.items()]
    if as_markdown:
        return _as_markdown(("table", "where", "a row of it"), rows)
    return "\n".join([*_aligned(rows), "", "`batchsearch schema TABLE` says what its columns mean."])


def _as_json(
    name: str, table: Table, operation: str | None, rows: Sequence[tuple[str, str, str, str]]
) -> dict[str, Any]:
    columns = [
        {"name": column, "type": kind, "vendor_name": vendor or None, "description": description}
        for column, kind, vendor, description in rows
    ]
    return {
        "table": name,
        "operation": operation,
        "where": table.where,
        "row": table.what,
        "more": table.more or None,
        "columns": columns,
    }


def _as_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, *cells in rows:
        shown = [f"`{name}`", *(cell.replace("|", "\\|") for cell in cells)]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines)


def _as_text(
    name: str, table: Table, operation: str | None, rows: Sequence[tuple[str, str, str, str]]
) -> Iterator[str]:
    yield f"{name}: {table.what}"
    yield f"  {table.where}" + (f", for {operation}" if operation else "")
    for line in textwrap.wrap(table.more, _WIDTH - 2):
        yield f"  {line}"
    yield ""
    described = [
        (column, kind, f"{description} ({vendor})" if vendor else description)
        for column, kind, vendor, description in rows
    ]
    yield from _aligned(described)


def _aligned(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """Three columns, the last one wrapped; a wide second one has a line of its own."""
    first = max(len(row[0]) for row in rows)
    second = min(max(len(row[1]) for row in rows), _NARROWEST)
    indent = first + second + 6
    lines = []
    for name, middle, text in rows:
        wrapped = textwrap.wrap(text, max(_NARROWEST, _WIDTH - indent)) or [""]
        head = f"  {name:<{first}}  {middle:<{second}}"
        if len(middle) > second:
            lines.append(head.rstrip())
        else:
            lines.append(f"{head}  {wrapped.pop(0)}".rstrip())
        lines += [" " * indent + line for line in wrapped]
    return lines
