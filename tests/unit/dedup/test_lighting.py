"""Fitting one change of light between two sets of pixels."""

from __future__ import annotations

import numpy as np
import pytest

from batchsearch.tasks.dedup.verifying.lighting import CLOSE, FREE, Light, fitted, relit

NEARLY = 0.03
"""The fit holds on to no change a little, which leaves so much of full brightness at most."""


def _pixels(count: int = 400) -> np.ndarray:
    return np.random.default_rng(3).uniform(0.15, 0.75, (count, 3)).astype(np.float32)


def _light(gamma: float, saturation: float, factors: tuple[float, float, float], shade: float) -> Light:
    return Light(gamma, saturation, np.array(factors, np.float32), shade)


@pytest.mark.parametrize(
    "light",
    [
        _light(1.0, 1.0, (1.0, 1.0, 1.0), 0.0),
        _light(1.0, 1.3, (1.1, 1.0, 0.95), 0.04),
        _light(0.72, 0.8, (0.9, 0.9, 0.9), -0.05),
        _light(1.18, 1.0, (1.05, 1.0, 1.1), 0.02),
        _light(1.4, 1.0, (1.2, 1.2, 1.2), 0.1),
    ],
)
def test_a_change_of_light_is_found_and_taken_away(light):
    """A change of light within its bounds is fitted so that both sets of pixels are nearly the same."""
    one = _pixels()
    other = relit(one, light)
    found = fitted(one, other, np.ones(len(one), np.float32), FREE)
    assert found.gamma == light.gamma
    assert np.abs(relit(one, found) - other).max() < NEARLY


def test_a_few_other_pixels_do_not_turn_the_fit():
    """What hides a tenth of the pixels does not change the light that is fitted to the others."""
    one = _pixels()
    other = relit(one, _light(1.0, 1.0, (1.1, 1.1, 1.1), 0.0))
    hidden = other.copy()
    hidden[::10] = (1.0, 0.0, 0.0)
    found = fitted(one, hidden, np.ones(len(one), np.float32), FREE)
    seen = np.arange(len(one)) % 10 != 0
    assert np.abs(relit(one, found) - other)[seen].max() < NEARLY


@pytest.mark.parametrize("factors", [(2.5, 2.5, 2.5), (1.5, 1.0, 0.6)])
def test_a_light_out_of_bounds_is_not_reached(factors):
    """No factor, balance, saturation or shade beyond its bounds is fitted, whatever the gamma."""
    one = _pixels() * 0.35
    other = np.clip(one * np.array(factors, np.float32), 0, 1)
    found = fitted(one, other, np.ones(len(one), np.float32), CLOSE)
    mean = float(found.factors.mean())
    assert mean <= CLOSE.exposure * CLOSE.balance
    assert found.factors.max() / found.factors.min() <= CLOSE.balance**2 * 1.001
    assert 1 / CLOSE.saturation <= found.saturation <= CLOSE.saturation
    assert abs(found.shade) <= CLOSE.shade + 1e-6
    assert np.abs(relit(one, found) - other).max() > 0.05


def test_a_pixel_without_weight_has_no_say():
    """Pixels of weight zero do not change what is fitted."""
    one = _pixels()
    other = relit(one, _light(0.85, 1.0, (1.0, 1.0, 1.0), 0.0))
    weights = np.ones(len(one), np.float32)
    weights[:150] = 0
    spoiled = other.copy()
    spoiled[:150] = 1 - spoiled[:150]
    found = fitted(one, spoiled, weights, FREE)
    assert found.gamma == 0.85
    assert np.abs(relit(one, found) - other).max() < NEARLY
