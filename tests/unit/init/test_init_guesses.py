"""What columns are taken to be."""

from dataclasses import replace
from pathlib import Path

import pytest

from batchsearch.config.sections.manifest_settings import CsvSettings
from batchsearch.tasks.init.first_look import ColumnFacts, ManifestFacts
from batchsearch.tasks.init.guesses import guess


def facts(rows=4, **columns):
    """A manifest with these columns; a string is repeated with a number, a list taken as it is."""
    made = []
    for name, given in columns.items():
        if given in ("bytes", "image"):
            made.append(ColumnFacts(name, given))
            continue
        values = [f"{given}{number}" for number in range(rows)] if isinstance(given, str) else given
        kind = "whole" if all(isinstance(value, int) for value in values) else "text"
        made.append(ColumnFacts(name, kind, tuple(values)))
    return ManifestFacts(Path("m.csv"), Path(), tuple(made), rows, CsvSettings())


PATHS = [f"pics/{number}.jpg" for number in range(4)]


@pytest.mark.parametrize(
    ("columns", "image"),
    [
        ({"a": "x", "b": PATHS}, "b"),
        ({"a": "x", "b": [f"https://host.example/{n}.webp?sig=1" for n in range(4)]}, "b"),
        ({"a": "x", "b": [f"s3://bucket/{n}" for n in range(4)]}, "b"),
        ({"a": "x", "b": ["/9j/" + "A" * 400] * 4}, "b"),
        ({"a": PATHS, "data": "bytes"}, "data"),
        ({"a": PATHS, "data": "image"}, "data"),
        ({"a": "x", "image": "thing"}, "image"),
        ({"title": PATHS, "Image-URL": PATHS}, "Image-URL"),
        ({"a": "x", "b": "y"}, None),
    ],
)
def test_images_are_found_by_what_is_in_a_column(columns, image):
    """Bytes before files, files before names alone; without anything of the kind there is no guess."""
    assert guess(facts(**columns), "search").image == image


def test_files_that_are_there_decide():
    """Two columns look like image files; the one whose files exist has the images."""
    columns = facts(pic_name=[f"{n}.jpg" for n in range(4)], ref=PATHS)
    found = guess(columns, "search", is_there=lambda folder, path: folder == "" and path in PATHS)
    assert (found.image, found.root) == ("ref", None)
    beside = guess(
        columns,
        "search",
        folders=["images"],
        is_there=lambda folder, path: folder == "images" and path in PATHS,
    )
    assert (beside.image, beside.root) == ("ref", "images")


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ({"product_id": "P", "pic_name": "n", "image": PATHS}, ("product_id", "pic_name")),
        ({"Product ID": "P", "image": PATHS}, ("Product ID",)),
        (
            {"sku": ["a", "a", "b", "b"], "pic_name": ["1", "2", "1", "2"], "image": PATHS},
            ("sku", "pic_name"),
        ),
        ({"sku": ["a", "a", "b", "b"], "image": PATHS}, ("image",)),
        ({"sku": ["a", "a", "b", "b"], "image": PATHS, "row_no": [1, 2, 3, 4]}, ("row_no",)),
        ({"title": "x", "image": PATHS}, ("title",)),
        ({"sku": ["a", "a", "", "b"], "image": PATHS, "code": [4, 3, 2, 1]}, ("code",)),
    ],
)
def test_a_key_is_never_repeated(columns, key):
    """Product and image name where they name rows, else one column that does."""
    assert guess(facts(**columns), "search").key == key


def test_a_key_that_cannot_be_found_is_told():
    """Where every column repeats, the reason says that somebody has to look."""
    found = guess(facts(sku=["a", "a", "a", "a"], image=["x.jpg"] * 4), "search")
    assert "LOOK AT THIS" in next(each.why for each in found.told if each.what == "key")


def test_two_columns_of_images_are_pairs():
    """Without a wish the job is a comparison; with another one it is not."""
    columns = facts(id="i", image_a=PATHS, image_b=PATHS)
    assert (guess(columns, None).kind, guess(columns, None).pair) == ("compare", ("image_a", "image_b"))
    assert guess(columns, "search").image == "image_a"


@pytest.mark.parametrize("theirs", [PATHS, [*PATHS[:3], None]], ids=["all", "some"])
def test_whoever_compares_compares_the_two_columns_of_images(theirs):
    """Asked for a comparison, two columns of images are its pairs, whatever they are called."""
    columns = facts(id="i", ours=PATHS, theirs=theirs)
    assert guess(columns, "compare").pair == ("ours", "theirs")
    assert guess(columns, None).pair is None


def test_a_group_comes_back_but_not_everywhere():
    """Images are compared within what several rows share; not by a column that never repeats, or always."""
    grouped = facts(id="i", image=PATHS, family=["a", "a", "b", "b"], style=["s"] * 4)
    assert guess(grouped, "compare").group == "family"
    assert guess(facts(id="i", image=PATHS, family="f"), "compare").group is None
    assert guess(grouped, "search").group is None


def test_categories_are_the_services_or_the_catalogues_own():
    """Numbers that the service knows become `category_id`; other texts are for thresholds and filters."""
    found = guess(
        facts(
            sku="s", image=PATHS, category=["Tops", "Tops", "Bags", "Bags"], category_id=["0", "0", "3", "3"]
        ),
        "dedup",
    )
    assert (found.category_id, found.category) == ("category_id", "category")
    assert guess(facts(sku="s", image=PATHS, category_id=["7777"] * 4), "search").category_id is None


def test_boxes_and_priorities_are_found():
    """Four numbers are a region; a column of numbers with that name says what goes first."""
    found = guess(facts(sku="s", image=PATHS, box=["1,2,3,4"] * 4, priority=["1", "2", "1", "9"]), "search")
    assert (found.region, found.priority) == ("box", "priority")
    assert guess(facts(sku="s", image=PATHS, region=["eu-west"] * 4), "search").region is None


def test_every_guess_has_a_reason():
    """Nothing is decided in silence."""
    found = guess(facts(product_id="P", pic_name="n", image=PATHS), "search")
    assert {each.what for each in found.told} == {"image", "product", "image's name", "key"}
    assert all(each.why for each in found.told)


def test_files_that_are_nowhere_are_lacking():
    """Where none of the probed files is there, what has to be set is said; not where addresses are named."""
    columns = facts(sku="s", image=PATHS)
    (lack,) = guess(columns, "search", folders=["photos"]).lacking
    assert lack.what.startswith("0 of 4 images found under ., photos: `pics/0.jpg` is in none of them")
    assert lack.mended_by == ("images.root", "images.base_url")
    assert not guess(columns, "search", is_there=lambda _, path: path == PATHS[2]).lacking
    addresses = [f"https://x.example/{n}.jpg" for n in range(4)]
    assert not guess(facts(sku="s", image=addresses), "search").lacking


def test_a_second_image_that_some_lack_is_no_half_of_a_pair():
    """Pairs have both images in every row; a catalogue's second image is one more of the product."""
    columns = facts(sku="s", image1=PATHS, image2=[*PATHS[:3], None])
    found = guess(columns, None)
    assert (found.kind, found.images) == ("search", ("image1", "image2"))


def test_the_products_column_is_never_empty_and_says_something():
    """A code that is missing, or on several products, does not win by its name."""
    addresses = [f"https://x.example/{n}.jpg" for n in range(4)]
    known = facts(gtin=["4006381333931"] * 4, product_id=["p"] * 4, sku=["a", "", "c", "d"], id="i")
    with_images = replace(known, columns=(*known.columns, *facts(image=addresses).columns))
    found = guess(with_images, "search")
    assert (found.product, found.key) == ("id", ("id",))


def test_without_rows_names_say_it_all():
    """An export of an empty day is looked at by its names."""
    columns = tuple(ColumnFacts(name, "text") for name in ("id", "image"))
    assert guess(ManifestFacts(Path("m.csv"), Path(), columns, 0, CsvSettings()), "search").image == "image"


def test_products_named_by_decimals_are_told_and_no_other_column_names_them():
    """`1001.0` is no id: it is to be written as text, and the title is no product's name."""
    table = facts(title="Tee ", image=PATHS)
    numbers = ColumnFacts("sku", "number", (1001.0, 1002.0, 1003.0, 1004.0))
    found = guess(replace(table, columns=(numbers, *table.columns)), "dedup")
    assert found.product is None
    assert sum("`sku` has decimals, such as 1001.0" in lack.what for lack in found.lacking) == 1


@pytest.mark.parametrize(
    ("codes", "same"),
    [
        (["4006381333931", "96385074", "012345678905", "12345678905"], ("gtin",)),
        ([4006381333931, 4006381333931, 96385074, 96385074], ("gtin",)),
        (["4006381333932", "12345670", "11111112", "20230101"], ()),
        (["none"] * 4, ()),
    ],
)
def test_codes_that_join_products_have_a_check_digit(codes, same):
    """Digits alone are not enough: they may be a date, or the shop's own numbers."""
    assert guess(facts(id="i", image=PATHS, gtin=codes), "dedup").same_when == same
