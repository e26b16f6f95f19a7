"""The sample data is what its manifests say, and the job files fit it."""

from __future__ import annotations

import csv
import io
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image, ImageChops, ImageOps, ImageStat

from batchsearch.config.model import JobSettings
from batchsearch.service.codes.table import CODES
from batchsearch.service.facts import (
    CATEGORIES,
    IMAGE_FORMATS,
    INT32_MAX,
    MAX_CUSTOM_CONTENT,
    MAX_ID,
    MAX_STR_ATTR,
    STR_ATTR_FORBIDDEN,
)

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "sample_data"
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
MISSING = "queries/awkward-missing.jpg"
FORMATS = (*IMAGE_FORMATS, "JPEG2000")
UNREADABLE = {"truncated", "damaged", "not an image", "empty file", "huge canvas", "SVG"}


def rows(name, folder=SAMPLE):
    """The rows of a CSV file as mappings."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def difference(one, other):
    """Mean difference of two images, in levels of 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean) / 3


@pytest.fixture(scope="module")
def script():
    """The script and its parts, imported as they are when it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SAMPLE))
        patch.setattr(sys, "dont_write_bytecode", True)
        import changed_pictures
        import make_sample_data
        import sample_queries

        yield SimpleNamespace(images=changed_pictures, queries=sample_queries, make=make_sample_data)
        for name in ("changed_pictures", "sample_queries", "make_sample_data"):
            sys.modules.pop(name)


@pytest.fixture(scope="module")
def made_anew(script, tmp_path_factory):
    """A folder in which the script made everything from the kept files."""
    folder = tmp_path_factory.mktemp("sample")
    shutil.copytree(SAMPLE / "catalogue", folder / "catalogue")
    shutil.copy(SAMPLE / "photographs.csv", folder)
    (folder / "queries").mkdir()
    (folder / "queries" / "stale.jpg").write_bytes(b"from another time")
    script.make.make_all(folder)
    return folder


def test_every_image_named_exists_but_the_missing_one():
    """A manifest names only files that are there, save the one whose absence is the point."""
    named = {row["image"] for name in ("catalogue.csv", "queries.csv") for row in rows(name)}
    for pair in rows("pairs.csv"):
        named |= {pair["primary_image"], pair["secondary_image"]}
    assert {path for path in named if not (SAMPLE / path).is_file()} == {MISSING}


def test_every_made_image_is_searched_for():
    """No file lies in `queries/` that no row uses."""
    files = {f"queries/{path.name}" for path in (SAMPLE / "queries").iterdir()}
    assert files == {row["image"] for row in rows("queries.csv") if row["image"].startswith("queries/")} - {
        MISSING
    }


@pytest.mark.parametrize(
    ("name", "key", "count"),
    [
        ("catalogue.csv", ("product_id", "pic_name"), 45),
        ("queries.csv", ("product_id", "pic_name"), 229),
        ("pairs.csv", ("pair_id",), 48),
        ("names.csv", ("product_id", "pic_name"), 47),
        ("photographs.csv", ("product_id",), 55),
    ],
)
def test_row_keys_are_unique_and_counts_are_those_of_the_readme(name, key, count):
    """Each manifest has the rows that the README counts, each with a key of its own."""
    keys = [tuple(row[column] for column in key) for row in rows(name)]
    assert len(keys) == len(set(keys)) == count
    assert all(all(key) for key in keys)


def test_truth_names_products_of_the_catalogue():
    """A first hit is expected exactly where a search succeeds and the instance holds the product."""
    catalogue = {row["product_id"] for row in rows("catalogue.csv")}
    for row in rows("queries.csv"):
        expected = row["truth_outcome"] == "ok" and row["change"] != "not in the catalogue"
        assert bool(row["truth_product_id"]) == expected, row
        assert row["truth_product_id"] in catalogue | {""}, row
    strangers = [row for row in rows("queries.csv") if row["change"] == "not in the catalogue"]
    assert len(strangers) == 10
    assert not {row["image"] for row in strangers} & {row["image"] for row in rows("catalogue.csv")}


def test_expected_codes_are_codes_of_the_image_rules():
    """The expected outcome of an unusable image is a code that the rules know."""
    expected = {row["truth_outcome"] for name in ("queries.csv", "pairs.csv") for row in rows(name)} - {"ok"}
    assert expected
    assert expected <= CODES.keys()


def test_every_change_is_made_equally_often(script):
    """Each product of the catalogue has four changed copies, and each change is made thirty times."""
    copies = [row for row in rows("queries.csv") if row["change"] in script.images.CHANGES]
    for column, each in (("truth_product_id", 4), ("change", 30)):
        values = [row[column] for row in copies if not row["image"].startswith("queries/awkward-")]
        assert {values.count(value) for value in values} == {each}
    assert len(copies) == 180


def test_near_products_are_in_the_catalogue():
    """All five T-shirts and all four wristbands are indexed, in different colours."""
    for ending, count in (("-t-shirt.jpg", 5), ("-band.jpg", 4)):
        colours = [row["colour"] for row in rows("catalogue.csv") if row["pic_name"].endswith(ending)]
        assert len(colours) == len(set(colours)) == count


def test_catalogue_attributes_keep_the_limits_of_addimage():
    """Every row of the catalogue could be sent to the real service."""
    for row in rows("catalogue.csv"):
        assert 0 < len(row["product_id"]) <= MAX_ID
        assert 0 < len(row["pic_name"]) <= MAX_ID
        assert 0 < int(row["price_cents"]) <= INT32_MAX
        assert int(row["category_id"]) in CATEGORIES
        assert len(row["name"]) <= MAX_CUSTOM_CONTENT
        for text in (row["category"], row["colour"]):
            assert 0 < len(text) <= MAX_STR_ATTR
            assert not set(text) & set(STR_ATTR_FORBIDDEN)


def test_parquet_holds_the_rows_of_the_csv():
    """Both formats hold the same rows; an empty cell of the CSV is a null."""
    expected = [{name: value or None for name, value in row.items()} for row in rows("queries.csv")]
    assert pq.read_table(SAMPLE / "queries.parquet").to_pylist() == expected


def test_inline_parquet_holds_the_files():
    """The inline manifest holds each file's bytes and path, and no bytes for the missing one."""
    inline = pq.read_table(SAMPLE / "queries_inline.parquet").to_pylist()
    for row, plain in zip(inline, rows("queries.csv"), strict=True):
        image = row.pop("image")
        path = plain.pop("image")
        assert image["path"] == path
        assert image["bytes"] == (None if path == MISSING else (SAMPLE / path).read_bytes())
        assert row == {name: value or None for name, value in plain.items()}


def test_usable_images_decode_and_unusable_ones_do_not():
    """Pillow reads what should be sent and nothing of what is broken; the sides are as described."""
    for row in rows("queries.csv"):
        path = SAMPLE / row["image"]
        if row["change"] in UNREADABLE:
            with pytest.raises((OSError, SyntaxError, Image.DecompressionBombError)):
                Image.open(io.BytesIO(path.read_bytes()), formats=FORMATS).load()
        elif path.exists():
            with Image.open(path, formats=FORMATS) as image:
                image.load()
                assert (min(image.size) >= 100) == (row["change"] != "too small"), row
                assert (max(image.size) > 4096) == (row["change"] in {"too large", "long", "too long"}), row


@pytest.mark.parametrize("orientation", range(2, 10))
def test_oriented_images_are_upright_after_turning(orientation):
    """Turning by the EXIF orientation gives the product's photograph back."""
    (row,) = [row for row in rows("queries.csv") if row["change"] == f"EXIF orientation {orientation}"]
    (product,) = [item for item in rows("catalogue.csv") if item["product_id"] == row["truth_product_id"]]
    with Image.open(SAMPLE / row["image"]) as stored, Image.open(SAMPLE / product["image"]) as photograph:
        assert stored.getexif()[0x0112] == orientation
        upright = ImageOps.exif_transpose(stored)
        assert upright.size == photograph.size
        assert difference(upright, photograph) < 3
        if orientation < 9:
            assert stored.size != photograph.size or difference(stored, photograph) > 10


def test_animations_move():
    """The two animations have several frames; the first one is the product."""
    for name in ("awkward-animated.gif", "awkward-animated.webp"):
        with Image.open(SAMPLE / "queries" / name) as image:
            assert image.n_frames == 3


def test_script_makes_the_manifests_that_are_here(made_anew):
    """The manifests in the repository are those that the script makes, and stale images go."""
    for name in ("catalogue.csv", "queries.csv", "pairs.csv", "names.csv"):
        assert (made_anew / name).read_bytes() == (SAMPLE / name).read_bytes(), name
    assert {path.name for path in (made_anew / "queries").iterdir()} == {
        path.name for path in (SAMPLE / "queries").iterdir()
    }


def test_script_makes_the_images_that_are_here(made_anew, script):
    """The changed copies in the repository are those that the script makes, up to the encoder's version."""
    copies = [row for row in rows("queries.csv") if row["change"] in script.images.CHANGES]
    for row in copies[::7]:
        with Image.open(made_anew / row["image"]) as new, Image.open(SAMPLE / row["image"]) as kept:
            assert new.size == kept.size
            assert difference(new, kept) < 3, row


def test_script_is_deterministic(script):
    """Made twice, an image is the same, byte for byte."""
    products = script.queries.read_products()
    kinds = [kind for kind in script.queries.AWKWARD if kind.name != "huge-canvas.png"]

    def made():
        copies = script.queries.changed_copies([item for item in products if item.in_catalogue][:6])
        return [*copies, *script.queries.awkward_files(products, kinds=kinds)]

    assert made() == made()


def test_sample_data_is_small():
    """The folder stays under 8 MB, its awkward files under 1 MB, and no image above the service's 4 MB."""
    files = [path for path in SAMPLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    sizes = {path: path.stat().st_size for path in files}
    assert sum(sizes.values()) < 8_000_000
    assert sum(size for path, size in sizes.items() if path.name.startswith("awkward-")) < 1_000_000


def test_every_photograph_names_its_licence():
    """Each photograph in the catalogue has a row with source and licence."""
    listed = {row["image"]: row for row in rows("photographs.csv")}
    assert listed.keys() == {path.name for path in (SAMPLE / "catalogue").iterdir()}
    for row in listed.values():
        assert row["source"].startswith("npm ")
        assert "Unsplash License" in row["licence"] or "MIT" in row["licence"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_job_files_are_valid(path):
    """Each job file is accepted by the settings' model and holds no secret."""
    text = path.read_text(encoding="utf-8")
    JobSettings.model_validate(yaml.safe_load(text))
    assert max(map(len, text.splitlines())) <= 110
    assert not {"access_key_id", "access_key_secret", "security_token"} & set(yaml.safe_load(text))


@pytest.mark.parametrize("name", ["demo", "demo-parquet", "similarity-report", "by-name"])
def test_job_files_fit_the_sample_data(name):
    """Manifest, key, columns and allowed failures of a demonstration are those of the sample data."""
    folder = ROOT / "configs"
    job = JobSettings.model_validate(yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")))
    parts = [job.manifest]
    if job.emulator.catalogue is not None:
        parts.append(job.emulator.catalogue.manifest)
    for manifest in parts:
        path = folder / manifest.path
        table = pq.read_table(path).to_pylist() if path.suffix == ".parquet" else rows(path.name, path.parent)
        assert {*manifest.key, *manifest.columns.values(), *manifest.csv.types} <= table[0].keys()
    truth = [column for column in (job.truth.first_hit, job.truth.outcome) if column is not None]
    path = folder / job.manifest.path
    table = pq.read_table(path).to_pylist() if path.suffix == ".parquet" else rows(path.name, path.parent)
    assert truth
    assert set(truth) <= table[0].keys()
    failing = [row for row in table if row[job.truth.outcome] != "ok"]
    assert job.failures_allowed(len(table)) == len(failing)
