"""What an outage is called: the endpoint that does not answer, and what becomes of calls to it (pure)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from batchsearch.service.client import Answer

_KIND: Final = re.compile(r"^[A-Z]\w*(?:Error|Exception|Timeout|Mismatch|Disconnected): ")
"""A message begins with the kind of exception, which says nothing to people."""
_LONGEST: Final = 160


def trouble_of(address: str, answer: Answer) -> str:
    """An endpoint and why it does not answer, such as `10.0.0.9:443: connection refused`.

    Args:
        address: Host and port.
        answer: What came of the latest call; none of a refusal of what was asked.
    """
    said = _KIND.sub("", answer.message or "").strip()
    said = " ".join(said.removeprefix(f"{address}: ").split())[:_LONGEST]
    if answer.origin == "api":
        said = f"HTTP {answer.http_status} {said}".rstrip()
    return f"{address}: {said or 'no answer'} ({answer.code})"
