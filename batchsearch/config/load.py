"""The job file, read, overridden and checked: every problem at once, each with its place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from batchsearch.config.credential_names import take_out_credentials
from batchsearch.config.document import MAX_BYTES, Document, Source, parse_document
from batchsearch.config.explain import explain
from batchsearch.config.model import JobSettings
from batchsearch.config.operation_checks import check_against_operation
from batchsearch.config.overrides import Override, apply, from_command_line, from_environment
from batchsearch.config.relative_paths import make_absolute
from batchsearch.config.renamed import take_names_of_today
from batchsearch.config.shape import dotted, leaves, shape_of
from batchsearch.errors import ConfigError, Problem
from batchsearch.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class LoadedJob:
    """A job that may run.

    Attributes:
        settings: Every setting, paths absolute.
        file: The job file.
        sources: Where each setting's value came from, by its dotted path (`instance.qps`).
    """

    settings: JobSettings
    file: Path
    sources: Mapping[str, Source]


def load_job(
    path: Path, *, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> LoadedJob:
    """The job of a file, with the environment and then `--set` laid over it.

    Args:
        path: The job file, YAML in UTF-8 (see `document` for what is understood).
        overrides: Texts like `instance.qps=5`, as given to `--set`; later ones win.
        environ: Variables like `BATCHSEARCH__INSTANCE__QPS`.

    Raises:
        ConfigError: With every problem that was found, in the order of the file's lines.
    """
    return load_text(_read(path), path, overrides=overrides, environ=environ)


def load_text(
    text: str, path: Path, *, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> LoadedJob:
    """The job that a text describes, as `load_job` understands a file's.

    Args:
        text: YAML, or JSON.
        path: Where it is from, for messages; relative paths start from the folder that it is in.
        overrides: As for `load_job`.
        environ: Likewise.

    Raises:
        ConfigError: With every problem that was found.
    """
    document = parse_document(text, str(path))
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 - a linked job file's folder is the link's
    settings, problems = settled(document, overrides=overrides, environ=environ, folder=folder)
    if problems or settings is None:
        raise ConfigError(_in_order(problems))
    return LoadedJob(settings, path, MappingProxyType(_sources(settings, document)))


def settled(
    document: Document, *, overrides: Sequence[str], environ: Mapping[str, str], folder: Path
) -> tuple[JobSettings | None, list[Problem]]:
    """The settings of a document with what is laid over it, and every problem that was found.

    Args:
        document: Changed in place.
        overrides: As for `load_job`.
        environ: Likewise.
        folder: Where relative paths start.
    """
    shape = shape_of(JobSettings)
    problems = [*document.problems, *take_out_credentials(document)]
    given: list[Override] = [*from_environment(environ)]
    for override in from_command_line(overrides):
        if isinstance(override, Problem):
            problems.append(override)
        else:
            given.append(override)
    problems += apply(document, given, shape)
    problems += take_out_credentials(document)
    for before, now in take_names_of_today(document.root):
        document.sources[now] = document.source(before)
    unusable = make_absolute(document, shape, folder=folder)
    if unusable:
        # What checks the values would fail at them itself.
        return None, [*problems, *unusable]
    settings = None
    try:
        settings = JobSettings.model_validate(document.root)
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems += explain([dict(each) for each in found], document, shape)
    problems += check_against_operation(document)
    return settings, problems


def recorded_settings(values: dict[str, Any]) -> JobSettings | None:
    """The settings that an output noted, of whichever version; None where they mean nothing now."""
    for _ in take_names_of_today(values):
        pass
    try:
        return JobSettings.model_validate(values)
    except ValidationError:
        return None


def job_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of job files, for editors that complete and check while typing."""
    schema = JobSettings.model_json_schema(mode="validation")
    title = "batchsearch job file"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError.at(path, f"there is no such job file{_similar(path)}") from None
    except IsADirectoryError:
        raise ConfigError.at(path, "is a folder; give the job file in it") from None
    except OSError as error:
        raise ConfigError.at(path, f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigError.at(
            repr(str(path)), "is no path: it holds a NUL character or half a character"
        ) from None
    if len(data) > MAX_BYTES:
        raise ConfigError.at(path, f"is larger than {MAX_BYTES // 1024} KiB: this is no job file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError.at(f"{path}:{line}", "is not UTF-8 text; save it as UTF-8") from None


def _similar(path: Path) -> str:
    try:
        names = [each.name for each in path.parent.iterdir() if each.suffix in (".yaml", ".yml")]
    except OSError:
        return ""
    near = nearest(path.name, names)
    return "" if near is None else f"; did you mean `{path.parent / near}`?"


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    """By line, those of the environment and `--set` last; each once."""

    def place(problem: Problem) -> tuple[bool, int]:
        parts = problem.where.split(": ")[0].rsplit(":", 1)
        has_line = len(parts) > 1 and parts[1].isdecimal()
        return not has_line, int(parts[1]) if has_line else 0

    return sorted(dict.fromkeys(problems), key=place)


def _sources(settings: JobSettings, document: Document) -> dict[str, Source]:
    """The source of each leaf: its own, or that of the section given whole by an override."""
    found = {}
    for path, _ in leaves(settings.model_dump()):
        here: Any = document.root
        for name in path:
            here = here.get(name, _ABSENT) if isinstance(here, dict) else _ABSENT
        found[dotted(path)] = Source("default") if here is _ABSENT else document.source(path)
    return found


_ABSENT = object()
