"""How long to wait before something is tried again: full jitter under a doubling bound."""

from __future__ import annotations

from typing import Final

BASE_SECONDS: Final = 0.5
"""Upper end of the first wait; it doubles with every attempt."""
CAP_SECONDS: Final = 30.0
"""Upper end of any wait."""


def backoff(step: int, jitter: float, *, base: float = BASE_SECONDS, cap: float = CAP_SECONDS) -> float:
    """Seconds to wait before repeat number `step`.

    Args:
        step: Which repeat this is, from 1.
        jitter: A random number in [0, 1).
        base: Upper end of the first wait, seconds.
        cap: Upper end of any wait, seconds.
    """
    return min(cap, base * 2.0 ** min(step - 1, 30)) * jitter
