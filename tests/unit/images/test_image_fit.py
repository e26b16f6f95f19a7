"""The sides that an image is sent with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.decoding.fit import Fit, NoFit, fit, snapped
from batchsearch.images.rules import rules_for


def rules(service_type="generic", **settings):
    return rules_for(service_type, ImageSettings(**settings))


def test_a_image_within_the_limits_keeps_its_sides():
    """Nothing is scaled without need."""
    assert fit((4096, 100), rules()) == Fit((4096, 100), (4096, 100))


@pytest.mark.parametrize(
    ("size", "wanted", "expected"),
    [
        ((4000, 3000), 1024, (1024, 768)),
        ((3000, 4000), 1024, (768, 1024)),
        ((1025, 1025), 1024, (1024, 1024)),
    ],
)
def test_the_longer_side_is_shrunk_to_the_one_wanted(size, wanted, expected):
    """The aspect is kept, to the nearest pixel."""
    assert fit(size, rules(max_side=wanted)).content == expected


def test_trademarks_stay_below_4096():
    """The exclusive upper limit of trademark instances is kept."""
    assert fit((4096, 4096), rules("trademark")).content == (4095, 4095)


def test_a_short_side_is_refused_by_default():
    """An image under the limit is a refusal, not a guess."""
    verdict = fit((99, 3000), rules())
    assert isinstance(verdict, NoFit)
    assert verdict.code == "Local.ImageTooSmall"


def test_no_scale_fits_an_extreme_aspect():
    """A side ratio beyond the limits' own has a code of its own, also when enlarging."""
    assert fit((5000, 110), rules()).code == "Local.ImageAspect"
    assert fit((5000, 90), rules(too_small="enlarge")).code == "Local.ImageAspect"


def test_an_extreme_aspect_can_be_padded():
    """Padding lets the long side shrink and fills up the short one."""
    plan = fit((8192, 110), rules(too_small="pad"))
    assert plan == Fit((4096, 55), (4096, 100))
    assert plan.offset == (0, 22)


@given(
    st.integers(1, 20_000),
    st.integers(1, 20_000),
    st.sampled_from(["reject", "pad", "enlarge"]),
    st.integers(448, 5000),
)
def test_whatever_fits_keeps_every_limit(width, height, too_small, wanted):
    """Sides are inside the service's limits for any image and any setting."""
    limits = rules("fabric", too_small=too_small, max_side=wanted)
    plan = fit((width, height), limits)
    if isinstance(plan, NoFit):
        return
    assert limits.min_side <= min(plan.canvas)
    assert max(plan.canvas) <= limits.max_side
    assert all(content <= canvas for content, canvas in zip(plan.content, plan.canvas, strict=True))


def test_a_decoder_scale_is_taken_when_near_enough():
    """4032 pixels snap to 1008 for a wanted 1024, 5000 do not snap to 625."""
    assert snapped((4032, 3024), (1024, 768), rules()) == (1008, 756)
    assert snapped((5000, 3000), (1024, 614), rules()) is None
    assert snapped((4032, 3024), (1024, 768), rules(snap=False)) is None
    assert snapped((6000, 790), (1500, 198), rules("trademark")) is None
