"""Structured log events on stderr: a closed list of names, for people or as JSON.

Events carry codes, counts, names and row keys; within a run each carries its `run_id`, and those about a
row its `row`. Images, keys, signatures and query strings have no place in them, and nothing that holds
one is passed to a logger knowingly; what comes in a message from outside is taken out here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from batchsearch.kept_out import without
from batchsearch.redaction import keep_secret, redacted
from batchsearch.streams import printable

with without("rich"):
    import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from structlog.typing import FilteringBoundLogger

LogFormat = Literal["console", "json"]

EVENTS: Final = {
    "only_searched": "The job has a `dedup` section and is only run: `batchsearch dedup` makes its clusters.",
    "run_started": "A run begins: what it will do and where results go.",
    "run_resumed": "An earlier run over this output was interrupted: what is already done.",
    "nothing_left": "Every row of the manifest has its outcome already: no call is made.",
    "leftovers_set_aside": "Parts that a killed run had not sealed make room; their rows are in the ledger.",
    "fields_left_out": "Fields of outcomes that their columns cannot hold are null in a part (warning).",
    "output_disagrees": "Parts, ledger and manifest do not agree at the end of a run (error; exit code 6).",
    "output_taken": "The output in the object store is this run's; how many files were brought down.",
    "answers_taken_up": "Answers that a run had kept in the object store which did not come to its end: how "
    "many rows have them now.",
    "output_carried": "Parts, ledger and index were carried to the object store (debug).",
    "output_store_slow": "The object store did not answer; it is asked again (warning).",
    "lines_wait": "Images are in the bucket; how many lines wait for a batch task.",
    "lines_again": "Lines of a batch task that failed for reasons that pass wait for another one.",
    "names_without_extension": "Many images are to be added, by calls all the same: a batch task would name "
    "them otherwise, with an extension (warning).",
    "task_running": "The instance has begun a batch task: its id, and how many lines it has.",
    "task_waits": "Another batch task of the instance runs; it is waited for.",
    "task_list_replaced": "Another load put its list into the folder of a task: its lines are brought again "
    "(warning).",
    "task_ended": "A batch task is over: how it ended, and how many of its lines failed.",
    "emulator_task_failed": "A batch task of the embedded instance failed by a fault of its own (error).",
    "instance_exported": "An export of an instance is written: images, and lines that are of none.",
    "lanes_begin": "Each instance of the job is worked for on a worker of the cluster: how many of both.",
    "lanes_stay": "The instances are worked for from this process all the same, and why.",
    "lane_placed": "An instance's lane begins on a worker.",
    "lane_moved": "An instance's lane goes on on another worker, and why (warning).",
    "cluster_joined": "A Dask cluster makes the images ready: its scheduler, and where its dashboard is.",
    "cluster_workers": "The cluster has more or fewer workers than before: how many there are now.",
    "cluster_differs": "A worker has other versions of what makes images than this process (warning).",
    "instance_indexing": "The embedded instance takes in its catalogue.",
    "products_left_out": "Products of the catalogue that the embedded instance cannot take in (warning).",
    "instance_ready": "The embedded instance answers.",
    "rows_left_out": "Rows of the manifest are none of the job's, by why: `where`, no image, there twice.",
    "column_renamed": "A manifest column has the name of a results column and is written under another.",
    "progress": "How far the run is: the one event of an interval, when stderr is no terminal.",
    "step_progress": "How far a step beside the calls is, at intervals, when stderr is no terminal.",
    "row_finished": "A row has its outcome: the one event of each row (debug).",
    "call_retried": "An answer is to be asked for again, and why (debug).",
    "call_denied": "The service's flow control refused a call (debug).",
    "run_waiting": "Nothing was answered for some seconds: what the run waits for.",
    "run_stopping": "The run was asked to stop: nothing more is sent.",
    "run_ending": "An answer that no row can survive: the run ends.",
    "manifest_empty": "The manifest has no rows, the output has: a failed export looks like this.",
    "no_finished_row": "No row of the output is in the manifest: its keys are others than before (warning).",
    "left_marked": "Rows that left the manifest, or came back, are marked so in the results.",
    "settings_touch_rows": "Settings are others than in the last run: rows that they touch are asked again.",
    "row_stands": "A row that was to be renewed keeps the outcome that it has (debug).",
    "outcomes_renewed": "Renewed outcomes have taken the place of the ones that they replace.",
    "columns_widened": "Parts were written anew: the manifest has new columns, or wider ones.",
    "folders_not_exchanged": "The file system cannot exchange folders: for a moment readers found none.",
    "part_sealed": "A part of the results is final (debug).",
    "metrics_listening": "Metrics are served on this address.",
    "metrics_failed": "The metrics file could not be written; the run goes on without it (warning).",
    "notify_sent": "The webhook took the notification.",
    "notify_failed": "The webhook did not take the notification; the run's outcome stands (warning).",
    "command_failed": "The command ended with an error; its text says what to do.",
    "run_finished": "The run is over.",
    "pairs_made": "The images of a list were made into pairs: how many.",
    "scores_written": "The scores of a comparison are summed up: how many, and where.",
    "check_started": "A check of images begins: what is checked and where the verdicts go.",
    "check_so_far": "Verdicts of some thousand rows are written: how many so far, and the codes met most.",
    "check_finished": "The check of images is over.",
    "dedup_started": "The search is done as far as it goes: pairs and clusters are being made.",
    "tables_set_aside": "Tables of the night before are not what it wrote: moved to `set-aside/` (warning).",
    "earlier_table_missing": "A table of the night before is gone: from which night ids are taken (warning).",
    "dedup_finished": "Tonight's pairs and clusters are written.",
    "emulator_listening": "The embedded instance serves on this address.",
    "emulator_stopped": "The embedded instance has stopped.",
    "console_table_unread": "The console cannot read the job's table: items go without images (warning).",
    "console_request_failed": "A page of the console could not be made: a defect (error).",
    "emulator_request_failed": "The embedded instance could not answer a request: a defect (error).",
}
"""Every event there is, and when it is seen."""


class _CurrentStderr:
    """Writes to whatever `sys.stderr` is at the moment, so that a progress bar can step aside.

    Where it is none, or cannot be written, events are lost: no run ends for its log.
    """

    def write(self, text: str) -> int:
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.stderr.flush()


def _known(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if event["event"] not in EVENTS:
        raise KeyError(f"{event['event']!r} is not in the list of events")
    return event


SECRET_VARIABLES: Final = (
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "BATCHSEARCH_NOTIFY_URL",
    "BATCHSEARCH_REDIS_URL",
)
"""Variables of the environment whose values no event may show."""


def _without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        event[name] = _redacted_value(value)
    return event


def _redacted_value(value: Any) -> Any:
    """Text without secrets, also inside lists and dictionaries; other values cannot hold one."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: _redacted_value(below) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted_value(below) for below in value]
    if isinstance(value, int | float | None):
        return value
    return redacted(str(value))


def _printable_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            lines = value.split("\n") if name == "exception" else [value]  # a traceback keeps its lines
            event[name] = "\n".join(map(printable, lines))
    return event


DUMB_TERMINALS: Final = frozenset({"dumb", "unknown"})
"""Values of `TERM` that say that lines cannot be drawn again."""


def on_live_terminal() -> bool:
    """Whether stderr is a terminal on which lines can be drawn again."""
    stream: TextIO | None = sys.stderr  # a program without a console has none
    return stream is not None and stream.isatty() and os.environ.get("TERM") not in DUMB_TERMINALS


def is_told(log: FilteringBoundLogger, level: int) -> bool:
    """Whether events of a level are written: asked where many events cost more than they say."""
    # A program's own loggers are the standard library's, which call it otherwise.
    asked = getattr(log, "is_enabled_for", None) or getattr(log, "isEnabledFor", None)
    return asked is None or bool(asked(level))


def configure(log_format: LogFormat, level: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send events of `level` and above to stderr, as lines for people or one JSON object a line.

    Args:
        log_format: `console` or `json`. Lines for people have colours on a terminal, unless `NO_COLOR` is
            set to anything.
        level: The lowest level seen.
        environ: The environment; its secrets are kept from all events.
    """
    for variable in SECRET_VARIABLES:
        keep_secret(environ.get(variable))
    for_people = log_format == "console"
    renderer: Any = (
        structlog.dev.ConsoleRenderer(
            colors=on_live_terminal() and not environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,
        )
        if for_people
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            _known,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if for_people else "iso", utc=not for_people),
            structlog.processors.format_exc_info,
            _without_secrets,
            *([_printable_values] if for_people else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(_CurrentStderr()),  # type: ignore[arg-type]  # a file in all it is asked for
        cache_logger_on_first_use=False,
    )


def logger() -> FilteringBoundLogger:
    """The logger for batchsearch's own events."""
    log: FilteringBoundLogger = structlog.get_logger()
    return log


def events_as_markdown() -> str:
    """The table of events, for documents."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in EVENTS.items()]
    return "\n".join(["| event | when |", "|---|---|", *rows])
