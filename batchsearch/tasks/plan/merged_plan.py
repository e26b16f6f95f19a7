"""One plan from the plans of several instances that work side by side (pure)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from batchsearch.tasks.plan.estimate import EXAMPLES, Needed, Pace, Refused
from batchsearch.tasks.plan.seen_images import SeenImages

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batchsearch.tasks.plan.estimate import Plan


def together(plans: Sequence[Plan]) -> Plan:
    """What a job with these instances takes: counts add up, and the slowest instance decides how long.

    The pace is the one at which all calls together take as long as the slowest instance's own.

    Args:
        plans: One for each instance, at least one.
    """
    if len(plans) == 1:
        return plans[0]
    first = plans[0]
    calls = sum(plan.calls for plan in plans)
    hours = max(plan.pace.hours(plan.calls) for plan in plans)
    qps = calls / hours / 3600 if hours else sum(plan.pace.rate for plan in plans)
    return replace(
        first,
        instance=", ".join(plan.instance for plan in plans),
        rows=sum(plan.rows for plan in plans),
        done=sum(plan.done for plan in plans),
        looked_at=sum(plan.looked_at for plan in plans),
        unreadable=_added(refused for plan in plans for refused in plan.unreadable),
        invalid=_added(refused for plan in plans for refused in plan.invalid),
        reused=sum(plan.reused for plan in plans),
        needed=Needed(
            sum(plan.needed.requests for plan in plans),
            calls,
            sum(plan.needed.bytes for plan in plans),
        ),
        largest=max(plan.largest for plan in plans),
        pace=Pace(qps, 1.0, first.pace.night_hours, first.pace.has_window),
        price=None,
        instances=tuple(plans),
        batch=None,
        seen=_seen(plans),
    )


def _seen(plans: Sequence[Plan]) -> SeenImages:
    found = SeenImages()
    for plan in plans:
        found = found if plan.seen is None else found.plus(plan.seen)
    return found


def _added(found: Iterable[Refused]) -> tuple[Refused, ...]:
    rows: Counter[str] = Counter()
    examples: dict[str, tuple[str, ...]] = {}
    for refused in found:
        rows[refused.code] += refused.rows
        examples[refused.code] = (*examples.get(refused.code, ()), *refused.examples)[:EXAMPLES]
    return tuple(Refused(code, count, examples[code]) for code, count in rows.most_common())
