"""`batchsearch init` as a newcomer meets it: looked at, written, planned, run."""

import csv
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_rig import init

import batchsearch


@pytest.fixture
def shop(tmp_path, images, monkeypatch):
    """A folder as somebody may have it: a catalogue, its images in a folder beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with (tmp_path / "catalogue.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["SKU", "Name", "photo", "family"])
        for number in range(6):
            shutil.copy(images / f"p{number:02}.jpg", tmp_path / "photos" / f"{number}.jpg")
            writer.writerow([f"00{number}", f"Größe {number}", f"{number}.jpg", "ab"[number % 2]])
    return tmp_path


FAST = {"instance.qps": 1000, "instance.custom_qps": True}


def test_a_manifest_becomes_a_job_that_runs(shop):
    """Delimiter, key, images and their folder are found; the file runs as it is written."""
    ran = init("catalogue.csv")
    assert ran.stdout == "search.yaml\n"
    settings = batchsearch.load("search.yaml")
    assert settings.manifest.key == ("SKU",)
    assert settings.manifest.columns == {"image": "photo"}
    assert settings.manifest.csv.delimiter == ";"
    assert settings.images.root == str(shop / "photos")
    for part in ("SKU", "photos", "100% of the files", "6 rows, each with a key of its own"):
        assert part in ran.stderr
    result = batchsearch.run("search.yaml", overrides=FAST)
    assert (result.summary.ok, result.summary.failed) == (6, 0)
    hits = result.to_pandas("hits")
    assert (hits[hits["rank"] == 1]["product_id"] == hits[hits["rank"] == 1]["row_key"]).all()


def test_a_comparison_is_started_too(shop):
    """The column that rows share becomes the group."""
    init("catalogue.csv", "--kind", "compare", "-o", "jobs.yaml")
    settings = batchsearch.load("jobs.yaml")
    assert (settings.compare.pairs, settings.compare.image, settings.compare.group) == (
        "groups",
        "photo",
        "family",
    )
    result = batchsearch.run_compare("jobs.yaml", overrides=FAST)
    assert result.comparison.compared == 6


def test_a_list_without_groups_is_told_its_pairs(shop):
    """Each with each is many calls: the number is said before anybody is surprised by it."""
    with (shop / "list.csv").open("w", encoding="utf-8") as file:
        file.write("sku,image\n" + "".join(f"s{n},photos/{n}.jpg\n" for n in range(6)))
    ran = init("list.csv", "--kind", "compare")
    assert "15 pairs, and as many calls" in ran.stderr
    assert "`compare.group`" in ran.stderr
    assert batchsearch.plan("compare.yaml").calls == 15


def test_a_dedup_job_says_which_columns_name_products(shop):
    """Product and image are told by their columns; only the embedded instance is filled unasked."""
    init("catalogue.csv", "--kind", "dedup")
    settings = batchsearch.load("dedup.yaml")
    assert (settings.dedup.product_column, settings.dedup.pic_name_column) == ("SKU", "photo")
    assert settings.dedup.sync == ("add",)
    init("catalogue.csv", "--kind", "dedup", "--region", "ap-southeast-1", "-o", "bought.yaml")
    bought = batchsearch.load("bought.yaml")
    assert (bought.instance.region, bought.instance.endpoint, bought.dedup.sync) == (
        "ap-southeast-1",
        None,
        ("none",),
    )


def test_paths_start_from_the_job_files_folder(shop):
    """A job file in another folder still finds manifest and images."""
    (shop / "jobs").mkdir()
    init("catalogue.csv", "-o", "jobs/night.yaml")
    settings = batchsearch.load("jobs/night.yaml")
    assert settings.manifest.path == str(shop / "catalogue.csv")
    assert settings.images.root == str(shop / "photos")
    assert batchsearch.plan("jobs/night.yaml").calls == 6


def test_nothing_is_written_over(shop):
    """A file that is there stays as it was."""
    (shop / "search.yaml").write_text("mine", encoding="utf-8")
    ran = init("catalogue.csv", code=64)
    assert "is there already" in ran.stderr
    assert (shop / "search.yaml").read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in shop.iterdir()) == ["catalogue.csv", "photos", "search.yaml"]


@pytest.mark.parametrize("kind", ["search", "compare", "dedup"])
def test_without_a_manifest_there_is_a_form(shop, kind):
    """It loads as it is, and says what is to be changed."""
    ran = init("--kind", kind)
    assert "CHANGE" in ran.stderr
    assert "CHANGE" in (shop / f"{kind}.yaml").read_text(encoding="utf-8")
    assert batchsearch.load(f"{kind}.yaml").instance.endpoint == "emulator"


def test_parquet_with_images_in_it(shop, images):
    """Inline images are taken by their type, and never read for the guess."""
    data = [(images / f"p{number:02}.jpg").read_bytes() for number in range(3)]
    table = pa.table({"id": [7, 8, 9], "image": pa.array(data, pa.binary())})
    pq.write_table(table, "inline.parquet")
    ran = init("inline.parquet")
    assert "it holds bytes" in ran.stderr
    assert batchsearch.plan("search.yaml").calls == 3


def test_a_repeated_key_is_told(shop):
    """What is wrong over the whole manifest is said, and by the exit code; the file is written."""
    with (shop / "twice.csv").open("w", encoding="utf-8") as file:
        file.write("sku,image\n" + "a,0.jpg\n" * 2)
    ran = init("twice.csv", code=65)
    assert "to be mended first" in ran.stderr
    assert "keys must be unique" in ran.stderr
    assert (shop / "search.yaml").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "no column that looks like images"),
        ("", "is empty"),
        (None, "there is no such file"),
    ],
)
def test_what_cannot_be_a_manifest_is_told(shop, text, said):
    """Exit code 65, and no job file."""
    if text is not None:
        (shop / "bad.csv").write_text(text, encoding="utf-8")
    assert said in init("bad.csv", code=65).stderr
    assert not (shop / "search.yaml").exists()


@pytest.mark.parametrize(("encoding", "said"), [("gb18030", "gb18030"), ("utf-16", "utf-16")])
def test_encodings_are_told_apart(shop, encoding, said):
    """A manifest in another encoding is read, and the job file says which."""
    text = "编号,图片\n" + "".join(f"商品{n},photos/{n}.jpg\n" for n in range(6))
    (shop / "list.csv").write_bytes(text.encode(encoding))
    init("list.csv")
    settings = batchsearch.load("search.yaml")
    assert settings.manifest.csv.encoding == said
    assert settings.manifest.columns == {"image": "图片"}
    assert batchsearch.plan("search.yaml").calls == 6


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_few_rows_in_another_encoding_make_no_other_encoding(shop, mark):
    """What was pasted from elsewhere is told by row; the other rows' letters stay what they are."""
    rows = [f"größe-{n},photos/{n}.jpg\n" for n in range(6)]
    text = mark + b"id,image\n" + b"".join(row.encode("cp1252" if row[6] == "5" else "utf-8") for row in rows)
    (shop / "list.csv").write_bytes(text)
    ran = init("list.csv", code=65)
    assert "row 6 (line 7): column `id` is not utf-8 text" in ran.stderr
    assert batchsearch.load("search.yaml").manifest.csv.encoding == "utf-8"


def test_names_from_outside_stay_text(shop):
    """A column name full of YAML and terminal controls becomes neither settings nor colours."""
    name = "x: {y} # \x1b[31m'\""
    pq.write_table(pa.table({name: ["a", "b"], "image": ["0.jpg", "1.jpg"]}), "odd.parquet")
    ran = init("odd.parquet")
    assert batchsearch.load("search.yaml").manifest.key == (name,)
    assert "\x1b" not in ran.stderr
