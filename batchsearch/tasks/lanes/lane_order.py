"""What travels between a job's client and the workers that its lanes are on: orders, readings, ends (pure).

No secret is in an order: it is the job as its ledger keeps it, and credentials are the worker's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from batchsearch.config.credential_names import names_a_secret_header
from batchsearch.config.load import recorded_settings
from batchsearch.config.sections.header_settings import VARIABLE
from batchsearch.config.sections.metrics_settings import MetricsSettings
from batchsearch.config.sections.notify_settings import NotifySettings
from batchsearch.config.sections.worker_settings import WorkerSettings
from batchsearch.engine.job.run_options import PLAIN_RUN, RunOptions
from batchsearch.errors import ConfigError
from batchsearch.telemetry.stats import COUNTERS
from batchsearch.telemetry.summary import SUMMED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.config.model import JobSettings
    from batchsearch.telemetry.stats import Stats


@dataclass(frozen=True, slots=True)
class LaneOrder:
    """One lane, as a worker is given it.

    Attributes:
        token: Names this giving of it; random.
        instance: The lane's instance.
        job: The lane's settings as JSON.
        options: Of its run, as far as they travel.
        silence: It stops in good order when nobody has asked after it for so long, seconds.
        log_level: Events of this level and above are in the worker's log.
    """

    token: str
    instance: str
    job: str
    options: RunOptions = PLAIN_RUN
    silence: float = 30.0
    log_level: str = "info"

    def settings(self) -> JobSettings:
        """The lane's settings.

        Raises:
            ConfigError: This version does not understand them.
        """
        found = recorded_settings(json.loads(self.job))
        if found is None:
            raise ConfigError(
                f"{self.instance}: the worker does not understand the job; has it another version?"
            )
        return found


@dataclass(frozen=True, slots=True)
class LaneReading:
    """A lane at one moment: its counters, and what is told of the last half minute.

    Attributes:
        counts: Counters by their names in `Stats`.
        codes: Rows of this run by code.
        earlier_codes: Rows of earlier runs by code.
        troubles: Endpoints that do not answer, and why.
        rate: Calls a second.
        row_rate: Rows a second.
        denied_share: Part of the answers that were denials.
        mean_rate: Calls a second from the first call to the last; None when they are too few.
        since_success: Seconds since a call or a row ended well; None when none has.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)
    earlier_codes: Mapping[str, int] = field(default_factory=dict)
    troubles: Mapping[str, str] = field(default_factory=dict)
    rate: float = 0.0
    row_rate: float = 0.0
    denied_share: float = 0.0
    mean_rate: float | None = None
    since_success: float | None = None

    @classmethod
    def of(cls, stats: Stats, now: float) -> Self:
        """What counters say at `now`, seconds of the clock that they were counted by."""
        last = stats.last_success
        return cls(
            {name: getattr(stats, name) for name in COUNTERS},
            dict(stats.codes),
            dict(stats.earlier_codes),
            dict(stats.troubles),
            stats.rate(now),
            stats.row_rate(now),
            stats.denied_share(now),
            stats.mean_rate(),
            None if last is None else now - last,
        )

    @property
    def done(self) -> int:
        """Rows that have their outcome."""
        return sum(self.counts.get(name, 0) for name in ("resumed", "ok", "failed"))

    def as_summed_up(self) -> dict[str, int]:
        """What a summary would say of it, by the summary's names."""
        failed = sum(self.codes.values()) + sum(self.earlier_codes.values())
        return {name: self.counts.get(name, 0) for name in SUMMED} | {
            "rows": self.counts.get("total", 0),
            "done": self.done,
            "ok": self.done - failed,
            "failed": failed,
        }


CALLED: Final = (
    "calls",
    "denied",
    "retries",
    "coalesced",
    "reused",
    "rejected",
    "stood",
    "hits",
    "sent_bytes",
)
"""Those that each worker counts from nothing, wherever its lane was before."""


@dataclass(frozen=True, slots=True)
class LaneEnd:
    """How a lane ended on a worker.

    Attributes:
        token: Of its order.
        summary: The summary as a record; None where it had none.
        error: What ended it: the exit code, and the message.
        moves: It has to go on somewhere: the worker is closing, or had nobody to work for.
    """

    token: str
    summary: Mapping[str, Any] | None = None
    error: tuple[int, str] | None = None
    moves: bool = False


def travelling(lane: JobSettings) -> str:
    """A lane's settings as they travel.

    Its client tells of its end and publishes its numbers; its images are made ready by the worker itself.

    Raises:
        ConfigError: A secret stands in them, which would travel.
    """
    for host, headers in lane.images.headers.items():
        for name, value in headers.items():
            if names_a_secret_header(name) and VARIABLE.search(value) is None:
                raise ConfigError(
                    f"images.headers: {host}: {name} would travel to the workers; write its secret as "
                    "`${NAME}` and set this variable in each worker's environment"
                )
    there = lane.model_copy(
        update={"workers": WorkerSettings(), "notify": NotifySettings(), "metrics": MetricsSettings()}
    )
    return json.dumps(there.model_dump(mode="json"))
