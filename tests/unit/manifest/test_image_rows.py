"""A product's images as rows of their own: which rows there are, what names them, what they carry."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from csv_rows import write_rows
from pydantic import ValidationError

from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.errors import ConfigError, ManifestError
from batchsearch.manifest.product_images.image_cells import InlineImage, name_of
from batchsearch.manifest.source import Manifest, Wanted

BY_PIC = Wanted(images=("image",), allowed=frozenset({"product_id", "pic_name", "region"}))


@pytest.fixture
def opened(tmp_path):
    """Writes rows as CSV or columns as Parquet, and opens them as a manifest."""
    made = []

    def do(table, wanted=BY_PIC, path=None, **settings):
        if isinstance(table, list):
            name = path or f"{len(made)}.csv"
            write_rows(tmp_path / name, table)
        elif table is not None:
            name = path or f"{len(made)}.parquet"
            (tmp_path / name).parent.mkdir(exist_ok=True)
            try:
                pq.write_table(pa.table(table), tmp_path / name)
            except pa.ArrowNotImplementedError:
                pytest.skip("pyarrow of this version writes this type into no Parquet file")
        made.append(1)
        given = ManifestSettings(**{"path": name, **settings})
        return Manifest.open(given, base=tmp_path, wanted=wanted)

    return do


def rows_of(manifest):
    """Every row with what it carries; all ways of reading agree on what they are."""
    found = []
    for batch in manifest.batches(3):
        found += list(zip(batch.rows, batch.carried.to_pylist(), strict=True))
    keys = [row.key for row, _ in found]
    assert [key for some in manifest.keys() for key in some] == keys  # noqa: SIM118 - a table's keys
    assert manifest.check() == len(keys) == len(set(keys))
    return found


def images_of(manifest):
    return [
        (
            row.number,
            carried["id"],
            carried["image_index"],
            row.images[0] and (row.images[0].path or row.images[0].url),
        )
        for row, carried in rows_of(manifest)
    ]


def test_each_image_of_each_column_is_a_row(opened):
    """Columns are taken in the order in which they are named; equal images of a product are one."""
    table = [
        {"id": "1", "main": "a.jpg", "more": "b.jpg|c.jpg", "title": "One"},
        {"id": "2", "main": "a.jpg", "more": "", "title": "Two"},
        {"id": "3", "main": "d.jpg", "more": "d.jpg, e.jpg", "title": "Three"},
    ]
    manifest = opened(table, key=["id"], images=["main", "more"])
    assert images_of(manifest) == [
        (0, "1", 0, "a.jpg"),
        (0, "1", 1, "b.jpg"),
        (0, "1", 2, "c.jpg"),
        (1, "2", 0, "a.jpg"),
        (2, "3", 0, "d.jpg"),
        (2, "3", 1, "e.jpg"),
    ]
    row, carried = rows_of(manifest)[1]
    assert row.key == f'["1","{name_of("b.jpg")}"]'
    assert carried == {
        "id": "1",
        "image": "b.jpg",
        "image_index": 1,
        "pic_name": name_of("b.jpg"),
        "title": "One",
    }
    assert manifest.left_out.merged == 1


def test_names_stay_where_images_come_go_and_change_places(opened):
    """Another order, a new image and one that is gone leave the keys of the others alone."""
    before = opened([{"id": "1", "more": "a.jpg,b.jpg,c.jpg"}], key="id", images="more")
    after = opened([{"id": "1", "more": "d.jpg,c.jpg,a.jpg"}], key="id", images="more")
    first, second = ({row.key for row, _ in rows_of(each)} for each in (before, after))
    assert len(first & second) == 2
    assert len(first | second) == 4


@pytest.mark.parametrize(
    ("images", "wanted"),
    [
        (["image1..image3"], ["image1", "image2"]),
        (["image*"], ["image1", "image2", "image10"]),
        (["image10", "image1..image2"], ["image10", "image1", "image2"]),
    ],
)
def test_columns_may_be_named_by_a_pattern(opened, images, wanted):
    """A range takes those that there are; a star takes them in the order of their numbers."""
    table = {"id": ["x"], **{name: [f"{name}.jpg"] for name in ("image10", "image2", "image1")}}
    found = images_of(opened(table, key="id", images=images))
    assert [image for *_, image in found] == [f"{name}.jpg" for name in wanted]


INLINE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize(
    "column",
    [
        pa.array([["a.jpg", "b.jpg"], None, [], ["c.jpg", None, ""]]),
        pa.array([["a.jpg", "b.jpg"], None, [], ["c.jpg"]], pa.large_list(pa.large_string())),
        pa.array([["a.jpg", "b.jpg"], None, None, ["c.jpg", "c.jpg"]], pa.list_(pa.string(), 2)),
        pa.array([["a.jpg", "b.jpg"], None, [], ["c.jpg"]], pa.list_(pa.dictionary(pa.int32(), pa.string()))),
        pa.array(
            [
                [{"src": "a.jpg", "alt": "x"}, {"src": "b.jpg", "alt": None}],
                None,
                [],
                [{"src": "c.jpg", "alt": "z"}],
            ]
        ),
        pa.array(
            [[{"id": 1, "url": "a.jpg"}, {"id": 2, "url": "b.jpg"}], [], [], [{"id": 3, "url": "c.jpg"}]]
        ),
        pa.array(['["a.jpg","b.jpg"]', "[]", None, '[{"src":"c.jpg"}]']),
        pa.array([b"a.jpg\nb.jpg", None, b"", b"c.jpg"]).cast(pa.string()),
    ],
)
def test_lists_and_structs_hold_images(opened, column):
    """Parquet lists of texts or structs, of any width, and JSON arrays are the same images."""
    found = images_of(opened({"id": [1, 2, 3, 4], "images": column}, key="id", images="images"))
    assert found == [
        (0, 1, 0, "a.jpg"),
        (0, 1, 1, "b.jpg"),
        (1, 2, None, None),
        (2, 3, None, None),
        (3, 4, 0, "c.jpg"),
    ]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[b"one", b"two", b"one"]]),
        pa.array([[{"bytes": b"one", "path": "1.jpg"}, {"bytes": b"two", "path": None}]], pa.list_(INLINE)),
    ],
)
def test_images_in_the_table_are_named_by_their_bytes(opened, column):
    """The same bytes are the same image; none of them is carried."""
    found = rows_of(opened({"id": [1], "image": column}, key="id", images="image"))
    assert [row.images[0].data for row, _ in found] == [b"one", b"two"]
    assert [carried["pic_name"] for _, carried in found] == [
        name_of(InlineImage(b"one")),
        name_of(InlineImage(b"two")),
    ]
    assert all(carried["image"] in {"1.jpg", None} for _, carried in found)


SHOP = [
    {"Handle": "tee", "Title": "Tee", "SKU": "T1", "Src": "https://c.example/a.jpg?v=1", "Status": "active"},
    {"Handle": "tee", "Title": "", "SKU": "T2", "Src": "", "Status": ""},
    {"Handle": "tee", "Title": "", "SKU": "", "Src": "https://c.example/b.jpg?v=1", "Status": ""},
    {"Handle": "cap", "Title": "Cap", "SKU": "C1", "Src": " ", "Status": "active"},
    {"Handle": "mug", "Title": "Mug", "SKU": "M1", "Src": "https://c.example/m.jpg", "Status": "archived"},
    {"Handle": "tee", "Title": "", "SKU": "T3", "Src": "https://c.example/b.jpg?v=2", "Status": ""},
]


def test_a_product_on_several_rows_has_each_image_once(opened):
    """Rows of one product, wherever they stand, give its images once, its title in all of them."""
    manifest = opened(
        SHOP,
        key="Handle",
        images="Src",
        without_image="skip",
        group="Handle",
        fill=["Title", "Status"],
        where='Status = "active"',
    )
    found = [
        (row.number, carried["Handle"], carried["Title"], carried["image_index"], carried["image"])
        for row, carried in rows_of(manifest)
    ]
    assert found == [
        (0, "tee", "Tee", 0, "https://c.example/a.jpg"),
        (2, "tee", "Tee", 1, "https://c.example/b.jpg"),
    ]
    left = manifest.left_out
    assert (left.where, left.without_image, left.merged) == (1, 1, 1)
    listed = []
    manifest.check(without_image=listed.append)
    assert [(row.file.rpartition("/")[2], row.row, row.key) for row in listed] == [("0.csv", 3, "cap")]


@pytest.mark.parametrize("images", [{"images": "Src"}, {"columns": {"image": "Src"}}])
def test_a_variant_without_an_image_takes_that_of_its_product(opened, images):
    """The first row of the group that has an image gives it, with `images` and without."""
    manifest = opened(
        SHOP, key="SKU", without_image="inherit", group="Handle", where="SKU is not null", **images
    )
    found = [
        (row.number, carried["SKU"], row.images[0] and row.images[0].url)
        for row, carried in rows_of(manifest)
    ]
    assert found == [
        (0, "T1", "https://c.example/a.jpg?v=1"),
        (1, "T2", "https://c.example/a.jpg?v=1"),
        (3, "C1", None),
        (4, "M1", "https://c.example/m.jpg"),
        (5, "T3", "https://c.example/b.jpg?v=2"),
    ]


def test_a_variant_may_name_its_parent_by_another_column(opened):
    """`parent` is the column with the id that `group` names, wherever the parent's row stands."""
    table = [
        {"SKU": "hoodie-red", "Parent": "hoodie", "Images": ""},
        {"SKU": "hoodie", "Parent": "", "Images": "h.jpg, i.jpg"},
        {"SKU": "beanie", "Parent": "", "Images": ""},
    ]
    manifest = opened(
        table, key="SKU", images="Images", without_image="inherit", group="Parent", parent="SKU"
    )
    found = [(carried["SKU"], carried["image"]) for _, carried in rows_of(manifest)]
    assert found == [
        ("hoodie-red", "h.jpg"),
        ("hoodie-red", "i.jpg"),
        ("hoodie", "h.jpg"),
        ("hoodie", "i.jpg"),
        ("beanie", None),
    ]


def test_inline_images_are_inherited_whole(opened):
    """Bytes go over to another row as texts do."""
    column = pa.array(
        [[{"bytes": b"one", "path": "1.jpg"}, {"bytes": None, "path": "2.jpg"}], []], pa.list_(INLINE)
    )
    manifest = opened(
        {"id": ["a", "b"], "of": ["g", "g"], "image": column},
        key="id",
        images="image",
        without_image="inherit",
        group="of",
    )
    found = [(carried["id"], row.images[0].data, row.images[0].path) for row, carried in rows_of(manifest)]
    assert found == [("a", b"one", None), ("a", None, "2.jpg"), ("b", b"one", None), ("b", None, "2.jpg")]


def test_a_row_without_an_image_is_a_row_unless_it_is_skipped(opened):
    """`fail` gives it a row of its own, named alike every night; `skip` counts and lists it."""
    table = {"id": [1, 2], "image": pa.array(["a.jpg", None])}
    failing = rows_of(opened(table, key="id", images="image"))
    assert [(row.key, row.images) for row, _ in failing][1] == ('[2,"no-image"]', (None,))
    for images in ({"images": "image"}, {}):
        skipping = opened(table, key="id", without_image="skip", **images)
        assert [row.images[0].path for row, _ in rows_of(skipping)] == ["a.jpg"]
        assert skipping.left_out.without_image == 1
        listed = []
        skipping.check(without_image=listed.append)
        assert [(row.row, row.key) for row in listed] == [(1, "2")]


def test_products_in_several_files_have_each_image_once(opened, tmp_path):
    """Files agree on what is equal: the first file that has an image gives its row."""
    opened(
        {"id": ["1", "2"], "images": [["a.jpg"], ["b.jpg"]], "n": [1, 2]},
        path="all/0.parquet",
        key="id",
        images="images",
    )
    opened(
        {"id": ["2", "1"], "images": ["b.jpg|c.jpg", "a.jpg"]},
        path="all/1.parquet",
        key="id",
        images="images",
    )
    given = ManifestSettings(path="all", key="id", images="images")
    manifest = Manifest.open(given, base=tmp_path, wanted=BY_PIC)
    assert images_of(manifest) == [(0, "1", 0, "a.jpg"), (1, "2", 0, "b.jpg"), (2, "2", 1, "c.jpg")]


def test_expanding_agrees_with_a_plain_loop(opened):
    """Whatever order thousands of rows stand in, exactly the first of equal images of a product is a row."""
    rng = random.Random(14)
    table = [
        {
            "id": str(rng.randrange(300)),
            "images": ",".join(f"{rng.randrange(9)}.jpg" for _ in range(rng.randrange(4))),
        }
        for _ in range(5_000)
    ]
    seen, wanted = set(), []
    for number, row in enumerate(table):
        for image in filter(None, row["images"].split(",")):
            if (row["id"], image) not in seen:
                seen.add((row["id"], image))
                wanted.append((number, row["id"], image))
    manifest = opened(table, key="id", images="images", without_image="skip")
    assert [(number, key, image) for number, key, _, image in images_of(manifest)] == wanted


def test_a_row_with_many_images_is_given_out_in_bounded_parts(opened):
    """Long texts beside a hundred images are not a hundred times as much in memory at once."""
    text = "x" * 2_000_000
    manifest = opened(
        {"id": ["1"], "text": [text], "images": [[f"{n}.jpg" for n in range(100)]]}, key="id", images="images"
    )
    sizes = [len(batch) for batch in manifest.batches()]
    assert sum(sizes) == 100
    assert max(sizes) * len(text) <= 32 * 1024 * 1024


def test_problems_name_the_row_of_the_file(opened):
    """Row numbers are those of the table that a person can open, not of what is made of it."""
    table = [
        {"id": "1", "images": "a.jpg,b.jpg", "x": "1"},
        {"id": "2", "images": "a.jpg", "x": "0"},
        {"id": "", "images": "a.jpg,c.jpg", "x": "1"},
    ]
    manifest = opened(table, key="id", images="images", where='x = "1"')
    with pytest.raises(ManifestError) as caught:
        manifest.check()
    assert [str(problem).rpartition("/")[2] for problem in caught.value.problems] == [
        "0.csv: row 3 (line 4): the key column `id` is null"
    ]
    with pytest.raises(ManifestError, match=r"row 3 \(line 4\): the key column `id` is null"):
        list(manifest.batches())


def test_repeated_keys_are_found_among_the_rows_that_pass(opened):
    """A filter takes rows away before keys are compared, and places stay those of the file."""
    table = [{"id": str(n // 2), "on": "yes" if n != 3 else "no", "image": "a.jpg"} for n in range(4)]
    manifest = opened(table, key="id", where='on = "yes"')
    with pytest.raises(ManifestError) as caught:
        manifest.check()
    assert str(caught.value.problems[0]).rpartition("/")[2] == (
        "0.csv: row 2 (line 3): the key '0' is also that of row 1 (line 2); keys must be unique"
    )


def test_own_columns_called_like_made_ones_stay(opened):
    """A column `pic_name` or `image` of the table is carried under another name."""
    table = {"id": [1], "pic_name": ["own"], "image": ["thumb"], "photos": ["a.jpg"]}
    ((row, carried),) = rows_of(opened(table, key="id", images="photos"))
    assert row.images[0].path == "a.jpg"
    assert carried["image"] == "a.jpg"
    assert carried["manifest_pic_name"] == "own"
    assert carried["manifest_image"] == "thumb"


def test_key_and_place_are_carried_whatever_is_asked_for(opened):
    """Results can always be joined to products."""
    found = rows_of(
        opened({"id": [1], "photos": ["a.jpg"], "x": [2]}, key="id", images="photos", carry="none")
    )
    assert found[0][1] == {"id": 1, "image_index": 0, "pic_name": name_of("a.jpg")}


def test_only_the_first_images_are_taken_where_the_job_says_so(opened):
    """`most_images` counts a product's images, equal ones once."""
    table = [{"id": "1", "i": "a.jpg,a.jpg,b.jpg"}, {"id": "1", "i": "c.jpg"}, {"id": "2", "i": "d.jpg"}]
    found = images_of(opened(table, key="id", images="i", most_images=2))
    assert [(key, image) for _, key, _, image in found] == [("1", "a.jpg"), ("1", "b.jpg"), ("2", "d.jpg")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": "imges"}, "has no column 'imges' (manifest.images); did you mean `images`?"),
        ({"images": "n"}, "column 'n' (manifest.images) is int64; images are paths or addresses (text), "),
        (
            {"images": "images", "carry": ["images"]},
            "column 'images' (manifest.carry) holds images that become",
        ),
        ({"images": "images", "group": "g"}, "has no column 'g' (manifest.group); there are "),
        ({"images": "images", "group": "n", "fill": ["images"]}, "column 'images' (manifest.fill) is list<"),
    ],
)
def test_what_the_table_does_not_have_is_told_before_anything_is_read(opened, settings, message):
    """Names and types are looked at when the manifest is opened, with what was probably meant."""
    with pytest.raises(ManifestError) as caught:
        opened({"id": [1], "images": [["a.jpg"]], "n": [1]}, key="id", **settings)
    assert message in str(caught.value)


def test_conditions_that_do_not_fit_the_table_show_their_place(opened):
    """A column that there is not is a mistake of the job file, at a character of it."""
    with pytest.raises(ConfigError) as caught:
        opened({"id": [1], "image": ["a.jpg"], "price": [1]}, key="id", where="id > 0 and prise = 1")
    assert "manifest.where: there is no column `prise`; did you mean `price`?" in str(caught.value)
    assert caught.value.problems[0].what.splitlines()[-1] == " " * 13 + "^"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"without_image": "inherit"}, "needs `group`: the column that says which rows belong together"),
        ({"fill": "title"}, "needs `group`"),
        ({"parent": "sku"}, "needs `group`"),
        ({"most_images": 2}, "needs `images`"),
        ({"images": ["a", "a"]}, "names the column 'a' twice"),
        (
            {"images": "a", "columns": {"image": "b"}},
            "has `image: b`, but `manifest.images` makes the column",
        ),
        ({"images": "a", "columns": {"pic_name": "b"}}, "has `pic_name: b`, but `manifest.images` makes"),
        ({"images": "a", "key": "pic_name"}, "names the product with `images`; `pic_name` alone names none"),
        ({"where": "a >"}, "the column `a` is compared with a number"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings, message):
    """What is missing or said twice is told when the job file is read."""
    with pytest.raises(ValidationError) as caught:
        ManifestSettings(path="m.csv", **settings)
    assert message in str(caught.value)


def test_an_operation_of_two_images_takes_no_rows_of_images(opened):
    """A comparison of given pairs has two images a row, which `images` cannot give."""
    with pytest.raises(ManifestError, match="this operation takes two of each row"):
        opened(
            {"id": [1], "i": ["a.jpg"]},
            Wanted(images=("primary_image", "secondary_image")),
            key="id",
            images="i",
        )


def test_base64_with_line_breaks_is_one_image(opened):
    """Where texts are the images themselves nothing in them separates; columns and lists still do."""
    text = "aGVsbG8g\nd29ybGQ="
    wanted = Wanted(images=("image",), texts="base64")
    found = rows_of(opened([{"id": "1", "a": text, "b": "aGk="}], wanted, key="id", images=["a", "b"]))
    assert [row.images[0].path for row, _ in found] == [text, "aGk="]
    assert [carried["image"] for _, carried in found] == ["base64 (17 characters)", "base64 (4 characters)"]


def test_rows_keep_their_places_beside_rows_that_are_filled_and_filtered(opened):
    """Layers one over another still tell the row of the file, while groups are read in between."""
    table = [
        {"g": f"g{n // 3}", "t": "T" if n % 3 == 0 else "", "i": f"{n}.jpg" if n % 2 else ""}
        for n in range(600)
    ]
    manifest = opened(
        table,
        key="g",
        images="i",
        group="g",
        fill="t",
        without_image="skip",
        where='t = "T" and i is not null',
    )
    assert [(number, image) for number, _, _, image in _named_by_group(manifest)] == [
        (n, f"{n}.jpg") for n in range(1, 600, 2)
    ]


def _named_by_group(manifest):
    return [
        (row.number, carried["g"], carried["t"], row.images[0].path) for row, carried in rows_of(manifest)
    ]
