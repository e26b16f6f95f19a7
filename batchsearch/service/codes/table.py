"""Every error code there is, from one file: the vendor's, the gateway's, and those that this side gives.

`codes.csv` has a line for each code, or with `*` in its name for a family of codes. Statuses and texts of
the service are those of the API pages (SearchImageByPic 2023-08 and 2025-05, SearchImageByName 2023-09,
CompareSimilarByImage 2026-01) and of the API's metadata for 2020-12-14; where they contradict each other,
both statuses stand. Those of the gateway are the vendor's common error codes and answers seen in public.
Owners, actions and advice are this project's. No page says that a denied call may be repeated: that follows
from what it means.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

Owner = Literal["image", "row", "job", "account", "service", "network", "program"]
"""Who can mend it: the image, the row's parameters, the job file, the account or instance, the vendor,
the way between, or this program."""

Action = Literal["retry", "resign", "refresh_credentials", "fail_row", "end_run"]
"""What the engine does: call again after a pause; call again at once with a new signature, once; fetch new
credentials and call again, once; give the row this outcome; end the run after several in a row."""

Origin = Literal["service", "gateway", "answer", "local", "fetch"]
"""Who gives it: the service; the gateway before it; this side, to an answer without a code or to none; this
side, before any call; this side, to an image that could not be fetched."""

_BETWEEN_MESSAGES: Final = " | "


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCode:
    """One code, or with `*` in its name a family of codes.

    Attributes:
        name: As in the answer's `Code`, or `Transport.…`, `Http.…`, `Local.…`.
        origin: Who gives it.
        owner: Who can mend it.
        action: What the engine does unless the job file says otherwise; nothing is done of what is local.
        meaning: What it says, one sentence.
        advice: What to do about it, one sentence.
        statuses: HTTP statuses that the pages and lists give; empty where none is known.
        throttles: Whether it is the flow control's answer, by which the pace is learned.
        prevents: Of a local code the vendor's, or its family, with which the call would have been answered.
        messages: The vendor's texts for it.
    """

    name: str
    origin: Origin
    owner: Owner
    action: Action
    meaning: str
    advice: str
    statuses: tuple[int, ...] = ()
    throttles: bool = False
    prevents: str | None = None
    messages: tuple[str, ...] = ()

    @property
    def is_answered(self) -> bool:
        """Whether it comes of a call: then the job file may give it another action."""
        return self.origin not in {"local", "fetch"}


def _read() -> dict[str, ErrorCode]:
    text = resources.files(__package__).joinpath("codes.csv").read_text(encoding="utf-8")
    return {
        row["code"]: ErrorCode(
            name=row["code"],
            origin=cast(Origin, row["origin"]),
            owner=cast(Owner, row["owner"]),
            action=cast(Action, row["action"]),
            meaning=row["meaning"],
            advice=row["advice"],
            statuses=tuple(map(int, row["statuses"].split())),
            throttles=row["throttles"] == "yes",
            prevents=row["prevents"] or None,
            messages=tuple(row["messages"].split(_BETWEEN_MESSAGES)) if row["messages"] else (),
        )
        for row in csv.DictReader(text.splitlines())
    }


CODES: Final[Mapping[str, ErrorCode]] = MappingProxyType(_read())
"""Every known code by name; a name with `*` stands for all that begin so."""

UNKNOWN_CLIENT: Final = ErrorCode(
    name="*",
    origin="answer",
    owner="row",
    action="fail_row",
    meaning="No page or list has this code; its status says that the request is at fault.",
    advice="Read the message; `codes` in the job file can give the code another action.",
)
UNKNOWN_SERVER: Final = ErrorCode(
    name="*",
    origin="answer",
    owner="service",
    action="retry",
    meaning="No page or list has this code; its status says that the service is at fault.",
    advice="Nothing: the call is repeated; `codes` in the job file can give the code another action.",
)


UNKNOWN_ENDED: Final = replace(
    UNKNOWN_SERVER,
    meaning="No page or list has this code.",
    advice="Read the rows' messages; `batchsearch retry` asks again, and `codes` in the job file can give "
    "the code another action.",
)
"""What is said of a row that has ended with such a code: its repeats are over."""


def codes_of(*origins: Origin, owner: Owner | None = None) -> tuple[ErrorCode, ...]:
    """The codes that somebody gives, in the file's order; of one owner only, where one is named."""
    return tuple(code for code in CODES.values() if code.origin in origins and owner in {None, code.owner})
