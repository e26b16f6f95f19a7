"""OpenCV, imported when an image is to be verified and not before."""

from __future__ import annotations

from functools import cache
from typing import Any

from batchsearch.errors import MissingExtraError


@cache
def opencv() -> Any:
    """The module `cv2`; its own threads are off, because images are worked on side by side already.

    Raises:
        MissingExtraError: opencv-python-headless is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise MissingExtraError(
            "dedup", "batchsearch dedup with `dedup.verify` (`verify: null` decides by score alone)"
        ) from None
    cv2.setNumThreads(1)
    return cv2
