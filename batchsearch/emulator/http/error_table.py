"""Every error that the emulator can answer: code, HTTP status, message.

`errors.csv` has a line for each code, then one for the operations that answer it with another status or
message. Sources: the error lists of the API pages and of the vendor's API metadata (snapshot of December
2025), and the gateway's common error codes, which come after the service's own. Spelling mistakes are the
vendor's, and so is the zero-width space before the message of `RequestTimeout`. Of `DeniedRequest` no list
has the operations beside Detail: they are taken to answer as it does. Statuses of the security token's codes
are documented nowhere; 400 is what the gateway's other authentication errors have. Nor is it known what the
service answers to a body over 8 MB, the last line.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One error code as the service answers it.

    Attributes:
        code: The vendor's code.
        status: HTTP status, where the operation has no other.
        message: The message, where the operation has no other. `{}` stands for a parameter's name.
        by_operation: Status and message of the operations that differ.
    """

    code: str
    status: int
    message: str
    by_operation: dict[str, tuple[int, str]] = field(default_factory=dict)

    def answer_for(self, operation: str | None) -> tuple[int, str]:
        """HTTP status and message that `operation` gives for this code."""
        return self.by_operation.get(operation or "", (self.status, self.message))


def _read() -> dict[str, ErrorRow]:
    text = resources.files(__package__).joinpath("errors.csv").read_text(encoding="utf-8")
    rows: dict[str, ErrorRow] = {}
    for line in csv.DictReader(text.splitlines()):
        code, answered = line["code"], (int(line["status"]), line["message"])
        if line["operations"]:
            rows[code].by_operation.update(dict.fromkeys(line["operations"].split(), answered))
        else:
            rows[code] = ErrorRow(code, *answered)
    return rows


ERRORS: Final[Mapping[str, ErrorRow]] = MappingProxyType(_read())
"""Every code by name. `Missing<Parameter>` codes are made by `missing`."""


class RefusedError(Exception):
    """The request gets an error answer instead of a result.

    Attributes:
        code: A code of `ERRORS`, or `Missing<Parameter>`.
        detail: Text that the gateway appends to its message, if any.
        extra: Further fields of the body, such as `AccessDeniedDetail`.
    """

    def __init__(self, code: str, *, detail: str = "", extra: Mapping[str, object] | None = None) -> None:
        self.code = code
        self.detail = detail
        self.extra: Mapping[str, object] = extra or {}
        super().__init__(code)


def missing(parameter: str) -> RefusedError:
    """The gateway's refusal of a request without a mandatory parameter: `Missing<Parameter>`, 400."""
    return RefusedError(f"Missing{parameter}")


def answer_of(code: str, operation: str | None) -> tuple[int, str]:
    """HTTP status and message of a code, as `operation` answers it.

    A code that is in no table (a fault's own) is a 400 with a plain message.
    """
    row = ERRORS.get(code)
    if row is not None:
        return row.answer_for(operation)
    if code.startswith("Missing") and len(code) > len("Missing"):
        return 400, f"{code.removeprefix('Missing')} is mandatory for this action."
    return 400, "The request was refused."
