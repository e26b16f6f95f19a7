"""What the lanes of a job tell, added up to what the whole does: counters, and one summary (pure)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from batchsearch.engine.job.instance_worker import names_of, tier_of, workers_of
from batchsearch.engine.run.closing import retry_command
from batchsearch.errors import ExitCode
from batchsearch.service.codes.lookup import advice_on, meaning_of
from batchsearch.service.operations import OPERATIONS
from batchsearch.tasks.lanes.lane_order import CALLED
from batchsearch.telemetry.stats import COUNTERS, Stats
from batchsearch.telemetry.summary import OF_EACH_INSTANCE, SUMMED, Summary, Truth

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from batchsearch.config.model import JobSettings
    from batchsearch.tasks.lanes.lane_order import LaneReading

_MOST_SURPRISES = 10
_GRAVEST_FIRST = (ExitCode.DAMAGED, ExitCode.ENDED, ExitCode.INCOMPLETE)


@dataclass(slots=True)
class LanesStats(Stats):
    """Counters of all lanes together.

    Attributes:
        readings: The last reading of each lane.
    """

    readings: Sequence[LaneReading] = field(default_factory=tuple)

    def rate(self, now: float) -> float:
        """Calls a second of all lanes; the moment is that of their readings."""
        del now
        return sum(each.rate for each in self.readings)

    def row_rate(self, now: float) -> float:
        """Likewise rows a second."""
        del now
        return sum(each.row_rate for each in self.readings)

    def denied_share(self, now: float) -> float:
        """Part of the answers that were denials, each lane by its rate."""
        rate = self.rate(now)
        return sum(each.denied_share * each.rate for each in self.readings) / rate if rate else 0.0

    def mean_rate(self) -> float | None:
        """Calls a second of those lanes that can say."""
        said = [each.mean_rate for each in self.readings if each.mean_rate is not None]
        return sum(said) if said else None


def together(
    readings: Iterable[LaneReading], settings: JobSettings, ends: datetime | None, now: float
) -> LanesStats:
    """The counters of lanes at one moment as those of one run.

    Args:
        readings: The last ones.
        settings: The whole job.
        ends: When the run ends.
        now: Steady clock of whoever reads them.
    """
    found = tuple(readings)
    stats = LanesStats(tier=tier_of(settings), ends=ends, readings=found)
    for each in found:
        for name in COUNTERS:
            setattr(stats, name, getattr(stats, name) + each.counts.get(name, 0))
        stats.codes.update(each.codes)
        stats.earlier_codes.update(each.earlier_codes)
        stats.troubles.update(each.troubles)
    successes = [each.since_success for each in found if each.since_success is not None]
    stats.last_success = now - min(successes) if successes else None
    return stats


def gone_on(reading: LaneReading, before: Sequence[LaneReading]) -> LaneReading:
    """A reading of a lane that has moved, as if one worker had made all of it.

    To the worker that goes on, what the ones before it did is an earlier run's. Rows are exact; calls of a
    worker that was killed are those that were last heard of.

    Args:
        reading: Of the worker that it is on.
        before: The last ones of the workers that it was on, in order.
    """
    if not before:
        return reading
    earlier = Counter(before[0].earlier_codes)
    codes = Counter(reading.codes) + Counter(reading.earlier_codes) - earlier
    counts = dict(reading.counts)
    for name in CALLED:
        counts[name] = sum(each.counts.get(name, 0) for each in (*before, reading))
    counts["resumed"] = min(before[0].counts.get("resumed", 0), reading.done)
    counts["failed"] = codes.total()
    counts["ok"] = max(0, reading.done - counts["resumed"] - counts["failed"])
    return replace(reading, counts=counts, codes=codes, earlier_codes=earlier)


def summed_up(
    settings: JobSettings,
    lanes: Mapping[str, Summary],
    unfinished: Mapping[str, str],
    *,
    run_id: str,
    seconds: float,
    readings: Mapping[str, LaneReading] | None = None,
    before: Mapping[str, Sequence[LaneReading]] | None = None,
) -> Summary:
    """One summary of a job's lanes.

    Args:
        settings: The whole job.
        lanes: Summaries of lanes by instance.
        unfinished: Why lanes without a summary have none, by instance.
        run_id: The whole run's name.
        seconds: How long it took.
        readings: The last that was heard of those lanes.
        before: What workers had counted that lanes have moved from, by instance.
    """
    found = list(lanes.values())
    heard = [each for name, each in (readings or {}).items() if name not in lanes]
    added = {name: sum(getattr(each, name) for each in found) for name in SUMMED}
    codes: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for reading in heard:
        codes.update(reading.codes)
        codes.update(reading.earlier_codes)
        for name, count in reading.as_summed_up().items():
            added[name] += count
    for name, moved in (before or {}).items():
        if name not in lanes or not moved:
            continue
        added["resumed"] -= lanes[name].resumed - min(moved[0].counts.get("resumed", 0), lanes[name].resumed)
        for counter in CALLED:
            if counter in added:
                added[counter] += sum(each.counts.get(counter, 0) for each in moved)
    for each in found:
        codes.update(each.codes)
        left_out.update(each.left_out)
    exit_code = _exit_code(settings, found, unfinished, failed=added["failed"], rows=added["rows"])
    said = {name: each.message for name, each in lanes.items() if each.message} | dict(unfinished)
    rates = [each.calls_per_second for each in found if each.calls_per_second is not None]
    folder = settings.output.dir
    return Summary(
        exit_code=int(exit_code),
        run_id=run_id,
        operation=settings.operation,
        instance=names_of(workers_of(settings)),
        **added,
        codes=dict(codes),
        seconds=round(seconds, 3),
        calls_per_second=round(sum(rates), 3) if rates else None,
        tier=tier_of(settings),
        results=f"{folder}{OF_EACH_INSTANCE}results",
        hits_folder=f"{folder}{OF_EACH_INSTANCE}hits" if OPERATIONS[settings.operation].paged else "",
        message=_message(said),
        left_out=dict(left_out),
        truth=_truth([each.truth for each in found if each.truth is not None]),
        ended_by=next((each.ended_by for each in found if each.ended_by), None),
        advice={code: advice_on(code) for code in codes},
        meanings={code: meaning_of(code) for code in codes},
        again=retry_command(folder, codes),
    )


def _exit_code(
    settings: JobSettings,
    found: Sequence[Summary],
    unfinished: Mapping[str, str],
    *,
    failed: int,
    rows: int,
) -> ExitCode:
    ended = {ExitCode(each.exit_code) for each in found} | ({ExitCode.INCOMPLETE} if unfinished else set())
    for code in _GRAVEST_FIRST:
        if code in ended:
            return code
    # What a lane thinks of its own share of failures does not count: the job allows it for the whole.
    return ExitCode.TOO_MANY_FAILED if failed > settings.failures_allowed(rows) else ExitCode.DONE


def _message(said: Mapping[str, str]) -> str:
    """Why lanes ended early, each reason once, with whom it is of unless it is of all."""
    by_reason: dict[str, list[str]] = {}
    for name, why in said.items():
        by_reason.setdefault(why, []).append(name)
    if len(by_reason) == 1 and len(said) > 1:
        return next(iter(by_reason))
    return "; ".join(f"{', '.join(names)}: {why}" for why, names in by_reason.items())


def _truth(found: Sequence[Truth]) -> Truth | None:
    if not found:
        return None
    total = found[0]
    for each in found[1:]:
        total = replace(
            total,
            first_hits_expected=total.first_hits_expected + each.first_hits_expected,
            first_hits_found=total.first_hits_found + each.first_hits_found,
            outcomes_expected=total.outcomes_expected + each.outcomes_expected,
            outcomes_matched=total.outcomes_matched + each.outcomes_matched,
            surprises=(*total.surprises, *each.surprises)[:_MOST_SURPRISES],
        )
    return total
