"""Cells of an export: what a spreadsheet would run is text, everything else is what it is."""

import csv
import io
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchsearch.pages.spreadsheet_cells import csv_text, harmless, is_dangerous, plain
from batchsearch.tasks.export.csv_file import CsvFile, cells

DANGEROUS = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1:A9)",
    "\tx",
    "\rx",
    "\nx",
    "  =1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "\u200b@x",
    '"=1+1',
    "'=1+1",
    "\uff1d1+1",
    "\uff0b1+1",
    "\uff0dx",
    "\uff20x",
    "-",
    "+49 170 1234567",
]
HARMLESS = [
    "",
    "Chair",
    "1=1",
    "a@example.com",
    "-5",
    "+5",
    "-1.5",
    "-1,5",
    "+1e3",
    "-20%",
    "12-3",
    "#a",
    " a",
]


@pytest.mark.parametrize("text", DANGEROUS)
def test_text_that_a_spreadsheet_would_run_is_marked_as_text(text):
    """Formula starts get an apostrophe: plain, behind blanks and quotes, and in full width."""
    assert is_dangerous(text)
    assert harmless(text) == "'" + text
    assert csv_text(text)[0] == "'"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("x;=1+1;y", "x;'=1+1;y"),
        ("x; \u00a0@SUM(A1)", "x; \u00a0'@SUM(A1)"),
        ("\t=1+1", "'\t'=1+1"),
        ("a\n=1+1\n\uff1d2", "a\n'=1+1\n'\uff1d2"),
        ('a;"=1+1"', 'a;"\'=1+1"'),
        ("a;+cmd|' /C calc'!A0", "a;'+cmd|' /C calc'!A0"),
        ("a;-HYPERLINK(b)", "a;'-HYPERLINK(b)"),
        ("a\tb=1;c", None),
        ("- cotton\n- wool (merino", "'- cotton\n'- wool (merino"),
        ("Soft:\n- cotton\n+ wool; -20 %", None),
        ("a, =b", None),
        ("https://shop.example/?a=1;b=2", None),
    ],
)
def test_a_formula_inside_a_text_is_none_whatever_separates_cells(text, written):
    """Where `;` or a tab separates cells, quotation marks in a line hide nothing; lists stay lists."""
    assert csv_text(text) == (text if written is None else written)
    assert cells(pa.array([text, None, "x"])) == [csv_text(text), "", "x"]


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays_as_it_is(text):
    """Words, plain signed numbers and signs inside a text are not altered."""
    assert harmless(text) == text


@given(st.text())
def test_no_cell_of_csv_begins_a_formula(text):
    """Whatever a cell holds, what is written is a plain number, or begins with no formula's sign."""
    written = csv_text(text)
    begins = written.lstrip(' \u00a0\ufeff\u200b\u200c\u200d\u2060\u3000"')[:1]
    number = written.strip("%").replace(",", ".")
    if begins and begins in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20":
        float(number)


@given(
    st.lists(
        st.one_of(st.none(), st.text(), st.text(';\t\n =+-@(!"x\uff1d\x0b'), st.sampled_from(DANGEROUS)),
        min_size=1,
    )
)
def test_a_column_is_written_as_its_cells_are(texts):
    """What is found out for a whole column at a time is what each cell by itself would be."""
    column = pa.array(texts, pa.string())
    assert cells(column) == [csv_text(text) for text in texts]


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_rows_come_back_from_csv_as_they_were_written(rows):
    """Separators, quotes and line breaks in cells change neither the number of rows nor their cells."""
    data = bytearray()
    file = CsvFile(data.extend, _schema("a", "b"))
    file.add(
        pa.record_batch(
            [pa.array([row[place] for row in rows], pa.string()) for place in (0, 1)], _schema("a", "b")
        )
    )
    assert data[:3] == b"\xef\xbb\xbf"
    read = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert read == [["a", "b"], *([csv_text(one), csv_text(other)] for one, other in rows)]


def _schema(*names):
    return pa.schema([(name, pa.string()) for name in names])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "true"),
        (-0.25, "-0.25"),
        (float("nan"), ""),
        (float("inf"), ""),
        (12345678901234567890, "12345678901234567890"),
        (Decimal("1.50"), "1.5"),
        (Decimal("0.12345678901234567890"), "0.12345678901234567890"),
        (datetime(2026, 11, 26, 2, 0, tzinfo=timezone(timedelta(hours=2))), "2026-11-26 00:00:00"),
        (datetime(2026, 11, 26, 2, 0, tzinfo=UTC), "2026-11-26 02:00:00"),
        (date(2026, 11, 26), "2026-11-26"),
        (b"\xff\xd8" * 1000, "(2,000 bytes)"),
        (["a", "b"], '["a", "b"]'),
        ({"id": 1, "raw": b"123"}, '{"id": 1, "raw": "(3 bytes)"}'),
        ("a\x00b\x08\ud800", "a\ufffdb\ufffd\ufffd"),
    ],
)
def test_values_are_shown_as_people_read_them(value, shown):
    """Moments are UTC, nested values JSON, bytes counted, what no cell can hold replaced."""
    assert csv_text(value) == shown


def test_numbers_and_switches_stay_what_they_are_for_a_spreadsheet():
    """A cell of a number is a number, of true or false a switch; only text is text."""
    assert plain(3) == 3
    assert plain(0.5) == 0.5
    assert plain(value=True) is True
    assert plain("3") == "3"
