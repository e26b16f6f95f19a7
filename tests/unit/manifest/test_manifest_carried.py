"""What of a manifest goes into the results, and what never does."""

import io
import uuid
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.config.image_texts import shown
from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.errors import ManifestError
from batchsearch.manifest.meaning import understand
from batchsearch.manifest.passthrough import passthrough_type, passthrough_type_problem, shown_cells
from batchsearch.manifest.rows import ImageReference
from batchsearch.manifest.source import Manifest, Wanted

BY_PIC = Wanted(images=("image",), allowed=frozenset({"region"}))
WORDS = pa.dictionary(pa.int8(), pa.string())
LATER_ARROW = pytest.mark.skipif(
    int(pa.__version__.partition(".")[0]) < 25,
    reason="pyarrow writes this type into no file, or reads it wrongly",
)
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.large_string())])


@pytest.fixture
def opened(tmp_path):
    """A manifest of one Parquet file, named by `sku`, from its table."""

    def do(table, wanted=BY_PIC, *, key="sku", **settings):
        path = tmp_path / "m.parquet"
        pq.write_table(pa.table(table), path)
        return Manifest.open(
            ManifestSettings(path=str(path), key=key, **settings), base=tmp_path, wanted=wanted
        )

    return do


def results_of(manifest):
    """The carried rows after the whole way: one by one through the ledger's form into a Parquet file."""
    schema = manifest.schema_carried
    kept = [
        batch.carried.slice(index, 1).serialize().to_pybytes()
        for batch in manifest.batches()
        for index in range(len(batch.rows))
    ]
    written = io.BytesIO()
    table = pa.Table.from_batches(
        [pa.ipc.read_record_batch(pa.py_buffer(row), schema) for row in kept], schema
    )
    pq.write_table(table, written)
    return pq.read_table(io.BytesIO(written.getvalue()))


@pytest.mark.parametrize(
    ("kind", "cells", "carried"),
    [
        (pa.large_string(), ["é", None], pa.large_string()),
        (pa.string_view(), ["a text of more than twelve bytes", None], pa.string_view()),
        (pa.large_binary(), [b"\x00", None], pa.large_binary()),
        (pa.binary_view(), [b"more than twelve bytes", None], pa.binary_view()),
        (pa.binary(2), [b"ab", None], pa.binary(2)),
        (pa.uuid(), [uuid.UUID(int=7).bytes, None], pa.uuid()),
        (pa.json_(), ['{"a": 1}', None], pa.json_()),
        (pa.null(), [None, None], pa.null()),
        (WORDS, ["a", None], pa.string()),
        (pa.list_(WORDS), [["a", None], None], pa.list_(pa.string())),
        (pa.large_list(WORDS), [["a", "b"], []], pa.large_list(pa.string())),
        pytest.param(pa.list_(WORDS, 2), [["a", "b"], None], pa.list_(pa.string(), 2), marks=LATER_ARROW),
        pytest.param(pa.list_view(pa.int8()), [[1], None], pa.list_view(pa.int8()), marks=LATER_ARROW),
        (pa.map_(pa.string(), WORDS), [[("k", "v")], None], pa.map_(pa.string(), pa.string())),
        (
            pa.struct([("a", pa.list_(pa.struct([("b", WORDS)]))), ("c", pa.large_string())]),
            [{"a": [{"b": "x"}], "c": "y"}, None],
            pa.struct([("a", pa.list_(pa.struct([("b", pa.string())]))), ("c", pa.large_string())]),
        ),
        (IMAGE, [{"bytes": b"mine", "path": "p"}, None], IMAGE),
    ],
    ids=str,
)
def test_columns_come_out_as_they_went_in(opened, kind, cells, carried):
    """A column reaches the results whole and with its own type, dictionaries as their values."""
    column = pa.array(cells, kind)
    manifest = opened({"sku": [1, 2], "image": ["a.jpg", None], "mine": column})
    assert manifest.check() == 2
    assert manifest.schema_carried.field("mine").type == carried
    found = results_of(manifest).column("mine")
    assert found.type == carried
    assert found.to_pylist() == column.to_pylist()


def test_wide_and_view_text_serves_all_uses(opened):
    """Keys, parameters and images are read from every kind of text, and carried as that kind."""
    for kind in (pa.large_string(), pa.string_view(), pa.json_(), WORDS):
        table = {name: pa.array(['"a"', '"b"'], kind) for name in ("sku", "image", "where")}
        manifest = opened(table, columns={"region": "where"})
        assert manifest.check() == 2
        rows = [row for batch in manifest.batches() for row in batch.rows]
        assert [row.key for row in rows] == ['"a"', '"b"']
        assert rows[1].images == (ImageReference(path='"b"'),)
        assert rows[1].parameters == {"region": '"b"'}
        assert set(manifest.schema_carried.types) == {pa.string() if kind is WORDS else kind}
        assert results_of(manifest).to_pydict() == {name: ['"a"', '"b"'] for name in table}


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view()])
def test_wide_text_that_is_no_text_is_reported(opened, tmp_path, kind):
    """Bytes that are no UTF-8 are found in every kind of text."""
    wide = pa.large_binary() if kind == pa.large_string() else pa.binary_view()
    manifest = opened({"sku": ["1", "2"], "image": pa.array([b"ok", b"\xff"], wide).view(kind)})
    with pytest.raises(ManifestError, match=r"row 2 \(row group 1\): column `image` is not UTF-8 text"):
        manifest.check()


def test_files_that_differ_in_width_are_carried_in_the_plain_type(tmp_path):
    """Files of one manifest may hold one column as different kinds of text, at any depth."""
    for name, text in (("a", pa.large_string()), ("b", pa.string()), ("c", WORDS)):
        columns = {"sku": pa.array([name], text), "tags": pa.array([["x"]], pa.list_(text))}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    manifest = Manifest.open(ManifestSettings(path=".", key="sku"), base=tmp_path, wanted=Wanted())
    assert manifest.schema_carried.types == [pa.string(), pa.list_(pa.string())]
    assert results_of(manifest).to_pydict() == {"sku": ["a", "b", "c"], "tags": [["x"]] * 3}


@pytest.mark.parametrize(
    "kind",
    [
        pa.dense_union([pa.field("a", pa.int8())]),
        pa.run_end_encoded(pa.int32(), pa.string()),
        pa.month_day_nano_interval(),
        pa.list_(pa.struct([])),
        pa.list_(WORDS),
        pa.list_view(WORDS),
    ],
    ids=str,
)
def test_types_that_do_not_survive_the_way_are_known(kind):
    """What the ledger or Parquet cannot hold has a problem; what it becomes or is made of has none."""
    assert "cannot be carried into the results" in passthrough_type_problem(kind)
    assert passthrough_type_problem(pa.list_(pa.string())) is None


@dataclass
class OneTable:
    """A file with columns that Parquet writers here do not make."""

    path: Path
    schema: pa.Schema
    rows: int = 1


def test_a_column_that_cannot_be_carried_is_refused_by_name():
    """A type that would fail after the calls is refused before them, with file and column."""
    odd = pa.schema([("sku", pa.string()), ("odd", pa.month_day_nano_interval())])
    with pytest.raises(
        ManifestError, match=r"odd\.parquet: column 'odd' is month_day_nano_interval, which cannot"
    ):
        understand([OneTable(Path("odd.parquet"), odd)], ManifestSettings(path="x", key="sku"), Wanted())


@LATER_ARROW
def test_a_list_view_of_dictionaries_in_a_file_is_refused(opened):
    """The one column of a real file that cannot be carried ends the command before its first row."""
    with pytest.raises(
        ManifestError, match=r"m\.parquet: column 'mine' is list_view<.*>, which cannot be carried"
    ):
        opened({"sku": [1], "image": ["a.jpg"], "mine": pa.array([["a"]], pa.list_view(WORDS))})


def test_an_extension_over_a_dictionary_is_its_values():
    """No dictionary hides inside an extension type."""
    kind = pa.opaque(WORDS, "words", "someone")
    assert passthrough_type(kind) == pa.string()


@pytest.mark.parametrize(
    ("cell", "carried"),
    [
        ("data:image/jpeg;base64,QUJD", "data:image/jpeg (27 characters)"),
        (" DATA:image/png,abc", "data:image/png (19 characters)"),
        ("data:,abc", "data: (9 characters)"),
        ("data:QUJDQUJD", "data: (13 characters)"),
        ("https://u:p@host/a.jpg?Signature=s#f", "https://host/a.jpg"),
        ("https://u:p%40@x@host:8/a.jpg", "https://host:8/a.jpg"),
        ("OSS://bucket/a.jpg?x=1", "OSS://bucket/a.jpg"),
        ("https://host/a@b.jpg", "https://host/a@b.jpg"),
        ("https://host?token=s", "https://host"),
        ("\nhttps://u:p@host/a", "https://host/a"),
        ("\u00a0'https://u:p@host/a'", "https://host/a'"),
        ("./data:x.jpg", "./data:x.jpg"),
        ("//host/a.jpg?sig=s", "//host/a.jpg"),
        (" //u:p@host.example/a.jpg", "//host.example/a.jpg"),
        ("\\\\host/a.jpg?x=1", "\\\\host/a.jpg"),
        ("http:/host/a.jpg?x=1", "http:/host/a.jpg"),
        ("https//u:p@host/a.jpg", "https//host/a.jpg"),
        ("https:host/a.jpg?x=1", "https:host/a.jpg"),
        ("u:p@host/a.jpg?x=1", "host/a.jpg"),
        ("shop.example/a.jpg?w=1&X-Amz-Signature=s", "shop.example/a.jpg"),
        ("a.jpg?b?Expires=1", "a.jpg"),
        ("photo.jpg?v=2", "photo.jpg?v=2"),
        ("a?signature.jpg", "a?signature.jpg"),
        ("me:you.jpg", "me:you.jpg"),
        ("what?/me@home#1.jpg", "what?/me@home#1.jpg"),
        ("", ""),
    ],
)
def test_image_cells_give_nothing_away(cell, carried):
    """Images in text give way to their kind and length, addresses lose user, query and fragment."""
    assert shown(cell) == carried
    assert shown_cells(pa.array([None, "a.jpg", cell]), "path").to_pylist() == [
        None,
        "a.jpg",
        carried,
    ]


@pytest.mark.parametrize("cell", ["media/a.jpg?st=1&x=SECRET", "/a.jpg?SECRET", "//h/a.jpg?SECRET"])
def test_an_address_below_the_base_loses_its_query(opened, cell):
    """What `images.base_url` completes may be signed, and is shown as any other address."""
    wanted = Wanted(images=("image",), texts="address")
    cells = [cell, "a#1.jpg", None]
    expected = [cell.partition("?")[0], "a#1.jpg", None]
    for column in (cells, pa.array([{"bytes": None, "path": each} for each in cells], IMAGE)):
        manifest = opened({"sku": range(3), "image": column}, wanted)
        assert results_of(manifest).column("image").to_pylist() == expected
    (batch,) = manifest.batches()
    assert batch.rows[0].images[0].path == cell


def test_a_long_cell_is_looked_at_once():
    """No text that a stranger writes takes more than a few steps a character."""
    for text in ("?&" * 200_000, "!" * 400_000, "a" * 400_000, "//" * 200_000, "a:" * 200_000, "?" * 400_000):
        assert shown(text)[:1] == text[:1]


def test_no_body_and_no_secret_of_a_image_is_carried(opened):
    """Text and struct image columns are carried without bodies and secrets; other columns as they are."""
    cells = ["data:image/png;base64,SECRET", "https://u:SECRET@h/a?s=SECRET", "b.jpg", None]
    expected = ["data:image/png (28 characters)", "https://h/a", "b.jpg", None]
    for column in (
        pa.array(cells, pa.large_string()),
        pa.array([{"bytes": b"SECRET", "path": cell} for cell in cells], IMAGE),
    ):
        manifest = opened({"sku": range(4), "image": column, "mine": ["https://h/?q=kept"] * 4})
        carried = results_of(manifest)
        assert carried.column("image").to_pylist() == expected
        assert carried.column("mine")[0].as_py() == "https://h/?q=kept"
    (batch,) = opened({"sku": range(4), "image": cells}).batches()
    assert [row.images[0] and row.images[0].url for row in batch.rows] == [*cells[:2], None, None]


def test_base64_text_is_not_carried(opened):
    """Where text cells are images in base64 their length stands in for them, and they name no row."""
    wanted = Wanted(images=("image",), texts="base64")
    cells = ["QUJDQUJD", "https://h/a.jpg", "https://h/a.jpg?s=1", "//4AAQSk", "", None]
    manifest = opened({"sku": range(6), "image": cells}, wanted)
    assert results_of(manifest).column("image").to_pylist() == [
        "base64 (8 characters)",
        "https://h/a.jpg",
        "https://h/a.jpg",
        "base64 (8 characters)",
        "",
        None,
    ]
    (batch,) = manifest.batches()
    assert batch.rows[0].images[0].path == "QUJDQUJD"
    with pytest.raises(ManifestError, match=r"holds the images \(`images.text: base64`\)"):
        opened({"image": cells[:1]}, wanted, key="image")


def test_base64_in_a_struct_is_not_carried(opened):
    """Beside bytes a path is a name and carried; where there are none it is the image itself."""
    column = pa.array([{"bytes": b"x", "path": "mine.jpg"}, {"bytes": None, "path": "QUJDQUJD"}, None], IMAGE)
    manifest = opened({"sku": range(3), "image": column}, Wanted(images=("image",), texts="base64"))
    assert results_of(manifest).column("image").to_pylist() == ["mine.jpg", "base64 (8 characters)", None]


def test_a_image_that_names_its_row_is_not_altered_but_may_be_refused(opened):
    """A key keeps its query; an image or a password in it is refused by row, and not repeated."""
    manifest = opened({"image": ["https://h/a?v=1", "https://h/a?v=2"]}, key="image")
    assert manifest.check() == 2
    assert results_of(manifest).column("image").to_pylist() == ["https://h/a?v=1", "https://h/a?v=2"]
    refused = ["data:,SECRET", "a.jpg", "https://u:SECRET@h/a", "//u:SECRET@h/a", "a.jpg?e=1&sig=SECRET"]
    manifest = opened({"image": refused}, key="image")
    with pytest.raises(ManifestError) as caught:
        manifest.check()
    found = str(caught.value)
    assert "row 1 (row group 1): the key column `image` holds an image" in found
    assert "row 3 (row group 1): the key column `image` holds an address with a user part" in found
    assert "row 4 (row group 1): the key column `image` holds an address with a user part" in found
    assert "row 5 (row group 1): the key column `image` holds a signed address" in found
    assert "SECRET" not in found
    for read in (manifest.batches, manifest.keys):
        with pytest.raises(ManifestError, match="row 1 "):
            list(read())


def test_messages_show_no_user_or_query_of_an_address(opened):
    """A repeated key that is an address is named without its secrets."""
    manifest = opened({"sku": ["https://u:SECRET@h/a?s=SECRET"] * 2, "image": ["a.jpg"] * 2})
    with pytest.raises(ManifestError, match="the key 'https://h/a' is also that of") as caught:
        manifest.check()
    assert "SECRET" not in str(caught.value)
