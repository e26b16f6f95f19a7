"""Which finished rows get another outcome, and when the one they have stands (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast, get_args

from batchsearch.api.codes import action_of, code_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.engine.policy import Action
    from batchsearch.engine.work import Failure
    from batchsearch.ledger.records import RowState

Reason = Literal["changed", "expired", "passing", "retry"]
"""Why a row is renewed: its picture or parameters changed, its outcome is too old, it failed for reasons that
pass, or somebody asked for it."""

ORDER: Final[tuple[frozenset[Reason | None], ...]] = (
    frozenset({None, "changed"}),
    frozenset({"expired"}),
    frozenset({"passing", "retry"}),
)
"""What is worked on first: new and changed rows, then expired ones, then repeats."""

ASKED_FOR: Final[frozenset[Reason | None]] = frozenset({"retry"})
_REASONS: Final = frozenset(get_args(Reason))
_NOT_THERE: Final = "Local.ImageMissing"


@dataclass(frozen=True, slots=True)
class Renewal:
    """A row that has an outcome and is to get another one.

    Attributes:
        reason: Why.
        code: Error code of the outcome that it has; None for success.
        request: First 16 bytes of the request key of that outcome, if it had one.
        outcomes: How many it has had.
    """

    reason: Reason
    code: str | None
    request: bytes | None
    outcomes: int

    @property
    def asks_again(self) -> bool:
        """Whether a call has to be made even if an equal request was answered in an earlier run."""
        return self.reason != "changed"

    def is_same(self, *requests: bytes | None) -> bool:
        """Whether a row that looked changed asks what it has asked before (first 16 bytes of its keys)."""
        return not self.asks_again and self.request is not None and self.request in requests


@dataclass(frozen=True, slots=True)
class Source:
    """What the manifest says of a row, and what the file system says of its pictures.

    Attributes:
        digest: Sixteen bytes that change when any of it does.
        missing: A picture's file is not there: of its content nothing is known.
    """

    digest: bytes
    missing: bool = False


@dataclass(frozen=True, slots=True)
class RenewalRules:
    """When a finished row is renewed.

    Attributes:
        new_round: The last run had finished every row: outcomes may expire, and what failed may be repeated.
        expired_before: Outcomes from before this are too old, seconds since 1970; None: none is.
        passing: Rows that failed for reasons that pass are repeated in a new round.
        actions: Another action for a code than the table's.
        only_asked_for: Nothing is renewed but rows that somebody asked for.
    """

    new_round: bool
    expired_before: float | None
    passing: bool
    actions: Mapping[str, Action]
    only_asked_for: bool = False

    def reason_for(self, state: RowState, source: Source | None) -> Reason | None:
        """Why a finished row is renewed; None when it is not.

        Args:
            state: What the ledger knows of it.
            source: What is known of it now; None when nobody looked.
        """
        if self.only_asked_for or state.renewal in _REASONS:
            marked = cast(Reason | None, state.renewal)
            return marked if not self.only_asked_for or marked == "retry" else None
        differs = source is not None and state.source is not None and source.digest != state.source
        # A picture that cannot be seen now may be what it was: its outcome stands.
        if differs and not (source is not None and source.missing and state.code is None):
            return "changed"
        if not self.new_round:
            return None
        if self.expired_before is not None and state.finished_at < self.expired_before:
            return "expired"
        if self.passing and state.code is not None and passes(state.code, state.origin, self.actions):
            return "passing"
        return None


def renewal_of(state: RowState | None) -> Renewal | None:
    """The renewal of a row that is marked for one; None for a row that is not, or has no outcome."""
    if state is None or state.renewal not in _REASONS:
        return None
    return Renewal(cast(Reason, state.renewal), state.code, state.request, state.outcomes)


def passes(code: str, origin: str | None, actions: Mapping[str, Action]) -> bool:
    """Whether what a row failed with may be gone another time."""
    if origin == "local":
        return False
    return origin == "transport" or action_of(code_for(code, None), actions) == "retry"


def stands(renewal: Renewal, failure: Failure | None, *, lasting: bool) -> bool:
    """Whether the outcome that a row has is kept in face of the one that it would get.

    Success gives way to success and to what would be refused every time; never to a picture that is not
    there, a network or a service that fails: of the row itself these say nothing.

    Args:
        renewal: The row's renewal.
        failure: What it would end as now; None for success.
        lasting: Every equal request would be refused in the same way.
    """
    if failure is None:
        return False
    if renewal.code is not None:
        # Refused here as before: nothing new is known.
        return not renewal.asks_again and failure.origin == "local" and failure.code == renewal.code
    if failure.origin == "local":
        return failure.code == _NOT_THERE
    return not lasting
