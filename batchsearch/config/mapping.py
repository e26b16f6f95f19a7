"""A job given by a program, as a mapping in place of a file: checked just as strictly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from batchsearch.config.credential_names import take_out_credentials
from batchsearch.config.document import Document, Source
from batchsearch.config.explain import explain
from batchsearch.config.model import JobSettings
from batchsearch.config.operation_checks import check_against_operation
from batchsearch.config.overrides import Override, apply, from_command_line
from batchsearch.config.paths import make_absolute
from batchsearch.config.shape import shape_of
from batchsearch.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = "job"


def job_of_mapping(
    job: Mapping[str, Any], *, overrides: Sequence[str] = (), folder: Path | None = None
) -> JobSettings:
    """The settings of a job that is given as a mapping, sections as mappings in it.

    Args:
        job: As a job file has it: `{"operation": …, "instance": {…}, …}`. Paths may be `pathlib.Path`.
        overrides: Texts like `instance.qps=5`, laid over it; later ones win.
        folder: Where relative paths start; the current folder when None.

    Raises:
        ConfigError: With every problem that was found.
    """
    document = Document(_plain(job, ()), {(): Source("file", _NAME)})
    shape = shape_of(JobSettings)
    problems = list(take_out_credentials(document))
    given: list[Override] = []
    for override in from_command_line(overrides):
        if isinstance(override, Problem):
            problems.append(override)
        else:
            given.append(override)
    problems += apply(document, given, shape)
    problems += take_out_credentials(document)
    make_absolute(document, shape, folder=Path(os.path.abspath(folder or Path.cwd())))  # noqa: PTH100 - a link stays one, as for job files
    settings = None
    try:
        settings = JobSettings.model_validate(document.root)
    except ValidationError as error:
        problems += explain([dict(each) for each in error.errors(include_url=False)], document, shape)
    problems += check_against_operation(document)
    if problems or settings is None:
        raise ConfigError(list(dict.fromkeys(problems)), summary="the job is not usable:")
    return settings


def _plain(value: Any, path: tuple[str, ...]) -> Any:
    """A copy in the types that a job file's text gives."""
    if isinstance(value, Mapping):
        wrong = next((name for name in value if not isinstance(name, str)), None)
        if wrong is not None:
            where = f"{_NAME}: {'.'.join(path)}" if path else _NAME
            raise ConfigError([Problem(where, f"a setting's name is text, not {wrong!r}")])
        return {name: _plain(below, (*path, name)) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(below, path) for below in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
