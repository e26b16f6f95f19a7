"""Every code that can stand in the results, wherever it comes from: looked up, and as one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsearch.errors import ConfigError
from batchsearch.images.fetching.fetch_codes import FETCH_CODES
from batchsearch.images.rules import LOCAL_CODES as IMAGE_CODES
from batchsearch.nearest import did_you_mean
from batchsearch.own_errors import OWN_CODES
from batchsearch.service.codes.local_codes import LOCAL_CODES as PARAMETER_CODES
from batchsearch.service.codes.lookup import CODES, code_for, codes_as_markdown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchsearch.local_code import LocalCode
    from batchsearch.service.codes.error_code import ErrorCode


def advice_on(code: str) -> str:
    """What to do about a code, one sentence."""
    return _entry(code).advice


def meaning_of(code: str) -> str:
    """What a code means, one sentence."""
    return _entry(code).meaning


def _entry(code: str) -> LocalCode | ErrorCode:
    for table in (IMAGE_CODES, PARAMETER_CODES, FETCH_CODES, OWN_CODES):
        if code in table:
            return table[code]
    return code_for(code, None)


def explain(code: str) -> str:
    """A code in a few lines: what it means, what is done about it, what to do.

    Raises:
        ConfigError: No table has it; the nearest one is named.
    """
    for table, owner in (
        (IMAGE_CODES, "image"),
        (PARAMETER_CODES, "row"),
        (FETCH_CODES, "network"),
        (OWN_CODES, "this program"),
    ):
        if code in table:
            local = table[code]
            spared = f", so no call was spent on a {local.prevents}" if local.prevents else ""
            return (
                f"{code}: {local.meaning}\n  owner   {owner}; before any call{spared}\n"
                f"  advice  {local.advice}"
            )
    if not _is_known(code):
        hint = did_you_mean(code, [*IMAGE_CODES, *PARAMETER_CODES, *FETCH_CODES, *OWN_CODES, *CODES])
        raise ConfigError(
            f"no table has the code {code[:60]!r}{hint}; a code that nobody has documented fails its row "
            "under a 4xx status, and is repeated under any other"
        )
    entry = code_for(code, None)
    statuses = ", ".join(map(str, entry.statuses)) or "any"
    return (
        f"{code}: {entry.meaning}\n  owner   {entry.owner}; HTTP status {statuses}\n"
        f"  action  {entry.action}\n  advice  {entry.advice}"
    )


def _is_known(code: str) -> bool:
    families = (name[:-1] for name in CODES if name.endswith("*") and len(name) > 1)
    return code in CODES or any(code.startswith(family) for family in families)


def codes_page() -> str:
    """All tables of codes as Markdown."""
    return "\n".join(
        [
            "### Refused here, before any call",
            "",
            *_local("The image", IMAGE_CODES.values()),
            *_local("The row's parameters", PARAMETER_CODES.values()),
            *_local("This program", OWN_CODES.values()),
            "### Images that could not be fetched",
            "",
            *_local("The way to the image", FETCH_CODES.values()),
            "### Answered by the service, or lost on the way",
            "",
            codes_as_markdown(),
        ]
    )


def _local(title: str, codes: Iterable[LocalCode]) -> list[str]:
    rows = []
    for code in codes:
        prevents = f"`{code.prevents}`" if code.prevents else ""
        rows.append(f"| `{code.name}` | {prevents} | {code.meaning} | {code.advice} |")
    header = ["| code | prevents | meaning | what to do |", "|---|---|---|---|"]
    return [f"#### {title}", "", *header, *rows, ""]
