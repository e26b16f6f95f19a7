"""A plan for people: a funnel from the manifest's rows to calls, then time, bytes and money."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchsearch.tasks.plan.batch_way import BatchWay
    from batchsearch.tasks.plan.estimate import Plan, Refused

_UNITS: Final = ("bytes", "KB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000
_LABEL: Final = 18
_COUNT: Final = 14
_LONGEST_KEY: Final = 40
_DAY_HOURS: Final = 48.0


def plan_page(plan: Plan, *, advice: Callable[[str], str]) -> str:
    """The page.

    Args:
        plan: What was found.
        advice: What to do about a code, one sentence.
    """
    lines = [f"{plan.operation} on {plan.instance}: what the job takes (no call was made)", ""]
    if plan.sampled:
        lines += [
            f"  An estimate from {plan.looked_at:,} of {plan.to_do:,} rows, spread evenly. Counts with ~ are",
            "  scaled up. Equal rows are seldom both in a sample: there may be more repeats and fewer calls.",
            "",
        ]
    lines += _funnel(plan, advice)
    lines += ["", *_time(plan)]
    if not plan.pace.unlimited:
        lines.append(_bytes(plan))
    for one in plan.instances:
        time = f"at {one.pace.rate:g} a second: {hours_text(one.pace.hours(one.calls))}"
        time = _AS_FAST if one.pace.unlimited else time
        lines.append(f"  {one.instance:<10} {one.calls:,} calls {time}")
    if plan.price is not None:
        share = plan.pace.share_of_month(plan.calls)
        amount = f"{plan.price.of_slots(share):,.2f} {plan.price.currency}".rstrip()
        lines.append(
            f"  money      {amount} of {plan.price.monthly:,.2f} a month: "
            f"the job takes {share:.2%} of the month's slots"
        )
    if plan.batch is not None:
        lines += _batch(plan.batch, about="~" if plan.sampled else "")
    waiting = sum(refused.rows for refused in plan.unreadable if refused.code.startswith("Transport."))
    if waiting:
        lines.append(
            f"  note       {waiting:,} rows' images could not be reached now; "
            "those that can be when the job runs are calls on top"
        )
    return "\n".join(lines)


_AS_FAST: Final = "as fast as the cores allow"


def _funnel(plan: Plan, advice: Callable[[str], str]) -> list[str]:
    about = "~" if plan.sampled else ""

    def line(label: str, count: int, note: str = "", *, sign: str = "", scaled: bool = True) -> str:
        shown = f"{sign}{about if scaled else ''}{count:,}"
        return f"  {label:<{_LABEL}}{shown:>{_COUNT}}  {note}".rstrip()

    def refused(label: str, found: Sequence[Refused]) -> list[str]:
        if not found:
            return []
        lines = [line(f"  {label}", sum(each.rows for each in found), sign="- ")]
        for each in found:
            lines.append(f"    {about}{each.rows:,} {each.code}: {', '.join(map(_shown, each.examples))}")
            if text := advice(each.code):
                lines.append(f"      {text}")
        return lines

    margin = f"± {plan.valid_margin:,}" if plan.sampled else ""
    lines = [line("rows", plan.rows, plan.manifest, scaled=False)]
    if plan.done:
        lines.append(line("  done already", plan.done, f"in {plan.output}", sign="- ", scaled=False))
        lines.append(line("to do", plan.to_do, scaled=False))
    lines += refused("not readable", plan.unreadable)
    lines.append(line("readable", plan.readable))
    lines += refused("not valid", plan.invalid)
    lines.append(line("valid", plan.valid, margin))
    if plan.reused:
        lines.append(line("  answered before", plan.reused, "the earlier answer is used again", sign="- "))
    if plan.repeats:
        lines.append(line("  repeats", plan.repeats, "they share another row's call", sign="- "))
    lines.append(line("distinct requests", plan.needed.requests))
    pages = f"up to {plan.pages} pages of results for each request" if plan.pages > 1 else ""
    lines.append(line("calls, at most" if plan.at_most else "calls", plan.calls, pages))
    return lines


def _time(plan: Plan) -> list[str]:
    pace = plan.pace
    if pace.unlimited:
        about = "~" if plan.sampled else ""
        return [f"  calls      {about}{plan.calls:,} to the embedded instance, {_AS_FAST}"]
    about = "~" if plan.sampled else ""
    share = f", {pace.share:.0%} of the tier of {pace.qps:g}" if pace.share < 1 else ""
    night = "the job's window" if pace.has_window else "a night"
    nights = pace.nights(plan.calls)
    fits = f"{math.ceil(nights):,} nights" if nights > 1 else f"{max(nights, 0.01):.0%} of one"
    if nights < 0.01:  # noqa: PLR2004 - one of the per cent shown
        fits = f"less than {fits}"
    held = f"{night} of {pace.night_hours:g} h holds {pace.calls_a_night:,} calls: {fits}"
    return [
        f"  slots      {about}{plan.calls:,} at {pace.rate:g} a second{share}",
        f"  time       {about}{hours_text(pace.hours(plan.calls))}; {held}",
    ]


def _batch(way: BatchWay, *, about: str) -> list[str]:
    """The other way: `batchsearch load`."""
    several = f"{way.tasks:,} tasks of at most {way.per_task:,}" if way.tasks > 1 else "one task"
    hours = way.hours_to_put
    put = "" if hours is None else f", {hours_text(hours)} to put at {way.line_kbps:,.0f} kbit/s"
    return [
        f"  by batch   {about}{way.objects:,} objects, ~{size_text(way.bytes)}, into {way.place}{put}; "
        + several,
        "             `batchsearch load` spends no slot; how long a task takes is on no page of the vendor",
    ]


def _bytes(plan: Plan) -> str:
    about = "~" if plan.sampled else ""
    total, seconds = plan.needed.bytes, plan.pace.hours(plan.calls) * 3600
    rate = f", {total * 8 / seconds / 1e6:,.2f} Mbit/s while it calls" if seconds else ""
    what = "the images alone, uploaded before their calls; " if plan.by_address else ""
    kind = "image" if plan.by_address else "request"
    return f"  upload     {about}{size_text(total)}: {what}the largest {kind} {size_text(plan.largest)}{rate}"


def size_text(count: int) -> str:
    """A number of bytes with three figures or so."""
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{count:,} bytes" if unit == 0 else f"{value:.2f} {_UNITS[unit]}"


def hours_text(hours: float, *, days: bool = True) -> str:
    """A number of hours as people say it."""
    if hours * 60 < 1:
        return f"{hours * 3600:.0f} s"
    if hours < 1:
        return f"{hours * 60:.0f} min"
    if hours < _DAY_HOURS:
        return f"{hours:.1f} h"
    return f"{hours:.1f} h ({hours / 24:.1f} days)" if days else f"{hours / 24:,.1f} days"


def _shown(key: str) -> str:
    """A row key short enough for a list, its line ends and control characters made visible."""
    text = key if key.isprintable() else repr(key)
    return text if len(text) <= _LONGEST_KEY else text[: _LONGEST_KEY - 1] + "…"
