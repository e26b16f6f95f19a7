"""A page for people: the instances, how full they are, and the last requests. Needs nothing but a browser."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchsearch.emulator.http.gateway import Gateway
    from batchsearch.emulator.http.request_log import Entry, RequestLog

SHOWN_REQUESTS: Final = 50

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#1b1f24;background:#fff}"
    "table{border-collapse:collapse;margin:0 0 2rem}"
    "th,td{padding:.25rem .8rem;text-align:left;border-bottom:1px solid #d9dee4}"
    "td.number{text-align:right;font-variant-numeric:tabular-nums}"
    "tr.denied td{color:#9a5b00}tr.refused td{color:#b3261e}"
)


def instance_page(gateway: Gateway, log: RequestLog) -> str:
    """The page as HTML; everything that came with a request is escaped."""
    instances = _table(
        ("Instance", "Type", "Queries/s", "Counting", "Items", "Capacity"),
        (
            (
                "",
                (
                    live.options.name,
                    live.options.service_type,
                    f"{live.options.qps:g}",
                    live.options.counting,
                    f"{live.catalogue.count():,}",
                    f"{live.options.capacity:,}",
                ),
            )
            for live in gateway.instances.values()
        ),
        numbers=frozenset({2, 4, 5}),
    )
    last = log.entries()[-SHOWN_REQUESTS:][::-1]
    requests = _table(
        ("#", "Time (UTC)", "Operation", "Instance", "Verdict", "Status", "Code", "Item", "ms", "Fault"),
        ((entry.verdict, _cells(entry)) for entry in last),
        numbers=frozenset({0, 5, 8}),
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>batchsearch emulator</title>'
        f"<style>{_STYLE}</style></head><body><h1>batchsearch emulator</h1><h2>Instances</h2>{instances}"
        f"<h2>Last requests</h2>{requests}</body></html>"
    )


def _cells(entry: Entry) -> tuple[str, ...]:
    item = " / ".join(part for part in (entry.product_id, entry.pic_name) if part)
    return (
        str(entry.number),
        datetime.fromtimestamp(entry.wall, UTC).strftime("%H:%M:%S.%f")[:-3],
        entry.action or "",
        entry.instance or "",
        entry.verdict,
        "cut" if entry.status is None else str(entry.status),
        entry.code or "",
        item,
        f"{entry.seconds * 1000:.0f}",
        entry.fault or "",
    )


def _table(
    heads: tuple[str, ...], rows: Iterable[tuple[str, tuple[str, ...]]], *, numbers: frozenset[int]
) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    lines = []
    for kind, cells in rows:
        filled = "".join(
            f'<td class="number">{escape(cell)}</td>' if index in numbers else f"<td>{escape(cell)}</td>"
            for index, cell in enumerate(cells)
        )
        lines.append(f'<tr class="{escape(kind)}">{filled}</tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
