"""What the batch operations do: IncreaseInstance, IncreaseList, DumpMeta, DumpMetaList.

Types of the answers' fields are those of the official SDK: a list's `Id` and `UtcModified` are numbers, its
`UtcCreate` is text, and so is the `Id` of a task that was just begun. Times are milliseconds. A list begins
with the newest task.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from batchsearch.emulator.batch.signed_address import address_of
from batchsearch.emulator.batch.task_records import TaskRunsError
from batchsearch.emulator.http.error_table import RefusedError, missing
from batchsearch.service.facts import MAX_TASKS_A_PAGE

if TYPE_CHECKING:
    from batchsearch.emulator.arguments import Arguments
    from batchsearch.emulator.batch.task_records import BatchTask, TaskKind
    from batchsearch.emulator.operations import Context

_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_DEFAULT_PAGE_SIZE: Final = 10
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")


def increase_instance(context: Context) -> dict[str, Any]:
    """Begin to take images in; what is wrong with bucket or path fails the task, not the call."""
    arguments = context.arguments
    bucket, path = _named(arguments, "BucketName"), _named(arguments, "Path")
    try:
        # Kept and listed, never called: an emulator calls nobody.
        task = context.tasks.increase(bucket, path, arguments.text("CallbackAddress"))
    except TaskRunsError:
        raise RefusedError("Console.TaskAlreadyExist") from None
    return {"Success": True, "Data": {"Id": str(task.id), "IncrementStatus": task.status}}


def increase_list(context: Context) -> dict[str, Any]:
    """The increments, those of a bucket or path alone where one is named."""
    arguments = context.arguments
    bucket, path = arguments.text("BucketName"), arguments.text("Path")
    data, tasks = _page(context, "increment", bucket=bucket, path=path)
    return {"Data": {**data, "Increments": {"Instance": [_listed(context, task) for task in tasks]}}}


def dump_meta(context: Context) -> dict[str, Any]:
    """Begin to write out what the instance holds."""
    try:
        task = context.tasks.dump()
    except TaskRunsError:
        raise RefusedError("Console.TaskAlreadyExist") from None
    return {"Success": True, "Data": {"Id": str(task.id), "DumpMetaStatus": task.status}}


def dump_meta_list(context: Context) -> dict[str, Any]:
    """The dumps."""
    data, tasks = _page(context, "dump", bucket=None, path=None)
    return {"Data": {**data, "DumpMetaList": [_listed(context, task) for task in tasks]}}


def _named(arguments: Arguments, name: str) -> str:
    value = arguments.values.get(name)
    if value is None:
        raise missing(name)
    if not value or _CONTROL.search(value):
        raise RefusedError("Console.BadRequest")
    return value


def _page(
    context: Context, kind: TaskKind, *, bucket: str | None, path: str | None
) -> tuple[dict[str, Any], list[BatchTask]]:
    number = _whole(context.arguments, "PageNumber", 1)
    size = _whole(context.arguments, "PageSize", _DEFAULT_PAGE_SIZE)
    task = _whole(context.arguments, "Id", None)
    if not number or not size or size > MAX_TASKS_A_PAGE:
        raise RefusedError("Console.BadRequest")
    start = min((number - 1) * size, 2**62)
    tasks, total = context.tasks.records.listed(
        kind, id=task, bucket=bucket, path=path, start=start, num=size
    )
    return {"PageNumber": number, "PageSize": size, "TotalCount": total}, tasks


def _whole(arguments: Arguments, name: str, default: int | None) -> int | None:
    text = arguments.text(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise RefusedError("Console.BadRequest")
    return int(text)


def _listed(context: Context, task: BatchTask) -> dict[str, Any]:
    fields = {
        "Id": task.id,
        "Status": task.status,
        "Code": task.code,
        "Msg": task.message,
        "BucketName": task.bucket,
        "Path": task.path,
        "CallbackAddress": task.callback,
        "ErrorUrl" if task.kind == "increment" else "MetaUrl": _address(context, task),
        "UtcCreate": str(task.created),
        "UtcModified": task.modified,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _address(context: Context, task: BatchTask) -> str | None:
    name = context.tasks.file_of(task)
    if name is None or context.address is None:
        return None
    return address_of(
        context.address,
        context.instance.name,
        task.id,
        name,
        secret=context.tasks.records.secret,
        now=context.now,
    )
