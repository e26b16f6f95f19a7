"""Recall on real photographs: changed copies of the sample catalogue find their originals."""

import csv
from pathlib import Path

import pytest

from batchsearch.emulator.search.catalogue import Catalogue
from batchsearch.emulator.search.image_reading import ImageRefusedError, decode_image
from batchsearch.emulator.search.records import NewItem, Query

SAMPLES = Path(__file__).resolve().parents[3] / "sample_data"


def rows(name):
    with (SAMPLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def image(row, column="image"):
    return decode_image((SAMPLES / row[column]).read_bytes(), "product")


@pytest.fixture(scope="module")
def catalogue():
    made = Catalogue(name="demo", service_type="product", capacity=1_000, data=None)
    for row in rows("catalogue.csv"):
        item = NewItem(row["product_id"], row["pic_name"], int(row["category_id"]))
        made.add(item, image(row), crop=True, region=None)
    yield made
    made.close()


@pytest.mark.parametrize("crop", [True, False])
def test_changed_copies_find_their_originals(catalogue, crop):
    """At least 95 % of the sample's changed copies find their original first, with Crop and without."""
    found = asked = 0
    for row in rows("queries.csv"):
        if not row["truth_product_id"]:
            continue
        try:
            sent = image(row)
        except (ImageRefusedError, FileNotFoundError):
            continue  # what the client has to mend or refuse is not the search's matter
        asked += 1
        first = catalogue.search_image(sent, Query(num=1), crop=crop, region=None).hits[0]
        found += first.item.product_id == row["truth_product_id"]
    assert asked >= 150
    assert found / asked >= 0.95


def test_predicted_categories_are_mostly_right(catalogue):
    """A changed copy's predicted category is its original's, nearly always."""
    known = {row["product_id"]: int(row["category_id"]) for row in rows("catalogue.csv")}
    asked = [row for row in rows("queries.csv") if row["change"] == "mirrored"]
    right = sum(
        catalogue.search_image(image(row), Query(num=1), crop=True, region=None).info.category_id
        == known[row["truth_product_id"]]
        for row in asked
    )
    assert right >= 0.9 * len(asked)


def test_pairs_compare_in_the_order_of_their_kinds(catalogue):
    """Identical images compare as 1, changed copies above unrelated products, every pair symmetrically."""
    scores = {}
    for row in rows("pairs.csv"):
        try:
            first, second = image(row, "primary_image"), image(row, "secondary_image")
        except (ImageRefusedError, FileNotFoundError):
            continue
        score = catalogue.compare(first, second)
        assert score == catalogue.compare(second, first)
        scores.setdefault(row["kind"], []).append(score)
    assert set(scores["identical"]) == {1.0}
    mean = {kind: sum(values) / len(values) for kind, values in scores.items()}
    assert len(mean) >= 3
    assert mean["identical"] > max(score for kind, score in mean.items() if kind != "identical")
    assert min(mean, key=mean.get) == "unrelated"
