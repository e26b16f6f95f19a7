"""Tables beside Parquet and CSV: read as they are meant, or refused by name with what helps."""

import gzip
import io
import json
import struct
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime

import openpyxl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.errors import ConfigError, ManifestError
from batchsearch.manifest.formats.memory_table import MemoryTable
from batchsearch.manifest.formats.xlsx_files import first_rows
from batchsearch.manifest.source import Manifest, Wanted

BY_PIC = Wanted(images=("image",))
ROWS = [{"id": "001", "image": "a.jpg", "price": 3}, {"id": "002", "image": "b.jpg", "price": None}]


@pytest.fixture
def opened(tmp_path):
    """Writes one file and opens it as a manifest."""

    def do(name, content, **settings):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        settings = ManifestSettings.model_validate({"path": str(path), "key": "id", **settings})
        return Manifest.open(settings, base=tmp_path, wanted=BY_PIC)

    return do


def carried(manifest):
    manifest.check()
    return [row for batch in manifest.batches() for row in batch.carried.to_pylist()]


def refusal(do):
    with pytest.raises(ManifestError) as caught:
        do()
    return str(caught.value)


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def zipped(files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return made.getvalue()


def zstd(data):
    made = pa.BufferOutputStream()
    with pa.CompressedOutputStream(made, "zstd") as stream:
        stream.write(data)
    return made.getvalue().to_pybytes()


def workbook(rows, sheet="Sheet", **others):
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    for name, more in others.items():
        other = book.create_sheet(name)
        for row in more:
            other.append(row)
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def ipc(table, *, stream=False, **options):
    made = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(made, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return made.getvalue()


# JSON Lines


def test_json_lines_keep_what_numbers_and_texts_are(opened):
    """No text becomes a number or a date; null, absent and NaN are no value."""
    text = lines(ROWS) + '\n{"id": "2026-01-02", "image": "c.jpg", "price": NaN, "more": true}\n'
    rows = carried(opened("m.jsonl", text))
    assert rows[0] == {"id": "001", "image": "a.jpg", "price": 3, "more": None}
    assert rows[2] == {"id": "2026-01-02", "image": "c.jpg", "price": None, "more": True}


def test_json_columns_hold_all_of_their_cells(opened):
    """Whole numbers and fractions are numbers; texts among numbers make texts; what is nested is JSON."""
    rows = [
        {"id": "a", "image": "a.jpg", "n": 1, "t": 7, "l": ["x"], "o": {"k": [1]}, "big": 2**70},
        {"id": "b", "image": "b.jpg", "n": 1.5, "t": "x", "l": ["y", "ü"], "o": None, "big": 1},
    ]
    found = carried(opened("m.ndjson", lines(rows)))
    assert found[0] == rows[0] | {"n": 1.0, "t": "7", "o": '{"k": [1]}', "big": str(2**70)}
    assert found[1] == rows[1] | {"big": "1"}


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_is_read_as_well(opened, indent):
    """An export that is one array of objects is the same table, however it is laid out."""
    rows = [{"id": str(n), "image": f"{n}.jpg", "text": "x" * 3_000 + "]}"} for n in range(100)]
    assert carried(opened("m.json", json.dumps(rows, indent=indent))) == rows
    assert carried(opened("m.json", "\ufeff" + json.dumps(rows))) == rows


WRAPPED = [{"id": str(n), "image": f"{n}.jpg", "text": "x" * 3_000 + "]}"} for n in range(100)]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "answer",
    [
        {"products": WRAPPED},
        {"count": 100, "links": {"data": None}, "Items": WRAPPED, "more": [[1], {"a": "}"}], "next": None},
        {"status": [1, 2], "data": {"total": 100, "products": WRAPPED, "facets": {"a": []}}, "took": 3},
        {"data": {"total": 100}, "results": WRAPPED},
    ],
    ids=["alone", "among others", "in an object", "behind one"],
)
def test_the_answer_of_an_api_is_the_table_that_it_holds(opened, answer, indent):
    """One object with an array of rows is that array, wherever it stands; what is beside it is no row."""
    assert carried(opened("m.json", json.dumps(answer, indent=indent))) == WRAPPED
    assert carried(opened("m.json", "\ufeff\n" + json.dumps(answer))) == WRAPPED


@pytest.mark.parametrize("name", ["items", "products", "images"])
def test_json_lines_stay_lines_whatever_they_hold(opened, name):
    """Where another object follows the first line's, that is a row, even with an array under such a name."""
    rows = [
        {name: [{"src": f"{n}.jpg"}], "id": str(n), "image": "a.jpg", "x": "x" * 40_000} for n in range(3)
    ]
    found = carried(opened("m.jsonl", lines(rows)))
    assert [row["id"] for row in found] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"items": [{"id": "1", "image": "a.jpg"}]\n', "line 2: is no whole JSON object"),
        ('{"items": [{"id": "1", "image": "a.jpg"}], "next" 1}', "is no whole JSON object"),
        ('{"items": [{"id": "1", "image": "a.jpg"}], "next": [', "is not JSON"),
        ('{"items": [{"id": "1", "image": "a.jpg"}, {"id": "2"', "is not JSON"),
        ('{\n"items": [{"id": "1", "image": "a.jpg"}]}\n{"items": []}', "line 3: goes on behind the object"),
        ('{"items": [{"id": "1", "image": "a.jpg"}], "a": ' + "[" * 200 + "]" * 200 + "}", "nested more"),
        ('{"items": [{"id": "1", "image": "a.jpg"}], "a": "' + "x" * 17 * 2**20 + '"}', "longer than 8 MiB"),
    ],
)
def test_an_answer_that_is_cut_or_goes_on_is_refused(opened, text, said):
    """No row is lost in silence because the object that holds the rows is not whole, or not all."""
    assert said in refusal(lambda: opened("m.json", text).check())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"id": "1", "image": "a.jpg"}\n{"id": "2",\n', "line 2: is not JSON"),
        ('{"id": "1", "image": "a.jpg"}\n[1]\n', "line 2: is a list and no object"),
        ('{\n  "id": 1\n}\n', "object of several lines"),
        ('{"id": "1", "image": "a.jpg", "x": ' + "[" * 5_000 + "]" * 5_000 + "}\n", "nested more than"),
        ('{"id": "1", "image": "a.jpg", "x": ' + "[" * 200 + "]" * 200 + "}\n", "nested more than"),
        ('{"id": "1", "image": "' + "a" * 9 * 2**20 + '"}\n', "longer than 8 MiB"),
        ('{"id": ' + "9" * 5_000 + "}\n", "thousands of digits"),
        (b'{"id": "\xff"}\n', "is not UTF-8 text"),
        ('{"id": "1", "image": "\\ud800"}\n', "half a character"),
        ('{"id": "1", "\\ud800": "a"}\n', "half a character"),
        ('[{"id": "1", "image": "a.jpg"}', "a comma or `]` belongs here"),
        ('[{"id": "1", "image": "a.jpg"} {}]', "a comma or `]` belongs here"),
        ('[{"id": "1", "image": "a', "ends too early"),
        (gzip.compress(b"{}"), "is packed with gzip, and its name does not say so"),
        ("".join(json.dumps({f"{n}-{m}": 1 for m in range(100)}) + "\n" for n in range(200)), "columns"),
    ],
)
def test_what_is_no_json_line_is_said_with_its_line(opened, text, said):
    """Bad, deep, long and foreign rows are refused by their lines, whatever is in them."""
    assert said in refusal(lambda: opened("m.jsonl", text).check())


def test_problems_name_row_and_line(opened):
    """A repeated key is told with the lines of both rows, blank lines counted."""
    said = refusal(opened("m.jsonl", lines(ROWS) + "\n" + lines(ROWS[:1])).check)
    assert "row 3 (line 4): the key '001' is also that of row 1 (line 1)" in said


# packed


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("m.jsonl.gz", gzip.compress),
        ("m.jsonl.zst", zstd),
        ("m.jsonl.zip", lambda data: zipped({"export/m.jsonl": data, "__MACOSX/x.jsonl": b"?"})),
        ("m.zip", lambda data: zipped({"m.jsonl": data})),
    ],
)
def test_packed_tables_read_as_what_is_in_them(opened, name, pack):
    """gzip, zstd and zip are told by the name; a zip file by the table in it."""
    assert [row["id"] for row in carried(opened(name, pack(lines(ROWS).encode())))] == ["001", "002"]


@pytest.mark.parametrize(
    ("name", "pack"),
    [("m.csv.zst", zstd), ("m.csv.zip", lambda data: zipped({"m.csv": data})), ("m.csv.gz", gzip.compress)],
)
def test_packed_csv_is_read_with_its_settings(opened, name, pack):
    """Encoding and delimiter are those of what is inside; a problem's line, too."""
    data = "id;image\nä;a.jpg\nö;b.jpg\n".encode("cp1252")
    csv = {"delimiter": ";", "encoding": "cp1252"}
    assert [row["id"] for row in carried(opened(name, pack(data), csv=csv))] == ["ä", "ö"]
    assert "row 3 (line 4)" in refusal(opened(name, pack(data + b";c.jpg\n"), csv=csv).check)


def test_a_packed_table_without_its_end_is_refused(opened):
    """What was not copied to its end never passes for the whole table."""
    data = lines([{"id": str(n), "image": f"{n * 7919 % 100_003}.jpg"} for n in range(20_000)]).encode()
    for name, packed in (("m.jsonl.gz", gzip.compress(data)), ("m.jsonl.zst", zstd(data))):
        assert "ends too early" in refusal(lambda name=name, packed=packed: opened(name, packed[:-50]))
        assert "is not packed with" in refusal(lambda name=name: opened(name, data))
    packed = zipped({"m.jsonl": data})
    assert "zip" in refusal(lambda: opened("m.jsonl.zip", packed[:-50]))
    spoiled = bytearray(packed)
    spoiled[500] ^= 0xFF
    assert "damaged" in refusal(lambda: opened("m.jsonl.zip", bytes(spoiled)))


def test_a_zip_file_of_several_tables_is_refused(opened):
    """Which of them is meant nobody knows; a note beside the table is none."""
    assert "holds 2 files" in refusal(lambda: opened("m.csv.zip", zipped({"a.csv": "id\n", "b.csv": "id\n"})))
    assert "holds no file" in refusal(lambda: opened("m.csv.zip", zipped({})))
    table = "id,image\n1,a.jpg\n"
    assert len(carried(opened("m.csv.zip", zipped({"a.csv": table, "README": "read me"})))) == 1


def test_what_unpacks_to_far_more_than_a_table_is_refused(opened, monkeypatch):
    """A small file that becomes a thousand times as much is a trap, not a table."""
    monkeypatch.setattr("batchsearch.manifest.formats.unpacked._LEAST_REFUSED", 1_000_000)
    trap = (b'{"id": "' + b"1" * 2_000 + b'"}\n') * 5_000
    for name, packed in (
        ("m.jsonl.gz", gzip.compress(trap)),
        ("m.jsonl.zst", zstd(trap)),
        ("m.jsonl.zip", zipped({"m.jsonl": trap})),
    ):
        said = refusal(lambda name=name, packed=packed: opened(name, packed))
        assert "unpacks to more than 250 times its size" in said


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_files_that_unpack_in_one_piece_are_refused(opened, packing):
    """Of bzip2 and LZMA a few kilobytes become gigabytes in one step."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", packing) as file:
        file.writestr("m.csv", "id,image\n1,a.jpg\n")
    assert "packed in a way that is not read" in refusal(lambda: opened("m.csv.zip", made.getvalue()))


# Arrow


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_arrow_files_and_streams_are_read(opened, stream, compression):
    """With dictionaries, views and compressed buffers; the name need not say which of both it is."""
    table = pa.table(
        {
            "id": pa.array(["a", "b", "c"] * 10_000).dictionary_encode(),
            "n": range(30_000),
            "image": pa.array([f"{n}.jpg" for n in range(30_000)], pa.string_view()),
        }
    )
    manifest = opened("m.arrow", ipc(table, stream=stream, compression=compression), key="n")
    assert carried(manifest) == table.to_pylist()


def test_feather_and_empty_arrow_are_read(opened):
    """What pandas writes as Feather is an Arrow file; one without rows has none."""
    table = pa.table({"id": ["1"], "image": ["a.jpg"]})
    made = io.BytesIO()
    pa.feather.write_feather(table, made)
    assert carried(opened("m.feather", made.getvalue())) == table.to_pylist()
    assert carried(opened("m.arrow", ipc(table.slice(0, 0)))) == []


def test_a_damaged_arrow_file_is_refused(opened):
    """Cut anywhere, or with any byte changed, it is read or refused, and never ends the process."""
    table = pa.table({"id": [str(n) for n in range(50)], "image": [f"{n}.jpg" for n in range(50)]})
    data = ipc(table, compression="lz4")
    assert "is empty" in refusal(lambda: opened("m.arrow", b""))
    for size in range(1, len(data) // 2, 37):
        refusal(lambda size=size: opened("m.arrow", data[:size]).check())
    for place in range(8, len(data), 5):
        changed = bytearray(data)
        changed[place] ^= 0xA5
        try:
            opened("m.arrow", bytes(changed)).check()
        except ManifestError:
            continue


def test_arrow_that_unpacks_to_far_too_much_is_refused_before_it_does(opened):
    """The size that a buffer claims is looked at, not believed with memory."""
    data = bytearray(ipc(pa.table({"id": ["x" * 9_999], "image": ["a.jpg"]}), compression="zstd"))
    claimed = data.find(struct.pack("<q", 9_999) + b"\x28\xb5\x2f\xfd")
    data[claimed : claimed + 8] = struct.pack("<q", 2**40)
    assert "has a record batch of 1,024.0 GiB" in refusal(opened("m.arrow", bytes(data)).check)


# XLSX


def test_a_workbook_is_read_as_its_cells_are(opened):
    """Texts keep their zeros, numbers and dates their kinds; empty rows and columns are none."""
    rows = [
        ["id", "image", "price", "gtin", "day", "mixed", None],
        ["001", "a.jpg", 3, 4006381333931, date(2026, 1, 2), 7],
        [None, None, None],
        ["002", "b.jpg", 2.5, 4006381333932, date(2026, 1, 3), "x7"],
    ]
    first, second = carried(opened("m.xlsx", workbook(rows)))
    assert first == {
        "id": "001",
        "image": "a.jpg",
        "price": 3.0,
        "gtin": 4006381333931,
        "day": datetime(2026, 1, 2),  # noqa: DTZ001 - a workbook has no zones
        "mixed": "7",
    }
    assert (second["price"], second["mixed"]) == (2.5, "x7")


def test_a_workbook_writes_line_ends_and_failed_formulas_its_own_way(opened):
    """`_x000D_` is a character, and `#N/A` is no value."""
    rows = [["id", "image", "note"], ["1", "a.jpg_x000D_\nb.jpg", "#N/A"], ["x_x005F_x0041_y", "c.jpg", "_x"]]
    assert carried(opened("m.xlsx", workbook(rows))) == [
        {"id": "1", "image": "a.jpg\r\nb.jpg", "note": None},
        {"id": "x_x0041_y", "image": "c.jpg", "note": "_x"},
    ]
    # Others escape what looks like such a character, and mean what was given to them.
    rows = [["id", "image"], ["x_x0041_y", "a.jpg_x000D_\nb.jpg"]]
    assert carried(opened("m.xlsx", shared(rows))) == [{"id": "x_x0041_y", "image": "a.jpg_x000D_\nb.jpg"}]


def test_sheet_and_header_row_can_be_said(opened):
    """The first sheet that is shown is read, or the one that is named; rows above the names are skipped."""
    table = [["id", "image"], ["1", "a.jpg"]]
    data = workbook([["Products of the shop"], []], Products=[["TemplateType=x"], [], *table])
    said = refusal(lambda: opened("m.xlsx", data))
    assert "has no column" in said
    settings = {"sheet": "Products", "skip_rows": 1}
    assert carried(opened("m.xlsx", data, xlsx=settings)) == [{"id": "1", "image": "a.jpg"}]
    assert "has no sheet 'Prices'; it has 'Sheet', 'Products'" in refusal(
        lambda: opened("m.xlsx", data, xlsx={"sheet": "Prices"})
    )


def test_workbook_problems_name_their_row(opened):
    """A cell beside the table, a name twice, and a repeated key are told with the row of the sheet."""
    head = ["id", "image"]
    assert "row 3: has 'stray' in a column without a name" in refusal(
        lambda: opened("m.xlsx", workbook([head, ["1", "a.jpg"], ["2", "b.jpg", "stray"]]))
    )
    assert "has the column 'id' twice" in refusal(lambda: opened("m.xlsx", workbook([["id", "id"]])))
    again = workbook([head, ["1", "a.jpg"], [], ["1", "b.jpg"]])
    assert "row 2 (row 4): the key '1'" in refusal(opened("m.xlsx", again).check)


def shared(rows):
    """A workbook whose cells share their texts, as most programs write them."""
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return made.getvalue()


def changed_part(data, name, change, packing=zipfile.ZIP_DEFLATED, rename=str):
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w", packing) as new:
        for part in old.namelist():
            content = old.read(part)
            new.writestr(rename(part), change(content) if part.endswith(name) else content)
    return made.getvalue()


def with_cell(text, more=b""):
    """A sheet of one cell with a text, and what is said after it."""
    return (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">'
        b'<c r="A1" t="inlineStr"><is><t>'
        + text
        + b"</t></is></c>"
        + more
        + b"</row></sheetData></worksheet>"
    )


LONG = b"x" * 9 * 2**20


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        (
            "workbook.xml",
            lambda text: b'<!DOCTYPE x [<!ENTITY a "b">]>' + text.partition(b"?>")[2],
            "has a document type",
        ),
        ("sheet1.xml", lambda text: text.replace(b'r="2"', b'r="2000000"'), "has more than 1,048,576 rows"),
        ("sheet1.xml", lambda text: text[: len(text) // 2], "is a damaged workbook"),
        ("styles.xml", lambda text: text + b" " * 3 * 2**20, "unpacks to more than 2 MiB"),
        ("sharedStrings.xml", lambda text: text + b" " * 3 * 2**20, "unpacks to more than 2 MiB"),
        (
            "sheet1.xml",
            lambda text: text.replace(
                b"<sheetData>", b" " * 9_999 + b'<!DOCTYPE x [<!ENTITY a "b">]><sheetData>'
            ),
            "has a document type",
        ),
        ("sheet1.xml", lambda _: with_cell(LONG), "has a row of more than 8 MiB"),
        (
            "sheet1.xml",
            lambda _: with_cell(b"<!-- <row> -->".join([b"x" * 2**16] * 48)),
            "unpacks to more than",
        ),
        ("sheet1.xml", lambda _: with_cell(b"x", b'<c r="B1"/>' * 2**20), "has a row of more than 8 MiB"),
    ],
)
def test_a_workbook_made_as_a_trap_is_refused(opened, monkeypatch, part, change, said):
    """Entities, rows without end and parts that unpack to more than is held are refused by what they are."""
    monkeypatch.setattr("batchsearch.manifest.formats.workbook_parts._MOST_HELD", 2 * 2**20)
    rows = [["id", "image"], ["1", "a.jpg"]]
    data = changed_part((shared if part == "sharedStrings.xml" else workbook)(rows), part, change)
    assert said in refusal(lambda: opened("m.xlsx", data).check())


def test_parts_are_bounded_whatever_they_are_called(opened, monkeypatch):
    """Texts that cells share are held, also where they are called a sheet, and however they are packed."""
    monkeypatch.setattr("batchsearch.manifest.formats.workbook_parts._MOST_HELD", 2 * 2**20)

    def elsewhere(name):
        return name.replace("xl/sharedStrings.xml", "xl/worksheets/strings.bin")

    def named(text):
        return text.replace(b"/xl/sharedStrings.xml", b"/xl/worksheets/strings.bin")

    data = shared([["id", "image"], ["1", "a.jpg"]])
    data = changed_part(data, "[Content_Types].xml", named, rename=elsewhere)
    assert carried(opened("m.xlsx", data)) == [{"id": "1", "image": "a.jpg"}]
    trap = changed_part(data, "strings.bin", lambda text: text + b" " * 3 * 2**20)
    assert "unpacks to more than 2 MiB" in refusal(lambda: opened("m.xlsx", trap))
    for packing in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        packed = changed_part(data, "styles.xml", bytes, packing)
        assert "packed in a way" in refusal(lambda packed=packed: opened("m.xlsx", packed))


def test_a_first_look_at_a_trap_says_what_it_is(tmp_path):
    """What only the rows show is told by `init` as well, which looks at the first of them."""
    path = tmp_path / "m.xlsx"
    path.write_bytes(changed_part(workbook([["id"]]), "sheet1.xml", lambda _: with_cell(LONG)))
    with pytest.raises(ManifestError, match="has a row of more than 8 MiB"):
        first_rows(path, 5)


def test_without_its_library_a_workbook_says_what_to_install(opened, monkeypatch):
    """The extra is named; nothing else is tried."""
    data = workbook([["id", "image"]])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ConfigError, match=r"pip install 'batchsearch\[xlsx\]'"):
        opened("m.xlsx", data)


def test_workbooks_cost_nothing_where_there_are_none():
    """The library is imported for a workbook only."""
    script = "import sys; import batchsearch.manifest.source; print('openpyxl' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize("data", [b"\xd0\xcf\x11\xe0" + b"x" * 600, b"id,image\n", zipped({"a.csv": "x"})])
def test_what_is_no_workbook_is_said(opened, data):
    """An old workbook, CSV under another name and any zip file are told apart from one."""
    said = refusal(lambda: opened("m.xlsx", data))
    assert "Excel workbook" in said


# feeds

FEED = """<?xml version="1.0"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>Shop</title>
<item><title>plain</title><g:title>A &amp; B</g:title><g:id>001</g:id><g:image_link>https://x/1.jpg</g:image_link>
  <g:additional_image_link>https://x/1b.jpg</g:additional_image_link>
  <g:shipping><g:country>US</g:country><g:price>1</g:price></g:shipping></item>
<item><g:id>002</g:id><g:title><![CDATA[<b>C</b>]]></g:title><g:image_link> https://x/2.jpg </g:image_link>
  <g:additional_image_link>https://x/2b.jpg</g:additional_image_link>
  <g:additional_image_link>https://x/2c.jpg</g:additional_image_link></item>
</channel></rss>"""


def test_a_merchant_feed_is_a_table(opened):
    """Elements are columns, Google's own before others of the name; what comes several times is a list."""
    rows = carried(opened("feed.xml", FEED, columns={"image": "image_link"}))
    assert rows[0] == {
        "title": "A & B",
        "id": "001",
        "image_link": "https://x/1.jpg",
        "additional_image_link": ["https://x/1b.jpg"],
        "shipping/country": "US",
        "shipping/price": "1",
    }
    assert rows[1]["title"] == "<b>C</b>"
    assert rows[1]["additional_image_link"] == ["https://x/2b.jpg", "https://x/2c.jpg"]


def test_other_feeds_are_tables_too(opened):
    """Atom with links, offers, enclosures, sitemaps of images, a prefix nobody declared, Latin-1, packed."""
    atom = '<feed><entry><id>1</id><link href="https://x/1.jpg"/></entry></feed>'
    assert carried(opened("a.atom", atom, columns={"image": "link"})) == [
        {"id": "1", "link": "https://x/1.jpg"}
    ]
    head = '<?xml version="1.0" encoding="ISO-8859-1"?>'
    shop = f'{head}<shop><offer id="é"><pic>a</pic><pic>b</pic></offer></shop>'
    rows = carried(opened("o.xml.gz", gzip.compress(shop.encode("latin-1")), columns={"image": "id"}))
    assert rows == [{"id": "é", "pic": ["a", "b"]}]
    media = (
        "<rss><channel><image><url>logo.png</url></image>"
        '<item><id>1</id><enclosure url="a.jpg" type="image/jpeg"/>'
        '<enclosure url="a.mp3" type="audio/mpeg"/>'
        '<media:content url="b.jpg" medium="image"><media:title>B</media:title></media:content></item>'
        "</channel></rss>"
    )
    rows = carried(opened("r.rss", media, columns={"image": "enclosure"}))
    assert rows == [{"id": "1", "enclosure": "a.jpg", "content": "b.jpg", "content/title": "B"}]
    sitemap = (
        "<urlset><url><loc>https://x/1</loc><id>1</id><image:image><image:loc>https://x/1.jpg</image:loc></image:image>"
        "<image:image><image:loc>https://x/2.jpg</image:loc></image:image></url></urlset>"
    )
    rows = carried(opened("s.xml", sitemap, columns={"image": "loc"}))
    assert rows == [{"loc": "https://x/1", "id": "1", "image/loc": ["https://x/1.jpg", "https://x/2.jpg"]}]
    loose = "<rss><item><g:id>1</g:id><g:image>a.jpg</g:image></item></rss>"
    assert carried(opened("l.rss", loose)) == [{"id": "1", "image": "a.jpg"}]


LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "'
    + "ha" * 50
    + '"><!ENTITY b "'
    + "&a;" * 50
    + '">]><rss><item>&b;</item></rss>'
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "has a document type or entities of its own"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><rss/>', "has a document type"),
        ("<rss><item><id>&other;</id></item></rss>", "no well-formed XML"),
        (FEED[: len(FEED) // 2], "ends too early"),
        ("<html><body>Log in</body></html>", "is it a product feed?"),
        ("<rss><item>" + "<a>" * 5_000, "nested more than"),
        ("<rss><item><id>" + "x" * 9 * 2**20 + "</id></item></rss>", "longer than 8 MiB"),
        ("<rss><item a='" + "x" * 9 * 2**20 + "'/></rss>", "longer than 8 MiB"),
        ("id,image\n1,a.jpg\n", "no well-formed XML"),
        ('<?xml version="1.0" encoding="klingon"?><rss/>', "encoding"),
    ],
)
def test_a_feed_made_as_a_trap_is_refused(opened, text, said):
    """Entities, document types, depth, length: refused by what they are, with the line."""
    assert said in refusal(lambda: opened("m.xml", text).check())


# lists


def test_a_list_is_a_table_of_its_lines(opened):
    """Blank lines, notes, quotes and a byte order mark are no part of an entry; commas are."""
    text = '\ufeff# images of the shop\r\nhttps://x/a,b.jpg?w=1\r\n\r\n  pics/1.jpg  \r\n"pics/2.jpg"\r\n'
    manifest = opened("m.txt", text, format="list", key="image")
    assert [row["image"] for row in carried(manifest)] == [
        "https://x/a,b.jpg?w=1",
        "pics/1.jpg",
        "pics/2.jpg",
    ]
    assert ManifestSettings(path="m.txt", format="list").key == ("image",)
    assert "row 2 (line 2): the key 'a.jpg'" in refusal(
        opened("l.txt", "a.jpg\na.jpg\n", format="list", key="image").check
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a.jpg\n\xff.jpg\n", "line 2: is not UTF-8 text"),
        ("a.jpg\n".encode("utf-16"), "is UTF-16 text"),
        (b"x" * 100_000, "is no path and no address"),
        (b"\x89PNG\0\0\n", "is no path and no address"),
    ],
)
def test_what_is_no_list_is_refused(opened, data, said):
    """A binary file or another encoding is told by its line."""
    assert said in refusal(lambda: opened("m.lst", data, key="image"))


# lines above the table, numbered rows, tables in memory


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_lines_above_the_names_are_left_out(opened, ends, encoding):
    """A template's lines, quotes and all, are no rows; the lines of problems count them."""
    text = ends.join(['TemplateType="x\ty', 'Etikett "Größe', "id\timage", "1\ta.jpg", "1\tb.jpg", ""])
    csv = {"delimiter": "tab", "skip_lines": 2, "encoding": encoding}
    said = refusal(opened("m.csv", text.encode(encoding), csv=csv).check)
    if ends != "\r":
        assert "row 2 (line 5): the key '1' is also that of row 1 (line 4)" in said
    batch = next(opened("m.csv", text.encode(encoding), csv=csv).batches())
    assert batch.carried.column("image").to_pylist() == ["a.jpg", "b.jpg"]


def test_rows_can_be_numbered_where_nothing_names_them(tmp_path):
    """File and row name a row of a data set; a column of that name in the table is preferred."""
    (tmp_path / "data").mkdir()
    struct_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for number in range(2):
        images = pa.array([{"bytes": b"x", "path": None}] * 2, struct_type)
        pq.write_table(
            pa.table({"image": images, "label": [1, 2]}), tmp_path / "data" / f"train-{number}.parquet"
        )
    settings = ManifestSettings(path="data", key="row", row_number="row")
    manifest = Manifest.open(settings, base=tmp_path, wanted=BY_PIC)
    assert manifest.check() == 4
    keys = [key for keys in manifest.keys() for key in keys]  # noqa: SIM118 - a table's row keys
    assert keys == [f"train-{file}.parquet:{row}" for file in (0, 1) for row in (1, 2)]
    table = pa.table({"row": ["a"], "image": ["x.jpg"]})
    given = Manifest.open(settings, base=tmp_path, wanted=BY_PIC, given=[MemoryTable(table)])
    assert [row.key for batch in given.batches() for row in batch.rows] == ["a"]


def test_a_table_in_memory_is_a_manifest(tmp_path):
    """Nothing is looked for on disk; problems name the table as it was called."""
    table = pa.table({"id": ["1", "1"], "image": ["a.jpg", "b.jpg"], "when": [datetime.now(UTC)] * 2})
    settings = ManifestSettings(path="nowhere", key="id")
    manifest = Manifest.open(settings, base=tmp_path, wanted=BY_PIC, given=[MemoryTable(table, "DataFrame")])
    assert "DataFrame: row 2: the key '1' is also that of row 1" in refusal(manifest.check)
    assert manifest.identity()["files"] == [{"path": "DataFrame", "rows": 2, "content": ""}]
    assert "twice" in refusal(lambda: MemoryTable(pa.Table.from_arrays([[1], [2]], names=["a", "a"])))
