"""One change of light for a whole photograph, fitted between two and taken away (pure).

A pixel's colour is raised to a power (gamma), its distance from grey is scaled (saturation), each channel is
scaled (exposure, white balance) and a shade is added to all (contrast). Nothing in it can turn a blue garment
red while skin and background stay as they are; its bounds keep it from turning a black one white.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GAMMAS: Final = (1.0, 0.72, 0.85, 1.18, 1.4)
_STEPS: Final = 4
_STEADY: Final = 0.003
"""How much the fit holds on to no change, by pixel."""
_WORST: Final = 0.15
_WELL: Final = 0.006
_FOR_GAMMA: Final = 0.002
_BRIGHTNESS: Final = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a change of light may go.

    Attributes:
        balance: Most by which one channel's factor may differ from the mean of all.
        exposure: Most of that mean, and its inverse the least.
        saturation: Most, and its inverse the least.
        shade: Most that is added or taken, of 1.
    """

    balance: float
    exposure: float
    saturation: float
    shade: float


FREE: Final = Bounds(1.25, 1.8, 2.0, 0.2)
"""Where both images have one background, which has to agree, too."""
PLAIN: Final = Bounds(1.2, 1.6, 1.6, 0.1)
"""Where there is no plain background."""
CLOSE: Final = Bounds(1.05, 1.3, 1.35, 0.05)
"""Where the background may have been exchanged: the product's colours must nearly agree as they are."""


@dataclass(frozen=True, slots=True)
class Light:
    """A change of light: `gamma`, `saturation`, `factors` of the channels, and the `shade` added."""

    gamma: float
    saturation: float
    factors: NDArray[np.float32]
    shade: float


def relit(pixels: NDArray[np.float32], light: Light) -> NDArray[np.float32]:
    """Pixels, 0 to 1, shape (n, 3), in another light."""
    # Channel by channel: NumPy is slow over a last axis of three.
    plain = np.ascontiguousarray(pixels.T)
    raised = plain if light.gamma == 1 else plain**light.gamma
    grey = _BRIGHTNESS @ raised
    made = light.shade + light.factors[:, None] * (grey + light.saturation * (raised - grey))
    return np.asarray(np.clip(made, 0, 1).T, dtype=np.float32)


def fitted(
    one: NDArray[np.float32], other: NDArray[np.float32], weights: NDArray[np.float32], bounds: Bounds
) -> Light:
    """The change of light that makes one set of pixels most like the other, whatever a few of them say.

    Args:
        one: Shape (n, 3), 0 to 1.
        other: Likewise, pixel by pixel.
        weights: Of each pixel.
        bounds: How far it may go.
    """
    plain, wanted = np.ascontiguousarray(one.T), np.ascontiguousarray(other.T)
    raised = np.stack([plain if gamma == 1 else plain**gamma for gamma in _GAMMAS])
    lights, away = _fitted(raised, wanted, weights, bounds)
    costs = np.minimum(away, _WORST) @ weights / weights.sum()
    best, least = 0, np.inf
    for place, gamma in enumerate(_GAMMAS):
        cost = float(costs[place]) + (0.0 if gamma == 1 else _FOR_GAMMA)
        if cost < least:
            best, least = place, cost
        if cost < _WELL:
            break
    return lights[best]


def _fitted(
    raised: NDArray[np.float32], other: NDArray[np.float32], given: NDArray[np.float32], bounds: Bounds
) -> tuple[list[Light], NDArray[np.float32]]:
    """For each gamma the rest of the change, and by how much each pixel still differs.

    All gammas at once: the arrays are small, so that the calls cost more than the numbers.
    """
    grey = (_BRIGHTNESS @ raised)[:, None]
    colour = raised - grey
    saturation: NDArray[np.float32] = np.ones((len(raised), 1, 1), np.float32)
    shade, factors = np.zeros_like(saturation), np.ones((len(raised), 3, 1), np.float32)
    weights, away = np.broadcast_to(given, (len(raised), given.size)), grey
    for turn in range(_STEPS):
        whole = weights.sum(axis=1)[:, None, None]
        held = np.float32(_STEADY) * whole
        made = grey + saturation * colour
        squares, sums = _weighed(weights, made * made) + held, _weighed(weights, made)
        products, others = _weighed(weights, made * other) + held, (weights @ other.T)[..., None]
        rest = 3 * whole + 9 * held - (sums * sums / squares).sum(axis=1, keepdims=True)
        shade = (others - products * sums / squares).sum(axis=1, keepdims=True) / rest
        shade = _within(shade, -bounds.shade, bounds.shade)
        factors = np.maximum((products - shade * sums) / squares, 1e-3)
        mean = np.exp(np.log(factors).mean(axis=1, keepdims=True))
        mean = _within(mean, 1 / bounds.exposure, bounds.exposure)
        factors = mean * _within(factors / mean, 1 / bounds.balance, bounds.balance)
        scaled = factors * colour
        missing = other - shade - factors * grey
        explained, spread = _weighed(weights, scaled * missing), _weighed(weights, scaled * scaled)
        saturation = explained.sum(axis=1, keepdims=True) + 3 * held
        saturation = saturation / (spread.sum(axis=1, keepdims=True) + 3 * held)
        saturation = _within(saturation, 1 / bounds.saturation, bounds.saturation)
        left = np.abs(missing - saturation * scaled)
        away = np.maximum(np.maximum(left[:, 0], left[:, 1]), left[:, 2])
        if turn + 1 < _STEPS:
            usual = np.maximum(0.015, 1.5 * medians(away))
            weights = given / (1 + np.square(away / usual))
    lights = [
        Light(gamma, float(saturation[place, 0, 0]), factors[place, :, 0], float(shade[place, 0, 0]))
        for place, gamma in enumerate(_GAMMAS)
    ]
    return lights, away


def _weighed(weights: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums over pixels, for each gamma and channel; shape (gammas, 3, 1)."""
    return np.asarray(values @ weights[..., None])


def _within(values: NDArray[np.float32], least: float, most: float) -> NDArray[np.float32]:
    """What `numpy.clip` gives, which takes five times as long over so few values."""
    return np.asarray(np.minimum(np.maximum(values, least), most))


def medians(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `numpy.median` gives for each row, shape (rows, 1); likewise."""
    middle = rows.shape[1] // 2
    if rows.shape[1] % 2:
        return np.asarray(np.partition(rows, middle, axis=1)[:, middle, None])
    parted = np.partition(rows, (middle - 1, middle), axis=1)
    return np.asarray((parted[:, middle - 1, None] + parted[:, middle, None]) / np.float32(2))
