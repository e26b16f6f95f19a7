"""Who takes the calls of a run in place of an instance: rows go the same way, and spend no slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.engine.rows.pending_row import Failure, JobFacts, PendingRow
    from batchsearch.service.client import Answer
    from batchsearch.service.form import Call


class Answerer(Protocol):
    """Answers calls (see `service.client.Client`)."""

    @property
    def address(self) -> str:
        """What is called, for people."""

    async def send(self, call: Call) -> Answer:
        """What comes of a call, made once."""

    async def refresh_credentials(self) -> None:
        """Replace credentials that were refused."""


class RowPreparer(Protocol):
    """Makes rows ready to be sent (see `engine.rows.preparer.Preparer`)."""

    async def prepare(self, pending: PendingRow) -> Failure | None:
        """Ready a row, or say what it ended as."""

    async def build(self, pending: PendingRow) -> Failure | None:
        """Build the request of a row that is prepared already."""

    def look_again(self, pending: PendingRow) -> None:
        """Look for an answer to an equal request that has come since."""

    def note_source(self, pending: PendingRow) -> None:
        """Note what a row comes from, by which a change is told."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """Takes the place of an instance for one run.

    Attributes:
        client: Answers the calls; images are handed to it beside the body.
        at_once: How many it answers at a time.
        preparer: Makes what readies rows, given what holds for them and what does it usually, which is what
            does it when None.
    """

    client: Answerer
    at_once: int
    preparer: Callable[[JobFacts, RowPreparer], RowPreparer] | None = None
