"""Coordinates between a file and what was sent."""

import numpy as np
import pytest
from PIL import Image

from batchsearch.images.regions import Geometry

METHODS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_region_stays_on_its_pixels_when_the_picture_turns(orientation):
    """A marked rectangle is found at the mapped place in the picture that Pillow turned."""
    stored = Image.new("L", (40, 30), 0)
    stored.paste(255, (5, 3, 17, 11))
    sent = stored.transpose(METHODS[orientation]) if orientation > 1 else stored
    geometry = Geometry(40, 30, orientation, *sent.size)
    x1, x2, y1, y2 = map(int, geometry.to_sent("5,17,3,11").split(","))
    inside = np.asarray(sent)[y1:y2, x1:x2]
    assert inside.size == 12 * 8
    assert inside.min() == 255
    assert geometry.to_source(f"{x1},{x2},{y1},{y2}") == "5,17,3,11"


def test_the_order_is_both_horizontal_edges_first():
    """A region is `x1,x2,y1,y2`: scaling only the width moves the first two numbers."""
    assert Geometry(100, 100, 1, 50, 100).to_sent("20,40,60,80") == "10,20,60,80"


def test_a_padded_picture_shifts_regions_by_its_border():
    """Coordinates leave out the border on the way back and add it on the way out."""
    geometry = Geometry(150, 90, 1, 150, 100, (0, 5, 150, 90))
    assert geometry.to_sent("0,150,0,90") == "0,150,5,95"
    assert geometry.to_source("0,150,0,100") == "0,150,0,90"


def test_what_lies_outside_is_cut_off():
    """A region that reaches over an edge ends there."""
    assert Geometry(100, 80, 1, 50, 40).to_sent("-10,300,10,90") == "0,50,5,40"


def test_a_region_never_shrinks_to_nothing():
    """A region thinner than a sent pixel keeps one pixel, also at the last edge."""
    geometry = Geometry(4000, 3000, 1, 400, 300)
    assert geometry.to_sent("1000,1001,1000,1001") == "100,101,100,101"
    assert geometry.to_sent("3999,4000,2999,3000") == "399,400,299,300"


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,2,3,4", "9,2,3,4", "1,2,4,4"])
def test_a_malformed_region_is_refused_with_what_was_expected(text):
    """Text that is no region raises ValueError naming the right order."""
    with pytest.raises(ValueError, match="x1,x2,y1,y2"):
        Geometry(100, 100, 1, 100, 100).to_sent(text)


def test_a_region_wholly_outside_is_refused():
    """A region without a pixel in common with the picture raises ValueError."""
    with pytest.raises(ValueError, match="outside the picture"):
        Geometry(100, 100, 1, 100, 100).to_source("100,120,0,10")


@pytest.mark.parametrize("values", [(9, 9, 0, 9, 9), (9, 9, 9, 9, 9), (0, 9, 1, 9, 9)])
def test_an_impossible_geometry_is_refused(values):
    """An orientation outside 1..8 or a side of no pixels raises ValueError."""
    with pytest.raises(ValueError):
        Geometry(*values)
