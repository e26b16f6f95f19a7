"""What was found out about some finished rows (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

    from batchsearch.engine.renewal.renewal_rules import Reason, Source
    from batchsearch.storage.ledger.entries import RowState


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was found out about one batch of finished rows.

    Attributes:
        codes: Outcomes that stand, by error code; None for success.
        reasons: Rows to be renewed, by digest.
        unknown: What rows come from of which nothing was noted, by digest.
    """

    codes: Counter[str | None]
    reasons: dict[bytes, Reason]
    unknown: dict[bytes, bytes]

    def add(self, digest: bytes, state: RowState, source: Source | None, reason: Reason | None) -> None:
        """One row more.

        Args:
            digest: Of its key.
            state: What the ledger knows of it.
            source: What is known of it now; None when nobody looked.
            reason: Why it is renewed; None where its outcome stands.
        """
        if reason is not None:
            self.reasons[digest] = reason
            return
        self.codes[state.code] += 1
        if source is not None and state.source is None and not source.missing:
            self.unknown[digest] = source.digest
