"""Settings that a person gives to `init` with `--set`: written in place of what was guessed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchsearch.config.document import parse_document
from batchsearch.config.model import JobSettings
from batchsearch.config.overrides import Override, apply, from_command_line
from batchsearch.config.relative_paths import HAS_SCHEME
from batchsearch.config.shape import shape_of
from batchsearch.errors import ConfigError, Problem
from batchsearch.tasks.init.job_text import Line, job_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.config.shape import Shape

_NOTE = "Given with `--set`."


@dataclass(frozen=True, slots=True)
class GivenSettings:
    """What was given.

    Attributes:
        overrides: As the command line has them.
    """

    overrides: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Whether a setting was given."""
        return any(text.partition("=")[0].strip() == name for text in self.overrides)

    def text(self, name: str) -> str | None:
        """The last text that a setting was given."""
        found = [
            value for each in self.overrides for key, _, value in [each.partition("=")] if key.strip() == name
        ]
        return found[-1] if found else None

    def over(self, lines: Sequence[Line], folder: Path) -> list[Line]:
        """The lines of a job file with what was given in their place.

        Args:
            lines: What was guessed.
            folder: Where the job file is to lie; paths were typed in the current one.

        Raises:
            ConfigError: There is no such setting, or it cannot have that value.
        """
        document = parse_document(job_text([], lines), "the job file")
        shape = shape_of(JobSettings)
        read = list(from_command_line(self.overrides))
        problems = [each for each in read if isinstance(each, Problem)]
        given = [each for each in read if isinstance(each, Override)]
        problems += apply(document, given, shape)
        if problems:
            raise ConfigError(problems)
        found = list(lines)
        for override in given:
            path, value, below = _read(document.root, override.names, shape)
            if below.is_path:
                value = (
                    [_from(folder, each) for each in value]
                    if isinstance(value, list)
                    else _from(folder, value)
                )
            found = _with(found, ".".join(path), value)
        return found


def _read(root: Any, names: Sequence[str], shape: Shape) -> tuple[list[str], Any, Shape]:
    """A setting's path as lines have it, and its value; names with dots stay in their mapping."""
    path: list[str] = []
    here, value = shape, root
    for name in names:
        if here.values is not None and len(names) - len(path) != 1:
            break
        below = here.child(name)
        if below is None or not isinstance(value, dict) or name not in value:
            break
        path, here, value = [*path, name], below, value[name]
    return path, value, here


def _with(lines: Sequence[Line], name: str, value: Any) -> list[Line]:
    line = Line(name, value, _NOTE)
    inside = [each for each in lines if each.name == name or each.name.startswith(f"{name}.")]
    if inside:
        at = lines.index(inside[0])
        kept = [each for each in lines if each not in inside]
        return [*kept[:at], line, *kept[at:]]
    # Settings of one section follow each other: behind the last of the nearest one.
    parts = name.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        section = ".".join(parts[:depth]) + "."
        places = [place for place, each in enumerate(lines) if each.name.startswith(section)]
        if places:
            return [*lines[: places[-1] + 1], line, *lines[places[-1] + 1 :]]
    return [*lines, line]


def _from(folder: Path, value: Any) -> Any:
    """A path that was typed here as the job file is to have it."""
    if not isinstance(value, str) or HAS_SCHEME.match(value) or Path(value).is_absolute():
        return value
    return os.path.relpath(Path.cwd() / Path(value).expanduser(), folder)
