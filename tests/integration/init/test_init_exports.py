"""`batchsearch init` over the tables that people have: read as they are, or told what to mend."""

import csv
import gzip
import io
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_rig import init, invoke

import batchsearch
from batchsearch.manifest.source import Manifest, Wanted


def rows_of(settings):
    """The rows that a job's manifest has, and the images that they name."""
    manifest = Manifest.open(
        settings.manifest, base=settings.manifest.images_folder, wanted=Wanted(images=("image",))
    )
    manifest.check()
    return [
        (row.key, image.path or image.url if image is not None else None)
        for batch in manifest.batches()
        for row in batch.rows
        for image in row.images
    ]


def table(name, *rows, delimiter=",", encoding="utf-8", above=""):
    """A text table in the current folder."""
    text = io.StringIO(above, newline="")
    text.seek(0, io.SEEK_END)
    csv.writer(text, delimiter=delimiter).writerows(rows)
    data = text.getvalue().encode(encoding)
    Path(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


@pytest.fixture
def shop(tmp_path, images, monkeypatch):
    """A folder with the images `photos/0.jpg` to `photos/5.jpg`, and nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(6):
        shutil.copy(images / f"p{number:02}.jpg", tmp_path / "photos" / f"{number}.jpg")
    return tmp_path


URL = "https://cdn.shop.example/{}.jpg?v=1"


def test_shopify(shop):
    """A product is a handle: variants without an image are left out, titles come from its first row."""
    table(
        "products_export_1.csv",
        [
            "Handle",
            "Title",
            "Vendor",
            "Option1 Value",
            "Variant SKU",
            "Variant Price",
            "Image Src",
            "Image Position",
            "Image Alt Text",
            "Variant Image",
        ],
        ["shirt", "Shirt", "Acme", "S", "A-S", "9", URL.format(1), "1", "", ""],
        ["shirt", "", "", "M", "A-M", "9", URL.format(2), "2", "", ""],
        ["shirt", "", "", "L", "A-L", "9", "", "", "", ""],
        ["mug", "Mug", "Acme", "Default", "B", "5", URL.format(3), "1", "", ""],
    )
    ran = init("products_export_1.csv")
    assert ran.stdout == "dedup.yaml\n"
    assert "Shopify" in ran.stderr
    settings = batchsearch.load("dedup.yaml")
    manifest = settings.manifest
    assert (manifest.images, manifest.key[0], manifest.group) == (("Image Src",), "Handle", "Handle")
    assert (manifest.without_image, set(manifest.fill)) == ("skip", {"Title", "Vendor"})
    assert (settings.dedup.product_column, settings.dedup.title_column) == ("Handle", "Title")
    assert [image for _, image in rows_of(settings)] == [URL.format(n) for n in (1, 2, 3)]


def test_woocommerce(shop):
    """Images are a list in a cell; variations are no products of a dedup, in a search they inherit."""
    table(
        "wc-product-export.csv",
        ["ID", "Type", "SKU", "Name", "Published", "Categories", "Images", "Parent"],
        ["7", "variable", "T", "Tee", "1", "Clothing", f"{URL.format(1)}, {URL.format(2)}", ""],
        ["8", "variation", "T-1", "Tee - S", "1", "", "", "T"],
        ["9", "simple", "", "Mug", "1", "Home", URL.format(3), ""],
    )
    assert "WooCommerce" in init("wc-product-export.csv").stderr
    settings = batchsearch.load("dedup.yaml")
    assert (settings.manifest.images, settings.manifest.key[0]) == (("Images",), "ID")
    assert (settings.manifest.where, settings.manifest.without_image) == ("Parent is null", "skip")
    assert sorted(image for _, image in rows_of(settings)) == sorted(URL.format(n) for n in (1, 2, 3))
    init("wc-product-export.csv", "--kind", "search")
    settings = batchsearch.load("search.yaml")
    assert (settings.manifest.group, settings.manifest.parent) == ("Parent", "SKU")
    assert settings.manifest.without_image == "inherit"
    assert sorted(image for _, image in rows_of(settings)) == sorted(URL.format(n) for n in (1, 2, 1, 2, 3))


def test_variations_alone_with_images_are_not_left_out(shop):
    """Where no product has an image of its own, its variations are what there is to compare."""
    table(
        "wc-product-export.csv",
        ["ID", "Type", "SKU", "Name", "Images", "Parent"],
        ["7", "variable", "T", "Tee", "", ""],
        ["8", "variation", "T-1", "Tee - S", URL.format(1), "T"],
        ["9", "variation", "T-2", "Tee - M", URL.format(2), "T"],
    )
    init("wc-product-export.csv")
    settings = batchsearch.load("dedup.yaml")
    assert settings.manifest.where is None
    assert sorted(image for _, image in rows_of(settings)) == [URL.format(1), URL.format(2)]


def test_magento(shop):
    """Paths are probed and what is missing is said, exit code 65; other store views are left out."""
    rows = (
        [
            "sku",
            "store_view_code",
            "attribute_set_code",
            "product_type",
            "name",
            "base_image",
            "small_image",
            "additional_images",
        ],
        [
            "24-MB01",
            "",
            "Bag",
            "simple",
            "Bag",
            "/m/b/mb01.jpg",
            "/m/b/mb01.jpg",
            "/m/b/mb01.jpg,/m/b/mb02.jpg",
        ],
        ["24-MB01", "de", "Bag", "simple", "Tasche", "", "", ""],
        ["24-MB02", "", "Bag", "simple", "Pack", "/m/b/mb03.jpg", "", ""],
        # What Magento writes for no image is no file.
        ["24-MB03", "", "Bag", "simple", "Sack", "no_selection", "no_selection", ""],
    )
    table("catalog_product.csv", *rows)
    ran = init("catalog_product.csv", code=65)
    for said in (
        "Magento",
        "0 of 3 images found under",
        "`images.base_url`",
        "/m/b/mb01.jpg",
    ):
        assert said in ran.stderr
    settings = batchsearch.load("dedup.yaml")
    assert settings.manifest.images == ("base_image", "additional_images")
    assert settings.manifest.where == "store_view_code is null"
    assert [image for _, image in rows_of(settings)] == [f"/m/b/mb0{n}.jpg" for n in (1, 2, 3)]


def test_shopware(shop):
    """Semicolons, and addresses in two columns; variants are left out of a dedup, and else inherit."""
    table(
        "product.csv",
        ["id", "parent_id", "product_number", "active", "stock", "name", "cover_media_url", "media"],
        ["aa", "", "SW1", "1", "4", "Größe", URL.format(1), f"{URL.format(1)}|{URL.format(2)}"],
        ["ab", "aa", "SW1.1", "1", "4", "", "", ""],
        ["ac", "", "SW2", "1", "4", "Mug", URL.format(3), ""],
        delimiter=";",
    )
    assert "Shopware 6" in init("product.csv").stderr
    settings = batchsearch.load("dedup.yaml")
    assert settings.manifest.csv.delimiter == ";"
    assert settings.manifest.key[0] == "product_number"
    assert [URL.format(n) for n in (1, 2, 3)] == [image for _, image in rows_of(settings)]
    init("product.csv", "--kind", "search")
    settings = batchsearch.load("search.yaml")
    assert [URL.format(n) for n in (1, 2, 1, 2, 3)] == [image for _, image in rows_of(settings)]


MERCHANT = ["id", "title", "link", "image link", "additional image link", "gtin", "color", "price"]


def test_google_merchant_text(shop):
    """Tabs in a `.txt` file; `gtin` never wins over `id`; colours speak against a pair, GTINs for one."""
    table(
        "feed.txt",
        MERCHANT,
        [
            "1",
            "Shirt",
            "https://x",
            URL.format(1),
            f"{URL.format(2)},{URL.format(3)}",
            "4006381333931",
            "red",
            "1",
        ],
        ["2", "Shirt", "https://x", URL.format(4), "", "4006381333931", "blue", "1"],
        delimiter="\t",
    )
    assert "Google Merchant" in init("feed.txt").stderr
    settings = batchsearch.load("dedup.yaml")
    assert (settings.manifest.key[0], settings.manifest.csv.delimiter) == ("id", "\t")
    assert settings.manifest.images == ("image link", "additional image link")
    assert (settings.dedup.different_when, settings.dedup.same_when) == (("color",), ("gtin",))
    assert len(rows_of(settings)) == 4


def test_google_merchant_with_a_column_several_times(shop):
    """What Google allows and no table can: the later columns of a name get a number."""
    table(
        "feed.tsv",
        ["id", "title", "image_link", "additional_image_link", "additional_image_link"],
        ["1", "Shirt", *(URL.format(n) for n in (1, 2, 3))],
        ["2", "Mug", URL.format(4), "", ""],
        delimiter="\t",
    )
    init("feed.tsv")
    settings = batchsearch.load("dedup.yaml")
    assert len(rows_of(settings)) == 4
    assert settings.manifest.images[-1] == "additional_image_link_2"


def test_google_merchant_feed(shop):
    """The same as XML: elements that come several times are the images of one product."""
    items = "".join(
        f"<item><g:id>{n}</g:id><g:title>T{n}</g:title><g:image_link>{URL.format(n)}</g:image_link>"
        + f"<g:additional_image_link>{URL.format(n + 10)}</g:additional_image_link>" * (n % 2)
        + f"<g:additional_image_link>{URL.format(n + 20)}</g:additional_image_link>" * (n % 2)
        + "</item>"
        for n in range(1, 4)
    )
    text = f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel><title>S</title>{items}</channel></rss>'
    (shop / "feed.xml").write_text(text, encoding="utf-8")
    assert "Google Merchant" in init("feed.xml").stderr
    assert len(rows_of(batchsearch.load("dedup.yaml"))) == 3 + 4


def test_prestashop(shop):
    """Its own names for people, with dots and brackets; lists with commas."""
    table(
        "products.csv",
        [
            "Product ID",
            "Active (0/1)",
            "Name *",
            "Categories (x,y,z...)",
            "Reference #",
            "Image URLs (x,y,z...)",
            "Image alt texts (x,y,z...)",
        ],
        ["1", "1", "Shirt", "Home", "demo_1", f"{URL.format(1)},{URL.format(2)}", "front,back"],
        ["2", "1", "Mug", "Home", "demo_2", URL.format(3), "mug"],
        delimiter=";",
    )
    assert "PrestaShop" in init("products.csv").stderr
    settings = batchsearch.load("dedup.yaml")
    assert settings.manifest.images == ("Image URLs (x,y,z...)",)
    assert settings.dedup.title_column == "Name *"
    assert len(rows_of(settings)) == 3


def test_amazon_flat_file(shop):
    """Two lines of the template stand above the names; parents have no images of their own."""
    table(
        "flat.txt",
        ["Produkttyp", "SKU", "Titel", "Bild", "Bild 1", "Farbe"],
        ["feed_product_type", "item_sku", "item_name", "main_image_url", "other_image_url1", "color_name"],
        ["shirt", "P", "Shirt", "", "", ""],
        ["shirt", "P-1", "Shirt", URL.format(1), URL.format(2), "rot"],
        ["shirt", "P-2", "Shirt", URL.format(3), "", "grün"],
        delimiter="\t",
        encoding="cp1252",
        above="TemplateType=fptcustom\tVersion=2026.1101\tDie obersten drei Zeilen gehören Amazon\t\t\t\n",
    )
    ran = init("flat.txt")
    assert "Amazon flat file" in ran.stderr
    settings = batchsearch.load("dedup.yaml")
    assert (settings.manifest.csv.skip_lines, settings.manifest.csv.encoding) == (2, "cp1252")
    assert (settings.manifest.key[0], settings.dedup.different_when) == ("item_sku", ("color_name",))
    assert [image for _, image in rows_of(settings)] == [URL.format(n) for n in (1, 2, 3)]


def test_hugging_face_images(shop, images):
    """Images and labels and nothing that names a row: rows are numbered by file and row."""
    (shop / "data").mkdir()
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for part in range(2):
        data = [{"bytes": (images / f"p{part * 2 + n:02}.jpg").read_bytes(), "path": None} for n in range(2)]
        columns = {"image": pa.array(data, kind), "label": pa.array([0, 1], pa.int64())}
        pq.write_table(pa.table(columns), shop / "data" / f"train-{part:05}-of-00002.parquet")
    ran = init("data")
    assert "numbered by file and row" in ran.stderr
    settings = batchsearch.load("search.yaml")
    assert (settings.manifest.row_number, settings.manifest.key) == ("row", ("row",))
    assert batchsearch.plan("search.yaml").calls == 4


def test_a_folder_of_images(shop):
    """Nothing is asked for: each image is a row and a product of its own."""
    assert init("photos").stdout == "dedup.yaml\n"
    settings = batchsearch.load("dedup.yaml")
    assert (settings.manifest.format, settings.manifest.key) == ("images", ("image",))
    assert rows_of(settings) == [(f"{n}.jpg", f"{n}.jpg") for n in range(6)]
    assert batchsearch.plan("dedup.yaml").calls == 6


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "list.txt.gz"])
def test_a_list_without_a_header(shop, name):
    """A path or address a line, whatever the file is called."""
    data = "".join(f"photos/{n}.jpg\n" for n in range(6)).encode()
    (shop / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    init(name, "--kind", "search")
    settings = batchsearch.load("search.yaml")
    assert settings.manifest.format == "list"
    assert batchsearch.plan("search.yaml").calls == 6


@pytest.mark.parametrize("separator", [", ", "|", ";", "\n", "json"])
def test_lists_in_cells_of_any_table(shop, separator):
    """Several images in a cell become rows, whatever stands between them; the product's column names them."""

    def cell(*images):
        return json.dumps(images) if separator == "json" else separator.join(images)

    table(
        "list.csv",
        ["gtin", "id", "name", "photos"],
        ["4006381333931", "a", "Shirt", cell("photos/0.jpg", "photos/1.jpg")],
        ["4006381333931", "b", "Mug", cell("photos/2.jpg")],
    )
    init("list.csv", "--kind", "dedup")
    settings = batchsearch.load("dedup.yaml")
    assert (settings.manifest.images, settings.manifest.key[0]) == (("photos",), "id")
    assert [image for _, image in rows_of(settings)] == [f"photos/{n}.jpg" for n in range(3)]


def test_images_are_found_as_a_run_finds_them(shop):
    """Backslashes count as what they mean, in the look at the files as well."""
    table("list.csv", ["id", "image"], *([n, f"photos\\{n}.jpg"] for n in range(6)))
    assert "100% of the files looked for are there" in init("list.csv", "--kind", "search").stderr
    assert batchsearch.plan("search.yaml").calls == 6


def test_numbered_columns_of_any_table(shop):
    """`image1` to `image3` are images of one product, not halves of a pair."""
    table(
        "wide.csv",
        ["sku", "image1", "image2", "image3"],
        ["a", "photos/0.jpg", "photos/1.jpg", "photos/2.jpg"],
        ["b", "photos/3.jpg", "", ""],
    )
    init("wide.csv")
    assert len(rows_of(batchsearch.load("search.yaml"))) == 4


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp1252", "Größe"),
        ("gb18030", "红色连衣裙"),
        ("cp932", "赤いワンピースのサイズ"),
        ("big5", "紅色連身裙純棉短袖上衣"),
        ("cp1251", "Красное"),
        ("utf-16", "é"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_encodings_are_told_apart(shop, encoding, name, packed):
    """By what decodes and reads like words; also inside a packed file."""
    file = "m.csv.gz" if packed else "m.csv"
    rows = [[str(n), f"{name} {n}", f"photos/{n}.jpg"] for n in range(6)]
    table(file, ["id", "name", "image"], *rows, delimiter=";", encoding=encoding)
    init(file)
    settings = batchsearch.load("search.yaml")
    assert (settings.manifest.csv.encoding, settings.manifest.csv.delimiter) == (encoding, ";")


def test_a_missing_header_is_named(shop):
    """A first line of values is a row; its columns are numbered, the images' one is `image`."""
    table("m.csv", *([str(n), f"Name {n}", f"photos/{n}.jpg"] for n in range(6)))
    assert "its columns are numbered" in init("m.csv").stderr
    settings = batchsearch.load("search.yaml")
    assert settings.manifest.csv.header == ("column_1", "column_2", "image")
    assert batchsearch.plan("search.yaml").calls == 6


def test_what_stands_above_a_table_is_skipped(shop):
    """Excel's `sep=` says the delimiter; a title above a table is none of its lines."""
    for above in ("sep=;\r\n", "Our products\r\n\r\n", "Shop; Berlin\r\nMade;2026\r\n"):
        rows = ([f"{n}", f"Name {n}", "9,90", f"photos/{n}.jpg"] for n in range(6))
        table("m.csv", ["id", "name", "price", "image"], *rows, delimiter=";", above=above)
        (shop / "search.yaml").unlink(missing_ok=True)
        init("m.csv")
        assert batchsearch.plan("search.yaml").calls == 6


def test_a_title_above_two_columns_is_skipped(shop):
    """Two columns are a table as well: what has no delimiter above them is no row."""
    table("m.csv", ["id", "image"], *([f"{n}", f"photos/{n}.jpg"] for n in range(6)), above="Export\r\n\r\n")
    init("m.csv")
    assert batchsearch.load("search.yaml").manifest.csv.skip_lines == 2
    assert batchsearch.plan("search.yaml").calls == 6


def test_the_answer_of_a_shops_api(shop):
    """What an API answers is read as it is: its rows from within, an object's address out of each cell."""
    products = [{"id": n, "images": [{"id": n, "src": f"photos/{n}.jpg"}]} for n in range(6)]
    (shop / "products.json").write_text(json.dumps({"products": products, "page": 1}), encoding="utf-8")
    init("products.json")
    settings = batchsearch.load("search.yaml")
    assert (settings.manifest.key[0], settings.manifest.images) == ("id", ("images",))
    assert [path for _, path in rows_of(settings)] == [f"photos/{n}.jpg" for n in range(6)]


def test_escaped_quotes_are_noticed(shop):
    """What Spark and MySQL write is read as it is meant."""
    text = 'id,name,image\n1,"5\\" screen",photos/1.jpg\n2,"a, \\"b\\"",photos/2.jpg\n'
    (shop / "m.csv").write_text(text, encoding="utf-8")
    init("m.csv")
    assert batchsearch.load("search.yaml").manifest.csv.escape == "\\"


def test_other_formats_are_looked_at_too(shop):
    """JSON Lines and a workbook give the same job as a CSV file of their rows."""
    rows = [{"id": f"p{n}", "image": f"photos/{n}.jpg"} for n in range(6)]
    (shop / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    book = openpyxl.Workbook()
    for row in [["id", "image"], *(list(row.values()) for row in rows)]:
        book.active.append(row)
    book.save(shop / "m.xlsx")
    for name in ("m.jsonl", "m.xlsx"):
        init(name, "-o", f"{name}.yaml")
        settings = batchsearch.load(f"{name}.yaml")
        assert (settings.manifest.key, settings.manifest.columns) == (("id",), {"image": "image"})
        assert batchsearch.plan(f"{name}.yaml").calls == 6


def test_what_is_given_is_written(shop):
    """`--set` wins over guesses and is checked as in a job file; paths start where they were typed."""
    (shop / "far" / "away").mkdir(parents=True)
    shutil.move(shop / "photos", shop / "far" / "away" / "shots")
    table("m.csv", ["sku", "image"], *([f"s{n}", f"{n}.jpg"] for n in range(6)))
    (shop / "jobs").mkdir()
    ran = init("m.csv", "-o", "jobs/a.yaml", "--kind", "dedup", "--yes", code=65)
    assert "0 of 6 images found under" in ran.stderr
    assert init("m.csv", "-o", "b.yaml", "--set", "instance.speed=3", code=64).stderr
    given = ["images.root=far/away/shots", "dedup.threshold=0.9", "window.start=20:00", "window.end=06:00"]
    given += ["manifest.csv.types={sku: string}", "output.dir=results/here"]
    init(
        "m.csv", "-o", "jobs/c.yaml", "--kind", "dedup", *(part for each in given for part in ("--set", each))
    )
    settings = batchsearch.load("jobs/c.yaml")
    assert settings.images.root == str(shop / "far" / "away" / "shots")
    assert (settings.dedup.threshold, settings.window.start) == (0.9, "20:00")
    assert (settings.manifest.csv.types, settings.output.dir) == (
        {"sku": "string"},
        str(shop / "results" / "here"),
    )
    assert batchsearch.plan("jobs/c.yaml").calls == 6


def test_private_hosts_are_said_beforehand(shop):
    """An address that would be refused is told with the setting that allows it."""
    table("m.csv", ["sku", "image"], *([f"s{n}", f"http://10.0.0.7/{n}.jpg"] for n in range(6)))
    ran = init("m.csv", code=65)
    assert "`images.allow_hosts: [10.0.0.7]`" in ran.stderr
    init("m.csv", "-o", "ok.yaml", "--set", "images.allow_hosts=10.0.0.7")


def test_what_is_given_mends_what_was_missing(shop):
    """With the address of the shop's media nothing is left to mend, and images are found under it."""
    table(
        "catalog_product.csv",
        ["sku", "product_type", "name", "base_image"],
        ["24-MB01", "simple", "Bag", "/m/b/mb01.jpg"],
        ["24-MB02", "simple", "Pack", "/m/b/mb02.jpg"],
    )
    init("catalog_product.csv", "--set", "images.base_url=https://shop.example/media/catalog/product")
    assert batchsearch.load("dedup.yaml").images.base_url == "https://shop.example/media/catalog/product"


def test_the_table_of_a_workbook_is_found(shop):
    """Sheets without a table, the template's rows and a title stand before it."""
    book = openpyxl.Workbook()
    book.active.title = "Instructions"
    book.active.append(["Read this before you fill in the template."])
    sheet = book.create_sheet("Template")
    for row in (
        ["TemplateType=fptcustom", "Version=2026"],
        ["SKU", "Titel", "Bild"],
        ["item_sku", "item_name", "main_image_url"],
        ["A", "Shirt", URL.format(1)],
        ["B", "Mug", URL.format(2)],
    ):
        sheet.append(row)
    book.save("flat.xlsx")
    assert "Amazon flat file" in init("flat.xlsx").stderr
    settings = batchsearch.load("dedup.yaml")
    assert (settings.manifest.xlsx.sheet, settings.manifest.xlsx.skip_rows) == ("Template", 2)
    assert [image for _, image in rows_of(settings)] == [URL.format(1), URL.format(2)]
    book = openpyxl.Workbook()
    for row in (
        ["Our products"],
        [],
        ["id", "name", "image"],
        *([n, f"N{n}", f"photos/{n}.jpg"] for n in range(6)),
    ):
        book.active.append(row)
    book.save("m.xlsx")
    init("m.xlsx")
    assert batchsearch.load("search.yaml").manifest.xlsx.skip_rows == 2
    assert batchsearch.plan("search.yaml").calls == 6


@pytest.mark.parametrize(("answer", "written"), [("n", False), ("y", True)])
def test_on_a_terminal_it_asks_before_it_writes(shop, answer, written):
    """Whoever says no has no file; a script is never asked."""
    table("m.csv", ["id", "image"], *([str(n), f"photos/{n}.jpg"] for n in range(6)))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "batchsearch", "init", "m.csv"]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while b"Write search.yaml?" not in seen:
            seen += os.read(ours, 4096)
        os.write(ours, answer.encode() + b"\n")
        out, _ = process.communicate()
    os.close(ours)
    assert (process.returncode, out) == (0, b"search.yaml\n" if written else b"")
    assert (shop / "search.yaml").exists() is written


@pytest.mark.parametrize("named", [True, False])
def test_duplicates_among_images_in_a_table(shop, images, named):
    """Images that are bytes are called as their rows are, with a key of the table's own or numbered ones."""
    data = [(images / f"p{number:02}.jpg").read_bytes() for number in (0, 1, 2)]
    columns = {"image": pa.array(data, pa.binary()), "label": [0, 0, 1]}
    pq.write_table(pa.table({"id": ["a", "b", "c"], **columns} if named else columns), "m.parquet")
    init("m.parquet", "--kind", "dedup")
    ran = invoke("dedup", "dedup.yaml", "--no-progress")
    assert ran.exit_code == 0, ran.output
    wanted = {"a", "b", "c"} if named else {f"m.parquet:{n}" for n in (1, 2, 3)}
    export = invoke("export", "output/dedup", "--table", "products", "-o", "-")
    rows = list(csv.DictReader(io.StringIO(export.stdout.removeprefix("\ufeff"))))
    assert {row["product_id"] for row in rows} == wanted


def test_a_dead_image_keeps_nobody_elses_from_being_found(shop, images):
    """A product whose image is gone, or none, is left out and told; it is added once it is there."""
    (shop / "photos" / "4.jpg").unlink()
    (shop / "photos" / "5.jpg").write_bytes(b"<html>404</html>")
    table("m.csv", ["id", "image"], *([str(n), f"photos/{n}.jpg"] for n in range(6)))
    init("m.csv")

    def run():
        return invoke("run", "search.yaml", "--no-progress", "--json")

    ran = run()
    summary = json.loads(ran.stdout.splitlines()[-1])
    assert (ran.exit_code, summary["ok"], summary["failed"]) == (3, 4, 2)
    assert "products_left_out" in ran.stderr
    assert "'photos/4.jpg' is not under images.root" in ran.stderr
    for number in (4, 5):
        shutil.copy(images / f"p{number:02}.jpg", shop / "photos" / f"{number}.jpg")
    found = invoke("search", "photos/5.jpg", "search.yaml", "--json")
    hits = json.loads(found.stdout)["hits"]
    assert "products_left_out" not in found.stderr
    assert hits[0]["product_id"] == "5"
    ran = invoke("retry", "output/search", "--codes", "Local.*", "--json")
    assert json.loads(ran.stdout.splitlines()[-1])["ok"] == 6


def test_a_catalogue_without_any_image_is_told(shop):
    """Where not one product can be added the folder is wrong: that ends the run before it begins."""
    table("m.csv", ["id", "image"], *([str(n), f"photos/{n}.jpg"] for n in range(6)))
    init("m.csv")
    shutil.rmtree(shop / "photos")
    (shop / "photos").mkdir()
    ran = invoke("run", "search.yaml", "--no-progress")
    assert ran.exit_code == 64
    assert "none of its products can be indexed:\n  row 1 (0): 'photos/0.jpg' is not under" in ran.stderr
