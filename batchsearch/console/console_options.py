"""How a console is used: what it may change, spend and keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.config.model import JobSettings


COPIES_MB: Final = 256
"""Megabytes of small copies of images that an embedded instance keeps for a console by default."""


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """How a console is used.

    Attributes:
        read_only: Nothing at the instance may be changed.
        allow_changes: A purchased instance may be changed too.
        max_calls: Most calls of the session.
        history: Folder that keeps answers; None keeps them until the console ends.
        outputs: Folder of output folders; None for the job's own.
    """

    read_only: bool = False
    allow_changes: bool = False
    max_calls: int | None = None
    history: Path | None = None
    outputs: Path | None = None


def with_copies(settings: JobSettings) -> JobSettings:
    """A job whose embedded instance keeps copies of images to show, unless it says how many."""
    if settings.emulator.image_copies_mb is not None:
        return settings
    kept = settings.emulator.model_copy(update={"image_copies_mb": COPIES_MB})
    return settings.model_copy(update={"emulator": kept})
