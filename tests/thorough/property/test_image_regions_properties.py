"""Coordinates hold for every orientation and scale."""

from hypothesis import given, settings
from hypothesis import strategies as st

from batchsearch.images.regions import SWAPPED, Geometry

SIDE = st.integers(2, 5000)


@st.composite
def geometries(draw):
    width, height, orientation = draw(SIDE), draw(SIDE), draw(st.integers(1, 8))
    return Geometry(width, height, orientation, draw(SIDE), draw(SIDE))


def spans(side):
    return (
        st.tuples(st.integers(0, side - 1), st.integers(0, side - 1))
        .map(sorted)
        .filter(lambda span: span[0] < span[1])
    )


def text(across, down):
    return f"{across[0]},{across[1]},{down[0]},{down[1]}"


def numbers(region):
    return [int(number) for number in region.split(",")]


@given(st.data(), geometries())
@settings(max_examples=150)
def test_a_mapped_region_lies_inside_and_keeps_an_area(data, geometry):
    """Whatever the geometry, a mapped region is not empty and within the other image."""
    region = text(data.draw(spans(geometry.source_width)), data.draw(spans(geometry.source_height)))
    x1, x2, y1, y2 = numbers(geometry.to_sent(region))
    assert 0 <= x1 < x2 < geometry.sent_width
    assert 0 <= y1 < y2 < geometry.sent_height


@given(st.data(), geometries())
@settings(max_examples=150)
def test_there_and_back_is_exact_to_a_pixel_of_the_coarser_grid(data, geometry):
    """Going there and back rounds to the coarser grid; a region thinner than its pixels widens to two."""
    region = text(data.draw(spans(geometry.source_width)), data.draw(spans(geometry.source_height)))
    back = numbers(geometry.to_source(geometry.to_sent(region)))
    sent = geometry.sent_width, geometry.sent_height
    if geometry.orientation in SWAPPED:
        sent = sent[::-1]
    coarse_x = max(1, geometry.source_width / sent[0])
    coarse_y = max(1, geometry.source_height / sent[1])
    for before, after, coarse in zip(numbers(region), back, (coarse_x,) * 2 + (coarse_y,) * 2, strict=True):
        assert abs(before - after) <= 2.5 * coarse + 1


@given(st.data(), geometries())
@settings(max_examples=150)
def test_an_answer_comes_back_unchanged_when_the_image_was_shrunk(data, geometry):
    """A region of an image that was sent smaller maps to the file and back to itself."""
    upright = geometry.source_width, geometry.source_height
    if geometry.orientation in SWAPPED:
        upright = upright[::-1]
    if geometry.sent_width > upright[0] or geometry.sent_height > upright[1]:
        geometry = Geometry(geometry.source_width, geometry.source_height, geometry.orientation, *upright)
    region = text(data.draw(spans(geometry.sent_width)), data.draw(spans(geometry.sent_height)))
    assert geometry.to_sent(geometry.to_source(region)) == region


@given(st.data(), SIDE, SIDE, st.integers(1, 8))
@settings(max_examples=100)
def test_turning_alone_loses_nothing(data, width, height, orientation):
    """Without scaling, there and back is the identity."""
    sent = (height, width) if orientation in SWAPPED else (width, height)
    geometry = Geometry(width, height, orientation, *sent)
    region = text(data.draw(spans(width)), data.draw(spans(height)))
    assert geometry.to_source(geometry.to_sent(region)) == region


@given(geometries())
@settings(max_examples=50)
def test_the_whole_image_stays_the_whole_image(geometry):
    """The full region maps to the full region in both directions."""
    source = f"0,{geometry.source_width - 1},0,{geometry.source_height - 1}"
    sent = f"0,{geometry.sent_width - 1},0,{geometry.sent_height - 1}"
    assert geometry.to_sent(source) == sent
    assert geometry.to_source(sent) == source
