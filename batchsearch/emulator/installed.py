"""Whether the embedded instance can run here."""

from __future__ import annotations

import importlib.util

from batchsearch.errors import MissingExtraError


def check_installed() -> None:
    """Hold that the packages of the extra `emulator` are there, without importing them.

    Raises:
        MissingExtraError: They are not; the message says what to install.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise MissingExtraError("emulator", "the embedded instance")
