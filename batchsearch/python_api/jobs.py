"""What a program may give as a job, and what becomes of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from batchsearch.config.load import load_job
from batchsearch.config.mapping import job_of_mapping
from batchsearch.config.model import JobSettings
from batchsearch.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

JobLike: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | JobSettings"
"""A job: the path of its file, its settings as a mapping, or settings that were loaded before."""

Overrides: TypeAlias = "Mapping[str, Any] | Sequence[str]"
"""Settings laid over a job: `{"instance.qps": 5}`, or `["instance.qps=5"]` as for `--set`."""


def load(job: JobLike, overrides: Overrides = ()) -> JobSettings:
    """The settings of a job, checked, its paths absolute.

    Relative paths start at the job file's folder; those of a mapping and of overrides at the current folder.
    Environment variables (`BATCHSEARCH__INSTANCE__QPS`) are laid over job files, as on the command line, and
    over nothing else.

    Args:
        job: The path of a job file, a mapping of the same shape, or settings loaded before.
        overrides: Settings laid over it, by dotted name.

    Raises:
        ConfigError: With every problem that was found.

    Examples:
        >>> import batchsearch
        >>> job = batchsearch.load(
        ...     {
        ...         "operation": "SearchImageByPic",
        ...         "instance": {"endpoint": "emulator", "name": "demo", "qps": 10},
        ...         "manifest": {"path": "images.csv", "key": "sku"},
        ...         "output": {"dir": "out"},
        ...     },
        ...     overrides={"instance.qps": 5},
        ... )
        >>> job.instance.qps
        5.0
        >>> batchsearch.load({"operation": "SearchImageByPick"})
        Traceback (most recent call last):
        ...
        batchsearch.errors.ConfigError: the job is not usable:
          ...
    """
    laid_over = as_texts(overrides)
    if isinstance(job, JobSettings):
        if not laid_over:
            return job
        return job_of_mapping(job.model_dump(mode="json", exclude_unset=True), overrides=laid_over)
    if isinstance(job, Mapping):
        return job_of_mapping(job, overrides=laid_over)
    return load_job(Path(job), overrides=laid_over).settings


def as_texts(overrides: Overrides) -> tuple[str, ...]:
    """Overrides as `--set` takes them.

    Raises:
        ConfigError: A value is of a type that no setting has.
    """
    if isinstance(overrides, str):
        return (overrides,)
    if isinstance(overrides, Mapping):
        return tuple(f"{name}={_text(name, value)}" for name, value in overrides.items())
    return tuple(overrides)


def _text(name: str, value: Any) -> str:
    """A value as `--set` takes it: text as it stands, everything else as JSON, which YAML reads."""
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, default=_plain)
    except (TypeError, ValueError):
        what = f"takes text, a number, true or false, a list or a mapping, not {type(value).__qualname__}"
        raise ConfigError([Problem(name, what)], summary="the job is not usable:") from None


def _plain(value: Any) -> Any:
    """What JSON lacks as what settings are: paths as text, sets as lists, NumPy's values as Python's."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, AbstractSet):
        return sorted(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError
