"""`batchsearch codes`."""

from __future__ import annotations

import click

_EXAMPLES = """\b
Examples:
  batchsearch codes DeniedRequest
  batchsearch codes Local.ImageTooSmall
  batchsearch codes > codes.md
"""


@click.command(epilog=_EXAMPLES)
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Explain an error CODE, or print the table of all of them as Markdown."""
    from batchsearch.service.codes.lookup import explain
    from batchsearch.service.codes.page import codes_page

    click.echo(codes_page() if code is None else explain(code))
