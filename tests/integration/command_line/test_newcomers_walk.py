"""A newcomer's path: an export as it is, `init`, `dedup`, `export`, and a spreadsheet with titles."""

import csv
import io
from contextlib import closing

import openpyxl
import pytest
from run_rig import invoke
from shop_rig import SAMPLES


def command(*arguments, code=0):
    ran = invoke(*arguments)
    assert ran.exit_code == code, ran.output
    return ran


def walk(manifest, *given):
    """What a person types; the rows of the spreadsheet, by the names of its columns."""
    options = [part for each in given for part in ("--set", each)]
    assert command("init", manifest, *options, "--yes").stdout == "dedup.yaml\n"
    command("config", "check", "dedup.yaml")
    command("dedup", "dedup.yaml", "--no-progress")
    command("verify", "output/dedup")
    command("export", "output/dedup", "--xlsx", "-o", "duplicates.xlsx")
    with closing(openpyxl.load_workbook("duplicates.xlsx", read_only=True)) as book:
        names, *rows = book.worksheets[0].iter_rows(values_only=True)
    return [dict(zip(names, row, strict=False)) for row in rows]


TWICE = ("cordless-mouse", "clacky-keyboard")
OTHERS = ("gaming-pc", "vintage-folding-camera", "cruiser-skateboard")


def photographs():
    """Two photographs with another copy each, and three others."""
    catalogue, queries = SAMPLES / "catalogue", SAMPLES / "queries"
    twice = [(catalogue / f"{name}.jpg", queries / f"{name}-recompressed.jpg") for name in TWICE]
    return twice, [catalogue / f"{name}.jpg" for name in OTHERS]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def served(image_server, twice, others):
    """The photographs' addresses: `a0` and `b0` are one, `a1` and `b1` are another."""
    files = {f"a{n}": pair[0] for n, pair in enumerate(twice)}
    files |= {f"b{n}": pair[1] for n, pair in enumerate(twice)} | {
        f"c{n}": path for n, path in enumerate(others)
    }
    image_server.files.update({f"/{name}.jpg": path.read_bytes() for name, path in files.items()})
    return {name: f"{image_server.address}/{name}.jpg" for name in files}


def test_shopify_with_variants(place, image_server):
    """Products with variants and several images: each duplicate has its title, once for each product."""
    at = served(image_server, *photographs())
    made = io.StringIO(newline="")
    writer = csv.writer(made)
    writer.writerow(
        ["Handle", "Title", "Vendor", "Option1 Name", "Option1 Value", "Variant SKU", "Image Src"]
    )
    writer.writerows(
        [
            ["lamp", "Reading lamp", "Acme", "Size", "S", "L-S", at["a0"]],
            ["lamp", "", "", "", "M", "L-M", at["c0"]],
            ["lamp", "", "", "", "L", "L-L", ""],
            ["lamp-new", "Lamp, new in", "Acme", "Size", "S", "N-S", at["b0"]],
            ["lamp-new", "", "", "", "M", "N-M", ""],
            ["vase", "Vase", "Acme", "Title", "Default Title", "V", at["c1"]],
            ["bowl", "Bowl", "Other", "Title", "Default Title", "B", at["c2"]],
        ]
    )
    (place / "products_export.csv").write_text(made.getvalue(), encoding="utf-8")
    rows = walk("products_export.csv", "images.allow_hosts=127.0.0.1")
    assert {(row["product_id"], row["title"]) for row in rows} == {
        ("lamp", "Reading lamp"),
        ("lamp-new", "Lamp, new in"),
    }


def test_merchant_xml(place, image_server):
    """A feed as Google takes it: two pairs of products are found, by their additional images, too."""
    at = served(image_server, *photographs())
    products = {
        "11": ("Chair", "a0", "c0"),
        "12": ("Armchair", "c1", "b0"),
        "13": ("Clock", "a1", None),
        "14": ("Wall clock", "b1", None),
        "15": ("Mirror", "c2", None),
    }
    items = ""
    for product, (title, first, second) in products.items():
        items += (
            f"<item><g:id>{product}</g:id><g:title>{title}</g:title><g:image_link>{at[first]}</g:image_link>"
        )
        items += f"<g:additional_image_link>{at[second]}</g:additional_image_link>" if second else ""
        items += "</item>"
    feed = f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel>{items}</channel></rss>'
    (place / "feed.xml").write_text(feed, encoding="utf-8")
    rows = walk("feed.xml", "images.allow_hosts=127.0.0.1")
    assert {(row["product_id"], row["title"]) for row in rows} == {
        (product, products[product][0]) for product in ("11", "12", "13", "14")
    }


def test_a_folder_of_images(place):
    """No table at all: the files that are the same are named by their paths."""
    twice, others = photographs()
    for number, (one, other) in enumerate(twice):
        (place / "images" / f"set{number}").mkdir(parents=True)
        (place / "images" / f"set{number}" / "one.jpg").write_bytes(one.read_bytes())
        (place / "images" / f"other{number}.jpg").write_bytes(other.read_bytes())
    for number, path in enumerate(others):
        (place / "images" / f"single{number}.jpg").write_bytes(path.read_bytes())
    rows = walk("images")
    assert {row["product_id"] for row in rows} == {"set0/one.jpg", "other0.jpg", "set1/one.jpg", "other1.jpg"}
