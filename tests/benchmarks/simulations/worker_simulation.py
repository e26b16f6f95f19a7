"""A cluster's workers in virtual time, beside what `batchsearch plan --workers` says on paper.

    python tests/benchmarks/simulations/worker_simulation.py [--images 40000] [--json]

Discrete events. Each instance admits as many rows as a run does; what goes to the workers, and in what
bundles, is decided by the very code of a run (`batchsearch.images.cluster.bundles`). A core takes a bundle,
asks the store for all its images at once and prepares them one after the other as they come, over a line
that its machine's cores share. The owner takes each in and calls it at its instance's next slot. Images
differ in size and cost, the store in how long it takes (log-normal; a few images cost twenty times as
much). Workers are lost with what they had in work, which others do again, and come back a minute later. No
clock and no waiting: equal seeds are equal worlds. Exits with 1 where plan and simulation are more than a
tenth apart.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import random
import sys
from collections import deque
from dataclasses import dataclass
from functools import cache

import numpy as np

from batchsearch.images.cluster.bundles import Flow
from batchsearch.storage.remote.rhythm import Rhythm
from batchsearch.tasks.check.checking import ROWS_A_BATCH
from batchsearch.tasks.plan.measured_figures import figures_with
from batchsearch.tasks.plan.worker_plan import WorkerPlan, plan_workers
from batchsearch.tasks.plan.workloads import Workload, loads_of

AWAY_SECONDS = 60.0
"""Until a lost worker is back."""
LATE_SECONDS = 0.0003
"""How much later than its slot a call leaves, on average."""
HEAVY = (0.01, 20.0)
"""A share of the images that cost so many times as much, where costs are heavy."""
APART = 0.10
BITS = 8
STEP = 0.02
"""Seconds of a stretch of time in which a line or a store is shared out."""


@dataclass(frozen=True)
class Cell:
    """One world.

    Attributes:
        name: For people.
        images: How many.
        rates: Calls per second of each instance; none for a check.
        workers: Worker cores.
        sigma: How much images differ, of the logarithm.
        heavy: A few images cost twenty times as much.
        losses: How often an hour each core is lost.
        assume: Figures of the plan that differ.
    """

    name: str
    images: int
    rates: tuple[float, ...]
    workers: int
    sigma: float = 0.5
    heavy: bool = False
    losses: float = 0.0
    assume: tuple[str, ...] = ()

    @property
    def figures(self) -> dict[str, float]:
        return figures_with(self.assume)

    @property
    def load(self) -> Workload:
        """The work, as the plan has it."""
        rates = self.rates or (1.0,)
        check, run = loads_of(self.images, rates, self.figures, dedup=False)
        return run if self.rates else check

    @cache  # noqa: B019 - a few cells, for the life of the program
    def plan(self) -> WorkerPlan:
        """On paper."""
        return plan_workers(self.load, self.figures, [self.workers], rows_per_part=5_000, rhythm=Rhythm())

    def planned(self) -> float:
        """Seconds by the plan."""
        return next(each.hours for each in self.plan().timings if each.workers == self.workers) * 3600


class Shared:
    """What many share that does so much a second, a line or a store: whoever comes takes what is left then.

    Args:
        a_second: How much it does.
    """

    def __init__(self, a_second: float) -> None:
        self._step = max(STEP, 1 / a_second)
        self._room = a_second * self._step
        self._used: dict[int, float] = {}
        self._free: dict[int, int] = {}

    def take(self, at: float, amount: float) -> float:
        """When so much is done that was asked for at that time."""
        place, end = self._next(int(at / self._step)), at
        while amount > 0:
            some = min(amount, self._room - self._used.get(place, 0.0))
            amount -= some
            self._used[place] = self._used.get(place, 0.0) + some
            end = max(end, place * self._step + self._step * self._used[place] / self._room)
            if self._room - self._used[place] < self._room * 1e-9:
                self._free[place] = place + 1
            place = self._next(place + (amount > 0))
        return end

    def _next(self, place: int) -> int:
        """The first stretch of time from there on that has room."""
        passed = []
        while place in self._free:
            passed.append(place)
            place = self._free[place]
        for each in passed:
            self._free[each] = place
        return place


@dataclass
class Core:
    """A worker's core: what it has in work, and how often it was lost."""

    machine: int
    bundle: list[int] | None = None
    life: int = 0


@dataclass
class Lane:
    """An instance: rows that were not admitted yet, how many may be at once and are, and its latest slot."""

    rate: float
    left: int
    most: int
    admitted: int = 0
    slot: float = -math.inf


class Simulation:
    """Plays a cell.

    Args:
        cell: The world.
        seed: Decides all chance in it.
    """

    def __init__(self, cell: Cell, seed: int) -> None:
        self.cell = cell
        self.load = cell.load
        self.figures = cell.figures
        self._draws = np.random.default_rng(seed)
        self._chance = random.Random(seed)
        self._serial = itertools.count()
        self._events: list = []
        machines = math.ceil(cell.workers / self.figures["cores"])
        self._lines = [Shared(self.figures["line_mbps"] / BITS) for _ in range(machines)]
        self._store = Shared(self.figures["store_per_second"])
        self._flow = Flow(cell.workers)
        self._waiting: deque[int] = deque()
        self._queued: deque[list[int]] = deque()
        self._owner = 0.0
        self._idle: list[Core] = []
        self.repeated = 0
        self.done = 0
        self.end = 0.0
        rates = cell.rates or (math.inf,)
        self._lanes = [
            Lane(
                rate,
                cell.images // len(rates) + (number < cell.images % len(rates)),
                self.load.lanes[number].admitted if cell.rates else 0,
            )
            for number, rate in enumerate(rates)
        ]
        self._cores = [Core(int(number // self.figures["cores"])) for number in range(cell.workers)]

    def run(self) -> float:
        """Seconds until the last outcome."""
        self._idle = list(self._cores)
        for core in self._cores:
            self._next_loss(core, 0.0)
        # Lanes read side by side, a row of each in turn.
        while sum(self._admit(number) for number in range(len(self._lanes))):
            pass
        self._hand_out(0.0)
        while self.done < self.cell.images:
            at, _, what, about = heapq.heappop(self._events)
            what(at, *about)
        return self.end

    def _at(self, at: float, what, *about) -> None:
        heapq.heappush(self._events, (at, next(self._serial), what, about))

    def _admit(self, number: int) -> bool:
        lane = self._lanes[number]
        # A check looks so far ahead; see `tasks.check.checking`.
        most = lane.most if lane.rate < math.inf else ROWS_A_BATCH + self._flow.size
        if not lane.left or lane.admitted >= most:
            return False
        lane.left -= 1
        lane.admitted += 1
        self._waiting.append(number)
        return True

    def _hand_out(self, at: float) -> None:
        while count := self._flow.next_bundle(len(self._waiting)):
            self._flow.sent(count)
            self._queued.append([self._waiting.popleft() for _ in range(count)])
        while self._queued and self._idle:
            core = self._idle.pop()
            core.bundle = self._queued.popleft()
            self._at(self._prepared(core, at), self._made, core, core.life)

    def _drawn(self, mean: float, sigma: float, size: int) -> np.ndarray:
        return mean * self._draws.lognormal(-(sigma**2) / 2, sigma, size)

    def _prepared(self, core: Core, at: float) -> float:
        """When a core has the images of its bundle ready."""
        size, sigma = len(core.bundle), self.cell.sigma
        costs = self._drawn(self.load.worker_ms / 1000, sigma, size)
        if self.cell.heavy:
            share, times = HEAVY
            costs *= np.where(self._draws.random(size) < share, times, 1.0) / (1 + share * (times - 1))
        sizes = self._drawn(self.load.image_mb, sigma, size).tolist()
        waits = self._drawn(self.figures["latency_ms"] / 1000, self.figures["latency_spread"], size).tolist()
        line = self._lines[core.machine]
        begun = sorted(
            (self._store.take(at, 1.0) + wait, size) for wait, size in zip(waits, sizes, strict=True)
        )
        free = at
        for (comes, mb), cost in zip(begun, costs.tolist(), strict=True):
            free = max(free, line.take(comes, mb)) + cost
        return free

    def _made(self, at: float, core: Core, life: int) -> None:
        if life != core.life:
            return  # lost meanwhile
        bundle, core.bundle = core.bundle, None
        self._idle.append(core)
        self._flow.back(len(bundle), int(len(bundle) * (512 + self.load.sent_mb * 1e6)), len(bundle))
        owner_seconds = self.load.owner_ms / 1000 / max(1, self._owners())
        for number in bundle:
            lane = self._lanes[number]
            self._owner = max(self._owner, at) + owner_seconds
            if lane.rate == math.inf:
                self._called(self._owner, number)
                continue
            lane.slot = max(lane.slot + 1 / lane.rate, self._owner) + self._chance.expovariate(
                1 / LATE_SECONDS
            )
            self._at(lane.slot, self._called, number)
        self._hand_out(at)

    def _owners(self) -> int:
        return self.cell.plan().owners

    def _called(self, at: float, number: int) -> None:
        self.done += 1
        self.end = max(self.end, at)
        self._lanes[number].admitted -= 1
        while self._admit(number):
            pass
        if self._lanes[number].rate < math.inf:
            self._hand_out(at)

    def _next_loss(self, core: Core, at: float) -> None:
        if self.cell.losses:
            self._at(at + self._chance.expovariate(self.cell.losses / 3600), self._lost, core)

    def _lost(self, at: float, core: Core) -> None:
        core.life += 1
        if core.bundle is None:
            self._idle.remove(core)
        else:
            self.repeated += len(core.bundle)
            self._queued.appendleft(core.bundle)
            core.bundle = None
        self._flow.threads -= 1
        self._at(at + AWAY_SECONDS, self._back, core)
        self._hand_out(at)

    def _back(self, at: float, core: Core) -> None:
        self._flow.threads += 1
        self._idle.append(core)
        self._next_loss(core, at)
        self._hand_out(at)


def cells(images: int) -> list[Cell]:
    """A hundred workers and fewer, limited by each thing there is."""
    many, few = (10.0,) * 100, (10.0,) * 10
    return [
        Cell("check, images limit", images, (), 100),
        Cell("check, images limit, heavy", 3 * images, (), 100, heavy=True),
        Cell("check, workers lost", 4 * images, (), 100, losses=4),
        Cell("check, store limits", images, (), 100, assume=("store_per_second=1000",)),
        Cell("check, network limits", images, (), 100, assume=("line_mbps=600",)),
        Cell("check, latency limits", images, (), 100, assume=("repaired=0", "latency_ms=400")),
        Cell("check, four workers", images // 10, (), 4),
        Cell("run, calls limit", images, many, 100),
        Cell("run, calls limit, heavy, lost", images, many, 100, heavy=True, losses=4),
        Cell("run, images limit", images, many, 20),
        Cell("run, near the balance", images, many, 27),
        Cell("run, ten instances", images // 5, few, 100, sigma=1.0),
        Cell("run, tiers of 1, 5 and 10", images // 30, (1.0, 5.0, 10.0), 100),
        Cell("run, as many as are worth having", images, many, 30, sigma=1.0),
        Cell("run, light images", images, many, 100, assume=("repaired=0", "latency_ms=300")),
    ]


def main() -> None:
    """Play every cell and print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    found = []
    for cell in cells(options.images):
        played = Simulation(cell, seed=7)
        planned, took = cell.planned(), played.run()
        found.append({"cell": cell.name, "planned": planned, "simulated": took, "repeated": played.repeated})
        print(
            f"{cell.name:36}{planned:10.1f} s planned {took:10.1f} s simulated {took / planned:6.3f}"
            f"   {played.repeated:,} repeated"
        )
    if options.json:
        print(json.dumps({"cells": found}))
    sys.exit(any(abs(each["simulated"] / each["planned"] - 1) > APART for each in found))


if __name__ == "__main__":
    main()
