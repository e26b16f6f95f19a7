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
    """Pixels, 0 to 1, in another light."""
    raised = pixels if light.gamma == 1 else pixels**light.gamma
    grey = (raised @ _BRIGHTNESS)[..., None]
    made = light.shade + light.factors * (grey + light.saturation * (raised - grey))
    return np.asarray(np.clip(made, 0, 1), dtype=np.float32)


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
    best: tuple[float, Light] | None = None
    for gamma in _GAMMAS:
        light, away = _fitted(one if gamma == 1 else one**gamma, other, weights, bounds)
        cost = float((weights * np.minimum(away, _WORST)).sum() / weights.sum())
        cost += 0.0 if gamma == 1 else _FOR_GAMMA
        if best is None or cost < best[0]:
            best = (cost, Light(gamma, light.saturation, light.factors, light.shade))
        if cost < _WELL:
            break
    if best is None:
        raise RuntimeError("there is no gamma to try")
    return best[1]


def _fitted(
    one: NDArray[np.float32], other: NDArray[np.float32], given: NDArray[np.float32], bounds: Bounds
) -> tuple[Light, NDArray[np.float32]]:
    """Without a gamma; and by how much each pixel still differs."""
    grey = (one @ _BRIGHTNESS)[:, None]
    colour = one - grey
    saturation, shade, factors = 1.0, 0.0, np.ones(3)
    weights, away = given, np.zeros(len(one), np.float32)
    for _ in range(_STEPS):
        whole = float(weights.sum())
        held = _STEADY * whole
        made = grey + saturation * colour
        squares, sums = weights @ (made * made) + held, weights @ made
        products, others = weights @ (made * other) + held, weights @ other
        rest = 3 * whole + 9 * held - float((sums * sums / squares).sum())
        shade = float((others - products * sums / squares).sum()) / rest
        shade = _within(shade, -bounds.shade, bounds.shade)
        factors = np.maximum((products - shade * sums) / squares, 1e-3)
        mean = _within(float(np.exp(np.log(factors).mean())), 1 / bounds.exposure, bounds.exposure)
        factors = mean * np.clip(factors / mean, 1 / bounds.balance, bounds.balance)
        scaled = factors * colour
        missing = other - shade - factors * grey
        explained, spread = weights @ (scaled * missing), weights @ (scaled * scaled)
        saturation = float((explained.sum() + 3 * held) / (spread.sum() + 3 * held))
        saturation = _within(saturation, 1 / bounds.saturation, bounds.saturation)
        away = np.abs(missing - saturation * scaled).max(axis=1)
        usual = max(0.015, 1.5 * float(np.median(away)))
        weights = given / (1 + (away / usual) ** 2)
    return Light(1.0, saturation, factors.astype(np.float32), shade), away


def _within(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))
