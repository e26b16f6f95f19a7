"""Which finished rows get another outcome, and when the one they have stands (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, cast, get_args

from batchsearch.engine.renewal.mending import Mended
from batchsearch.quick_record import quick_record
from batchsearch.service.codes.lookup import action_of, code_for
from batchsearch.storage.ledger.entries import RowState

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from batchsearch.engine.rows.pending_row import Failure
    from batchsearch.service.codes.table import Action

Reason = Literal["changed", "mended", "elsewhere", "expired", "passing", "retry"]
"""Why a row is renewed: its image or parameters changed, a setting that it failed by was corrected, calls go
to another instance, its outcome is too old, it failed for reasons that pass, or somebody asked for it."""

ORDER: Final[tuple[frozenset[Reason | None], ...]] = (
    frozenset({None, "changed", "mended", "elsewhere"}),
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
        if self.reason == "mended":
            return self.request is not None
        return self.reason != "changed"

    def is_same(self, *requests: bytes | None) -> bool:
        """Whether a row that looked changed asks what it has asked before (first 16 bytes of its keys)."""
        return self.reason == "changed" and self.request is not None and self.request in requests


@quick_record
class Source:
    """What the manifest says of a row, and what the file system says of its images.

    Attributes:
        digest: Sixteen bytes that change when any of it does.
        missing: An image's file is not there: of its content nothing is known.
    """

    digest: bytes
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Touched:
    """What settings that are others than in the last run touch of what is finished.

    Attributes:
        every: Why every row is renewed; None when not every one is.
        mended: Codes whose rows may pass now.
        short: Digests of rows that are to have more hits than they have.
        look: Every row is compared with what it came from.
    """

    every: Literal["changed", "elsewhere"] | None = None
    mended: Mended = field(default_factory=Mended)
    short: Container[bytes] = ()
    look: bool = False

    def __bool__(self) -> bool:
        return bool(self.every or self.mended.codes or self.short or self.look)

    def reason_for(self, digest: bytes, state: RowState, *, looked_at: bool) -> Reason | None:
        """Why a row is touched; None when it is not.

        Args:
            digest: Of its row key.
            state: What the ledger knows of it.
            looked_at: What it comes from now is known.
        """
        if self.every is not None:
            return self.every
        if state.code is not None and self.mended.may_pass(state.code):
            return "mended"
        if digest in self.short or (self.look and looked_at and state.source is None):
            return "changed"
        return None


NOTHING_TOUCHED: Final = Touched()


@dataclass(frozen=True, slots=True)
class RenewalRules:
    """When a finished row is renewed.

    Attributes:
        new_round: The last run had finished every row: outcomes may expire, and what failed may be repeated.
        expired_before: Outcomes from before this are too old, seconds since 1970; None: none is.
        passing: Rows that failed for reasons that pass are repeated in a new round.
        actions: Another action for a code than the table's.
        only_asked_for: Nothing is renewed but rows that somebody asked for.
        touched: What tonight's settings touch.
    """

    new_round: bool
    expired_before: float | None
    passing: bool
    actions: Mapping[str, Action]
    only_asked_for: bool = False
    touched: Touched = field(default_factory=lambda: NOTHING_TOUCHED)

    def reason_for(self, digest: bytes, state: RowState, source: Source | None) -> Reason | None:
        """Why a finished row is renewed; None when it is not.

        Args:
            digest: Of its row key.
            state: What the ledger knows of it.
            source: What is known of it now; None when nobody looked.
        """
        if not self.only_asked_for and self.touched.every == "elsewhere":
            # Whatever it was to be renewed for: nothing that was answered elsewhere serves.
            return "elsewhere"
        if self.only_asked_for or state.renewal in _REASONS:
            marked = cast("Reason | None", state.renewal)
            return marked if not self.only_asked_for or marked == "retry" else None
        differs = source is not None and state.source is not None and source.digest != state.source
        # An image that cannot be seen now may be what it was: its outcome stands.
        if differs and not (source is not None and source.missing and state.code is None):
            return "changed"
        touched = self.touched.reason_for(digest, state, looked_at=source is not None)
        return touched or (self._in_a_new_round(state) if self.new_round else None)

    def reason_for_failure(self, code: str, origin: str | None) -> Reason | None:
        """Why rows that failed with this are renewed, when nothing else is to be said of them."""
        return self.reason_for(b"", RowState(code, origin, math.inf, 1, None, b"", None), None)

    def _in_a_new_round(self, state: RowState) -> Reason | None:
        if self.expired_before is not None and state.finished_at < self.expired_before:
            return "expired"
        if self.passing and state.code is not None and passes(state.code, state.origin, self.actions):
            return "passing"
        return None


def renewal_of(state: RowState | None) -> Renewal | None:
    """The renewal of a row that is marked for one; None for a row that is not, or has no outcome."""
    if state is None or state.renewal not in _REASONS:
        return None
    return Renewal(cast("Reason", state.renewal), state.code, state.request, state.outcomes)


def passes(code: str, origin: str | None, actions: Mapping[str, Action]) -> bool:
    """Whether what a row failed with may be gone another time."""
    if origin == "local":
        return False
    return origin == "transport" or action_of(code_for(code, None), actions) == "retry"


def stands(renewal: Renewal, failure: Failure | None, *, lasting: bool) -> bool:
    """Whether the outcome that a row has is kept in face of the one that it would get.

    Success gives way to success and to what would be refused every time; never to an image that is not
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
        unasked = renewal.reason in {"changed", "mended"}
        return unasked and failure.origin == "local" and failure.code == renewal.code
    if failure.origin == "local":
        return failure.code == _NOT_THERE
    return not lasting
