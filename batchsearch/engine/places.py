"""Where a job's things are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings


def picture_root(settings: JobSettings) -> Path:
    """Where relative picture paths start from."""
    return Path(settings.images.root or Path(settings.manifest.path).parent)
