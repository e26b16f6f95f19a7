"""The table of codes as Markdown: what `batchsearch codes` prints and docs/codes.md holds (pure)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from batchsearch.service.codes.owners import OWNERS
from batchsearch.service.codes.table import codes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from batchsearch.service.codes.table import Action, ErrorCode, Owner

_ACTIONS: Final[Mapping[Action, str]] = MappingProxyType(
    {
        "retry": "repeated with pauses",
        "resign": "signed anew, once",
        "refresh_credentials": "credentials fetched anew, once",
        "fail_row": "the row fails",
        "end_run": "several in a row end the run",
    }
)
_DEFAULT: Final = "Any other code: the row fails under a 4xx status, the call is repeated under any other."


def codes_page() -> str:
    """All codes as Markdown, one row a code, grouped by who gives them and who can mend them."""
    lines = ["### Refused here, before any call", ""]
    own: tuple[Owner, ...] = ("image", "row", "job", "program")
    for owner in own:
        lines += _local(OWNERS[owner].heading, codes_of("local", owner=owner))
    lines += ["### Images that could not be fetched", "", *_local("The way to the image", codes_of("fetch"))]
    lines += ["### Answered by the service, or lost on the way", ""]
    for owner in (owner for owner in OWNERS if owner != "program"):
        lines += _answered(OWNERS[owner].heading, codes_of("service", "gateway", "answer", owner=owner))
    return "\n".join([*lines, _DEFAULT])


def _local(title: str, codes: Iterable[ErrorCode]) -> list[str]:
    rows = [
        (f"`{code.name}`", f"`{code.prevents}`" if code.prevents else "", code.meaning, code.advice)
        for code in codes
    ]
    return _table(title, ("code", "prevents", "meaning", "what to do"), rows)


def _answered(title: str, codes: Iterable[ErrorCode]) -> list[str]:
    rows = [
        (
            f"`{code.name}`",
            ", ".join(map(str, code.statuses)) or "any",
            _ACTIONS[code.action],
            code.meaning,
            code.advice,
        )
        for code in codes
    ]
    return _table(title, ("code", "HTTP", "what happens", "meaning", "what to do"), rows)


def _table(title: str, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return [f"#### {title}", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|", *lines, ""]
