"""Two images compared on themselves: shape, light, colour, and what is said of them."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from pairs_rig import matched
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from batchsearch.errors import MissingExtraError
from batchsearch.tasks.dedup.candidates.off_memory import Room
from batchsearch.tasks.dedup.candidates.spoken import all_agree, speaking_column, value_of_products
from batchsearch.tasks.dedup.clusters.decide import Catalogue, Judged, bars_of, decide, to_verify
from batchsearch.tasks.dedup.clusters.verdicts import (
    ALIKE,
    DIFFERS,
    FEWEST_INLIERS,
    IDENTICAL,
    NOT_MEASURED,
    NOTHING_AGREES,
    REASONS,
    RECOLOURED,
    SAME_PHOTO,
    VERDICTS,
    Measure,
    measured,
    said_of,
)
from batchsearch.tasks.dedup.verifying import aligned, features
from batchsearch.tasks.dedup.verifying.feature_store import FeatureStore
from batchsearch.tasks.dedup.verifying.features import packed_features, unpacked_features
from batchsearch.tasks.dedup.verifying.opencv import opencv
from batchsearch.tasks.dedup.verifying.verification import measure, measure_pairs

NOBODY = Judged(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int8))
GOOD = Measure(60, 0, 0.9, 0.95, 2.0, 2.0, 0.0)


def product(seed=1, garment=(40, 70, 190)):
    """A patterned garment between a head and trousers, on a white studio ground."""
    chance = np.random.default_rng(seed)
    image = Image.new("RGB", (300, 400), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((120, 20, 180, 90), fill=(170, 120, 90))
    pen.rectangle((100, 290, 200, 390), fill=(70, 70, 75))
    pen.polygon([(80, 95), (220, 95), (245, 290), (55, 290)], fill=garment)
    for _ in range(70):
        x, y = chance.integers(75, 215), chance.integers(100, 280)
        size, shade = chance.integers(5, 16), chance.uniform(0.55, 1.25)
        fill = tuple(int(min(255, value * shade)) for value in garment)
        pen.rectangle((x, y, x + size, y + size // 2 + 2), fill=fill)
    for _ in range(12):
        x, y = chance.integers(122, 172), chance.integers(25, 82)
        pen.ellipse((x, y, x + 5, y + 4), fill=(90, 60, 50))
    return image


def measure_of(one, other):
    return measure(*(unpacked_features(packed_features(image)) for image in (one, other)))


def said_by(measures, one_variant=False):
    said = said_of(measured([measures]), np.array([True]), np.array([0.9]), np.array([one_variant]))
    return VERDICTS[said.verdict[0]], REASONS[said.reason[0]], said.confidence[0]


def verdict_of(one, other):
    return said_by(measure_of(one, other))[:2]


def stickered(image):
    result = image.copy()
    ImageDraw.Draw(result).ellipse((5, 5, 75, 75), fill="#c62828")
    return result


def warmer(image):
    return Image.fromarray(np.clip(np.asarray(image) * [1.08, 1, 0.92], 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((170, 227)),
        lambda image: image.crop((20, 15, 285, 390)),
        lambda image: ImageOps.expand(image, 60, "#2e7d32"),
        ImageOps.mirror,
        lambda image: image.rotate(4, Image.Resampling.BICUBIC, fillcolor="white"),
        lambda image: image.resize((340, 400)),
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
        lambda image: ImageEnhance.Contrast(image).enhance(0.8),
        warmer,
        stickered,
    ],
)
def test_a_changed_copy_is_the_same_photograph(change):
    """Size, cut, frame, mirror, angle, stretch, light, white balance and a sticker leave it the same."""
    assert verdict_of(product(), change(product()))[0] == "same_photo"


@pytest.mark.parametrize("garment", [(190, 40, 50), (30, 120, 60), (30, 30, 32), (225, 225, 225)])
def test_a_photograph_in_another_colour_is_recoloured(garment):
    """Where shape agrees and no one light explains the colours, it is a variant for people to look at."""
    assert verdict_of(product(), product(garment=garment))[0] == "recoloured"


def test_another_product_in_the_same_studio_is_not_the_same():
    """Another print on the same shirt of the same model shares its outline, and is another product."""
    for seed in range(2, 8):
        assert verdict_of(product(1), product(seed))[0] == "alike"


def test_packs_and_details_are_for_review():
    """Two of a thing, or a part of it, is no copy of it, whatever agrees."""
    pack = Image.new("RGB", (600, 400), "white")
    pack.paste(product(), (0, 0))
    pack.paste(product(), (300, 0))
    assert verdict_of(product(), pack)[0] == "alike"
    part = product().crop((95, 110, 205, 235)).resize((440, 500))
    assert verdict_of(product(), part)[0] == "alike"


def test_light_and_colour_are_measured_where_they_decide():
    """Of a detail, and of another print on the same shirt, they are left out; the verdict is the same."""
    detail = product().crop((95, 110, 205, 235)).resize((440, 500))
    for other in (detail, product(2)):
        found = measure_of(product(), other)
        assert found.inliers >= FEWEST_INLIERS
        assert np.isnan([found.colour, found.light]).all()
        assert said_by(found) == said_by(found._replace(colour=0.0, light=0.0))


@pytest.mark.parametrize(
    "other",
    [
        product(garment=(190, 40, 50)),
        product(garment=(30, 30, 32)),
        product(garment=(60, 95, 215)),
        warmer(product()),
        ImageEnhance.Brightness(product()).enhance(0.6),
        ImageEnhance.Color(product()).enhance(0.3),
        product().resize((170, 227)),
    ],
    ids=["red", "black", "lighter", "warmer", "darker", "pale", "small"],
)
@pytest.mark.parametrize("one_variant", [False, True])
def test_what_is_spared_of_light_changes_no_verdict(other, one_variant, monkeypatch):
    """Without the fits of light that cannot matter, verdict, reason and confidence are what they are."""
    spared = said_by(measure_of(product(), other), one_variant)
    for name, never in (("_NO_LIGHT", np.inf), ("_NOT_CLOSE", np.inf), ("SURELY_COLOUR", -1.0)):
        monkeypatch.setattr(aligned, name, never)
    assert said_by(measure_of(product(), other), one_variant) == spared


def test_a_blank_image_agrees_with_nothing():
    """An image without a feature is compared without an error, and nothing is found."""
    blank = Image.new("RGB", (200, 200), "white")
    both = [unpacked_features(packed_features(image)) for image in (blank, product())]
    assert len(both[0].points) == 0
    assert measure(*both) == NOTHING_AGREES


def test_a_plain_image_is_looked_at_more_closely(monkeypatch):
    """An image with few features is looked at again with more pixels, one with many is not."""
    plain = Image.new("RGB", (300, 400), "white")
    ImageDraw.Draw(plain).rounded_rectangle((60, 80, 240, 330), 30, fill=(60, 60, 70))
    once = [packed_features(image) for image in (plain, product())]
    monkeypatch.setattr(features, "_FIRST_SIDE", features.SIDE)
    closely = [packed_features(image) for image in (plain, product())]
    assert once[0] == closely[0]
    assert once[1] != closely[1]
    few, many = (unpacked_features(each) for each in once)
    assert 0 < len(few.points) < 40 < len(many.points)
    assert few.size == many.size == (240, 320)
    assert (many.points.max(axis=0) > (160, 240)).all()
    assert (many.points.max(axis=0) < many.size).all()


def test_either_way_round_a_pair_gets_one_answer(tmp_path):
    """Measures are kept by both files and are made once: the second time no feature is asked for."""
    names = [b"a" * 32, b"b" * 32]
    with FeatureStore(tmp_path / "features.sqlite") as store:
        assert store.lacking(names) == {*names}
        for name, image in zip(names, (product(), product().resize((150, 200))), strict=True):
            store.add(name, packed_features(image))
        store.keep()
        assert store.lacking(names) == set()
        pair = (names[0], names[1])
        stop = threading.Event()
        first = measure_pairs(store, [pair, pair], threads=2, stop=stop)
        assert first.inliers[0] == first.inliers[1] > 10
        store.forget_others([names[0]])
        assert store.lacking(names) == {names[1]}
        assert store.measures([pair]) == {}
        again = measure_pairs(store, [pair], threads=1, stop=stop)
        assert again.inliers.tolist() == [NOT_MEASURED]
    (tmp_path / "features.sqlite").write_bytes(b"no database at all" * 100)
    with FeatureStore(tmp_path / "features.sqlite") as store:
        assert store.lacking(names) == {*names}


_THREADS = """
import os
import numpy as np
from batchsearch.tasks.dedup.verifying.opencv import opencv

os.environ.pop("OPENBLAS_NUM_THREADS", None)
before = len(os.listdir("/proc/self/task"))
cv2 = opencv()
some = np.ones((300, 128), np.float32)
cv2.gemm(some, some, 1.0, None, 0.0, flags=cv2.GEMM_2_T)
print(len(os.listdir("/proc/self/task")) - before, "OPENBLAS_NUM_THREADS" in os.environ)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_comparing_starts_no_threads_that_wait_by_spinning():
    """OpenCV's linear algebra works in the calling thread, and nobody else's settings change for it."""
    ran = subprocess.run([sys.executable, "-c", _THREADS], stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout.split() == ["0", "False"]


def test_without_opencv_the_message_names_the_extra_and_the_setting(monkeypatch):
    """Nobody decides worse in silence: the extra is named, and the setting that goes without."""
    opencv.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=r"dedup.*verify: null"):
        opencv()
    monkeypatch.undo()
    opencv.cache_clear()


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, SAME_PHOTO),
        ({"colour": 30.0}, RECOLOURED),
        ({"light": 30.0}, RECOLOURED),
        ({"overlap": 0.2}, ALIKE),
        ({"repeated": 20}, ALIKE),
        ({"agreement": 0.2}, ALIKE),
        ({"inliers": 4}, ALIKE),
        ({"inliers": NOT_MEASURED}, ALIKE),
    ],
)
def test_each_number_has_its_say(change, verdict):
    """One number beyond its threshold keeps a pair from being one photograph."""
    said = said_of(measured([GOOD._replace(**change)]), np.array([True]), np.array([0.9]))
    assert said.verdict.tolist() == [verdict]
    assert (said.confidence[0] > 0.5) == (verdict == SAME_PHOTO)


def test_a_nearer_threshold_makes_a_pair_less_sure():
    """Confidence falls towards the thresholds and never rises."""
    many = [GOOD._replace(colour=colour) for colour in np.linspace(0, 7.9, 30)]
    said = said_of(measured(many), np.ones(30, bool), np.full(30, 0.9))
    assert (np.diff(said.confidence) <= 0).all()
    assert said.confidence[0] > said.confidence[-1]


def pairs_with_scores(*scores):
    return matched(*((0, place, score) for place, score in enumerate(scores, 1)))


def test_the_images_decide_and_not_the_score():
    """A high score without a common shape is for review, a low one with it is a duplicate."""
    pairs = pairs_with_scores(0.95, 0.72, 0.7)
    measures = measured([NOTHING_AGREES, GOOD, NOTHING_AGREES])
    decision = decide(
        pairs, np.full(3, 0.8), NOBODY, near=0.1, best=None, trust_perceptual=False, measures=measures
    )
    assert decision.accepted.tolist() == [False, True, False]
    assert decision.verdict.tolist() == [ALIKE, SAME_PHOTO, DIFFERS]


def test_columns_speak_louder_than_images_and_people_louder_than_columns():
    """A different colour parts what looks the same, a common GTIN joins what is alike, a judgement wins."""
    pairs = pairs_with_scores(0.95, 0.9, 0.85)
    measures = measured([GOOD, GOOD._replace(colour=40.0), GOOD])
    nothing = np.zeros(3, bool)
    catalogue = Catalogue(np.array([0, -1, 0], np.int8), np.array([-1, 0, -1], np.int8), nothing, 1)
    judged = Judged(np.array([0], np.int32), np.array([3], np.int32), np.array([1], np.int8))
    decision = decide(
        pairs,
        np.full(3, 0.8),
        judged,
        near=0.1,
        best=None,
        trust_perceptual=False,
        measures=measures,
        catalogue=catalogue,
    )
    assert decision.accepted.tolist() == [False, True, True]
    assert decision.verdict[0] == DIFFERS
    assert decision.reason[:2].tolist() == [len(REASONS), len(REASONS) + 1]


def test_empty_cells_and_products_that_disagree_with_themselves_say_nothing():
    """Only a value that all rows of a product share speaks."""
    product = np.array([0, 0, 1, 2, 2, 3])
    value = value_of_products(np.array([5, -1, 6, 5, 6, -1]), product, np.ones(6, bool), 4, Room())
    assert value.tolist() == [5, 6, -1, -1]
    a, b = np.array([0, 0, 0], np.int32), np.array([1, 2, 3], np.int32)
    assert speaking_column([value], a, b, equal=False).tolist() == [0, -1, -1]
    assert speaking_column([value], a, b, equal=True).tolist() == [-1, -1, -1]
    assert all_agree([value], a, a).tolist() == [True, True, True]
    assert all_agree([value], a, b).tolist() == [False, False, False]
    assert all_agree([], a, a).tolist() == [False, False, False]


def test_one_variant_may_differ_more_in_light_and_colour():
    """Where the catalogue says that both are of one colour, a warmer light is no other colour."""
    many = measured([GOOD._replace(colour=12.0), GOOD._replace(colour=12.0), GOOD._replace(colour=30.0)])
    said = said_of(many, np.ones(3, bool), np.full(3, 0.9), np.array([True, False, True]))
    assert said.verdict.tolist() == [SAME_PHOTO, RECOLOURED, RECOLOURED]


def test_only_what_leaves_doubt_is_verified():
    """Of one product's pairs the best are compared; what a person has judged is not."""
    pairs = pairs_with_scores(0.95, 0.9, 0.85)
    judged = Judged(np.array([0], np.int32), np.array([1], np.int32), np.array([1], np.int8))
    # Each other product has one pair, which is its best.
    assert to_verify(pairs, judged, bars_of(pairs, 1)).tolist() == [False, True, True]


def test_verdicts_are_in_the_order_of_how_sure_they_are():
    """Clusters are made of the first two."""
    assert VERDICTS[: SAME_PHOTO + 1] == ("identical", "same_photo")
    assert (IDENTICAL, SAME_PHOTO) == (0, 1)
