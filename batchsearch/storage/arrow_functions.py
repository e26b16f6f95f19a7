"""Arrow's functions on columns, imported when the first of them is needed.

`pyarrow.compute` makes a documented Python function of each of its three hundred when it is imported, a tenth
of what a command needs to start; a run that finds nothing to do calls none of them.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from pyarrow import compute

    found = globals()[name] = getattr(compute, name)
    return found
