"""The facts as Markdown, short enough for a pull request or an e-mail (pure).

Whatever came from outside stands in code spans: there no link, no image, no mention and no markup begins.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from batchsearch.streams import printable
from batchsearch.tasks.report.words import NOTHING, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.tasks.report.html_page import Gallery
    from batchsearch.tasks.report.report_facts import FactTable, Kind
    from batchsearch.tasks.report.reporting import Report
    from batchsearch.tasks.report.summing_up.needs import Need

MOST_ROWS: Final = 30
"""Rows of one table; the page and the Parquet files have all."""
MOST_CLUSTERS: Final = 15
_MOST_MEMBERS: Final = 6
_BAR: Final = 24
_BARS: Final = frozenset({"scores", "first_scores", "latency", "pair_scores"})
_LEFT_OUT: Final = frozenset({"calls", "dedup", "needs"})
_LONGEST: Final = 120
_LONGEST_DETAIL: Final = 1_000
_SIGNS: Final = re.compile(r"([\\`*_\[\]<>|~&#])")
_BREAK: Final = "\u2060"
"""A word joiner: invisible, and behind it no mention and no address begins."""


def markdown_of(report: Report) -> str:
    """The report in Markdown."""
    page = report.page
    lines = [
        f"## {span(page.title)}",
        "",
        f"{plain(page.subtitle)}: **{plain(page.status[0])}**, as of {written(page.as_of, 'moment')}",
        "",
        plain(page.sentence),
        "",
        *_needs(page.needs),
        *(f"> {plain(note)}" for note in page.notes),
    ]
    if page.notes:
        lines.append("")
    for section in report.sections:
        if section.name:
            lines += [f"### {section.title}", ""]
        lines += ["| | |", "|---|---|"]
        for figure in section.figures:
            detail = f" ({plain(figure.detail)})" if figure.detail else ""
            lines.append(f"| {figure.label} | **{plain(written(figure.value, figure.kind))}**{detail} |")
        lines.append("")
        for table in section.tables:
            if table.name not in _LEFT_OUT:
                lines += [*(_bars(table) if table.name in _BARS else _table(table)), ""]
    for gallery in page.galleries:
        if gallery.kind == "clusters":
            lines += _clusters(gallery)
    return "\n".join(lines).rstrip() + "\n"


def _needs(needs: Sequence[Need]) -> list[str]:
    """Who is needed for what, a line each."""
    lines = []
    for need in needs[:MOST_ROWS]:
        count = "" if need.count is None else f" ({need.count:,})"
        owner = f" ({need.owner})" if need.owner else ""
        parts = [
            span(need.detail, _LONGEST_DETAIL) if need.detail else "",
            f"{plain(need.advice)}{owner}" if need.advice else "",
        ]
        said = "; ".join(
            part for part in (*parts, span(need.command, _LONGEST_DETAIL) if need.command else "") if part
        )
        lines.append(f"- **{span(need.what)}**{count}{': ' if said else ''}{said}")
    return ["**Needs you**", "", *lines, ""] if lines else []


def span(text: str, longest: int = _LONGEST) -> str:
    """A text from outside as a code span that also holds inside a table, cut where it is longer."""
    shown = printable(text).replace("`", "'").replace("|", "\\|").strip() or NOTHING
    return f"`{shown}`" if len(shown) <= longest else f"`{shown[: longest - 1]}…`"


def plain(text: str) -> str:
    """A sentence in which nothing is markup."""
    quiet = printable(text).replace("@", f"@{_BREAK}").replace("://", f":{_BREAK}//")
    return _SIGNS.sub(r"\\\1", quiet)


def _cell(value: Any, kind: Kind) -> str:
    if value is None or value == "":
        return ""
    words = written(value, kind)
    return span(words) if kind == "code" else plain(words)


def _table(table: FactTable) -> list[str]:
    lines = [f"**{table.title}**", ""]
    heads = [column.heading for column in table.columns]
    sides = [
        "---" if column.kind in ("text", "code", "day", "moment") else "---:" for column in table.columns
    ]
    lines += [f"| {' | '.join(heads)} |", f"|{'|'.join(sides)}|"]
    for row in table.rows[:MOST_ROWS]:
        cells = [_cell(value, column.kind) for column, value in zip(table.columns, row, strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    more = len(table.rows) - MOST_ROWS
    return [*lines, "", f"… and {more:,} more."] if more > 0 else lines


def _bars(table: FactTable) -> list[str]:
    """A histogram as a block of text; neighbouring rows are joined where there are too many."""
    kind = table.columns[0].kind
    join = -(-len(table.rows) // MOST_ROWS)
    groups = [table.rows[start : start + join] for start in range(0, len(table.rows), join)]
    bins = [(group[0][0], group[-1][1], sum(row[2] for row in group)) for group in groups]
    most = max(count for _, _, count in bins)
    labels = [f"{written(start, kind)} to {written(end, kind)}" for start, end, _ in bins]
    wide = max(map(len, labels))
    lines = [f"**{table.title}**", "", "```text"]
    for label, (_, _, count) in zip(labels, bins, strict=True):
        bar = "█" * round(count / most * _BAR) or ("▏" if count else "")
        lines.append(f"{label:>{wide}}  {bar:<{_BAR}} {count:>10,}")
    return [*lines, "```"]


def _clusters(gallery: Gallery) -> list[str]:
    """The clusters that are most worth a look."""
    shown: Sequence[dict[str, Any]] = gallery.cards[:MOST_CLUSTERS]
    if not shown:
        return []
    lines = ["### Clusters to look at first", "", "| cluster | products | confidence | why | members |"]
    lines.append("|---|---:|---:|---|---|")
    for card in shown:
        members = [span(str(member[0])) for member in card["m"][:_MOST_MEMBERS]]
        more = card["n"] - len(members)
        told = ", ".join(members) + (f" and {more:,} more" if more > 0 else "")
        why = ", ".join(span(reason) for reason in card.get("v", ()))
        lines.append(
            f"| {span(card['k'])} | {card['n']:,} | {written(card.get('c'), 'score')} | {why} | {told} |"
        )
    left = gallery.total - len(shown)
    return [*lines, "", f"… and {left:,} more."] if left > 0 else lines
