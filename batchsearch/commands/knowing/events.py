"""`batchsearch events`."""

from __future__ import annotations

import click

_EXAMPLES = """\b
Examples:
  batchsearch events
  batchsearch events --metrics
"""


@click.command(epilog=_EXAMPLES)
@click.option("--metrics", is_flag=True, help="List the metrics in place of the log events.")
def command(*, metrics: bool) -> None:
    """List every log event there is, or every metric, as Markdown.

    Both lists are closed: a run logs no other event, and publishes no other metric.
    """
    if metrics:
        from batchsearch.telemetry.metrics.metric_catalogue import metrics_as_markdown

        click.echo(metrics_as_markdown())
    else:
        from batchsearch.telemetry.logs import events_as_markdown

        click.echo(events_as_markdown())
