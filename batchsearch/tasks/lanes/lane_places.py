"""Which worker a lane goes to (pure)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


def placed(
    waiting: Iterable[str],
    working: Mapping[str, str],
    workers: Collection[str],
    avoided: Mapping[str, Collection[str]],
) -> dict[str, str]:
    """The workers that waiting lanes go to: those with the fewest lanes, on the machines with the fewest.

    Args:
        waiting: Lanes without a worker, by instance.
        working: The workers of the others, by instance.
        workers: Addresses of the workers that there are.
        avoided: Workers on which a lane did not get on, by instance; taken only where there is no other.

    Returns:
        The new ones by instance; empty while there is no worker.
    """
    lanes = Counter(working.values())
    machines = Counter(map(machine_of, working.values()))
    found: dict[str, str] = {}
    for instance in waiting:
        if not workers:
            break
        bad = avoided.get(instance, ())
        best = min(
            workers,
            key=lambda worker: (worker in bad, lanes[worker], machines[machine_of(worker)], worker),
        )
        found[instance] = best
        lanes[best] += 1
        machines[machine_of(best)] += 1
    return found


def machine_of(worker: str) -> str:
    """The machine that a worker's address names."""
    return worker.rpartition("://")[2].rpartition(":")[0]


def shares(most: int | None, lanes: int) -> list[int | None]:
    """How many calls each of so many lanes may make, of all that may be made; None for no bound."""
    if most is None:
        return [None] * lanes
    each, more = divmod(most, lanes)
    return [each + (number < more) for number in range(lanes)]
