"""What may be said of one run of a job, beside the job: once, for command line, programs and commands."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Final

from batchsearch.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from batchsearch.engine.job.stop_signals import StopSignals
    from batchsearch.engine.renewal.row_selector import RowSelector
    from batchsearch.engine.run.stand_in import StandIn
    from batchsearch.telemetry.progress import Progress


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One run of a job.

    Attributes:
        until: Nothing is sent from then on.
        max_calls: Most calls of this run; of a night, those of its search.
        chosen: Finished rows to be asked for again, and no others.
        progress: Shown steps and counters.
        signals: Told which runner to stop.
        stand_in: Takes the calls in place of the instances.
        tells: Whoever the job says is told how it ended; not where somebody else sees to that.
    """

    until: datetime | None = None
    max_calls: int | None = None
    chosen: RowSelector | None = None
    progress: Progress | None = None
    signals: StopSignals | None = None
    stand_in: StandIn | None = None
    tells: bool = True

    def __post_init__(self) -> None:
        """Refuse a bound that is none: it would be taken for no bound at all."""
        most: object = self.max_calls
        if most is not None and not (isinstance(most, Integral) and int(most) >= 0):
            raise ConfigError.at("max_calls", f"is a whole number from 0 on, not {most!r}")


PLAIN_RUN: Final = RunOptions()
"""To the end, with nothing shown."""
