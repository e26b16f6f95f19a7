"""A manifest, from its path to its rows, and everything that can be wrong with it."""

import gzip
import os
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.config.sections.manifest_settings import CsvSettings, ManifestSettings
from batchsearch.errors import ExitCode, ManifestError
from batchsearch.manifest.rows import ImageReference
from batchsearch.manifest.source import Manifest, Wanted

BY_PIC = Wanted(images=("image",), allowed=frozenset({"region", "category_id", "filter"}))
BY_NAME = Wanted(required=("product_id", "pic_name"), allowed=frozenset({"product_id", "pic_name", "num"}))


@pytest.fixture
def opened(tmp_path):
    """Opens a manifest in the test's folder."""

    def do(path, wanted=BY_NAME, **settings):
        csv = CsvSettings(**settings.pop("csv", {}))
        return Manifest.open(ManifestSettings(path=path, csv=csv, **settings), base=tmp_path, wanted=wanted)

    return do


@pytest.fixture
def write(tmp_path):
    """Writes a CSV text or the columns of a Parquet file."""

    def do(name, content, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            pq.write_table(pa.table(content), path, **options)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode(**options))
        return path

    return do


def problems(do, tmp_path):
    with pytest.raises(ManifestError) as caught:
        do()
    assert caught.value.exit_code is ExitCode.BAD_MANIFEST
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def rows_of(manifest, rows=1024):
    return [row for batch in manifest.batches(rows) for row in batch.rows]


def passthrough_of(manifest):
    return [row for batch in manifest.batches() for row in batch.carried.to_pylist()]


CSV = "product_id,pic_name,note\n001,a.jpg,x\n002,b.jpg,\n"


def test_csv_columns_are_text(opened, write):
    """Identifiers keep their leading zeros; unquoted nothing is null."""
    write("m.csv", CSV)
    manifest = opened("m.csv")
    assert manifest.check() == 2
    (batch,) = manifest.batches()
    assert [row.key for row in batch.rows] == ['["001","a.jpg"]', '["002","b.jpg"]']
    assert batch.rows[0].parameters == {"product_id": "001", "pic_name": "a.jpg"}
    assert batch.carried.to_pydict() == {
        "product_id": ["001", "002"],
        "pic_name": ["a.jpg", "b.jpg"],
        "note": ["x", None],
    }
    assert batch.carried.schema == manifest.schema_carried


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-8-sig", "UTF-8-SIG"),
        ("gb18030", "gb18030"),
        ("utf-16", "utf-16"),
    ],
)
def test_encodings_and_byte_order_marks(opened, write, encoding, declared):
    """Text reads the same in every encoding, with or without its mark."""
    write("m.csv", 'product_id,pic_name,名\n1,"a\nb.jpg",图片\n', encoding=encoding)
    manifest = opened("m.csv", csv={"encoding": declared})
    assert manifest.check() == 1
    (batch,) = manifest.batches()
    assert batch.carried.to_pylist() == [{"product_id": "1", "pic_name": "a\nb.jpg", "名": "图片"}]


def test_delimiter_quote_and_null_texts(opened, write):
    """Another delimiter, quote and text for nothing; what is quoted is never null."""
    write("m.tsv", "product_id\tpic_name\tn\n1\t'a\tb'\tNA\n2\tc\t'NA'\n")
    manifest = opened("m.tsv", csv={"delimiter": "tab", "quote": "'", "null_values": ["NA"]})
    (batch,) = manifest.batches()
    assert batch.carried.column("pic_name").to_pylist() == ["a\tb", "c"]
    assert batch.carried.column("n").to_pylist() == [None, "NA"]


def test_typed_columns_convert(opened, write):
    """Declared types are what the rows and the carried columns have."""
    write("m.csv", "sku,n,x,b,d,t\n7,5,0.5,true,2026-11-21,2026-11-21 03:41:44\n8,,,,,\n")
    kinds = {"sku": "int64", "n": "int64", "x": "float64", "b": "bool", "d": "date", "t": "timestamp"}
    manifest = opened(
        "m.csv", Wanted(allowed=frozenset({"num"})), key="sku", columns={"num": "n"}, csv={"types": kinds}
    )
    assert manifest.check() == 2
    rows = rows_of(manifest)
    assert [row.key for row in rows] == ["7", "8"]
    assert [dict(row.parameters) for row in rows] == [{"num": 5}, {}]
    assert [str(field.type) for field in manifest.schema_carried] == [
        "int64",
        "int64",
        "double",
        "bool",
        "date32[day]",
        "timestamp[us]",
    ]


def test_bad_cells_are_reported_by_row_and_line(opened, write, tmp_path):
    """Every value that does not convert is named with its row, and the line where the row begins."""
    write("m.csv", 'sku,n,d\n1,"5\n",2026-01-01\n\n2,five,2026-01-01\n3,6,yesterday\n')
    manifest = opened("m.csv", Wanted(), key="sku", csv={"types": {"n": "int64", "d": "date"}})
    assert problems(manifest.check, tmp_path) == [
        "m.csv: row 1 (line 2): '5\\n' in `n` is not a whole number",
        "m.csv: row 2 (line 5): 'five' in `n` is not a whole number",
        "m.csv: row 3 (line 6): 'yesterday' in `d` is not a date like 2026-11-21",
    ]
    assert problems(lambda: rows_of(manifest), tmp_path) == [
        "m.csv: row 1 (line 2): '5\\n' in `n` is not a whole number"
    ]


def test_ragged_rows_do_not_shift_the_others(opened, write, tmp_path):
    """Rows with too few or too many fields are reported, and later rows keep their numbers."""
    write("m.csv", 'product_id,pic_name\n1,a\n2\n3,c\n4,d,e\n,f\n6,""\n3,c\n')
    found = problems(opened("m.csv").check, tmp_path)
    ragged = "the header has 2; look for a missing quote or a delimiter in a text"
    assert found == [
        f"m.csv: row 2 (line 3): has 1 fields, {ragged}",
        f"m.csv: row 4 (line 5): has 3 fields, {ragged}",
        "m.csv: row 5 (line 6): the key column `product_id` is null",
        "m.csv: row 6 (line 7): the key column `pic_name` is empty text",
        'm.csv: row 7 (line 8): the key \'["3","c"]\' is also that of row 3 (line 4); keys must be unique',
    ]
    assert "row 2 (line 3)" in problems(lambda: rows_of(opened("m.csv")), tmp_path)[0]


def test_a_wrong_delimiter_ends_soon(opened, write, tmp_path):
    """A file of nothing but ragged rows is not read to its end."""
    write("m.csv", "product_id,pic_name\n" + "1;2;3\n" * 5000)
    found = problems(opened("m.csv").check, tmp_path)
    assert len(found) == 21
    assert found[-1] == "in all: 1,001 problems; these are the first 20"


def test_bytes_that_are_no_text_are_reported(opened, write, tmp_path):
    """A cell in another encoding is named by its row; a whole file in UTF-16 is recognised."""
    write("m.csv", b"product_id,pic_name\n1,a\n2,\xff\xfe\n")
    (found,) = problems(opened("m.csv").check, tmp_path)
    assert found == (
        "m.csv: row 2 (line 3): column `pic_name` is not utf-8 text; set `manifest.csv.encoding`, such as "
        "cp1252 or gb18030"
    )
    write("w.csv", CSV, encoding="utf-16")
    assert "set `manifest.csv.encoding: utf-16`" in problems(lambda: opened("w.csv"), tmp_path)[0]
    write("g.csv", b"product_id,pic_name\n" + b"1,a\n" * 200_000 + b"2,\xff\n")
    manifest = opened("g.csv", csv={"encoding": "gb18030"})
    assert any("is not gb18030 text; set" in line for line in problems(manifest.check, tmp_path))


def test_a_quote_that_is_never_closed_is_named(opened, write, tmp_path):
    """A row without end is told from a damaged file, and its beginning is named."""
    text = 'product_id,pic_name\n1,a\n2,"b\n'
    write("m.csv", text + "3,c\n" * 5_000_000)
    (found,) = problems(opened("m.csv").check, tmp_path)
    assert found.startswith(
        "m.csv: row 2 (line 3): a row from here on is longer than 8 MiB; look for a quote"
    )
    write("n.csv", text + "3,c\n" * 5)
    write("n.csv.gz", gzip.compress((text + "3,c\n" * 5).encode()))
    for name in ("n.csv", "n.csv.gz"):
        (found,) = problems(opened(name).check, tmp_path)
        assert "row 2 (line 3): a quote in this row is never closed" in found


def test_rows_longer_than_a_block_are_read(opened, write):
    """A row larger than what is parsed at first is read whole, and none before it twice."""
    big = "x" * 1_500_000
    lines = [f"{n},p{n},{big if n in (3, 4000) else ''}\n" for n in range(5000)]
    write("m.csv", "product_id,pic_name,note\n" + "".join(lines))
    manifest = opened("m.csv")
    assert manifest.check() == 5000
    rows = rows_of(manifest)
    assert [row.number for row in rows] == list(range(5000))
    assert [row.parameters["product_id"] for row in rows] == [str(n) for n in range(5000)]


@pytest.mark.parametrize("text", ["product_id,pic_name\n", "product_id,pic_name"])
def test_a_header_alone_is_an_empty_manifest(opened, write, text):
    """Nothing to do is no error."""
    write("m.csv", text)
    manifest = opened("m.csv")
    assert manifest.check() == 0
    assert list(manifest.batches()) == []
    assert manifest.schema_carried.names == ["product_id", "pic_name"]


def test_an_empty_parquet_file_is_an_empty_manifest(opened, write):
    """The same holds for Parquet."""
    write("m.parquet", {"product_id": pa.array([], pa.string()), "pic_name": pa.array([], pa.string())})
    assert opened("m.parquet").check() == 0


def test_compressed_csv(opened, tmp_path):
    """A `.csv.gz` reads as the file inside it, lines of problems included."""
    (tmp_path / "m.csv.gz").write_bytes(gzip.compress((CSV + "001,a.jpg,\n").encode()))
    (found,) = problems(opened("m.csv.gz").check, tmp_path)
    assert found.startswith("m.csv.gz: row 3 (line 4): the key ")
    assert "is also that of row 1 (line 2)" in found


@pytest.mark.parametrize("inline", [True, False])
def test_images_of_image_data_sets(opened, write, inline):
    """An image struct gives its bytes and carries its path; one that is no image column is the user's."""
    kind = pa.struct([("bytes", pa.large_binary()), ("path", pa.string()), ("extra", pa.int8())])
    cells = [{"bytes": b"JPEG" if inline else None, "path": "p/1.jpg", "extra": 1}, None]
    write("m.parquet", {"sku": [1, 2], "image": pa.array(cells, kind), "other": pa.array(cells, kind)})
    manifest = opened("m.parquet", BY_PIC, key="sku")
    assert manifest.check() == 2
    (batch,) = manifest.batches()
    expected = ImageReference(data=b"JPEG") if inline else ImageReference(path="p/1.jpg")
    assert [row.images for row in batch.rows] == [(expected,), (None,)]
    assert batch.carried.to_pydict() == {
        "sku": [1, 2],
        "image": ["p/1.jpg", None],
        "other": cells,
    }
    assert manifest.schema_carried.field("image").type == pa.string()
    assert manifest.schema_carried.field("other").type == kind


def test_plain_bytes_are_not_carried(opened, write):
    """A column of image bytes is left out of the results; another column of bytes is the user's own."""
    write("m.parquet", {"sku": ["a"], "photo": [b"JPEG"], "hash": [b"\x01"]})
    manifest = opened("m.parquet", BY_PIC, key="sku", columns={"image": "photo"})
    (batch,) = manifest.batches()
    assert batch.rows[0].images == (ImageReference(data=b"JPEG"),)
    assert batch.carried.to_pydict() == {"sku": ["a"], "hash": [b"\x01"]}


def test_pairs_come_in_the_operations_order(opened, write):
    """Each role has its place in `Row.images`, whatever the columns' order."""
    write("m.csv", "id,b,a\n1,second.jpg,first.jpg\n")
    wanted = Wanted(images=("primary_image", "secondary_image"))
    columns = {"secondary_image": "b", "primary_image": "a"}
    (row,) = rows_of(opened("m.csv", wanted, key="id", columns=columns))
    assert row.images == (ImageReference(path="first.jpg"), ImageReference(path="second.jpg"))


def test_wide_images_come_in_small_batches(opened, write):
    """Inline images bound a batch by their bytes, and no row is lost at a cut."""
    sizes = [6_000_000, 6_000_000, 6_000_000, 10, 10, 20_000_000, 10]
    write("m.parquet", {"sku": range(7), "image": [b"x" * size for size in sizes]}, row_group_size=4)
    batches = list(opened("m.parquet", BY_PIC, key="sku").batches())
    assert [row.key for batch in batches for row in batch.rows] == [str(n) for n in range(7)]
    assert [len(row.images[0].data) for batch in batches for row in batch.rows] == sizes
    heavy = [sum(len(row.images[0].data) for row in batch.rows) for batch in batches if len(batch.rows) > 1]
    assert max(heavy) <= 16 * 1024 * 1024
    assert all(row.index == index for batch in batches for index, row in enumerate(batch.rows))


@pytest.fixture
def peak():
    """Reads a manifest's rows and gives the most bytes that Arrow held meanwhile."""

    def do(manifest):
        before = pa.total_allocated_bytes()
        most = 0
        for batch in manifest.batches():
            most = max(most, pa.total_allocated_bytes() - before)
            del batch
        return most

    return do


def test_row_groups_that_were_read_are_let_go(opened, write, peak):
    """Memory does not grow with the number of row groups, however large the file is."""
    image = random.Random(1).randbytes(1_000_000)
    images = [image[:-1] + bytes([n]) for n in range(160)]
    options = {"row_group_size": 4, "use_dictionary": False, "compression": "none"}
    write("m.parquet", {"sku": range(160), "image": images}, **options)
    assert peak(opened("m.parquet", BY_PIC, key="sku")) < 100_000_000


def test_one_image_of_many_rows_does_not_fill_the_memory(opened, write, peak):
    """A large value that a file holds once for many rows is unpacked for a few of them at a time."""
    write("m.parquet", {"sku": range(500), "image": [b"x" + random.Random(1).randbytes(600_000)] * 500})
    manifest = opened("m.parquet", BY_PIC, key="sku")
    assert manifest.files[0].stat().st_size < 2_000_000
    assert peak(manifest) < 100_000_000


@pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
def test_keys_are_those_of_the_rows(opened, write, name):
    """The keys alone are the rows' keys in their order, over all files, as many at a time as asked."""
    skus = [f"{n:03}" for n in range(25)]
    for folder in ("a", "b"):
        if name == "m.csv":
            text = "".join(f"{sku},{folder},x.jpg\n" for sku in skus)
            write(f"d/{folder}/{name}", f"product_id,pic_name,image\n{text}")
        else:
            columns = {"product_id": skus, "pic_name": [folder] * 25, "image": [b"x"] * 25}
            write(f"d/{folder}/{name}", columns, row_group_size=7)
    manifest = opened("d", BY_PIC)
    batches = list(manifest.keys(rows=10))
    assert max(len(batch) for batch in batches) <= 10
    assert [key for batch in batches for key in batch] == [row.key for row in rows_of(manifest)]


def test_keys_are_read_without_the_images(opened, write):
    """Counting rows costs no image: damage in the images alone is not even met."""
    images = [random.Random(n).randbytes(50_000) for n in range(20)]
    path = write("m.parquet", {"sku": range(20), "image": images}, write_page_checksum=True)
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    data = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    path.write_bytes(data)
    manifest = opened("m.parquet", BY_PIC, key="sku")
    assert [key for batch in manifest.keys(rows=8) for key in batch] == [str(n) for n in range(20)]
    with pytest.raises(ManifestError):
        rows_of(manifest)


def test_keys_end_at_a_row_without_one(opened, write, tmp_path):
    """A missing key is reported by row, counted in what was asked at a time or not."""
    write("m.parquet", {"sku": ["a", "b", None], "image": ["a.jpg"] * 3}, row_group_size=2)
    manifest = opened("m.parquet", BY_PIC, key="sku")
    assert problems(lambda: list(manifest.keys(rows=1)), tmp_path) == [
        "m.parquet: row 3 (row group 2): the key column `sku` is null"
    ]


def test_batches_are_no_larger_than_asked(opened, write):
    """Rows and carried columns are cut alike."""
    write("m.parquet", {"sku": range(1000), "image": ["a.jpg"] * 1000})
    batches = list(opened("m.parquet", BY_PIC, key="sku").batches(rows=300))
    assert [len(batch.rows) for batch in batches] == [300, 300, 300, 100]
    assert [batch.carried.column("sku")[0].as_py() for batch in batches] == [0, 300, 600, 900]


def test_a_folder_is_read_in_order_of_names(opened, write):
    """Files below a folder are numbered by name; hidden ones and notes are left out."""
    for name in ("b/1.parquet", "a.parquet", "c.parquet", "_tmp.parquet", ".hidden.parquet", "_x/1.parquet"):
        write(f"d/{name}", {"product_id": [name], "pic_name": ["p"]})
    write("d/readme.md", "not a table")
    manifest = opened("d")
    assert manifest.check() == 3
    assert [row.parameters["product_id"] for row in rows_of(manifest)] == [
        "a.parquet",
        "b/1.parquet",
        "c.parquet",
    ]
    assert [row.number for row in rows_of(manifest)] == [0, 1, 2]


def test_a_glob_starts_at_folders_as_they_are_named(opened, write, tmp_path):
    """Wildcards in the path of an existing folder are part of its name."""
    write("x[1]/part-2.csv", "product_id,pic_name\n2,b\n")
    write("x[1]/part-1.csv", "product_id,pic_name\n1,a\n")
    write("x[1]/_part-0.csv", "nothing\n")
    manifest = opened(str(tmp_path / "x[1]" / "part-*.csv"))
    assert [row.parameters["product_id"] for row in rows_of(manifest)] == ["1", "2"]
    assert opened("x[[]1]/part-1.csv").check() == 1


def test_files_must_agree_where_no_type_holds_both(opened, write, tmp_path):
    """What contradicts itself is reported by file and column, with the setting that leaves it out."""
    write("d/a.parquet", {"product_id": ["1"], "pic_name": pa.nulls(1), "n": [[1]], "gone": ["x"]})
    write("d/b.parquet", {"pic_name": ["p"], "product_id": ["2"], "n": ["x"], "new": [1]})
    (found,) = problems(lambda: opened("d"), tmp_path)
    assert found == (
        "d/b.parquet: column 'n' is string here but list<element: int64> in the files before; write it alike "
        "in all files, or leave it out (`manifest.carry` lists the columns that are carried)"
    )
    manifest = opened("d", Wanted(), key="product_id", carry=["gone", "new"])
    assert passthrough_of(manifest) == [{"gone": "x", "new": None}, {"gone": None, "new": 1}]


def test_files_may_order_and_widen_columns(opened, write):
    """Column order, text width and a column of nulls do not matter."""
    write("d/a.parquet", {"product_id": ["1"], "pic_name": ["p"], "note": pa.nulls(1)})
    write("d/b.parquet", {"note": ["n"], "pic_name": ["p"], "product_id": pa.array(["2"], pa.large_string())})
    manifest = opened("d")
    assert manifest.check() == 2
    carried = pa.Table.from_batches([batch.carried for batch in manifest.batches()])
    assert carried.to_pydict() == {"product_id": ["1", "2"], "pic_name": ["p", "p"], "note": [None, "n"]}


def test_repeats_across_files_name_both_places(opened, write, tmp_path):
    """The second of two equal keys is reported with file and row of both."""
    write("d/a.parquet", {"product_id": ["1", "2"], "pic_name": ["p", "p"]})
    write("d/b.parquet", {"product_id": ["3", "2"], "pic_name": ["p", "p"]})
    assert problems(opened("d").check, tmp_path) == [
        (
            'd/b.parquet: row 2 (row group 1): the key \'["2","p"]\' is also that of '
            "d/a.parquet: row 2 (row group 1); keys must be unique"
        )
    ]


def test_many_problems_are_counted_and_twenty_shown(opened, write, tmp_path):
    """A hopeless manifest gives a message of bounded length that says how much there is."""
    write("m.parquet", {"product_id": ["1"] * 1000 + [None] * 500, "pic_name": ["p"] * 1500})
    found = problems(opened("m.parquet").check, tmp_path)
    assert len(found) == 21
    assert found[-1] == "in all: 1,499 problems; these are the first 20"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"key": "pic"}, "has no column 'pic' that is to name rows; did you mean `pic_name`? Say"),
        ({"key": "price"}, "column 'price', which is to name rows, is double: a fraction"),
        (
            {"columns": {"image": "phot"}},
            "has no column 'phot' for the image `image`; did you mean `photo`?",
        ),
        ({"columns": {"image": "price"}}, "column 'price', mapped to `image`, is double; an image is"),
        ({"columns": {"region": "regoin"}}, "has no column 'regoin' for the parameter `region`"),
        ({"columns": {"region": "tags"}}, "column 'tags', mapped to `region`, is list"),
        (
            {"columns": {"regio": "photo"}},
            "`regio`, which the operation does not take; did you mean `region`?",
        ),
    ],
)
def test_columns_that_do_not_fit_are_named(opened, write, tmp_path, settings, said):
    """A missing or unusable column is named with its use and the nearest name."""
    table = {"product_id": ["1"], "pic_name": ["p"], "photo": ["x"], "price": [0.5], "tags": [["a"]]}
    write("m.parquet", table)
    given = {"columns": {"image": "photo"}} | settings
    if "columns" in settings and "image" not in settings["columns"]:
        given["columns"] = {"image": "photo"} | settings["columns"]
    (found,) = problems(lambda: opened("m.parquet", BY_PIC, **given), tmp_path)
    assert said in found


def test_all_problems_with_columns_come_at_once(opened, write, tmp_path):
    """Nothing has to be run twice to see the second problem; the default key says how to give another."""
    write("m.csv", "sku,foto\n1,a.jpg\n")
    found = problems(lambda: opened("m.csv", BY_PIC), tmp_path)
    assert len(found) == 3
    assert "Say which it is under `manifest`: `key: [column, …]`" in found[0]
    assert "there are `sku`, `foto`" in found[0]
    assert "for the image `image`" in found[2]


def test_a_type_for_no_column_is_named(opened, write, tmp_path):
    """A declared type whose column is not there is a mistake, not a wish."""
    write("m.csv", CSV)
    (found,) = problems(lambda: opened("m.csv", csv={"types": {"notes": "int64"}}), tmp_path)
    assert "has no column 'notes' (manifest.csv.types); did you mean `note`?" in found


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("m.parquet", b"product_id,pic_name\n1,2\n", "is not a Parquet file"),
        ("m.parquet", b"PAR1" + b"\0" * 100, "damaged or unfinished Parquet file"),
        ("m.parquet", b"", "is not a Parquet file"),
        ("m.csv", b"", "is empty; a CSV file begins with its column names"),
        ("m.csv", b"\n\n", "is empty"),
        ("m.csv", b"a,b,a\n1,2,3\n", "has the column 'a' twice"),
        ("m.xyz", b"a,b\n", "has no ending that tells its format"),
    ],
)
def test_files_that_are_something_else(opened, tmp_path, name, content, said):
    """A file that is not what its name says is refused before anything is read."""
    (tmp_path / name).write_bytes(content)
    assert said in problems(lambda: opened(name), tmp_path)[0]


def test_paths_that_lead_nowhere(opened, write, tmp_path):
    """A wrong path names the nearest thing that exists."""
    write("data/queries.csv", CSV)
    write("mixed/a.csv", CSV)
    write("mixed/b.parquet", {"a": [1]})
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    assert "did you mean `data/queries.csv`?" in problems(lambda: opened("data/querys.csv"), tmp_path)[0]
    assert "did you mean `data`?" in problems(lambda: opened("dta/queries.csv"), tmp_path)[0]
    assert "matches no file" in problems(lambda: opened("data/*.parquet"), tmp_path)[0]
    assert "without any table (.parquet, .csv" in problems(lambda: opened("empty"), tmp_path)[0]
    assert "holds CSV and Parquet files" in problems(lambda: opened("mixed"), tmp_path)[0]
    assert "is neither a file nor a folder" in problems(lambda: opened("pipe.csv"), tmp_path)[0]
    (url,) = problems(lambda: opened("s3://user:pw@bucket/key.csv?secret=1"), tmp_path)
    assert url.startswith("s3://bucket/key.csv: has a user part; credentials come from the environment")
    (url,) = problems(lambda: opened("file:///data/queries.csv"), tmp_path)
    assert url == "file:///data/queries.csv: write the path without `file://`"
    assert opened("mixed", format="csv").check() == 2


def test_a_damaged_file_is_named_with_its_row_group(opened, write, tmp_path):
    """Damage in the middle is found by the check, with file, row and row group."""
    noise = random.Random(1)
    keys = [f"{noise.getrandbits(120):030x}" for _ in range(20_000)]
    path = write(
        "m.parquet",
        {"product_id": keys, "pic_name": keys},
        row_group_size=5_000,
        use_dictionary=False,
        compression="snappy",
        write_page_checksum=True,
    )
    group = pq.ParquetFile(path).metadata.row_group(2).column(0)
    data = bytearray(path.read_bytes())
    middle = group.data_page_offset + group.total_compressed_size // 2
    data[middle : middle + 64] = bytes(64)
    path.write_bytes(data)
    manifest = opened("m.parquet")
    found = problems(manifest.check, tmp_path)
    assert any("(row group " in line and "cannot be read from here on" in line for line in found)
    assert "cannot be read" in problems(lambda: rows_of(manifest), tmp_path)[0]


def test_text_that_is_no_text_in_parquet(opened, write, tmp_path):
    """A text column with other bytes in it is reported by row, and never reaches Python as text."""
    lied = pa.array([b"ok", b"\xff"]).view(pa.string())
    write("m.parquet", {"product_id": lied, "pic_name": ["p", "p"]})
    found = problems(opened("m.parquet").check, tmp_path)
    assert found[0] == "m.parquet: row 2 (row group 1): column `product_id` is not UTF-8 text"


def test_no_message_shows_what_a_cell_hides(opened, write, tmp_path):
    """Long cells are cut and image bytes are never in a message or a reference's text."""
    secret = "https://host/x?Signature=" + "s" * 500
    write("m.csv", f'product_id,n\n"{secret}",x\n"{secret}",1\n')
    manifest = opened("m.csv", Wanted(), key="product_id", csv={"types": {"n": "int64"}})
    found = "".join(problems(manifest.check, tmp_path))
    assert "ssssssssssssssssssss" not in found
    assert "JPEG" not in repr(ImageReference(data=b"JPEG"))


def test_the_identity_says_which_files_there_were(opened, write, tmp_path):
    """The identity names path, key, columns and each file with its size; it changes when a file does."""
    write("m.csv", CSV)
    before = opened("m.csv").identity()
    assert before["files"][0]["bytes"] == len(CSV)
    assert before["key"] == ["product_id", "pic_name"]
    write("m.csv", CSV + "3,c,\n")
    assert opened("m.csv").identity() != before


@pytest.mark.parametrize("name", ["queries.csv", "queries.parquet", "queries_inline.parquet"])
def test_the_sample_manifests_are_good(name):
    """The three forms of the sample manifest have the same keys."""
    import pathlib

    sample = pathlib.Path(__file__).parents[3] / "sample_data"
    settings = ManifestSettings(path=name, key="product_id")
    manifest = Manifest.open(settings, base=sample, wanted=BY_PIC)
    text = Manifest.open(ManifestSettings(path="queries.csv", key="product_id"), base=sample, wanted=BY_PIC)
    assert manifest.check() == text.check()
    assert [row.key for row in rows_of(manifest)] == [row.key for row in rows_of(text)]
