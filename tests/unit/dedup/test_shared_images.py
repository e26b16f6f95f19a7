"""Images on many products: when they join products, when they prove nothing, when somebody should look."""

import numpy as np
import pytest

from batchsearch.tasks.dedup.candidates.shared_images import (
    Known,
    SharedImage,
    on_many_products,
    weighed,
    without_images,
)


def image(count):
    return SharedImage(np.arange(count, dtype=np.int64), np.arange(count, dtype=np.int32))


def known(count, **more):
    given = {
        "speaking": np.zeros(count, bool),
        "together": np.arange(count),
        "title": lambda _: "",
        "name": lambda _: "front.jpg",
        "flat": lambda _: 0.3,
    }
    return Known(**{**given, **more})


WORDS = ("red", "blue", "shirt", "dress", "coat", "linen", "silk", "cotton", "wool", "short", "zip")


def titled(product):
    return f"{WORDS[product % 11]} {product}"


@pytest.mark.parametrize(
    ("count", "more", "worth", "why"),
    [
        (40, {"speaking": np.ones(40, bool)}, "nothing", "on 40 products whose other images differ"),
        (40, {"speaking": np.ones(40, bool), "together": np.zeros(40, int)}, "proof", "other images agree"),
        (3, {"speaking": np.ones(3, bool)}, "nothing", "on 3 products whose other images differ"),
        # Two of three agree: a third of the pairs.
        (3, {"speaking": np.ones(3, bool), "together": np.array([1, 1, 2])}, "nothing", "differ"),
        (90, {"title": lambda _: "Maker's lamp, brass"}, "proof", "of one title"),
        (90, {}, "look", "one image is all that 90 products show"),
        (90, {"title": titled}, "nothing", "titles have nothing in common"),
        (120, {"name": lambda _: "no-image.png"}, "nothing", "called like a placeholder"),
        (120, {"name": lambda _: "no-image.png", "title": lambda _: "Brass lamp"}, "proof", "of one title"),
        (120, {"flat": lambda _: 0.985}, "nothing", "a drawing of few colours"),
        (120, {"flat": lambda _: 0.977}, "look", "one image is all"),
        (9, {"flat": lambda _: 0.99}, "proof", "show nothing else"),
        (5, {"name": lambda _: "media/placeholder/default.jpg"}, "nothing", "called like a placeholder"),
        (4, {"name": lambda _: "media/placeholder/default.jpg"}, "proof", "show nothing else"),
        (4, {"title": titled}, "proof", "show nothing else"),
        # One of ninety has a photograph of its own: it cannot disagree with itself.
        (90, {"speaking": np.arange(90) == 0, "title": lambda _: "Brass lamp"}, "proof", "of one title"),
    ],
)
def test_what_an_image_on_many_products_is_worth(count, more, worth, why):
    """Other images come first, then titles that agree, then looks and names, then titles that do not."""
    found = weighed(image(count), known(count, **more))
    assert (found.worth, why in found.why) == (worth, True), found.why


def test_an_image_is_shared_from_three_products_on():
    """Several rows of one product count once; rows that do not count are left out."""
    label = np.array([7, 7, 7, 7, 8, 8, 9])
    product = np.array([0, 0, 1, 2, 0, 1, 3], np.int32)
    found = on_many_products(label, product, np.ones(7, bool))
    assert len(found) == 1
    assert found.image(0).rows.tolist() == [0, 1, 2, 3]
    assert found.image(0).products.tolist() == [0, 1, 2]
    counted = np.ones(7, bool)
    counted[3] = False
    assert on_many_products(label, product, counted) is None


def test_an_image_that_is_not_asked_about_is_proof():
    """What is left out before images are weighed one by one would have been weighed as proof."""
    rng = np.random.default_rng(5)
    for _ in range(30):
        label, product = rng.integers(0, 8, 60), rng.integers(0, 25, 60).astype(np.int32)
        found = on_many_products(label, product, rng.random(60) < 0.9)
        speaking = rng.random(25) < 0.2
        asked = set(found.doubtful(speaking).tolist())
        telling = known(
            25, speaking=speaking, name=lambda _: "no-image.png", flat=lambda _: 1.0, title=titled
        )
        for number in range(len(found)):
            products = found.image(number).products.tolist()
            assert products == sorted(set(products))
            if number not in asked:
                assert weighed(found.image(number), telling).worth == "proof"


def test_a_product_with_nothing_but_a_shared_image_is_without_one():
    """One photograph of its own is enough; what has left the manifest does not count."""
    chart = SharedImage(np.array([0, 1, 2]), np.array([0, 1, 2], np.int32), "nothing", "")
    product = np.array([0, 1, 2, 1, 2], np.int32)
    shown = np.array([True, True, True, True, False])
    assert without_images([chart], product, shown).tolist() == [0, 2]
