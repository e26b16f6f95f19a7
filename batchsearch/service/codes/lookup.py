"""What a code says and calls for: its own line of the table, its family's, or a default by status.

Never by the HTTP status: `DeniedRequest`, to be repeated, and `NoPermission`, which ends the run, are
both 403, and `SearchTimeout` is a 400. The status decides only for codes that the table does not have.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from batchsearch.errors import ConfigError
from batchsearch.nearest import did_you_mean
from batchsearch.service.codes.table import CODES, UNKNOWN_CLIENT, UNKNOWN_ENDED, UNKNOWN_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from batchsearch.service.codes.table import Action, ErrorCode

_FIRST_SERVER_STATUS: Final = 500
_TOO_MANY: Final = 429
_BY_STATUS: Final = "Http."


def family_of(name: str, families: Iterable[str]) -> str | None:
    """The longest of the names with `*` at their end that a code begins with; None if there is none."""
    found = (family for family in families if family.endswith("*") and name.startswith(family[:-1]))
    return max(found, key=len, default=None)


def code_for(name: str, status: int | None) -> ErrorCode:
    """What a code means: its own entry, else the longest family's, else a default by status.

    The default: a code that nobody has documented slows the pace under 429, fails its row under another 4xx
    status, and is retried under a 5xx, under 200, and where there was no answer at all.

    Args:
        name: The answer's code, or one of this side's.
        status: The HTTP status, None where there was no answer.

    Returns:
        An entry that carries `name` itself, never a family's pattern.
    """
    if name in CODES and not name.endswith("*"):
        return CODES[name]
    family = family_of(name, CODES)
    if family is not None:
        return replace(CODES[family], name=name)
    if status == _TOO_MANY:
        return replace(CODES["Http.429"], name=name)
    is_client_error = status is not None and 400 <= status < _FIRST_SERVER_STATUS  # noqa: PLR2004 - the 4xx statuses
    return replace(UNKNOWN_CLIENT if is_client_error else UNKNOWN_SERVER, name=name)


def is_known(name: str) -> bool:
    """Whether the table has the code, or a family (`Throttling*`) that it belongs to."""
    return name in CODES or family_of(name, CODES) is not None


def action_of(entry: ErrorCode, overrides: Mapping[str, Action]) -> Action:
    """What the engine does about a code: what the job file says, else what the table says.

    Args:
        entry: From `code_for`.
        overrides: Actions by name, or by a family such as `Throttling*`; the code's own name wins, then the
            longest family.
    """
    if entry.name in overrides:
        return overrides[entry.name]
    family = family_of(entry.name, overrides)
    return entry.action if family is None else overrides[family]


def meaning_of(code: str) -> str:
    """What a code means with which a row ended, one sentence."""
    return _ended_with(code).meaning


def advice_on(code: str) -> str:
    """What to do about a code with which a row ended, one sentence."""
    return _ended_with(code).advice


def _ended_with(code: str) -> ErrorCode:
    """What a row's last code says: of one that nobody has documented, not that the call is repeated."""
    if is_known(code):
        return code_for(code, None)
    status = code.removeprefix(_BY_STATUS)
    if code.startswith(_BY_STATUS) and status.isdecimal():
        found = code_for(code, int(status))
        return found if found.owner == "row" else replace(UNKNOWN_ENDED, meaning=found.meaning)
    return UNKNOWN_ENDED


def explain(code: str) -> str:
    """A code in a few lines: what it means, what is done about it, what to do.

    Raises:
        ConfigError: The table does not have it; the nearest one is named.
    """
    if not is_known(code):
        raise ConfigError(
            f"no table has the code {code[:60]!r}{did_you_mean(code, CODES)}; a code that nobody has "
            "documented fails its row under a 4xx status, and is repeated under any other"
        )
    entry = code_for(code, None)
    if entry.is_answered:
        statuses = ", ".join(map(str, entry.statuses)) or "any"
        owner, action = f"{entry.owner}; HTTP status {statuses}", f"\n  action  {entry.action}"
    else:
        spared = f", so no call was spent on a {entry.prevents}" if entry.prevents else ""
        who = "this program" if entry.owner == "program" else entry.owner
        owner, action = f"{who}; before any call{spared}", ""
    return f"{code}: {entry.meaning}\n  owner   {owner}{action}\n  advice  {entry.advice}"
