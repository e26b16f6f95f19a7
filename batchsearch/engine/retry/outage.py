"""What an outage is called, and an answer that no row survives: in words for people (pure)."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from batchsearch.errors import RunEndedError

if TYPE_CHECKING:
    from batchsearch.service.client import Answer
    from batchsearch.service.codes.table import ErrorCode

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


def run_ended(entry: ErrorCode, answer: Answer, address: str) -> RunEndedError:
    """The error that ends a run, for an answer that no row can survive.

    Args:
        entry: What its code means.
        answer: What was answered.
        address: Host and port.
    """
    where = f"{address}: " if answer.origin == "transport" else ""
    said = f": {where}{answer.message}" if answer.message else ""
    named = f"; request id {answer.request_id}" if answer.request_id else ""
    denial = None if answer.denial is None else asdict(answer.denial)
    text = f"{entry.name}{said}{named} ({entry.advice})"
    return RunEndedError(entry.name, text, request_id=answer.request_id, denial=denial)
