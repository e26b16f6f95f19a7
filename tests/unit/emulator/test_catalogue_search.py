"""Searching and comparing: subjects, categories, paging, scores."""

import dataclasses
from contextlib import closing

import pytest
from image_files import saved
from PIL import Image, ImageDraw

from batchsearch.emulator.search.catalogue import Catalogue
from batchsearch.emulator.search.embedding import MODEL, shared_embedder
from batchsearch.emulator.search.image_reading import decode_image
from batchsearch.emulator.search.records import Box, NewItem, Query
from batchsearch.service.facts import OTHER_CATEGORY
from batchsearch.service.filter import parse_filter

SHAPES = ("ellipse", "rectangle", "cross", "ring")
COLOURS = {"red": (200, 30, 30), "blue": (30, 60, 200), "green": (20, 150, 60)}


def drawn(shape, colour, *, size=(480, 460), place=(120, 110, 360, 350), onto=None):
    image = onto or Image.new("RGB", size, (245, 245, 240))
    pen = ImageDraw.Draw(image)
    left, top, right, bottom = place
    fill = COLOURS[colour]
    if shape == "ellipse":
        pen.ellipse(place, fill=fill)
    elif shape == "rectangle":
        pen.rectangle(place, fill=fill)
    elif shape == "ring":
        pen.ellipse(place, outline=fill, width=(right - left) // 8)
    else:
        pen.line((left, top, right, bottom), fill=fill, width=(right - left) // 8)
        pen.line((left, bottom, right, top), fill=fill, width=(right - left) // 8)
    return image


def sent(image, form="PNG", **options):
    return decode_image(saved(image, form, **options), "generic")


@pytest.fixture(scope="module")
def product():
    """A product instance: every shape in every colour, category by shape, two images a product.

    A predicted category limits nothing here, so that rankings span all items.
    """
    yield from shapes_in_colours(predicted_category_limits=False)


@pytest.fixture(scope="module")
def by_category():
    """The same, as it is by default: a predicted category limits the search."""
    yield from shapes_in_colours()


def shapes_in_colours(**settings):
    catalogue = Catalogue(name="demo", service_type="product", capacity=100, data=None, **settings)
    for category, shape in enumerate(SHAPES):
        for number, colour in enumerate(COLOURS):
            for view, moved in enumerate((0, 30)):
                place = (120 + moved, 110 - moved, 360 + moved, 350 - moved)
                catalogue.add(
                    NewItem(f"{shape}-{colour}", f"{view}.png", category, int_attr=number, str_attr=colour),
                    sent(drawn(shape, colour, place=place)),
                    crop=True,
                    region=None,
                )
    yield catalogue
    catalogue.close()


def search(catalogue, image, *, crop=True, region=None, **query):
    return catalogue.search_image(sent(image), Query(**query), crop=crop, region=region)


def names(found):
    return [(hit.item.product_id, hit.item.pic_name) for hit in found.hits]


def test_the_same_image_comes_first_with_one(product):
    """The very image is the first hit, scores exactly 1 and has the documented greatest sort value."""
    first = search(product, drawn("ring", "blue")).hits[0]
    assert (first.item.product_id, first.item.pic_name, first.score) == ("ring-blue", "0.png", 1.0)
    assert first.sort_expr_values == "5.37633353624177e+24;0"
    clothes = search(product, drawn("ellipse", "red")).hits[0]
    assert clothes.sort_expr_values == "7.33136443711219e+24;0"


def test_hits_are_ranked_and_scored(product):
    """Scores fall from hit to hit, lie in 0..1, and rank a recompressed copy above another shape."""
    found = product.search_image(
        sent(drawn("cross", "green"), "JPEG", quality=40), Query(num=24), crop=True, region=None
    )
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert found.hits[0].item.product_id == "cross-green"
    assert len(found.hits) == found.total == 24


def test_pages_make_up_the_whole(product):
    """Pages of any size together are the one long page; past the end a page is empty."""
    image = drawn("ellipse", "green")
    whole = search(product, image, num=100)
    paged = [hit for start in range(0, 25, 5) for hit in search(product, image, num=5, start=start).hits]
    assert tuple(paged) == whole.hits
    past = search(product, image, num=5, start=499)
    assert (past.hits, past.total) == ((), 24)


def test_a_threshold_cuts_below_itself(product):
    """Hits that score the threshold or more stay, the others are neither returned nor counted."""
    image = drawn("rectangle", "red")
    every = search(product, image, num=100).hits
    cut = every[5].score
    kept = search(product, image, num=100, score_threshold=cut)
    assert kept.hits == tuple(hit for hit in every if hit.score >= cut)
    assert kept.total == len(kept.hits)
    assert names(search(product, image, score_threshold=1.0)) == [("rectangle-red", "0.png")]


def test_a_filter_excludes(product):
    """Only items whose attributes match are returned and counted."""
    found = search(
        product,
        drawn("ring", "red"),
        num=100,
        filter=parse_filter('int_attr in (1,2) AND str_attr != "green"'),
    )
    assert {hit.item.str_attr for hit in found.hits} == {"blue"}
    assert found.total == 8


def test_distinct_products_keep_their_best_image(product):
    """With DistinctProductId each product comes once, with its best image, and is counted once."""
    image = drawn("ring", "red")
    best = {}
    for hit in search(product, image, num=100).hits:
        best.setdefault(hit.item.product_id, hit)
    found = search(product, image, num=100, distinct_product_id=True)
    assert found.hits == tuple(best.values())
    assert found.total == 12


def test_a_given_category_limits_the_search(product):
    """On a product instance a given category is reported, and only its items are searched."""
    found = search(product, drawn("ring", "red"), num=100, category_id=1)
    assert found.info.category_id == 1
    assert {hit.item.category_id for hit in found.hits} == {1}
    assert found.total == 6


def test_a_predicted_category_limits_the_search(by_category):
    """Without a category the nearest items' one is reported, and only its items are searched."""
    found = search(by_category, drawn("cross", "blue"), num=100)
    assert found.info.category_id == SHAPES.index("cross")
    assert {hit.item.category_id for hit in found.hits} == {SHAPES.index("cross")}
    assert found.total == 6


def test_an_item_searched_by_name_has_its_own_category(by_category):
    """A search by name without a category stays within the item's own; a given one prevails."""
    found = by_category.search_name("ring-red", "1.png", Query(num=100))
    assert found.info.category_id == SHAPES.index("ring")
    assert found.total == 6
    assert by_category.search_name("ring-red", "1.png", Query(category_id=0)).info.category_id == 0


def test_a_predicted_category_that_limits_nothing(product):
    """Where it is so set, the nearest items' category is reported, and every item is searched."""
    found = search(product, drawn("cross", "blue"), num=100)
    assert found.info.category_id == SHAPES.index("cross")
    assert found.total == 24


def test_an_empty_product_instance_finds_nothing_and_says_other():
    """Without items there is nothing to predict from: 88888888, and no hits."""
    with closing(Catalogue(name="demo", service_type="product", capacity=10, data=None)) as catalogue:
        found = search(catalogue, drawn("ring", "red"))
        assert (found.info.category_id, found.total) == (OTHER_CATEGORY, 0)


def test_an_added_item_gets_the_predicted_category():
    """The first item of an empty product instance is `other`; the next takes its neighbours' category."""
    with closing(Catalogue(name="demo", service_type="product", capacity=10, data=None)) as catalogue:
        first = catalogue.add(NewItem("p0", "a"), sent(drawn("ring", "red")), crop=True, region=None)
        catalogue.add(NewItem("p1", "a", 4), sent(drawn("cross", "blue")), crop=True, region=None)
        near = sent(drawn("cross", "blue"), "JPEG", quality=50)
        third = catalogue.add(NewItem("p2", "a"), near, crop=True, region=None)
        assert (first.category_id, third.category_id) == (OTHER_CATEGORY, 4)
        assert catalogue.get("p2", "a").category_id == 4


@pytest.mark.parametrize("service_type", ["generic", "fabric", "trademark", "furniture"])
def test_other_service_types_have_one_category(service_type):
    """Whatever category is given, items and answers have 88888888, and nothing is excluded by it."""
    with closing(Catalogue(name="demo", service_type=service_type, capacity=10, data=None)) as catalogue:
        added = catalogue.add(NewItem("p", "a", 3), sent(drawn("ring", "red")), crop=True, region=None)
        found = search(catalogue, drawn("ring", "red"), category_id=5)
        assert {added.category_id, found.info.category_id, found.hits[0].item.category_id} == {OTHER_CATEGORY}
        assert found.hits[0].score == 1.0
        assert catalogue.search_name("p", "a", Query(category_id=7)).info.category_id == OTHER_CATEGORY


def test_the_subject_is_found_and_reported(product):
    """With Crop the subject's box is reported, with other sizeable subjects in MultiRegion."""
    image = drawn("ellipse", "red", place=(30, 30, 200, 200))
    drawn("rectangle", "blue", place=(280, 300, 380, 380), onto=image)
    info = search(product, image).info
    assert info.region == info.multi_region[0]
    assert abs(info.region.x1 - 30) < 12
    assert abs(info.region.y2 - 200) < 12
    assert len(info.multi_region) == 2
    assert abs(info.multi_region[1].x1 - 280) < 12


def test_without_crop_the_whole_image_is_searched(product):
    """Without Crop no subject is reported, and the scores are others than the subject's."""
    image = drawn("ring", "green", place=(20, 20, 120, 120))
    whole, subject = search(product, image, crop=False), search(product, image)
    assert (whole.info.region, whole.info.multi_region) == (None, ())
    assert [hit.score for hit in whole.hits] != [hit.score for hit in subject.hits]


def test_a_image_without_subject_is_its_own_subject(product):
    """Where nothing stands out the reported subject is the whole image."""
    info = search(product, Image.new("RGB", (200, 150), (90, 90, 90))).info
    assert info.region == Box(x1=0, x2=199, y1=0, y2=149)


def test_a_region_overrides_crop(product):
    """A given region is what is searched, with Crop or without, and is reported as given."""
    image = drawn("rectangle", "red", place=(20, 20, 220, 220))
    drawn("ring", "blue", place=(260, 230, 460, 430), onto=image)
    region = Box(x1=240, x2=479, y1=210, y2=449)
    found = [search(product, image, crop=crop, region=region) for crop in (True, False)]
    assert found[0] == found[1]
    assert found[0].info.region == region
    assert found[0].hits[0].item.product_id == "ring-blue"


def test_a_region_is_cut_to_the_image(product):
    """A region that reaches past the image is searched as far as there is an image."""
    image = drawn("ring", "blue")
    past = search(product, image, region=Box(x1=0, x2=9_999, y1=0, y2=9_999))
    whole = search(product, image, crop=False)
    assert [hit.score for hit in past.hits] == [hit.score for hit in whole.hits]
    outside = search(product, image, region=Box(x1=700, x2=800, y1=700, y2=800))
    assert outside.total == 24


def test_fabric_ignores_crop_and_region():
    """On a fabric instance every way of asking is the whole image, and no subject is reported."""
    with closing(Catalogue(name="demo", service_type="fabric", capacity=10, data=None)) as catalogue:
        catalogue.add(NewItem("p", "a"), sent(drawn("ring", "red")), crop=True, region=None)
        image = drawn("ring", "red", place=(20, 20, 120, 120))
        region = Box(x1=1, x2=50, y1=1, y2=50)
        found = {
            search(catalogue, image, crop=crop, region=box)
            for crop in (True, False)
            for box in (None, region)
        }
        assert len(found) == 1
        assert found.pop().info.region is None


def test_searching_by_name_finds_the_item_itself_first(product):
    """A search by name ranks as a search with the item's own image does, and a missing name is None."""
    named = product.search_name("ring-red", "1.png", Query(num=100))
    shown = search(product, drawn("ring", "red", place=(150, 80, 390, 320)), num=100)
    assert named.hits == shown.hits
    assert named.hits[0].score == 1.0
    assert named.info.category_id == SHAPES.index("ring")
    assert named.info.region == shown.info.region
    assert product.search_name("ring-red", "9.png", Query()) is None
    limited = product.search_name("ring-red", "1.png", Query(category_id=0))
    assert limited.info.category_id == 0
    assert limited.total == 6


def test_comparing_is_symmetric_and_one_for_the_same_bytes(product):
    """Same bytes compare as exactly 1; order does not matter; a copy is nearer than another product."""
    original, copy = sent(drawn("ring", "blue")), sent(drawn("ring", "blue"), "JPEG", quality=30)
    other = sent(drawn("cross", "red"))
    assert product.compare(original, original) == 1.0
    assert product.compare(original, copy) == product.compare(copy, original)
    assert 0 <= product.compare(original, other) < product.compare(original, copy) <= 1


def test_comparing_agrees_with_searching(product):
    """Two images compare as one scores as a hit of the other."""
    query = drawn("cross", "blue", place=(100, 100, 330, 350))
    for hit in search(product, query, num=100, filter=parse_filter('str_attr="blue"')).hits:
        if hit.item.pic_name == "0.png":
            shape, colour = hit.item.product_id.split("-")
            assert product.compare(sent(query), sent(drawn(shape, colour))) == pytest.approx(
                hit.score, abs=2e-6
            )


def test_results_are_plain_frozen_values(product):
    """A result can be handed to other threads: nothing in it can be changed."""
    found = search(product, drawn("ring", "red"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.hits[0].score = 0.5


def test_a_large_photograph_is_found_by_its_lossless_copy():
    """Decoding a JPEG at a smaller scale changes its vector by less than compressing it does."""
    with closing(Catalogue(name="large", service_type="generic", capacity=10, data=None)) as catalogue:
        image = drawn("ring", "red", size=(1_500, 1_450), place=(300, 250, 1_150, 1_100))
        catalogue.add(NewItem("P", "whole"), sent(image), crop=True, region=None)
        (hit,) = catalogue.search_image(sent(image, "JPEG", quality=95), Query(), crop=True, region=None).hits
        assert hit.score > 0.99
        part = Box(x1=300, x2=1_150, y1=250, y2=1_100)
        found = catalogue.search_image(sent(image, "JPEG", quality=95), Query(), crop=True, region=part)
        assert found.info.region == part


def test_a_small_part_of_a_large_photograph_is_looked_at_in_all_its_pixels():
    """A region that is smaller than what the network is given is not taken from the smaller scale."""
    embedder = shared_embedder(MODEL)
    image = drawn("cross", "blue", size=(2_400, 2_300), place=(900, 900, 1_080, 1_080))
    photograph, part = sent(image, "JPEG", quality=98), Box(x1=880, x2=1_100, y1=880, y2=1_100)
    assert photograph.image.size < (photograph.width, photograph.height)
    every = embedder.embed(photograph.whole(), part)
    assert photograph.whole().image.size == (photograph.width, photograph.height)
    assert embedder.embed(photograph, part).tolist() == every.tolist()
