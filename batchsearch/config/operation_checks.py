"""What the operation says about a job: its parameters, the meanings of columns, the names of codes (pure).

Looks at the values themselves and not at the validated model, so that these problems are reported together
with the model's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from batchsearch.config.model import INSTANCE, PRIORITY, OperationName
from batchsearch.errors import Problem
from batchsearch.nearest import did_you_mean, nearest
from batchsearch.service.codes.lookup import code_for, is_known
from batchsearch.service.codes.table import CODES
from batchsearch.service.facts import MAX_LONG_ID, SERVICE_TYPES
from batchsearch.service.operations import OPERATIONS
from batchsearch.service.parameters import check_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batchsearch.config.document import Document
    from batchsearch.config.shape import SettingPath

_FROM_A_COLUMN: Final = frozenset({"Local.MissingParameter", "Local.NothingToChange"})
_DEFAULT_SERVICE_TYPE: Final = "generic"
_INDEXING: Final = "AddImage"
_JOB_OPERATIONS: Final[tuple[str, ...]] = get_args(OperationName)


def check_against_operation(document: Document) -> list[Problem]:
    """Everything wrong with `parameters`, `codes` and the columns of both manifests."""
    root = document.root
    problems = [*_codes(document)]
    operation = root.get("operation")
    if isinstance(operation, str) and operation in OPERATIONS:
        problems += _of_operation(document, operation)
    else:
        problems += _of_any_operation(document, operation)
    problems += _columns(document, ("emulator", "catalogue", "manifest", "columns"), _INDEXING)
    return problems


def _of_operation(document: Document, operation: str) -> list[Problem]:
    return [
        *_parameters(document, operation),
        *_columns(document, ("manifest", "columns"), operation, PRIORITY, INSTANCE),
    ]


def _of_any_operation(document: Document, operation: object) -> list[Problem]:
    """What is wrong whichever operation was meant, in the words of the one most like what is given."""
    found = {name: _of_operation(document, name) for name in _JOB_OPERATIONS}
    places = [{problem.where for problem in problems} for problems in found.values()]
    likely = nearest(operation, _JOB_OPERATIONS) if isinstance(operation, str) else None
    always = set.intersection(*places)
    return [problem for problem in found[likely or _JOB_OPERATIONS[0]] if problem.where in always]


def _at(root: Mapping[str, Any], path: SettingPath) -> dict[str, Any]:
    """The section at a path; empty where there is none."""
    here: Any = root
    for name in path:
        here = here.get(name) if isinstance(here, dict) else None
    return here if isinstance(here, dict) else {}


def _parameters(document: Document, operation: str) -> Iterator[Problem]:
    service_type = _at(document.root, ("instance",)).get("service_type", _DEFAULT_SERVICE_TYPE)
    if not isinstance(service_type, str) or service_type not in SERVICE_TYPES:
        service_type = _DEFAULT_SERVICE_TYPE
    _, found = check_parameters(
        operation,
        _at(document.root, ("parameters",)),
        service_type=service_type,
        longest_id=MAX_LONG_ID,
    )
    for problem in found:
        if problem.code not in _FROM_A_COLUMN:
            path = ("parameters", problem.parameter)
            yield Problem(document.source(path).where(path), problem.message)


def _columns(document: Document, section: SettingPath, operation: str, *more: str) -> Iterator[Problem]:
    known = OPERATIONS[operation]
    meanings = (
        *(image.role for image in known.images),
        *(each.key for each in known.parameters),
        *more,
    )
    for meaning in _at(document.root, section):
        if meaning not in meanings:
            path = (*section, meaning)
            what = f"{operation} takes nothing called `{meaning[:60]}`{did_you_mean(meaning, meanings)}"
            yield Problem(document.source(path).where(path), what)


def _codes(document: Document) -> Iterator[Problem]:
    for name in _at(document.root, ("codes",)):
        path = ("codes", name)
        if not is_known(name):
            what = f"no error code has the name `{name[:60]}`{did_you_mean(name, CODES)}"
        elif not code_for(name, None).is_answered:
            what = f"`{name[:60]}` is given before any call; only the answer to a call has another action"
        else:
            continue
        yield Problem(document.source(path).where(path), what)
