"""What comes next after a command, as commands to be copied."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from batchsearch.errors import ExitCode


@dataclass(frozen=True, slots=True)
class NextStep:
    """A command that comes next.

    Attributes:
        why: What for, a few words.
        command: As it is typed.
    """

    why: str
    command: str


def next_steps(exit_code: int, folder: Path | str, *, looks: bool) -> list[NextStep]:
    """Commands that come next after a run; how failed rows are asked for again stands with the failures.

    Args:
        exit_code: How it ended.
        folder: Its output folder, or its address in an object store.
        looks: There is something to look at.
    """
    is_address = isinstance(folder, str) and "://" in folder
    name = shlex.quote(str(folder) if is_address else named_from_here(Path(folder)))
    if exit_code == ExitCode.DAMAGED:
        return [NextStep("find out what does not agree", f"batchsearch verify {name}")]
    if not looks:
        return []
    return [
        NextStep("look at it, on one page with images", f"batchsearch report {name}"),
        NextStep("open it in a spreadsheet", f"batchsearch export {name}"),
    ]


def named_from_here(folder: Path) -> str:
    """A folder as it is named from the current one, where it lies below."""
    try:
        here = Path.cwd()
    except OSError:  # somebody has removed it
        return str(folder)
    return str(folder.relative_to(here)) if folder != here and folder.is_relative_to(here) else str(folder)
