"""OpenCV, imported when an image is to be verified and not before."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLAS_THREADS: Final = "OPENBLAS_NUM_THREADS"


@cache
def opencv() -> Any:
    """The module `cv2`; its own threads are off, because images are worked on side by side already.

    Raises:
        MissingExtraError: opencv-python-headless is not installed.
    """
    try:
        with _one_blas_thread():
            import cv2
    except ImportError:
        raise MissingExtraError(
            "dedup", "batchsearch dedup with `dedup.verify` (`verify: null` decides by score alone)"
        ) from None
    cv2.setNumThreads(1)
    return cv2


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """What is loaded meanwhile multiplies in the calling thread; what is loaded already stays as it is.

    OpenCV brings a linear algebra library of its own, which reads the variable when it is loaded. Its threads
    would wait for the next small product by spinning, and take as long again as all the comparing.
    """
    before = os.environ.get(_BLAS_THREADS)
    os.environ[_BLAS_THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_BLAS_THREADS]
        else:
            os.environ[_BLAS_THREADS] = before
