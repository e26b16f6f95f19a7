"""Subject identification by the colours of the border."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from batchsearch.emulator.search.subject import MOST_SUBJECTS, connected_components, identify_subjects


def scene(*boxes, size=(400, 300), ground=(240, 240, 235), colour=(180, 40, 30)):
    image = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(image)
    for left, top, right, bottom in boxes:
        pen.rectangle((left, top, right, bottom), fill=colour)
    return image


def overlap(box, left, top, right, bottom):
    across = min(box.x2, right) - max(box.x1, left) + 1
    down = min(box.y2, bottom) - max(box.y1, top) + 1
    both = max(0, across) * max(0, down)
    return both / (box.area + (right - left + 1) * (bottom - top + 1) - both)


@pytest.mark.parametrize("scale", [0.4, 1, 5])
def test_a_subject_on_a_plain_ground_is_boxed(scale):
    """The box of a lone subject is the subject's, within the coarseness of the map, at any size."""
    place = tuple(round(edge * scale) for edge in (120, 90, 260, 220))
    image = scene(place, size=(round(400 * scale), round(300 * scale)))
    (box,) = identify_subjects(image)
    assert overlap(box, *place) > 0.9


def test_every_sizeable_subject_is_found_largest_first():
    """Two subjects give two boxes, the larger one first; a speck gives none."""
    boxes = identify_subjects(scene((20, 100, 80, 160), (150, 60, 350, 250), (380, 10, 383, 13)))
    assert len(boxes) == 2
    assert overlap(boxes[0], 150, 60, 350, 250) > 0.9
    assert overlap(boxes[1], 20, 100, 80, 160) > 0.8


def test_more_subjects_than_are_reported_are_cut():
    """At most five subjects are reported."""
    boxes = identify_subjects(scene(*((x, y, x + 40, y + 60) for x in (20, 140, 260) for y in (40, 180))))
    assert len(boxes) == MOST_SUBJECTS


def test_a_image_of_one_colour_has_no_subject():
    """Where nothing differs from the border there is no subject."""
    assert identify_subjects(scene()) == ()


def test_a_banner_is_background():
    """A banner that reaches three edges is taken for background, not for the subject."""
    image = scene((120, 60, 260, 180))
    ImageDraw.Draw(image).rectangle((0, 250, 400, 300), fill=(20, 60, 200))
    assert overlap(identify_subjects(image)[0], 120, 60, 260, 180) > 0.8


def test_boxes_lie_inside_the_image():
    """A subject that touches the last row and column ends with them."""
    (box,) = identify_subjects(scene((330, 240, 400, 300)))
    assert (box.x2, box.y2) == (399, 299)


def test_extreme_shapes_are_mapped():
    """An image forty times as wide as high has boxes inside it."""
    image = scene((1_000, 30, 1_900, 70), size=(4_000, 100))
    for box in identify_subjects(image):
        assert 0 <= box.x1 <= box.x2 < 4_000
        assert 0 <= box.y1 <= box.y2 < 100


def test_components_are_connected_sets():
    """Cells that touch, corners included, are one component; U shapes are united late but surely."""
    drawn = ["#..#..#", "#..#...", "####...", ".......", "...##.#", ".....#."]
    parts = connected_components(np.array([[cell == "#" for cell in row] for row in drawn]))
    assert [(p.cells, p.left, p.right, p.top, p.bottom) for p in parts] == [
        (8, 0, 4, 0, 3),
        (4, 3, 7, 4, 6),
        (1, 6, 7, 0, 1),
    ]


def test_the_saliency_network_finds_the_subject():
    """`u2netp` boxes a subject on a plain ground too."""
    image = scene(size=(400, 300))
    ImageDraw.Draw(image).ellipse((120, 70, 280, 230), fill=(180, 40, 30), outline=(60, 10, 10), width=6)
    boxes = identify_subjects(image, "u2netp")
    assert overlap(boxes[0], 120, 70, 280, 230) > 0.8


def test_boxes_of_an_image_decoded_smaller_are_in_the_pixels_of_its_file():
    """Whoever gives the file's sides gets the boxes that the whole image would have."""
    image = scene((600, 450, 1_300, 1_100), size=(2_000, 1_500))
    small = image.resize((1_000, 750), Image.Resampling.BOX)
    assert identify_subjects(small, sides=image.size) == identify_subjects(image)


def test_runs_that_touch_at_corners_are_one_component_whatever_lies_beside_them():
    """Components equal those of a search from cell to cell, on masks of chance."""
    chance = np.random.default_rng(4)
    for share in (0.2, 0.4, 0.6):
        mask = chance.random((24, 31)) < share
        left, components = (
            {(int(row), int(column)) for row, column in zip(*np.nonzero(mask), strict=True)},
            [],
        )
        while left:
            reached, found = [left.pop()], []
            while reached:
                row, column = reached.pop()
                found.append((row, column))
                near = {(row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1)} & left
                left -= near
                reached += near
            rows, columns = zip(*found, strict=True)
            components.append((len(found), min(columns), max(columns) + 1, min(rows), max(rows) + 1))
        made = [
            (part.cells, part.left, part.right, part.top, part.bottom) for part in connected_components(mask)
        ]
        assert sorted(made) == sorted(components)
