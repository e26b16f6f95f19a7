"""What the process says to cron, Airflow or a shell when it ends: one table, and nothing but its codes.

Importing it costs next to nothing: the first moments of a process need it.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Every code that a command ends with."""

    DONE = 0
    TOO_MANY_FAILED = 3
    INCOMPLETE = 4
    ENDED = 5
    DAMAGED = 6
    BAD_CONFIG = 64
    BAD_MANIFEST = 65
    DEFECT = 70
    OUTPUT_FAILED = 74
    OUTPUT_IN_USE = 75
