"""What one error code means: the record that the tables of codes are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Owner = Literal["image", "row", "job", "account", "service", "network"]
"""Who can mend it: the image, the row's parameters, the job file, the account or instance, the vendor,
or the way between."""

Action = Literal["retry", "resign", "refresh_credentials", "fail_row", "end_run"]
"""What the engine does: call again after a pause; call again at once with a new signature, once; fetch new
credentials and call again, once; give the row this outcome; end the run after several in a row."""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code, or with `*` in its name a family of codes.

    Attributes:
        name: As in the answer's `Code`, or `Transport.…`.
        statuses: HTTP statuses that the pages and lists give; empty where none is known.
        owner: Who can mend it.
        action: What the engine does unless the job file says otherwise.
        meaning: What it says, one sentence.
        advice: What to do about it, one sentence.
        messages: The vendor's texts for it.
        throttles: Whether it is the flow control's answer, by which the pace is learned.
    """

    name: str
    statuses: tuple[int, ...]
    owner: Owner
    action: Action
    meaning: str
    advice: str
    messages: tuple[str, ...] = ()
    throttles: bool = False
