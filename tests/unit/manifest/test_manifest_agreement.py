"""Files of one manifest that differ, keys of every type that means one thing, columns left out."""

import decimal
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.errors import ManifestError
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.widening import wider_type

DECIMAL = decimal.Decimal


@pytest.fixture
def opened(tmp_path):
    """Writes files of a folder and opens them as one manifest."""

    def do(files, wanted=None, **settings):
        for name, columns in files.items():
            path = tmp_path / "m" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), path)
        settings = {"path": "m", "key": "id"} | settings
        return Manifest.open(ManifestSettings(**settings), base=tmp_path, wanted=wanted or Wanted())

    return do


def read(manifest):
    manifest.check()
    batches = list(manifest.batches())
    return [key for batch in batches for key in batch.keys()], [  # noqa: SIM118 - no dictionary
        row for batch in batches for row in batch.carried.to_pylist()
    ]


@pytest.mark.parametrize(
    ("one", "other", "wider"),
    [
        (pa.int8(), pa.int64(), pa.int64()),
        (pa.uint8(), pa.int8(), pa.int16()),
        (pa.uint32(), pa.int32(), pa.int64()),
        (pa.uint64(), pa.int64(), pa.decimal128(20, 0)),
        (pa.int64(), pa.float64(), pa.float64()),
        (pa.float32(), pa.float64(), pa.float64()),
        (pa.float16(), pa.float32(), pa.float32()),
        (pa.decimal128(7, 2), pa.decimal128(8, 3), pa.decimal128(8, 3)),
        (pa.decimal128(38, 0), pa.decimal128(38, 10), pa.decimal256(48, 10)),
        (pa.decimal256(76, 0), pa.decimal256(76, 10), None),
        (pa.int64(), pa.decimal128(5, 2), pa.decimal128(22, 2)),
        (pa.date32(), pa.date64(), pa.date32()),
        (pa.date32(), pa.timestamp("ms"), pa.timestamp("ms")),
        (pa.timestamp("ms"), pa.timestamp("ns"), pa.timestamp("ns")),
        (pa.timestamp("us", "Asia/Shanghai"), pa.timestamp("ms", "Europe/Berlin"), pa.timestamp("us", "UTC")),
        (pa.timestamp("us", "UTC"), pa.timestamp("us"), None),
        (pa.duration("s"), pa.duration("us"), pa.duration("us")),
        (pa.time32("ms"), pa.time64("ns"), pa.time64("ns")),
        (pa.int64(), pa.string(), pa.string()),
        (pa.string(), pa.bool_(), pa.string()),
        (pa.uuid(), pa.string(), pa.string()),
        (pa.binary(), pa.string(), None),
        (pa.list_(pa.int32()), pa.list_(pa.int64()), pa.list_(pa.int64())),
        (pa.list_(pa.int32()), pa.string(), None),
        (pa.struct([("a", pa.int8())]), pa.struct([("a", pa.int16())]), pa.struct([("a", pa.int16())])),
        (pa.struct([("a", pa.int8())]), pa.struct([("b", pa.int8())]), None),
        (pa.null(), pa.int8(), pa.int8()),
        (pa.bool_(), pa.int64(), None),
    ],
)
def test_the_wider_type_holds_both(one, other, wider):
    """A pair of types has one wider type, whichever comes first."""
    assert wider_type(one, other) == wider
    assert wider_type(other, one) == wider


def test_files_that_differ_are_read_with_the_wider_type(opened):
    """Width, unit and scale of unused columns differ; what a file lacks is null there."""
    old = {"id": pa.array([1], pa.int32()), "price": [DECIMAL("1.50")], "stock": [7], "gone": ["x"]}
    new = {"id": [2], "price": [DECIMAL("10.125")], "stock": [None, 0.5][1:], "new": pa.array([3], pa.int8())}
    keys, carried = read(opened({"a.parquet": old, "b.parquet": new}))
    assert keys == ["1", "2"]
    assert carried == [
        {"id": 1, "price": DECIMAL("1.500"), "stock": 7.0, "gone": "x", "new": None},
        {"id": 2, "price": DECIMAL("10.125"), "stock": 0.5, "gone": None, "new": 3},
    ]


def test_a_value_that_the_wider_type_cannot_hold_is_named(opened):
    """Nothing is rounded to make files agree: the cell is named, and the way to leave its column out."""
    files = {"a.parquet": {"id": [1], "n": [2**53 + 1]}, "b.parquet": {"id": [2], "n": [0.5]}}
    with pytest.raises(
        ManifestError, match=r"a\.parquet: row 1 .*'9007199254740993' in `n` .*manifest\.carry"
    ):
        opened(files).check()
    assert read(opened(files, carry="id")) == (["1", "2"], [{"id": 1}, {"id": 2}])


def test_every_row_needs_its_key_and_its_image(opened):
    """A file without a column that each row needs is refused: null is no answer there."""
    files = {"a.parquet": {"id": [1], "image": ["a"]}, "b.parquet": {"id": [2], "Image": ["b"]}}
    with pytest.raises(ManifestError, match=r"b\.parquet: has no column 'image'.*did you mean `Image`"):
        opened(files, Wanted(images=("image",)))


@pytest.mark.parametrize(
    ("cells", "kind", "keys"),
    [
        ([DECIMAL(12), DECIMAL(7)], pa.decimal128(18, 0), ["12", "7"]),
        ([DECIMAL("12.0"), DECIMAL("7.0")], pa.decimal128(38, 10), ["12", "7"]),
        ([DECIMAL(10**60), DECIMAL(1)], pa.decimal256(70, 0), [str(10**60), "1"]),
        ([2**64 - 1, 1], pa.uint64(), [str(2**64 - 1), "1"]),
        ([1, 2], pa.int8(), ["1", "2"]),
        ([b"a1", "é".encode()], pa.binary(), ["a1", "é"]),
        (["a", "b"], pa.large_string(), ["a", "b"]),
        (["a", "b"], pa.string_view(), ["a", "b"]),
        (["a", "b"], pa.dictionary(pa.int8(), pa.string()), ["a", "b"]),
        ([True, False], pa.bool_(), ["true", "false"]),
    ],
)
def test_keys_are_the_text_of_whole_values(opened, cells, kind, keys):
    """Programs that write one id in several types name the same row."""
    assert read(opened({"a.parquet": {"id": pa.array(cells, kind)}}))[0] == keys


def test_a_uuid_is_its_usual_text(opened):
    """UUIDs name rows as people write them, alone, beside others, and as a parameter."""
    given = uuid.UUID("6F9619FF-8B86-D011-B42D-00CF4FC964FF")
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([given.bytes], pa.binary(16)))
    manifest = opened({"a.parquet": {"id": ids, "n": [1]}}, key=["id", "n"])
    assert read(manifest)[0] == [f'["{given}",1]']
    wanted = Wanted(required=("product_id",), allowed=frozenset({"product_id"}))
    (batch,) = opened({"a.parquet": {"id": ids}}, wanted, columns={"product_id": "id"}).batches()
    assert batch.values("product_id") == [str(given)]
    text = {"id": ["another"]}
    assert read(opened({"a.parquet": {"id": ids}, "b.parquet": text}))[0] == [str(given), "another"]


def test_a_fraction_names_no_row(opened):
    """A decimal may have room for a fraction; a cell that has one is named."""
    manifest = opened({"a.parquet": {"id": [DECIMAL("1.00"), DECIMAL("2.50")]}})
    with pytest.raises(ManifestError, match=r"row 2 .*`id` has a fraction \(2\.50\)"):
        manifest.check()


def test_bytes_that_are_no_text_name_no_row(opened):
    """Bytes are taken for text only where they are text."""
    manifest = opened({"a.parquet": {"id": pa.array([b"a", b"\xff\xfe"])}})
    with pytest.raises(ManifestError, match=r"row 2 .*`id` is not UTF-8 text"):
        manifest.check()


def test_keys_that_would_read_differently_are_refused(opened):
    """Fractions in one file and text in another are no one key."""
    files = {"a.parquet": {"id": ["1"]}, "b.parquet": {"id": [1.0]}}
    with pytest.raises(ManifestError, match=r"b\.parquet: column 'id' is double here but string.*names rows"):
        opened(files)


def test_decimals_are_parameters(opened):
    """A parameter out of a decimal column is a whole number where it is one."""
    wanted = Wanted(allowed=frozenset({"num", "score"}))
    columns = {"id": [1], "n": [DECIMAL("5.00")], "x": [DECIMAL("0.5")]}
    (batch,) = opened({"a.parquet": columns}, wanted, columns={"num": "n", "score": "x"}).batches()
    assert batch.rows[0].parameters == {"num": 5, "score": 0.5}


def test_folders_give_their_columns(opened):
    """Folders as Hive and Spark lay them out name a column; the value is text, and may be none."""
    files = {
        "day=2026-11-01/shop=a%2Fb/p.parquet": {"id": [1]},
        "day=__HIVE_DEFAULT_PARTITION__/shop=01/p.parquet": {"id": [2]},
        "plain/p.parquet": {"id": [3]},
    }
    keys, carried = read(opened(files))
    assert keys == ["1", "2", "3"]
    assert carried == [
        {"id": 1, "day": "2026-11-01", "shop": "a/b"},
        {"id": 2, "day": None, "shop": "01"},
        {"id": 3, "day": None, "shop": None},
    ]


@pytest.mark.parametrize("path", ["m", "m/day=*/*.parquet", "m/**/*.parquet"])
def test_a_folders_column_names_rows(opened, path):
    """The column of a folder may be the key, even the whole of it."""
    files = {"day=2/p.parquet": {"id": [1]}, "day=10/p.parquet": {"id": [1]}}
    assert read(opened(files, path=path, key=["day", "id"]))[0] == ['["10",1]', '["2",1]']
    assert read(opened(files, path=path, key="day"))[0] == ["10", "2"]


def test_the_files_own_column_is_preferred(opened):
    """A file that has the column of its folder itself keeps it."""
    assert read(opened({"id=9/p.parquet": {"id": [1]}}))[0] == ["1"]


def test_columns_are_left_out_on_request(opened):
    """What is not carried is not read, so that nothing in it can be in the way."""
    files = {"a.parquet": {"id": [1], "note": ["x"], "odd": [[1]]}, "b.parquet": {"id": [2], "odd": ["text"]}}
    assert read(opened(files, carry="none")) == (["1", "2"], [{}, {}])
    assert read(opened(files, carry=["note"]))[1] == [{"note": "x"}, {"note": None}]
    kept = Wanted(kept=frozenset({"note"}))
    assert read(opened(files, kept, carry="none"))[1] == [{"note": "x"}, {"note": None}]
    with pytest.raises(ManifestError, match=r"has no column 'nite' \(manifest\.carry\); did you mean `note`"):
        opened(files, carry=["nite"])


def test_a_file_without_rows_has_no_say(opened):
    """Columns without values are doubles to pandas: with no row in it a file contradicts nobody."""
    nothing = pa.array([], pa.float64())
    wanted = Wanted(images=("image",))
    empty = {"id": nothing, "image": nothing}
    assert opened({"a.parquet": empty}, wanted).check() == 0
    manifest = opened({"a.parquet": empty, "b.parquet": {"id": ["x"], "image": ["x.jpg"]}}, wanted)
    assert read(manifest) == (["x"], [{"id": "x", "image": "x.jpg"}])
