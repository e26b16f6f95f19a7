"""A job given by a program, as a mapping in place of a file: checked just as strictly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchsearch.config.document import Document, Source
from batchsearch.config.load import settled
from batchsearch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.config.model import JobSettings

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
    start = Path(os.path.abspath(folder or Path.cwd()))  # noqa: PTH100 - a link stays one, as for job files
    settings, problems = settled(document, overrides=overrides, environ={}, folder=start)
    if problems or settings is None:
        raise ConfigError(list(dict.fromkeys(problems)), summary="the job is not usable:")
    return settings


def _plain(value: Any, path: tuple[str, ...]) -> Any:
    """A copy in the types that a job file's text gives."""
    if isinstance(value, Mapping):
        wrong = next((name for name in value if not isinstance(name, str)), None)
        if wrong is not None:
            where = f"{_NAME}: {'.'.join(path)}" if path else _NAME
            raise ConfigError.at(where, f"a setting's name is text, not {wrong!r}")
        return {name: _plain(below, (*path, name)) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(below, path) for below in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
