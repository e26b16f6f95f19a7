"""What decides how an image comes out, by version: compared between this process and the workers."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from batchsearch._version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGES: Final = ("pillow", "numpy", "pillow-heif", "opencv-python-headless", "distributed")
"""Packages that decode, resize and compare images, and the one that carries them."""


def versions_here() -> dict[str, str | None]:
    """Versions of batchsearch, Python and those packages in this process; None for what is not installed."""
    found: dict[str, str | None] = {
        "batchsearch": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def differences(here: Mapping[str, str | None], there: Mapping[str, str | None]) -> tuple[str, ...]:
    """Names of what is not the same in two processes, in the order of `versions_here`."""
    return tuple(name for name in here if here[name] != there.get(name))
