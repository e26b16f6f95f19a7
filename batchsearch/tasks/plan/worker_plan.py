"""What workers of a cluster are worth: hours, limits, bytes and requests of a size on paper (pure).

A row goes through stages that work side by side: workers fetch an image and make it ready, its owner calls.
The slowest stage decides how long all of them take. Every figure comes from `measured_figures`, or from the
job's own images. `tests/benchmarks/simulations/worker_simulation.py` plays the same in virtual time.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import asdict, dataclass
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, Literal

from batchsearch.images.cluster.bundles import BUNDLES_A_THREAD, Flow
from batchsearch.tasks.plan.batch_way import ENCODED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.storage.remote.rhythm import Rhythm
    from batchsearch.tasks.plan.workloads import Workload

Limit = Literal["calls", "images", "network", "store"]

HEADROOM: Final = 1.1
"""So much more than is needed on average: images differ, and workers come and go."""

SOON_SECONDS: Final = 60.0
"""What is done so soon is worth no further worker: starting one takes as long."""

MOST_WORKERS: Final = 100_000
"""Worker cores that are thought of."""

OWNER_AT_MOST: Final = 0.8
"""Share of a core that the owner of calls may need: above it, calls leave late."""

_SECONDS_AN_HOUR: Final = 3_600
_BITS: Final = 8
_NORMAL: Final = NormalDist()
_VERDICT: Final = 512
"""Bytes that come back of an image that is not sent."""
_SETTLED: Final = 500
"""Images after which it is known what one weighs."""
_NEAR: Final = 0.9
"""Of the best rate that any number of workers has."""
_WAITED: Final = 2
"""A core that has an image for more than so many times its CPU waits rather than works."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long some workers take.

    Attributes:
        workers: Worker cores.
        hours: From the first image to the last outcome.
        limit: What takes so long.
    """

    workers: int
    hours: float
    limit: Limit


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes and requests of the whole.

    Attributes:
        fetched: Bytes of the images as they are stored.
        moved: Bytes from workers to owners.
        sent: Bytes of requests to the service.
        parts: Bytes of the tables.
        ledger: Bytes of the ledgers.
        carried: Bytes to the output's store, copies of the ledgers among them.
        reads: Requests for images.
        writes: Requests to the output's store.
    """

    fetched: int
    moved: int
    sent: int
    parts: int
    ledger: int
    carried: int
    reads: int
    writes: int


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """One kind of work of one size.

    Attributes:
        load: What is to be done.
        timings: How long, by workers.
        worth_having: Worker cores above which nothing gets faster.
        limit: What limits from there on.
        machines: So many machines have these cores.
        owners: Processes that the calls need, each with lanes of its own.
        traffic: Bytes and requests.
    """

    load: Workload
    timings: tuple[Timing, ...]
    worth_having: int
    limit: Limit
    machines: int
    owners: int
    traffic: Traffic

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into JSON."""
        load, traffic = self.load, asdict(self.traffic)
        requests = {name: traffic.pop(name) for name in ("reads", "writes")}
        rate = sum(lane.rate for lane in load.lanes)
        return {
            "work": load.work,
            "images": load.images,
            "instances": len(load.lanes),
            "calls": load.calls,
            "calls_per_second": None if math.isinf(rate) else round(rate, 4),
            "worker_core_hours": round(load.core_hours, 4),
            "owner_core_hours": round(load.owner_hours, 4),
            "worth_having": self.worth_having,
            "limit": self.limit,
            "machines": self.machines,
            "owners": self.owners,
            "workers": [
                {"workers": each.workers, "hours": round(each.hours, 4), "limit": each.limit}
                for each in self.timings
            ],
            "bytes": traffic,
            "store_requests": requests,
        }


def plan_workers(
    load: Workload,
    figures: Mapping[str, float],
    workers: Sequence[int],
    *,
    rows_per_part: int,
    rhythm: Rhythm,
) -> WorkerPlan:
    """How long it takes with so many workers, how many are worth having, and what it moves.

    Args:
        load: What is to be done.
        figures: By name; see `measured_figures`.
        workers: Worker cores to try; the number that is worth having is always among the timings.
        rows_per_part: Rows of a part of the output.
        rhythm: How often an output is carried to its store.
    """
    owners = _owners(load)
    fixed = _fixed_seconds(load, figures, owners)
    worth = _worth_having(load, figures, max(fixed.values(), default=0.0))
    timings = tuple(_timing(load, figures, fixed, count) for count in sorted({*workers, worth}) if count > 0)
    best = next(each for each in timings if each.workers == worth)
    return WorkerPlan(
        load=load,
        timings=timings,
        worth_having=worth,
        limit=best.limit,
        machines=math.ceil(worth / figures["cores"]),
        owners=owners,
        traffic=_traffic(load, figures, best.hours * _SECONDS_AN_HOUR, rows_per_part, rhythm),
    )


def _worth_having(load: Workload, figures: Mapping[str, float], slowest: float) -> int:
    """Worker cores that keep the slowest of the other stages supplied; one for each image at most.

    Where no number does, because only so many bytes may be under way, the one that comes near to the best;
    where all would be done in a minute, no more than that takes.
    """
    most = max(1, min(load.images, MOST_WORKERS))
    wanted = HEADROOM * load.images / max(slowest, SOON_SECONDS)
    wanted = min(wanted, _NEAR * _rate_of_workers(load, figures, most))
    return 1 + bisect_left(range(1, most), wanted, key=lambda count: _rate_of_workers(load, figures, count))


def _owners(load: Workload) -> int:
    """Processes that the calls need: one as long as its core is enough, never more than there are lanes."""
    rate = sum(lane.rate for lane in load.lanes if not math.isinf(lane.rate))
    if not load.calls:
        return 0
    needed = math.ceil(rate * load.images / load.calls * load.owner_ms / 1000 / OWNER_AT_MOST)
    return max(1, min(needed, len(load.lanes)))


def _fixed_seconds(load: Workload, figures: Mapping[str, float], owners: int) -> dict[Limit, float]:
    """Seconds of the stages that no worker makes shorter."""
    found: dict[Limit, float] = {}
    calls = max((lane.seconds(figures["granted_share"]) for lane in load.lanes), default=0.0)
    if owners and math.isinf(max(lane.rate for lane in load.lanes)):
        calls = max(calls, load.images * load.owner_ms / 1000 / owners)
    if calls:
        found["calls"] = calls
    line = figures["line_mbps"] / _BITS
    if owners:
        found["network"] = load.calls * load.sent_mb * ENCODED / (line * owners)
    if load.remote:
        found["store"] = load.images / figures["store_per_second"]
    return found


@cache
def _bundles(workers: int, admitted: float, weight: int) -> tuple[int, int]:
    """Images of a bundle, and cores that have one at a time, by the rules of a run.

    Args:
        workers: Worker cores.
        admitted: Rows that all instances have under way at once.
        weight: Bytes that come back of an image.
    """
    flow = Flow(workers)
    for _ in range(_SETTLED):
        flow.sent(1)
        flow.back(1, weight, 1)
    if admitted > flow.size:
        return flow.share, min(workers, math.ceil(flow.size / flow.share))
    return min(flow.share, math.ceil(admitted / (workers * BUNDLES_A_THREAD))), workers


def _image_seconds(load: Workload, figures: Mapping[str, float], workers: int) -> float:
    """Seconds of a core for an image, its wait among them.

    A core asks for all images of a bundle at once and prepares them one after the other as they come: at the
    quantiles of the latency, so that the first is there early and the last one late.
    """
    cpu = load.worker_ms / 1000
    if not load.remote:
        return cpu
    spread = figures["latency_spread"]
    median = figures["latency_ms"] / 1000 * math.exp(-(spread**2) / 2)
    transfer = load.image_mb * _BITS / figures["line_mbps"]
    size, busy = _bundles(workers, load.admitted, round(load.sent_mb * 1e6) or _VERDICT)
    free = 0.0
    for place in range(size):
        z = _NORMAL.inv_cdf((place + 0.5) / size)
        free = max(free, median * math.exp(spread * z) + transfer) + cpu
    return free / size * workers / busy


def _line_seconds(load: Workload, figures: Mapping[str, float]) -> float:
    """Seconds that all images take on the line of one machine."""
    return load.images * load.image_mb * _BITS / figures["line_mbps"] if load.remote else 0.0


def _rate_of_workers(load: Workload, figures: Mapping[str, float], workers: int) -> float:
    """Images a second that so many cores make ready."""
    return load.images / max(_worker_seconds(load, figures, workers).values()) if load.images else 0.0


def _worker_seconds(load: Workload, figures: Mapping[str, float], workers: int) -> dict[Limit, float]:
    """Seconds of the stages that workers share."""
    lines = _line_seconds(load, figures) / math.ceil(workers / figures["cores"])
    of_image = _image_seconds(load, figures, workers)
    of_cores = load.images * of_image / workers
    if of_image > _WAITED * load.worker_ms / 1000:
        # Most of it is waiting for images to come.
        return {"images": load.images * load.worker_ms / 1000 / workers, "network": max(of_cores, lines)}
    return {"images": of_cores, "network": lines}


def _timing(
    load: Workload, figures: Mapping[str, float], fixed: Mapping[Limit, float], workers: int
) -> Timing:
    stages: dict[Limit, float] = dict(fixed)
    for name, seconds in _worker_seconds(load, figures, workers).items():
        stages[name] = max(stages.get(name, 0.0), seconds)
    limit: Limit = max(stages, key=lambda name: stages[name])
    first = (figures["latency_ms"] + load.worker_ms) / 1000
    return Timing(workers, (stages[limit] + first) / _SECONDS_AN_HOUR, limit)


def _traffic(
    load: Workload, figures: Mapping[str, float], seconds: float, rows_per_part: int, rhythm: Rhythm
) -> Traffic:
    row_bytes = figures["part_row_bytes"] + figures["hits"] * figures["part_hit_bytes"]
    parts = ledger = carried = writes = 0
    for lane in load.lanes:
        tables = 2 if figures["hits"] else 1
        objects = tables * math.ceil(lane.calls / rows_per_part)
        of_ledger = lane.calls * figures["ledger_row_bytes"]
        # Half of it on average; a ledger that takes long to send is sent less often.
        takes = of_ledger / 2 / (figures["line_mbps"] * 1e6 / _BITS)
        copies = math.ceil(seconds / (max(rhythm.carry, rhythm.rest * takes) + takes))
        parts += round(lane.calls * row_bytes)
        ledger += round(of_ledger)
        carried += round(lane.calls * row_bytes + copies * of_ledger / 2)
        writes += objects + round(copies * figures["carry_requests"])
        writes += round(seconds / rhythm.beat * figures["beat_requests"])
    fetched = round(load.images * load.image_mb * 1e6)
    moved = round(load.images * load.sent_mb * 1e6)
    return Traffic(
        fetched=fetched,
        moved=moved,
        sent=round(load.calls * load.sent_mb * 1e6 * ENCODED),
        parts=parts,
        ledger=ledger,
        carried=carried,
        reads=load.images if load.remote else 0,
        writes=writes,
    )
