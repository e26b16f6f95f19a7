"""Nights whose pairs are verified on the images: what columns say, what is kept, what is not done twice."""

import pandas as pd
import pytest
from shop_rig import clusters_of, pairs_of, samples

from batchsearch.errors import ConfigError
from batchsearch.tasks.dedup.verifying import fingerprint_store as look_store
from batchsearch.tasks.dedup.verifying import verification

COPIES = [each for each in samples()[45:49] if "cropped" not in each[1]]
"""Of one photograph: recompressed, half the size, mirrored."""


def never(*_, **__):
    raise AssertionError("a night without changes looked at an image")


async def test_columns_part_and_join_what_images_say(shop, tmp_path):
    """Copies of one photograph are one product, unless the catalogue names two colours for them."""
    products = [product for product, _, _ in COPIES]
    shop.put_all(COPIES)
    shop.more = {
        "colour": {product: " Red" if product == products[0] else "red" for product in products},
        "title": {product: f"Tablet {product}" for product in products},
    }
    summary = await shop.night(different_when=["colour"], title_column="title")
    assert list(clusters_of(tmp_path / "out").values()) == [set(products)]
    assert summary.counts["verdicts"]["same_photo"] == summary.counts["accepted"] > 0
    pairs = pairs_of(tmp_path / "out")
    accepted = pairs[pairs["accepted"]]
    assert (accepted["inliers"] >= 10).all()
    assert accepted["confidence"].between(0.9, 1).all()
    assert set(accepted["title_a"]) <= {f"Tablet {product}" for product in products}
    assert pd.read_parquet(tmp_path / "out" / "clusters")["title"].str.startswith("Tablet ").all()
    shop.more["colour"][products[0]] = "blue"
    await shop.night(different_when=["colour"])
    assert list(clusters_of(tmp_path / "out").values()) == [set(products[1:])]
    apart = pairs_of(tmp_path / "out").reset_index()
    apart = apart[(apart["product_a"] == products[0]) | (apart["product_b"] == products[0])]
    assert set(apart["reason"]) == {"`colour` differs"}
    assert set(apart["verdict"]) == {"different"}


async def test_a_night_without_changes_looks_at_nothing(shop, tmp_path, monkeypatch):
    """Features and measures are kept by content: the same catalogue again decodes and compares no image."""
    shop.put_all(COPIES)
    await shop.night()
    before = pairs_of(tmp_path / "out")
    monkeypatch.setattr(look_store, "look_of", never)
    monkeypatch.setattr(verification, "measure", never)
    await shop.night()
    pd.testing.assert_frame_equal(pairs_of(tmp_path / "out"), before)


async def test_a_column_that_is_not_there_is_named(shop):
    """A job that names a column that the manifest does not have is refused before anything is called."""
    shop.put(*COPIES[0])
    with pytest.raises(ConfigError, match=r"different_when\[0\].*'color'"):
        await shop.night(different_when=["color"])
    assert shop.asked() == 0
