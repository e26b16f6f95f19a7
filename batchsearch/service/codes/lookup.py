"""Every error has a stated action, keyed by its code: the tables joined, looked up and printed.

Never by the HTTP status: `DeniedRequest`, to be repeated, and `NoPermission`, which ends the run, are
both 403, and `SearchTimeout` is a 400. The status decides only for codes that are in no table.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from batchsearch.service.codes.error_code import Action, ErrorCode
from batchsearch.service.codes.gateway_codes import GATEWAY_CODES, UNCODED
from batchsearch.service.codes.service_codes import SERVICE_CODES

if TYPE_CHECKING:
    from collections.abc import Mapping

CODES: Final[Mapping[str, ErrorCode]] = MappingProxyType(
    {code.name: code for code in (*SERVICE_CODES, *GATEWAY_CODES, *UNCODED)}
)
"""Every known code by name; a name with `*` stands for all that begin so."""

_FAMILIES: Final = tuple(
    sorted(
        (code for code in CODES.values() if code.name.endswith("*")),
        key=lambda code: len(code.name),
        reverse=True,
    )
)
_FIRST_SERVER_STATUS: Final = 500


def code_for(name: str, status: int | None) -> ErrorCode:
    """What a code means: its own entry, else the longest family's, else a default by status.

    The default: a code that nobody has documented fails its row under a 4xx status, and is retried under
    a 5xx, under 200, and where there was no answer at all.

    Args:
        name: The answer's code, or one of this side's.
        status: The HTTP status, None where there was no answer.

    Returns:
        An entry that carries `name` itself, never a family's pattern.
    """
    known = CODES.get(name)
    if known is not None and not known.name.endswith("*"):
        return known
    for family in _FAMILIES:
        if name.startswith(family.name[:-1]):
            return _named(family, name)
    return _named(UNKNOWN_CLIENT if _is_client_error(status) else UNKNOWN_SERVER, name)


def action_of(entry: ErrorCode, overrides: Mapping[str, Action]) -> Action:
    """What the engine does about a code: what the job file says, else what the table says.

    Args:
        entry: From `code_for`.
        overrides: Actions by name, or by a family such as `Throttling*`; the code's own name wins, then the
            longest family.
    """
    own = overrides.get(entry.name)
    if own is not None:
        return own
    families = [name for name in overrides if name.endswith("*") and entry.name.startswith(name[:-1])]
    return overrides[max(families, key=len)] if families else entry.action


def codes_as_markdown() -> str:
    """The tables as Markdown, for docs/codes.md: one row a code, grouped by who can mend it."""
    lines = []
    for owner, title in _OWNERS.items():
        lines += [
            f"#### {title}",
            "",
            "| code | HTTP | what happens | meaning | what to do |",
            "|---|---|---|---|---|",
        ]
        for code in CODES.values():
            if code.owner == owner:
                statuses = ", ".join(map(str, code.statuses)) or "any"
                cells = (f"`{code.name}`", statuses, _ACTIONS[code.action], code.meaning, code.advice)
                lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        lines.append("")
    default = "Any other code: the row fails under a 4xx status, the call is repeated under any other."
    return "\n".join((*lines, default))


UNKNOWN_CLIENT: Final = ErrorCode(
    "*",
    (),
    "row",
    "fail_row",
    "No page or list has this code; its status says that the request is at fault.",
    "Read the message; `codes` in the job file can give the code another action.",
)
UNKNOWN_SERVER: Final = ErrorCode(
    "*",
    (),
    "service",
    "retry",
    "No page or list has this code; its status says that the service is at fault.",
    "Nothing: the call is repeated; `codes` in the job file can give the code another action.",
)

_OWNERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "image": "The image",
        "row": "The row's parameters",
        "job": "The job file",
        "account": "The account or the instance",
        "service": "The service",
        "network": "The way between",
    }
)
_ACTIONS: Final[Mapping[Action, str]] = MappingProxyType(
    {
        "retry": "repeated with pauses",
        "resign": "signed anew, once",
        "refresh_credentials": "credentials fetched anew, once",
        "fail_row": "the row fails",
        "end_run": "several in a row end the run",
    }
)


def _is_client_error(status: int | None) -> bool:
    return status is not None and 400 <= status < _FIRST_SERVER_STATUS  # noqa: PLR2004 - the 4xx statuses


def _named(code: ErrorCode, name: str) -> ErrorCode:
    return ErrorCode(
        name, code.statuses, code.owner, code.action, code.meaning, code.advice, code.messages, code.throttles
    )
