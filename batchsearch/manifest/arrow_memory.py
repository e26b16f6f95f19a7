"""Which allocator Arrow uses: one that gives back what was freed."""

from __future__ import annotations

import os

import pyarrow as pa

CHOSEN_BY_USER = "ARROW_DEFAULT_MEMORY_POOL"
"""Arrow's own variable; whoever sets it has chosen."""


def use_plain_allocator() -> None:
    """Let Arrow take memory from the system's allocator, for the whole process.

    Its own allocators keep freed memory for later: over a manifest of ten million rows the process grows by
    30 to 40 MB where it needs 4, and is no faster for it (`tests/benchmarks/manifest.py`).
    """
    if CHOSEN_BY_USER not in os.environ and pa.default_memory_pool().backend_name != "system":
        pa.set_memory_pool(pa.system_memory_pool())
