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
def test_a_region_stays_on_its_pixels_when_the_image_turns(orientation):
    """A marked rectangle is found at the mapped place in the image that Pillow turned."""
    stored = Image.new("L", (40, 30), 0)
    stored.paste(255, (5, 3, 17, 11))
    sent = stored.transpose(METHODS[orientation]) if orientation > 1 else stored
    geometry = Geometry(40, 30, orientation, *sent.size)
    x1, x2, y1, y2 = map(int, geometry.to_sent("5,16,3,10").split(","))
    inside = np.asarray(sent)[y1 : y2 + 1, x1 : x2 + 1]
    assert inside.size == 12 * 8
    assert inside.min() == 255
    assert geometry.to_source(f"{x1},{x2},{y1},{y2}") == "5,16,3,10"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_of_an_image_ends_at_its_last_pixel(orientation):
    """The whole of a 600x500 image is `0,599,0,499`, turned or not, on both sides."""
    sent = (500, 600) if orientation > 4 else (600, 500)
    geometry = Geometry(600, 500, orientation, *sent)
    assert geometry.to_sent("0,599,0,499") == f"0,{sent[0] - 1},0,{sent[1] - 1}"
    assert geometry.to_source(f"0,{sent[0] - 1},0,{sent[1] - 1}") == "0,599,0,499"


def test_the_order_is_both_horizontal_edges_first():
    """A region is `x1,x2,y1,y2`: scaling only the width moves the first two numbers."""
    assert Geometry(100, 100, 1, 50, 100).to_sent("20,39,60,79") == "10,19,60,79"


def test_a_padded_image_shifts_regions_by_its_border():
    """Coordinates leave out the border on the way back and add it on the way out."""
    geometry = Geometry(150, 90, 1, 150, 100, (0, 5, 150, 90))
    assert geometry.to_sent("0,149,0,89") == "0,149,5,94"
    assert geometry.to_source("0,149,0,99") == "0,149,0,89"


@pytest.mark.parametrize("text", ["0,600,0,500", "0,601,0,499", "0,599,0,501", "-2,599,0,499"])
def test_a_pixel_or_two_of_rounding_end_at_the_edge(text):
    """A box that counts edges, or was rounded up, is the region that its writer meant."""
    assert Geometry(600, 500, 6, 500, 600).to_sent(text) == "0,499,0,599"


@pytest.mark.parametrize("text", ["0,602,0,499", "0,599,0,502", "-3,599,0,499", "700,800,0,499"])
def test_a_region_that_reaches_out_of_the_image_is_refused(text):
    """What would have to be cut is not what was meant: the message has both sides and the order."""
    with pytest.raises(ValueError, match=r"reaches out of the image of 600x500 pixels.*599,499.*x1,x2,y1,y2"):
        Geometry(600, 500, 1, 600, 500).to_sent(text)


def test_a_region_in_another_tools_order_is_told_how_to_write():
    """A box of corners, or of a corner and sides, that would lie inside is given in the right order."""
    geometry = Geometry(266, 400, 1, 266, 400)
    with pytest.raises(ValueError, match="read as x1,y1,x2,y2 it lies inside, so write 10,200,280,390"):
        geometry.to_sent("10,280,200,390")
    with pytest.raises(ValueError, match="read as x,y,width,height it lies inside, so write 3,62,300,389"):
        geometry.to_sent("3,300,60,90")
    with pytest.raises(ValueError, match="both columns before both rows"):
        geometry.to_sent("10,20,200,900")


def test_a_region_never_shrinks_to_nothing():
    """A region thinner than a sent pixel keeps two, the fewest of a region, also at the last edge."""
    geometry = Geometry(4000, 3000, 1, 400, 300)
    assert geometry.to_sent("1000,1001,1000,1001") == "100,101,100,101"
    assert geometry.to_sent("3998,3999,2998,2999") == "398,399,298,299"


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,2,3,4", "9,2,3,4", "1,2,4,4"])
def test_a_malformed_region_is_refused_with_what_was_expected(text):
    """Text that is no region raises ValueError naming the right order."""
    with pytest.raises(ValueError, match="x1,x2,y1,y2"):
        Geometry(100, 100, 1, 100, 100).to_sent(text)


def test_a_region_wholly_outside_is_refused():
    """A region without a pixel in common with the image raises ValueError."""
    with pytest.raises(ValueError, match="outside the image"):
        Geometry(100, 100, 1, 100, 100).to_source("100,120,0,10")


def test_a_subject_of_one_pixel_is_an_answer():
    """What the service answers is not refused for being small."""
    assert Geometry(100, 100, 1, 100, 100).to_source("7,7,3,3") == "7,8,3,4"


@pytest.mark.parametrize("values", [(9, 9, 0, 9, 9), (9, 9, 9, 9, 9), (0, 9, 1, 9, 9)])
def test_an_impossible_geometry_is_refused(values):
    """An orientation outside 1..8 or a side of no pixels raises ValueError."""
    with pytest.raises(ValueError):
        Geometry(*values)
