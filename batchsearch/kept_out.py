"""Libraries that others import only because they are there, kept out of the command line's process.

pyarrow imports pandas the first time that a Python value becomes an Arrow one, structlog imports rich for
tracebacks that nobody here asks for, pydantic looks for a plug-in in every installed package: together a
third of what a command needs to start. A program that uses the Python API decides by itself what it imports.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_PANDAS: Final = "pandas"


class _KeptOut:
    """A finder that comes before all others and says of some modules that they are not there."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - Python's signature
        target: ModuleType | None = None,  # noqa: ARG002 - Python's signature
    ) -> ModuleSpec | None:
        if fullname in self.names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


_finder: Final = _KeptOut()


def keep_out() -> None:
    """From here on pandas is not found; for a process that runs one command and nothing else."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _finder.names.add(_PANDAS)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def let_pandas_in() -> None:
    """For a command whose work is done with pandas; called before anything is read with pyarrow."""
    _finder.names.discard(_PANDAS)


@contextmanager
def without(name: str) -> Iterator[None]:
    """While a library is imported that does with or without another; in a command's process alone."""
    _finder.names.add(name)
    try:
        yield
    finally:
        _finder.names.discard(name)
