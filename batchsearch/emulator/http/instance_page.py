"""A page for people: the instances, how full they are, and the last requests. Needs nothing but a browser."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchsearch.emulator.batch.task_records import BatchTask
    from batchsearch.emulator.http.gateway import Gateway
    from batchsearch.emulator.http.request_log import Entry, RequestLog

SHOWN_REQUESTS: Final = 50
SHOWN_TASKS: Final = 10
STANDS_FOR: Final = (
    "The fourteen operations of 2020-12-14 are answered, and the three of 2019-03-25.",
    "It was written from the vendor's pages. Nothing was compared with the live service.",
    "A search by text compares the text with the items' own words. It does not look at the pictures.",
    "A bucket is a folder of this machine or an object store, as the emulator was started with.",
    "The address that a task is to call at its end is kept. It is never called.",
    "An exported file, and the list of lines that failed, are plain JSON lines. No page says what they are.",
)
"""What people must know of it."""

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
    tasks = _table(
        (
            "Instance",
            "Task",
            "Kind",
            "Status",
            "Code",
            "Message",
            "Bucket",
            "Path",
            "Lines",
            "Failed",
            "Begun (UTC)",
        ),
        (
            ("refused" if task.status == "FAIL" else "", _task_cells(live.options.name, task))
            for live in gateway.instances.values()
            for kind in ("increment", "dump")
            for task in live.tasks.records.listed(kind, num=SHOWN_TASKS)[0]
        ),
        numbers=frozenset({1, 8, 9}),
    )
    stands = "".join(f"<li>{escape(sentence)}</li>" for sentence in STANDS_FOR)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>batchsearch emulator</title>'
        f"<style>{_STYLE}</style></head><body><h1>batchsearch emulator</h1><h2>Instances</h2>{instances}"
        f"<h2>Batch tasks</h2>{tasks}<h2>Last requests</h2>{requests}"
        f"<h2>What stands for what</h2><ul>{stands}</ul></body></html>"
    )


def _task_cells(instance: str, task: BatchTask) -> tuple[str, ...]:
    return (
        instance,
        str(task.id),
        task.kind,
        task.status,
        task.code or "",
        task.message or "",
        task.bucket or "",
        task.path or "",
        f"{task.line:,}",
        f"{task.failed:,}",
        datetime.fromtimestamp(task.created / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S"),
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
