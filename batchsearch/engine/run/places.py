"""Where a job's things are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from batchsearch.errors import ConfigError
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings


def require_root(settings: JobSettings) -> None:
    """Look whether the folder of the images is there, before any row is charged with its absence.

    Raises:
        ConfigError: `images.root` names no folder, or one that cannot be read.
    """
    if settings.images.root is None or not OPERATIONS[settings.operation].images:
        return
    root = settings.images.root
    if settings.images.text == "base64" or settings.images.base_url is not None:
        return
    try:
        with os.scandir(root) as entries:
            empty = next(entries, None) is None
    except OSError as error:
        what = f"{root} cannot be opened ({error.strerror})"
    else:
        if not empty:
            return
        what = f"{root} is empty"
    raise ConfigError(
        f"images.root: {what}, so no image would be found; mount its disk, or name another folder"
    )


def image_root(settings: JobSettings) -> Path:
    """Where relative image paths start from."""
    return Path(settings.images.root or settings.manifest.images_folder)
