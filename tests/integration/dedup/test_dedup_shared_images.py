"""Images on many products, over real HTTP: a size chart joins nothing, one stock photograph its offers."""

import random

import pandas as pd
from image_files import saved as encoded
from PIL import Image, ImageDraw
from shop_rig import clusters_of, samples


def size_chart():
    """A table of lines and numbers."""
    image = Image.new("RGB", (420, 300), "white")
    pen = ImageDraw.Draw(image)
    numbers = random.Random(4)
    for row in range(8):
        pen.line((20, 20 + row * 36, 400, 20 + row * 36), fill="black", width=2)
        for column in range(6):
            pen.text((30 + column * 62, 28 + row * 36), str(numbers.randrange(30, 130)), fill="navy")
    return encoded(image)


def no_image():
    """A grey card that says that there is none."""
    image = Image.new("RGB", (400, 400), (225, 225, 225))
    pen = ImageDraw.Draw(image)
    pen.rectangle((120, 130, 280, 250), outline=(150, 150, 150), width=6)
    pen.text((150, 280), "image follows", fill=(120, 120, 120))
    return encoded(image)


def originals():
    """Photographs that are unlike one another."""
    return [image for product, name, image in samples() if "/catalogue/" in f"/{image}"]


def findings_of(folder):
    return pd.read_parquet(folder / "findings")


async def test_a_size_chart_joins_no_products(shop, tmp_path):
    """Products with a photograph each and one chart for all stay apart; true pairs among them are found."""
    chart = size_chart()
    photographs = originals()[:20]
    for number, photograph in enumerate(photographs):
        shop.put(f"p{number:02}", "front.jpg", photograph)
    for product in ("twin-1", "twin-2"):
        shop.put(product, "front.jpg", originals()[30])
    await shop.night("plain")
    for number in range(20):
        shop.put(f"p{number:02}", "chart.png", chart)
    for product in ("twin-1", "twin-2"):
        shop.put(product, "chart.png", chart)
    summary = await shop.night()
    assert clusters_of(tmp_path / "out") == clusters_of(tmp_path / "plain")
    assert {"twin-1", "twin-2"} in clusters_of(tmp_path / "out").values()
    assert (summary.counts["shared_images"], summary.counts["without_image"]) == (1, 0)
    (row,) = findings_of(tmp_path / "out").query("worth == 'nothing'").to_dict("records")
    assert (row["finding"], row["products"]) == ("shared_image", 22)
    assert row["image"].endswith("chart.png")
    assert "other images differ" in row["why"]
    assert "1 images are on many products and prove nothing" in summary.as_text()


async def test_a_image_that_stands_for_a_missing_one_joins_nothing_and_hides_nothing(shop, tmp_path):
    """Products that show nothing but a placeholder are listed as without a usable image; pairs are found."""
    card = no_image()
    for number in range(25):
        shop.put(f"bare-{number:02}", "front.png", card)
    for number, photograph in enumerate(originals()[:6]):
        for copy in ("a", "b"):
            shop.put(f"pair-{number}-{copy}", "front.jpg", photograph)
    summary = await shop.night()
    pairs = {frozenset((f"pair-{number}-a", f"pair-{number}-b")) for number in range(6)}
    assert {frozenset(members) for members in clusters_of(tmp_path / "out").values()} == pairs
    assert summary.counts["without_image"] == 25
    bare = findings_of(tmp_path / "out").query("finding == 'no_usable_image'")
    assert sorted(bare["product_id"]) == [f"bare-{number:02}" for number in range(25)]


async def test_offers_of_one_product_with_one_photograph_are_one(shop, tmp_path):
    """Their titles agree: one cluster, and nobody has to look."""
    for number in range(30):
        shop.put(f"offer-{number:02}", "front.jpg", originals()[3])
    shop.more = {"title": {row[0]: "Brass lamp, 30 cm" for row in shop.rows}}
    await shop.night()
    table = pd.read_parquet(tmp_path / "out" / "clusters")
    assert (len(table), table["cluster_id"].nunique(), table["review"].notna().sum()) == (30, 1, 0)


async def test_what_cannot_be_told_is_for_review_with_the_reason(shop, tmp_path):
    """Thirty products with one photograph and no title may be offers of one: a person is asked."""
    for number in range(30):
        shop.put(f"offer-{number:02}", "front.jpg", originals()[3])
    await shop.night()
    table = pd.read_parquet(tmp_path / "out" / "clusters")
    assert (len(table), table["cluster_id"].nunique()) == (30, 1)
    assert table["review"].str.contains("one image is all that 30 products show").all()
    words = "lamp chair table vase bowl clock frame shelf mirror candle".split()  # noqa: SIM905 - read as prose
    shop.more = {"title": {row[0]: f"{words[n % 10]} {n}" for n, row in enumerate(shop.rows)}}
    await shop.night("titled")
    assert clusters_of(tmp_path / "titled") == {}
    assert "titles have nothing in common" in findings_of(tmp_path / "titled")["why"][0]
