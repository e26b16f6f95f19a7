"""What a notification says (pure)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import BatchsearchError, ExitCode
from batchsearch.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.config.sections.notify_settings import NotifyKind

_LONGEST: Final = 2_000
_MOST_CODES: Final = 5


@dataclass(frozen=True, slots=True)
class Notification:
    """How a run ended, for whoever is told.

    Attributes:
        kind: `done`, `incomplete` or `failed`.
        text: One or two lines for people; chats that take JSON with a `text` show it as it is.
        exit_code: What the process exits with.
        operation: Operation called.
        instance: Instance name.
        output: The job's output folder.
        run_id: The run's name; None when it had none yet.
        message: Why it ended early; empty when it did not.
        summary: The summary, as in `summary.json`; None when the run ended before it had one.
    """

    kind: NotifyKind
    text: str
    exit_code: int
    operation: str
    instance: str
    output: str
    run_id: str | None = None
    message: str = ""
    summary: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into the POST."""
        return {"text": self.text, **asdict(self)}


def kind_of(exit_code: int) -> NotifyKind:
    """What kind of ending an exit code is."""
    if exit_code == ExitCode.DONE:
        return "done"
    return "incomplete" if exit_code == ExitCode.INCOMPLETE else "failed"


def of_summary(summary: Mapping[str, Any], *, output: str) -> Notification:
    """The notification of a run that came to its end.

    Args:
        summary: As `Summary.as_dict` gives it.
        output: The job's output folder.
    """
    exit_code = int(summary["exit_code"])
    message = redacted(str(summary.get("message") or ""))[:_LONGEST]
    operation, instance = str(summary["operation"]), str(summary["instance"])
    text = (
        f"{operation} on {instance}: {summary['status']}. {summary['ok']:,} ok, "
        f"{summary['failed']:,} failed, "
        f"{summary['rows'] - summary['done']:,} left of {summary['rows']:,} rows; "
        f"{summary['calls']:,} calls, {summary['denied']:,} denied."
    )
    codes = sorted(summary["codes"].items(), key=lambda item: (-item[1], item[0]))[:_MOST_CODES]
    if codes:
        text += " Failed by code: " + ", ".join(f"{count:,} {code}" for code, count in codes) + "."
    if message:
        text += f"\n{message}"
    return Notification(
        kind_of(exit_code),
        text,
        exit_code,
        operation,
        instance,
        output,
        str(summary["run_id"]),
        message,
        {**summary, "message": message},
    )


def of_error(
    error: BaseException, *, exit_code: int, operation: str, instance: str, output: str
) -> Notification:
    """The notification of a run that an error ended.

    Args:
        error: What ended it. One of our own says what to do; of any other only its kind is told.
        exit_code: What the process exits with.
        operation: Operation called.
        instance: Instance name.
        output: The job's output folder.
    """
    said = str(error) if isinstance(error, BatchsearchError) else f"a defect: {type(error).__name__}"
    message = redacted(said)[:_LONGEST]
    kind = kind_of(exit_code)
    text = f"{operation} on {instance}: {'stopped' if kind == 'incomplete' else 'failed'}.\n{message}"
    return Notification(kind, text, exit_code, operation, instance, output, message=message)
