"""How likely a call is denied, by the space it leaves: the curves that are believed in (pure).

Let the *margin* m be the extra spacing between calls, as a fraction of the tier's own interval. Whatever
counts the calls and whatever shifts them, denials mostly become rarer as m grows. Six families say how:

- **none**: a rare denial that no margin prevents, and nothing else;
- **fading**, `a x exp(-m / s)`: a jittery network before an exact count. `a` says how bad it is at the tier
  itself (a deep bucket: next to nothing; a sliding log that counts denials: half of all), `s` how much space
  it takes to get away from it;
- **shared**, the same above a floor: somebody else calls at random, and a part of all calls meets theirs;
- **rising**, fading and `r x (1 - exp(-m / u))` beside it: who calls at random is denied while our calls
  stand close, and takes what is free where they leave more space;
- **teeth**, fading and a saw beside it: the same competitor before a sliding log. They get in where a little
  space is left, a whole place is free from `m = 1 / (QPS - 1)` on, and the worst is
  just before that;
- **less than bought**, a bend or a wall at an interval of `t` times the tier's: the service grants only a
  part of what was bought, or somebody else takes the rest evenly.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def _margins() -> tuple[float, ...]:
    small = [0.001 * 1.25**step for step in range(21)]
    middle = [1.1 * 1.03**step - 1 for step in range(34)]
    large = [3.0 * 1.1**step - 1 for step in range(14)]
    return (0.0, *small, *middle, *large)


MARGINS: Final = _margins()
"""Margins to choose from: none, from a thousandth to 0.1 in steps of a quarter, then intervals in steps of
3 % up to three times the tier's, and in steps of a tenth up to some ten times."""

PRICE: Final = 2.0
"""What a denial costs, in granted calls: its own slot, and as much again."""

_RARE: Final = 0.002
"""Denials that no margin prevents: flow control has its own bad moments."""

_MOST: Final = 0.98
"""No curve is surer than this of a denial."""

_AT_THE_TIER: Final = (0.05, 0.15, 0.5, 1.0)
_SCALES: Final[tuple[float, ...]] = tuple(0.001 * 2.0**step for step in range(10))
_WIDEST: Final = 0.6
"""`a` and `s` of the fading curves, 0.001 to 0.51, as far as their product is no more than the last: wider
ones would be mistaken for a floor. The widest is a network whose jitter is nearly the tier's interval."""

_FLOORS: Final = (0.05, 0.1, 0.2, 0.3)
_FLAT: Final = (0.1, 0.2, 0.3, 0.4)
_ABOVE_A_FLOOR: Final = ((0.1, 0.25), (0.03, 0.12, 0.5))
"""Floors of the shared curves, what is on them at the tier (`a`) and how it fades (`s`)."""

_RISES: Final = (0.12, 0.25)
_RISE_BY: Final = (0.3, 1.0)
_BELOW_A_RISE: Final = ((0.2, 0.45), (0.03, 0.1, 0.3))
"""`r` and `u` of the rising curves, and the `a` and `s` of what fades meanwhile."""

_TEETH: Final = (0.15, 0.3)
_BELOW_A_TOOTH: Final = ((0.25, 0.45), (0.015, 0.04))
_AFTER_A_TOOTH: Final = 0.35
"""Heights of teeth, the `a` and `s` of what fades meanwhile, and what part of a tooth is beside the first."""

_BOUGHT: Final[tuple[float, ...]] = tuple(1.1**step for step in range(1, 12))
"""`t`: the interval, in tiers, at which less than was bought is granted; 1.1 to 2.85."""

_WALL: Final = 0.95
_SOFT: Final = 0.03
"""How many calls a wall denies, and how soft bend and wall are."""

_NONE_WEIGHT, _FADING_WEIGHT, _SHARED_WEIGHT, _RISING_WEIGHT, _TEETH_WEIGHT, _LESS_WEIGHT = (
    0.2,
    0.43,
    0.12,
    0.11,
    0.02,
    0.12,
)
"""What each family weighs in the starting mixture; its curves share that equally."""


class Curves(NamedTuple):
    """The families as tables, margins by curves; the first curve is the one without denials.

    Attributes:
        start: Weight of each curve in the starting mixture.
        denied: Probability that a call is denied.
        granted: Probability that it is not.
        worth: Granted calls less what denials cost, per slot.
    """

    start: Floats
    denied: Floats
    granted: Floats
    worth: Floats


def worth_of(denied: Floats | float, margin: Floats) -> Floats:
    """Granted calls less what denials cost, per slot of the tier."""
    worth: Floats = (1 - PRICE * np.asarray(denied)) / (1 + margin)
    return worth


@cache
def all_curves(calls: int) -> Curves:
    """The curves for a tier of so many calls a second; made once."""
    margin = np.array(MARGINS)
    none = [np.zeros_like(margin)]
    fading = [a * np.exp(-margin / s) for a, s in product(_AT_THE_TIER, _SCALES) if a * s <= _WIDEST]
    shared = [np.full_like(margin, floor) for floor in _FLAT]
    shared += [floor + a * np.exp(-margin / s) for floor, a, s in product(_FLOORS, *_ABOVE_A_FLOOR)]
    rising = [
        rise * -np.expm1(-margin / by) + a * np.exp(-margin / s)
        for rise, by, a, s in product(_RISES, _RISE_BY, *_BELOW_A_RISE)
    ]
    width = 1 / (calls - 1) if calls > 1 else np.inf
    tooth = np.where(margin < width, margin / width, _AFTER_A_TOOTH)
    teeth = [height * tooth + a * np.exp(-margin / s) for height, a, s in product(_TEETH, *_BELOW_A_TOOTH)]
    less = []
    for times in _BOUGHT:
        short = 1 - (1 + margin) / times
        less += [_SOFT * np.logaddexp(0.0, short / _SOFT), _WALL / (1 + np.exp(-short / _SOFT))]
    families = (
        (none, _NONE_WEIGHT),
        (fading, _FADING_WEIGHT),
        (shared, _SHARED_WEIGHT),
        (rising, _RISING_WEIGHT),
        (teeth, _TEETH_WEIGHT),
        (less, _LESS_WEIGHT),
    )
    start = np.array([weight / len(curves) for curves, weight in families for _ in curves])
    rows = [curve for curves, _ in families for curve in curves]
    denied = np.minimum(_MOST, _RARE + np.array(rows)).T
    return Curves(start, denied, 1 - denied, worth_of(denied, margin[:, None]))
