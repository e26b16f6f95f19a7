"""What is another setting than it was when an output began, and what that means for its rows (pure).

::

    noted only (path, format …)           nothing
    manifest.columns                      every row is compared with what it came from
    results_per_row, parameters.num       grown: rows whose list was full; else nothing
    loosened rules for images             rows that failed by them (`mending`)
    what decides answers                  refused, unless somebody wants the rows to be renewed
    operation, key                        refused: these are other rows, or other tables
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.engine.job.identity import changed_names, shown
from batchsearch.engine.renewal.mending import only_mends
from batchsearch.path_spellings import in_shell
from batchsearch.service.facts import DEFAULT_NUM
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RESULTS: Final = "results_per_row"
_NUM: Final = "parameters.num"
_COLUMNS: Final = "manifest.columns."
_NUM_COLUMN: Final = "manifest.columns.num"
_IMAGES: Final = "images."
_INSTANCES: Final = "instances: "
_FOR_GOOD: Final = frozenset({"operation", "manifest.key"})
_UNSEEN: Final = ("endpoint", "region", "service_type")
"""Settings of an instance that its requests do not show: an equal request is another one there."""


@dataclass(frozen=True, slots=True)
class JobChanges:
    """What changed since the output's last run.

    Attributes:
        told: What decides answers and is another, one line a setting.
        can_renew: Its rows can be renewed where they are.
        elsewhere: Calls go to another instance: no answer there is may serve.
        columns: The manifest's columns are mapped otherwise.
        full: Rows with so many hits or more had a full list, and may get a longer one; None where the
            lists have not grown.
        wanted: Hits that each row is to have from now on.
    """

    told: tuple[str, ...] = ()
    can_renew: bool = True
    elsewhere: bool = False
    columns: bool = False
    full: int | None = None
    wanted: int = 0


def job_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> JobChanges:
    """Compare two fingerprints of a job (`engine.job.identity`).

    Args:
        before: The output's; empty where it has none.
        now: Tonight's, with values as JSON has them.
    """
    if not before:
        return JobChanges()
    names = changed_names(before, now)
    new = {
        name for name in names if name.startswith(_INSTANCES) and before.get(_name_of_instance(name)) is None
    }
    lists = {_RESULTS, _NUM} if _can_tell_lists(before) and _can_tell_lists(now) else set()
    differing = [
        name
        for name in names
        if name not in new
        and name not in lists
        and not name.startswith(_COLUMNS)
        and not only_mends(name, before.get(name), now.get(name))
        and not _of_another_version(name, before, now)
    ]
    were, are = _wanted(before), _wanted(now)
    grown = bool(lists & set(names)) and are > were
    return JobChanges(
        told=tuple(f"{name}: was {shown(before, name)}, is {shown(now, name)}" for name in differing),
        can_renew=_FOR_GOOD.isdisjoint(differing),
        elsewhere=any(_is_unseen(name) for name in differing),
        columns=any(name.startswith(_COLUMNS) for name in names),
        full=were if grown else None,
        wanted=are,
    )


def ways_on(changes: JobChanges, folder: str) -> str:
    """What somebody can do whose job is another than its output's, setting by setting."""
    renew = "  --renew       go on here: rows that would ask something else now are asked again, others stay"
    anew = "  --fresh DIR   begin anew in another folder: every row is asked for"
    reuse = (
        f"  --fresh DIR --set reuse.from={in_shell(folder)}\n"
        "                begin anew; what was answered here serves equal requests, without a call"
    )
    ways = [renew, anew, reuse] if changes.can_renew else [anew, reuse]
    return (
        f"{folder}: holds the results of another job; what changed since:\n  "
        + "\n  ".join(changes.told)
        + "\nGo on in one of these ways (`plan` says what each would take):\n"
        + "\n".join(ways)
        + "\nor change the settings back."
    )


def same_instance(before: Mapping[str, Any], now: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Why answers of another output cannot serve this job, one line a setting; empty where they can.

    Args:
        before: The other output's fingerprint.
        now: This job's.
        names: This job's instances.
    """
    if before.get("operation") != now.get("operation"):
        return [f"operation: {shown(before, 'operation')} there, {shown(now, 'operation')} here"]
    there, here = _places(before), _places(now)
    return [
        f"instance {name!r}: {_place_text(there[name])} there, {_place_text(here[name])} here"
        for name in names
        if name in there and name in here and there[name] != here[name]
    ]


def _places(values: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Where each instance of a job is called, by its name."""
    found = {values.get("instance.name"): tuple(values.get(f"instance.{name}") for name in _UNSEEN)}
    for name, value in values.items():
        if name.startswith(_INSTANCES) and name.endswith(".name"):
            prefix = name.removesuffix("name")
            found[value] = tuple(values.get(prefix + each) for each in _UNSEEN)
    return {str(name): place for name, place in found.items() if name is not None}


def _place_text(place: tuple[Any, ...]) -> str:
    return ", ".join(
        f"{name} {value}" for name, value in zip(_UNSEEN, place, strict=True) if value is not None
    )


def _of_another_version(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a setting for images is one that another version did not have, and nobody has set it."""
    if not name.startswith(_IMAGES) or (name in before and name in now):
        return False
    field = ImageSettings.model_fields.get(name.removeprefix(_IMAGES))
    return field is None or (name in now and now[name] == field.default)


def _name_of_instance(name: str) -> str:
    return f"{name.rpartition('.')[0]}.name"


def _is_unseen(name: str) -> bool:
    owner, _, last = name.rpartition(".")
    return last in _UNSEEN and (owner == "instance" or owner.startswith(_INSTANCES))


def _can_tell_lists(values: Mapping[str, Any]) -> bool:
    """Whether it is known how many hits each row wants: of a search, and the same number for all of them."""
    operation = OPERATIONS.get(str(values.get("operation")))
    return operation is not None and operation.paged and values.get(_NUM_COLUMN) is None


def _wanted(values: Mapping[str, Any]) -> int:
    for name in (_RESULTS, _NUM):
        value = values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return DEFAULT_NUM
