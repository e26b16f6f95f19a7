"""Good and bad times: how flow control comes and goes, whatever the spacing (pure).

Denials come in times. A service is down for two minutes, a nightly job takes the whole rate for some seconds
and again a while later. No spacing helps against those, and what was learned about spacing stays true after
them. So beside the curve (`curves`) a *time* is believed in, one of nine that follow each other by chance:

    calm --> out for long (a minute or more) --> calm
         --> shut, or busy, for seconds --> between bursts --> shut or busy again, or calm after all

Bursts, and what is between them, are passed through in stages, so that they are hardly ever much shorter
than their mean: else whatever comes and goes within a second would be explained that way, and nothing would
be learned about spacing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class BadTime(NamedTuple):
    """A time in which spacing does not help.

    Attributes:
        denied: Probability that a call is denied.
        patience: Calls are sqrt(patience x interval of the tier) apart, seconds: a probe costs a call, a late
            one costs the calls that could have been made meanwhile, and both together are least there.
    """

    denied: float
    patience: float


GOOD_TIMES: Final = ("calm", "between bursts", "between bursts, on", "between bursts, and long enough")
"""Times in which the curve decides; they stand first, the bad ones after them."""

BAD_TIMES: Final = (
    BadTime(0.98, 16.0),  # out for long
    *(BadTime(0.97, 4.0),) * 2,  # shut: somebody else takes the whole rate
    *(BadTime(0.5, 4.0),) * 2,  # busy: they take half of it
)

_BETWEEN: Final = 5.0
_BURST: Final = 3.0
"""Mean seconds of each stage between bursts, and of each of the two of a burst."""

# Changes per second, from one time to another.
_CHANGES: Final = (
    (0, 4, 1 / 1500),
    (0, 5, 1 / 600),
    (0, 7, 1 / 600),
    *((stage, stage + 1, 1 / _BETWEEN) for stage in (1, 2)),
    *((3, burst, 0.5 / _BETWEEN) for burst in (5, 7)),
    *((stage, 0, 1 / 100) for stage in (1, 2, 3)),
    (4, 0, 1 / 60),
    *((burst, burst + 1, 1 / _BURST) for burst in (5, 7)),
    *((burst, 1, 1 / _BURST) for burst in (6, 8)),
)

DENIED: Final[Floats] = np.array([time.denied for time in BAD_TIMES])
TIMES: Final = len(GOOD_TIMES) + len(BAD_TIMES)


_RATES: Final[Floats] = np.array([rate for *_, rate in _CHANGES])
_STAYING: Final[Floats] = np.eye(TIMES)


def _moves() -> Floats:
    """What each change does to the matrix that carries a belief on: a column for each."""
    moves = np.zeros((TIMES, TIMES, len(_CHANGES)))
    for number, (before, then, _) in enumerate(_CHANGES):
        moves[before, before, number] = -1.0
        moves[then, before, number] = 1.0
    return moves


_MOVES: Final[Floats] = _moves()


def passed(weights: Floats, seconds: float) -> Floats:
    """The belief after some seconds without news; `weights` has a row for each time."""
    changes = _STAYING - _MOVES @ np.expm1(-_RATES * seconds)
    # Two changes at once would move more than there is.
    after: Floats = np.maximum(changes @ weights, 0.0)
    after /= after.sum()
    return after
