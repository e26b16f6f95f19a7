"""CSV as people have it: read as it is meant, or refused by name with the setting that helps."""

import bz2
import gzip

import pytest

from batchsearch.config.sections.manifest_settings import CsvSettings, ManifestSettings
from batchsearch.errors import ManifestError
from batchsearch.manifest.formats.csv_quotes import MisquotedError, QuoteCheck
from batchsearch.manifest.source import Manifest, Wanted

BY_PIC = Wanted(images=("image",))


@pytest.fixture
def opened(tmp_path):
    """Writes one CSV file and opens it."""

    def do(content, name="m.csv", key="id", **csv):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        settings = ManifestSettings(path=name, key=key, csv=CsvSettings(**csv), format="csv")
        return Manifest.open(settings, base=tmp_path, wanted=BY_PIC)

    return do


def carried(manifest):
    manifest.check()
    return [row for batch in manifest.batches() for row in batch.carried.to_pylist()]


def refusal(do):
    with pytest.raises(ManifestError) as caught:
        do()
    return str(caught.value)


def test_a_quote_in_a_quoted_text_is_never_taken_for_its_end(opened):
    """What another program has escaped is refused with the setting that reads it, and read with it."""
    text = 'id,image,text\n1,0.jpg,plain\n2,1.jpg,"say \\"hi\\""\n3,2.jpg,"5\\" screen"\n'
    said = refusal(opened(text).check)
    assert 'row 2 (line 3): a text in " quotes " goes on' in said.replace("quotes goes", 'quotes " goes')
    assert r"`manifest.csv.escape: '\'`" in said
    assert [row["text"] for row in carried(opened(text, escape="\\"))] == ["plain", 'say "hi"', '5" screen']


def test_rows_do_not_vanish_between_quotes(opened):
    """Escaped quotes at the ends of texts join rows into one for a lenient reader."""
    text = 'id,text,image\n1,"5\\"",0.jpg\n2,"6\\"",1.jpg\n'
    assert "csv.escape" in refusal(opened(text).check)
    assert [row["text"] for row in carried(opened(text, escape="\\"))] == ['5"', '6"']


def test_an_escape_is_text_where_it_means_nothing(opened):
    """Only quote, delimiter, line end and the escape itself are escaped; a Windows path stays whole."""
    text = 'id,text,image\n1,C:\\new\\dir,a\\,b.jpg\n2,"x\\\\y \\d","c.jpg"\n'
    rows = carried(opened(text, escape="\\"))
    assert [row["text"] for row in rows] == ["C:\\new\\dir", "x\\y \\d"]
    assert rows[0]["image"] == "a,b.jpg"


def test_quotes_in_texts_without_quotes_are_text(opened):
    """A quote that does not begin its field has no meaning."""
    text = 'id,text,image\n1,27" wide,"a""b.jpg"\n2,="001",b.jpg\n'
    rows = carried(opened(text))
    assert [row["text"] for row in rows] == ['27" wide', '="001"']
    assert rows[0]["image"] == 'a"b.jpg'


def test_text_after_a_closing_quote_is_refused(opened):
    """Without a backslash the advice is to double the quote."""
    assert "is written twice" in refusal(opened('id,image\n1,"a" b.jpg\n').check)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('a,b\n"1","x ""y"" z"\n2,"l\nm"\n', True),
        ('a,b\n1,""\n"",""""\n', True),
        ('a,5" b\n1,2""3\n', True),
        ('\ufeff"a","b"\r\n"1","2"\r\n', True),
        ('a,b\n"1" ,2\n', False),
        ('a,b\n"x\\"y",2\n', False),
        ('a,"b\n"c,2\n', False),
    ],
)
def test_quotes_are_followed_through_any_chunks(text, good, size):
    """The verdict is the same wherever the bytes are cut."""
    data = text.encode()
    check = QuoteCheck(delimiter=",", quote='"')

    def follow():
        for start in range(0, len(data), size):
            check.follow(data[start : start + size])

    if good:
        follow()
        assert not check.inside
    else:
        with pytest.raises(MisquotedError):
            follow()


def test_empty_columns_at_the_end_are_left_out(opened):
    """Spreadsheets write the empty columns beside a table; one that is not empty is named."""
    rows = carried(opened("id,image,, ,\n1,a.jpg,,,\n2,b.jpg,,,\n"))
    assert rows == [{"id": "1", "image": "a.jpg"}, {"id": "2", "image": "b.jpg"}]
    assert "row 2 (line 3): has 'x' in field 4, which the header does not name" in refusal(
        opened("id,image,,\n1,a.jpg,,\n2,b.jpg,,x\n").check
    )
    assert carried(opened(",id,image\n0,1,a.jpg\n"))[0] == {"": "0", "id": "1", "image": "a.jpg"}


def test_a_list_without_a_header_is_said_and_can_be_named(opened):
    """The first line is a row where the setting names the columns."""
    said = refusal(lambda: opened("0.jpg\n1.jpg\n", key="image"))
    assert "The first line is taken for column names" in said
    assert "`manifest.csv.header: […]`" in said
    rows = carried(opened("0.jpg\n\n1.jpg\n", key="image", header="image"))
    assert rows == [{"image": "0.jpg"}, {"image": "1.jpg"}]
    two = opened("1,0.jpg\n2,1.jpg\n2,2.jpg\n3\n", header=["id", "image"])
    assert "row 3 (line 3): the key '2' is also that of row 2 (line 2)" in refusal(two.check)
    assert "row 4 (line 4): has 1 fields" in refusal(two.check)
    assert "names 3" in refusal(lambda: opened("1,0.jpg\n", header=["id", "image", "x"]))


def test_columns_may_move_where_names_are_there_twice(opened):
    """The line that is left out says where they are now; a line that says something else is left out."""
    names = ["id", "colour", "image", "image_2"]
    wanted = {"id": "1", "colour": "red", "image": "a.jpg", "image_2": "b.jpg"}
    for text in (
        "id,colour,image,image\n1,red,a.jpg,b.jpg\n",
        "colour,id,image,image\nred,1,a.jpg,b.jpg\n",
        '"image",image,id,colour\na.jpg,b.jpg,1,red\n',
        "anything,at,all,here\n1,red,a.jpg,b.jpg\n",
    ):
        assert carried(opened(text, header=names, skip_lines=1)) == [wanted], text
    more = carried(opened("new,id,colour,image,image\nx,1,red,a.jpg,b.jpg\n", header=names, skip_lines=1))
    assert more == [{"new": "x"} | wanted]
    fewer = carried(opened("image,id\na.jpg,1\n", header=["id", "note", "image"], skip_lines=1))
    assert fewer == [{"image": "a.jpg", "id": "1"}]
    second = "an export\ncolour,id,image,image\nred,1,a.jpg,b.jpg\n"
    assert carried(opened(second, header=names, skip_lines=2)) == [wanted]


def test_names_that_the_job_file_gives_to_columns_stay_theirs(opened):
    """Who calls a column otherwise than the file does means it, by place; moved ones are refused."""
    text = "id,colour,picture\n1,red,a.jpg\n"
    assert carried(opened(text, header=["id", "colour", "image"], skip_lines=1)) == [
        {"id": "1", "colour": "red", "image": "a.jpg"}
    ]
    moved = "colour,id,picture\nred,1,a.jpg\n"
    said = refusal(lambda: opened(moved, header=["id", "colour", "image"], skip_lines=1))
    assert "in another order than `manifest.csv.header`" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id;image\n1;a.jpg\n", '`manifest.csv.delimiter: ";"`'),
        ("id\timage\n1\ta.jpg\n", "`manifest.csv.delimiter: tab`"),
        ("id|image\n1|a.jpg\n", '`manifest.csv.delimiter: "|"`'),
        ("sep=;\nid;image\n1;a.jpg\n", "Excel's line `sep=;`"),
        ("https://x.example/a.jpg\nhttps://x.example/b.jpg\n", "csv.header"),
        ("id,image\n1,a.jpg\n\0\0\0\0", "NUL bytes"),
        ("id,image\n1,a.jpg\n\x1a", "end-of-file mark of DOS"),
        ("id,image\n1,a.jpg\n   \n", "a line of blanks"),
        ("<!DOCTYPE html>\n<p>Log in</p>\n", "is HTML or XML"),
        ("id,image\n1,a.jpg\n".encode("utf-16"), "`manifest.csv.encoding: utf-16`"),
        ("id,image\n1,a.jpg\n".encode("utf-16-le"), "`manifest.csv.encoding: utf-16-le`"),
        ("id,image\n1,a.jpg\n".encode("utf-16-be"), "`manifest.csv.encoding: utf-16-be`"),
        ("id,naïve,image\n1,é,a.jpg\n".encode("cp1252"), "such as cp1252"),
        (gzip.compress(b"id,image\n1,a.jpg\n"), "is packed with gzip"),
        (bz2.compress(b"id,image\n1,a.jpg\n"), "is packed with bzip2"),
        (b"\x28\xb5\x2f\xfd....", "is packed with zstd"),
        (b"PK\x03\x04....", "is a zip file, or an Excel workbook"),
        (b"PAR1....", "`manifest.format: parquet`"),
        (",,,\n1,2,3,4\n", "names no column"),
        ("", "is empty"),
    ],
)
def test_what_is_no_such_csv_is_named(opened, text, said):
    """Each is told by what it is, with the setting or the step that helps."""
    assert said in refusal(lambda: opened(text).check())


def test_a_packed_file_that_is_cut_is_named(opened):
    """A gzip file without its end never passes for the whole table."""
    lines = "".join(f"{number},{number * 7919}.jpg\n" for number in range(50_000))
    packed = gzip.compress(f"id,image\n{lines}".encode())
    assert "ends too early" in refusal(opened(packed[: len(packed) // 2], "m.csv.gz").check)
    assert "ends too early" in refusal(opened(packed[:-4], "m.csv.gz").check)
    assert "ends too early" in refusal(lambda: opened(packed[:30], "m.csv.gz"))
    assert "not packed with gzip" in refusal(lambda: opened("id,image\n1,a.jpg\n", "m.csv.gz"))
    spoiled = packed[:2000] + b"\0" * 200 + packed[2200:]
    assert "is damaged" in refusal(lambda: opened(spoiled, "m.csv.gz").check())


def test_a_header_may_be_long_and_must_end(opened, monkeypatch):
    """Five thousand names are read; a first line without end is named."""
    monkeypatch.setattr("batchsearch.manifest.formats.csv_text._LONGEST_HEADER", 2**20)
    names = [f"a_rather_long_name_of_a_column_{number:05}" for number in range(5_000)]
    manifest = opened(f"id,image,{','.join(names)}\n1,a.jpg{',' * len(names)}\n")
    assert len(carried(manifest)[0]) == 5_002
    assert "a quote that is never closed" in refusal(lambda: opened('id,"image' + "x" * 1_100_000))
    assert "no end of its first line" in refusal(lambda: opened("id,image," + "x," * 600_000))


@pytest.mark.parametrize(("encoding", "declared"), [("cp1252", "cp1252"), ("utf-16-le", "utf-16-le")])
def test_encodings_keep_quotes_and_line_ends(opened, encoding, declared):
    """Quotes, escapes and old line ends mean the same in every encoding."""
    text = "\ufeff" * (encoding == "utf-16-le") + 'id,image,t\r1,a.jpg,"é ""x"""\r2,b.jpg,ü\r'
    rows = carried(opened(text.encode(encoding), encoding=declared))
    assert [row["t"] for row in rows] == ['é "x"', "ü"]
