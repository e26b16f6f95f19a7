"""Who holds an output in a store: one run at a time, by leases that are numbered and made only once.

A lease is an object `lease/<generation>.json`. Its holder writes it anew every few seconds; whether it has
lapsed is told by the store's own times alone. Whoever takes over makes the next one, and from then on the
lower ones mean nothing: a holder sees that his is no longer the highest, and stops.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import OutputError, OutputInUseError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from batchsearch.storage.stores.address import StoreAddress
    from batchsearch.storage.stores.object_store import ObjectFacts, ObjectStore

LAPSE: Final = 180.0
"""Seconds after which a lease that was not renewed has lapsed, where it does not say another time."""
_LONGEST: Final = 86_400.0
_DIGITS: Final = 8
_NAME: Final = re.compile(rf"(\d{{{_DIGITS}}})[-.]")


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lease.

    Attributes:
        token: Random, of this one holding.
        run: The run's name.
        host: The machine's name.
        pid: The process.
        work: Name of the work folder.
        folder: Where that is.
        since: When it was taken, by the holder's clock, ISO 8601 UTC. For people.
        beats: How often it was renewed.
        lapse: Seconds after which it is anybody's where it was not renewed. The holder stops in time by them;
            so they count, and not those of who would take over.
    """

    token: str
    run: str
    host: str
    pid: int
    work: str
    folder: str
    since: str
    beats: int = 0
    lapse: float = LAPSE

    def __str__(self) -> str:
        return f"run {self.run}, process {self.pid} on {self.host} since {self.since}"

    def same_place(self, other: Owner) -> bool:
        """Whether both work in one folder of one machine, where a lock keeps them apart."""
        return (self.work, self.host, self.folder) == (other.work, other.host, other.folder)


def lapse_said(values: dict[str, Any]) -> float:
    """After how many seconds a lease lapses, as its object says; earlier versions did not."""
    said = values.get("lapse")
    is_number = isinstance(said, int | float) and math.isfinite(said)
    return min(max(float(said), 0.0), _LONGEST) if is_number and said is not None else LAPSE


def numbered(generation: int, ending: str) -> str:
    """The name of a generation's object."""
    return f"{generation:0{_DIGITS}d}{ending}"


def number_of(address: StoreAddress) -> int | None:
    """The generation that an object's name says; None for a name of another kind."""
    match = _NAME.match(address.path.rpartition("/")[2])
    return None if match is None else int(match[1])


def highest(found: Iterable[ObjectFacts]) -> int:
    """The highest generation of some objects; 0 for none."""
    return max((number_of(each.address) or 0 for each in found), default=0)


class Lease:
    """The right to write an output, for one run.

    Methods are synchronous and called in worker threads, one at a time. A `StoreError` of the store comes out
    of each as it is.

    Args:
        store: Where the output is.
        folder: Folder of the leases.
        indexes: Folder of the indexes; their generations count, too.
        owner: Who takes it. His token must never have been used before.
        shown: The output's address, for messages.
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: StoreAddress,
        indexes: StoreAddress,
        owner: Owner,
        *,
        shown: str,
    ) -> None:
        self._store = store
        self._folder = folder
        self._indexes = indexes
        self._owner = owner
        self._shown = shown
        self.generation = 0

    def take(self) -> None:
        """Become the holder.

        Raises:
            OutputInUseError: Another run holds the output; the message says who.
        """
        leases = self._store.listing(self._folder)
        self._refuse_if_held(leases)
        generation = max(highest(leases), highest(self._store.listing(self._indexes))) + 1
        mine = self._folder.below(numbered(generation, ".json"))
        if not self._store.create(mine, self._text()):
            self._refuse_if_held(self._store.listing(self._folder))
            raise OutputInUseError(
                f"{self._shown}: another run has just begun or ended here; run again in a moment"
            )
        # Between looking and making, another run may have come and gone, with this very number.
        leases = self._store.listing(self._folder)
        ahead = max(highest(leases), highest(self._store.listing(self._indexes)) + 1)
        if ahead > generation:
            self._store.delete([mine])
            self._refuse_if_held(leases)
            raise OutputInUseError(f"{self._shown}: another run was faster; run again in a moment")
        self.generation = generation
        self._store.delete(
            each.address for each in leases if (number_of(each.address) or generation) < generation
        )

    def renew(self) -> None:
        """Keep the lease from lapsing.

        Raises:
            OutputError: It is another's by now.
        """
        self.hold()
        self._owner = replace(self._owner, beats=self._owner.beats + 1)
        self._store.put(self._folder.below(numbered(self.generation, ".json")), self._text())

    def hold(self) -> None:
        """Make sure that the lease is still there and the highest.

        Raises:
            OutputError: It is not.
        """
        found = self._store.listing(self._folder)
        numbers = {number_of(each.address) for each in found}
        if self.generation in numbers and highest(found) == self.generation:
            return
        holder = next((each for each in found if number_of(each.address) == highest(found)), None)
        owner = None if holder is None else self._owner_of(holder)
        raise OutputError(
            f"{self._shown}: another run has taken this output over"
            + (f" ({owner})" if owner is not None else "")
            + ", because the store had not heard of this one for too long; this run stops, what it was "
            "answered since is in its work folder only"
        )

    def give_up(self) -> None:
        """Let others take the output at once."""
        if self.generation:
            self._store.delete([self._folder.below(numbered(self.generation, ".json"))])
            self.generation = 0

    def _text(self) -> bytes:
        return json.dumps(asdict(self._owner)).encode()

    def _refuse_if_held(self, leases: list[ObjectFacts]) -> None:
        if not leases:
            return
        last = max(leases, key=lambda each: number_of(each.address) or 0)
        owner = self._owner_of(last)
        # A lock on the folder keeps its runs apart: one of the same folder is no more.
        if owner is not None and owner.same_place(self._owner):
            return
        now = self._store_time()
        age = None if now is None or last.modified is None else (now - last.modified).total_seconds()
        lapse = LAPSE if owner is None else owner.lapse
        if age is not None and age > lapse:
            return
        left = "" if age is None else f"; unless it is renewed, its lease lapses in {lapse - age:.0f} s"
        raise OutputInUseError(
            f"{self._shown}: another run is working here ({owner or 'its name is not readable'}){left}; "
            "wait for it, or give this job another `output.dir`"
        )

    def _store_time(self) -> datetime | None:
        """What time it is for the store: when it says that an object of this moment was written."""
        probe = self._folder.below(f"clock-{self._owner.token}")
        self._store.put(probe, b"")
        try:
            facts = self._store.facts(probe)
        finally:
            self._store.delete([probe])
        return None if facts is None else facts.modified

    def _owner_of(self, lease: ObjectFacts) -> Owner | None:
        """Who wrote a lease; None where it is gone or cannot be read."""
        facts = self._store.facts(lease.address)
        if facts is None:
            return None
        try:
            values: dict[str, Any] = json.loads(self._store.read(facts))
            texts = {
                name: str(values[name])[:200] for name in ("token", "run", "host", "work", "folder", "since")
            }
            return Owner(
                **texts, pid=int(values["pid"]), beats=int(values["beats"]), lapse=lapse_said(values)
            )
        except (ValueError, KeyError, TypeError, OSError):
            return None
