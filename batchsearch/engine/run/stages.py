"""What the pipeline is made of, and how much of it may be under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from batchsearch.engine.job.window import CallsLeft
    from batchsearch.engine.parts.sealer import Sealer
    from batchsearch.engine.rows.answer_cache import AnswerCache
    from batchsearch.engine.rows.row_reader import RowReader
    from batchsearch.engine.run.held_output import KeptLedger
    from batchsearch.engine.run.stand_in import Answerer, RowPreparer
    from batchsearch.pacing.in_flight import FixedLimit, InFlightLimit
    from batchsearch.pacing.pacer import Pacer
    from batchsearch.pacing.shared import SharedPacer
    from batchsearch.pacing.unpaced import Unpaced
    from batchsearch.service.upload import Uploader
    from batchsearch.storage.ledger.store import Ledger

_AHEAD_SECONDS: Final = 3.0
_FEWEST_ADMITTED: Final = 16
_MOST_ADMITTED: Final = 64


def admitted_at_once(qps: float, in_flight_ceiling: int) -> int:
    """How many rows are held at once: some seconds of the rate beside those that wait for answers."""
    ahead = max(_FEWEST_ADMITTED, int(min(_MOST_ADMITTED, qps * _AHEAD_SECONDS)))
    return ahead + in_flight_ceiling


@dataclass(frozen=True, slots=True)
class Stages:
    """What the pipeline is made of; the runner only joins them.

    Attributes:
        reader: Gives the rows.
        preparer: Makes them ready.
        pacer: Grants slots.
        in_flight: How many calls may be out at once.
        client: Makes calls.
        uploader: Puts images where the service can fetch them; None where they travel in the request.
        ledger: Takes outcomes.
        sealer: Writes parts of them.
        answers: Finds answers to equal requests.
        calls_left: How many calls the run may make.
        admitted: Rows held at once.
    """

    reader: RowReader
    preparer: RowPreparer
    pacer: Pacer | SharedPacer | Unpaced
    in_flight: InFlightLimit | FixedLimit
    client: Answerer
    uploader: Uploader | None
    ledger: Ledger | KeptLedger
    sealer: Sealer
    answers: AnswerCache
    calls_left: CallsLeft
    admitted: int
