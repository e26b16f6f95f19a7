"""`batchsearch export` over outputs of a real instance: what opens in a spreadsheet is what was found."""

import csv
import io
import json
import shutil
import signal
import subprocess
import sys

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_rig import invoke

from batchsearch.errors import ConfigError
from batchsearch.tasks.export import xlsx_file
from batchsearch.tasks.export.place import Place
from batchsearch.tasks.export.xlsx_file import XlsxFile


def said(*arguments):
    """A command in this process: its exit code, stdout and stderr."""
    ended = invoke(*arguments)
    return ended.exit_code, ended.stdout, ended.stderr


def exported(folder, *arguments):
    """An export as CSV that must succeed: its rows as dictionaries of texts."""
    file = folder.parent / f"{folder.name}-{'-'.join(arguments) or 'first'}.csv".replace("/", "_")
    code, out, err = said("export", folder, "-o", file, "--force", *arguments)
    assert code == 0, err
    assert str(file) in out
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.DictReader(opened))


def shown(text):
    """A text as the export's CSV has it."""
    return f"'{text}" if text[:1] in tuple("=+-@") else text


def test_duplicates_stand_cluster_by_cluster_with_the_manifests_own_columns(deduped, searched):
    """One row for each member, the representative first, beside what the manifest says of that product."""
    rows = exported(deduped.folder)
    assert [row["product_id"] for row in rows] == [shown(each["product_id"]) for each in deduped.members]
    assert [row["cluster_id"] for row in rows] == [shown(each["cluster_id"]) for each in deduped.members]
    by_product = {shown(row["product_id"]): row for row in searched.rows}
    for row in rows:
        assert row["pic_name"] == by_product[row["product_id"]]["pic_name"]
        assert row["image"] == by_product[row["product_id"]]["image"]
        assert (row["is_representative"] == "true") == (row["representative"] == row["product_id"])
        assert row["compared_with"] == ("" if row["is_representative"] == "true" else row["representative"])


def test_pairs_have_the_columns_of_both_products(deduped, searched):
    """One row for each pair; the manifest's columns stand there once for each side."""
    rows = exported(deduped.folder, "--table", "pairs")
    images = {shown(row["product_id"]): row["pic_name"] for row in searched.rows}
    assert len(rows) == len(deduped.pairs)
    for row, pair in zip(rows, deduped.pairs, strict=True):
        assert (row["product_a"], row["product_b"]) == (shown(pair["product_a"]), shown(pair["product_b"]))
        assert row["a_pic_name"] == images[row["product_a"]]
        assert row["b_pic_name"] == images[row["product_b"]]


def test_every_product_says_what_it_is_a_duplicate_of(deduped, searched):
    """The table of products has each product of the manifest once, duplicate or not."""
    rows = exported(deduped.folder, "--table", "products")
    assert sorted(row["product_id"] for row in rows) == sorted(
        shown(row["product_id"]) for row in searched.rows
    )
    of = {shown(each["product_id"]): shown(each["representative"]) for each in deduped.members}
    for row in rows:
        representative = of.get(row["product_id"])
        is_duplicate = representative is not None and representative != row["product_id"]
        assert row["is_duplicate"] == ("true" if is_duplicate else "false")
        assert row["duplicate_of"] == (representative if is_duplicate else "")
        assert row["images"] == "1"


def test_results_have_their_first_hits_beside_them(searched):
    """Row by row what the tables of the run say: outcome, code, and the best hits by rank."""
    rows = exported(searched.folder, "--hits", "2")
    results = pd.read_parquet(searched.folder / "results")
    hits = pd.read_parquet(searched.folder / "hits")
    assert len(rows) == len(results) == 30
    for row, result in zip(rows, results.to_dict("records"), strict=True):
        found = hits[hits["row_key"] == result["row_key"]].sort_values("rank")
        assert row["outcome"] == result["outcome"]
        assert row["error_code"] == ("" if pd.isna(result["error_code"]) else result["error_code"])
        for rank in (1, 2):
            expected = found[found["rank"] == rank]["product_id"].tolist()
            assert row[f"hit_{rank}_product_id"] == (shown(expected[0]) if expected else "")
        assert "hit_3_product_id" not in row


def test_hits_stand_beside_the_row_that_they_were_found_for(searched):
    """The table of hits has each hit once, with the manifest's columns of its row."""
    rows = exported(searched.folder, "--table", "hits")
    hits = pd.read_parquet(searched.folder / "hits")
    results = pd.read_parquet(searched.folder / "results").set_index("row_key")
    assert len(rows) == len(hits)
    for row, hit in zip(rows, hits.to_dict("records"), strict=True):
        assert row["hit_product_id"] == shown(hit["product_id"])
        assert row["rank"] == str(hit["rank"])
        assert row["product_id"] == shown(results.loc[hit["row_key"], "product_id"])


def test_parts_of_a_run_are_exported_one_after_the_other(tmp_path, make_products, make_rows, make_run):
    """With many small parts, and rows without hits between, every hit stays with its row."""
    rows = make_products(tmp_path)
    make_rows(tmp_path / "catalogue.csv", rows[8:])
    rows = [
        row for product in rows[8:20] for row in (product, {**product, "pic_name": "x", "image": "gone.jpg"})
    ]
    make_rows(tmp_path / "rows.csv", rows)
    catalogue = {"manifest": {"path": str(tmp_path / "catalogue.csv")}, "root": str(tmp_path / "images")}
    out = make_run(
        tmp_path,
        tmp_path / "rows.csv",
        emulator={"catalogue": catalogue},
        output={"dir": str(tmp_path / "out"), "rows_per_part": 3},
    )
    assert len(list((out / "results").glob("*.parquet"))) > 2
    hits = pd.read_parquet(out / "hits")
    found = exported(out, "--table", "hits")
    assert [(row["row_key"], row["hit_product_id"]) for row in found] == [
        (hit["row_key"], hit["product_id"]) for hit in hits.to_dict("records")
    ]
    best = hits[hits["rank"] == 1].set_index("row_key")["product_id"].to_dict()
    for row in exported(out):
        assert row["hit_1_product_id"] == best.get(row["row_key"], "")


def test_a_comparison_gives_its_scores(tmp_path, make_products, make_rows, make_run):
    """The scores of `batchsearch compare` stand beside the manifest's own columns."""
    products = make_products(tmp_path)
    pairs = [
        {
            "pair_id": f"C{number}",
            "primary_image": products[number]["image"],
            "secondary_image": products[number + 1]["image"],
            "shop": "=HYPERLINK(1)",
        }
        for number in range(4)
    ]
    make_rows(tmp_path / "pairs.csv", pairs)
    make_run(tmp_path, tmp_path / "pairs.csv", key=["pair_id"], operation="CompareSimilarByImage")
    code, _, err = said("compare", tmp_path / "job.yaml", "--no-progress")
    assert code == 0, err
    rows = exported(tmp_path / "out")
    scores = pd.read_parquet(tmp_path / "out" / "scores.parquet")
    assert [row["pair_key"] for row in rows] == scores["pair_key"].tolist()
    assert [float(row["score"]) for row in rows] == scores["score"].tolist()
    assert {row["shop"] for row in rows} == {"'=HYPERLINK(1)"}
    assert len(exported(tmp_path / "out", "--table", "results")) == 4


def test_a_spreadsheet_holds_text_numbers_and_links_and_no_formula(tmp_path, deduped, searched):
    """Cells are what they say: hostile names are text, scores are numbers, the heading stays in sight."""
    pytest.importorskip("xlsxwriter")
    file = tmp_path / "found.xlsx"
    code, _, err = said("export", deduped.folder, "--xlsx", "-o", file)
    assert code == 0, err
    book = openpyxl.load_workbook(file)
    sheet = book["clusters"]
    heading = [cell.value for cell in sheet[1]]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref.startswith("A1:")
    products = [row[heading.index("product_id")] for row in sheet.iter_rows(min_row=2)]
    assert [cell.value for cell in products] == [each["product_id"] for each in deduped.members]
    assert {cell.data_type for row in sheet.iter_rows(min_row=2) for cell in row} <= {
        "s",
        "n",
        "b",
        "inlineStr",
    }
    guarded = {cell.value for cell in products if cell.style and cell.quotePrefix}
    assert "=cmd|' /C calc'!A0" in guarded
    scores = [row[heading.index("confidence")].value for row in sheet.iter_rows(min_row=2)]
    assert scores == pytest.approx([each["confidence"] for each in deduped.members])
    explained = {row[0].value: row[1].value for row in book["columns"].iter_rows(min_row=2)}
    assert list(explained) == heading
    assert all(explained.values())


def book_of(path, rows, kind=None, **bounds):
    """A spreadsheet of one column; what its writer had to say, and its sheets' cells."""
    room = path.parent / "room"
    room.mkdir()
    file = XlsxFile(path, room, pa.schema([("cell", kind or pa.string())]), "results", **bounds)
    file.add(pa.record_batch([pa.array(rows, kind or pa.string())], names=["cell"]))
    notes = file.finish()
    book = openpyxl.load_workbook(path)
    return notes, {name: [row[0] for row in book[name].iter_rows(min_row=2)] for name in book.sheetnames}


def test_more_rows_than_a_sheet_holds_go_on_the_next_one(tmp_path):
    """Where one sheet is full another follows with its own heading, and it is said with Excel's number."""
    pytest.importorskip("xlsxwriter")
    notes, sheets = book_of(tmp_path / "a.xlsx", [str(number) for number in range(7)], most_rows=3)
    assert [len(cells) for name, cells in sheets.items() if name != "columns"] == [3, 3, 1]
    assert list(sheets) == ["results", "results 2", "results 3", "columns"]
    assert len(notes) == 1
    assert "7 rows are more than the 3 that one sheet of Excel holds" in notes[0]
    assert xlsx_file.MOST_ROWS == 1_048_575


def test_what_a_cell_cannot_hold_is_cut_and_counted(tmp_path):
    """A text over 32,767 characters ends with a sign and is told; long numbers keep all their digits."""
    pytest.importorskip("xlsxwriter")
    notes, sheets = book_of(tmp_path / "a.xlsx", ["x" * 40_000, "whole"])
    cells = [cell.value for cell in sheets["results"]]
    assert (len(cells[0]), cells[0][-1], cells[1]) == (32_767, "…", "whole")
    (tmp_path / "numbers").mkdir()
    _, sheets = book_of(tmp_path / "numbers" / "a.xlsx", [1234567890123456789, 12], pa.int64())
    assert [cell.value for cell in sheets["results"]] == ["1234567890123456789", 12]
    assert "1 cells are longer than the 32,767 characters" in notes[0]


def test_only_addresses_of_the_web_become_links_and_no_more_than_excel_takes(tmp_path, monkeypatch):
    """Of http and https they can be followed; other schemes, and links past Excel's bound, are plain text."""
    pytest.importorskip("xlsxwriter")
    monkeypatch.setattr(xlsx_file, "MOST_LINKS", 2)
    addresses = [
        "https://shop.example/a.jpg",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://shop.example/b c.jpg",
        "https://shop.example/" + "x" * 3_000,
        "http://shop.example/b.jpg",
        "https://shop.example/c.jpg",
    ]
    notes, sheets = book_of(tmp_path / "a.xlsx", addresses)
    assert [cell.value for cell in sheets["results"]] == addresses
    linked = [cell.value for cell in sheets["results"] if cell.hyperlink is not None]
    assert linked == [addresses[0], addresses[5]]
    assert "1 addresses are plain text" in notes[0]


def test_a_missing_package_is_named_with_what_installs_it(searched, monkeypatch):
    """Without XlsxWriter the command says which extra to install, before anything is read or written."""
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    code, _, err = said("export", searched.folder, "--xlsx", "-o", searched.folder.parent / "no.xlsx")
    assert code == 64
    assert "pip install 'batchsearch[xlsx]'" in err
    assert not (searched.folder.parent / "no.xlsx").exists()


def test_parquet_keeps_types_and_names(tmp_path, deduped):
    """The Parquet form has the columns of the others, numbers as numbers, dangerous text untouched."""
    code, _, err = said("export", deduped.folder, "-o", tmp_path / "found.parquet")
    assert code == 0, err
    table = pq.read_table(tmp_path / "found.parquet")
    assert table.schema.field("score").type == pa.float64()
    assert table.schema.field("is_representative").type == pa.bool_()
    assert table["product_id"].to_pylist() == [each["product_id"] for each in deduped.members]
    with (tmp_path / "found.csv").open("w") as opened:
        opened.write("")
    code, _, _ = said("export", deduped.folder, "-o", tmp_path / "found.csv", "--force")
    with (tmp_path / "found.csv").open(encoding="utf-8-sig", newline="") as opened:
        assert next(csv.reader(opened)) == table.column_names


def test_no_file_that_is_there_is_replaced_unless_asked_for(tmp_path, searched):
    """A file of that name ends the command before anything is read; `--force` replaces it whole."""
    file = tmp_path / "mine.csv"
    file.write_text("mine")
    code, _, err = said("export", searched.folder, "-o", file)
    assert (code, file.read_text()) == (64, "mine")
    assert "--force" in err
    code, _, err = said("export", searched.folder, "-o", file, "--force")
    assert code == 0, err
    assert file.read_bytes()[:3] == b"\xef\xbb\xbf"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    """Whoever makes a file of that name while rows are written keeps it."""
    file = tmp_path / "found.csv"
    with Place(file, force=False) as place:
        place.temporary.write_text("ours")
        file.write_text("theirs")
        with pytest.raises(ConfigError, match="is there already"):
            place.publish()
    assert file.read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["found.csv"]


def test_a_damaged_output_is_not_exported(tmp_path, searched):
    """A part that is not what was sealed ends the command with code 6, named, and leaves no file."""
    out = tmp_path / "out"
    shutil.copytree(searched.folder, out)
    part = next((out / "results").glob("*.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    code, _, err = said("export", out)
    assert code == 6
    assert part.name in err
    assert not (out / "export").exists()


def test_a_table_that_an_output_has_not_is_told_with_those_it_has(searched, tmp_path):
    """Another kind's table and folders that are no output end with code 64 and what there is instead."""
    code, _, err = said("export", searched.folder, "--table", "clusters")
    assert code == 64
    assert "has no table `clusters`" in err
    assert "`results`, `hits`" in err
    code, _, err = said("export", tmp_path / "nowhere")
    assert (code, "no such folder" in err) == (64, True)
    (tmp_path / "above").mkdir()
    shutil.copytree(searched.folder, tmp_path / "above" / "night")
    code, _, err = said("export", tmp_path / "above")
    assert (code, f"did you mean {tmp_path / 'above' / 'night'}" in err) == (64, True)


def test_the_form_and_the_files_name_agree(searched, tmp_path):
    """The end of the name says the form; a contradiction, or a name that says nothing, is refused."""
    code, _, err = said("export", searched.folder, "-o", tmp_path / "x.parquet", "--csv")
    assert (code, "is called as parquet" in err) == (64, True)
    code, _, err = said("export", searched.folder, "-o", tmp_path / "x")
    assert (code, "add --csv, --xlsx or --parquet" in err) == (64, True)
    code, _, err = said("export", searched.folder, "-o", "-", "--parquet")
    assert (code, "only CSV can go to stdout" in err) == (64, True)


def test_stdout_takes_csv_and_ends_with_its_reader(searched):
    """`-o -` writes the same bytes as a file; a reader that leaves early is no error."""
    command = [sys.executable, "-m", "batchsearch", "export", str(searched.folder), "-o", "-"]
    whole = subprocess.run(command, capture_output=True, check=True)
    assert whole.stdout[:3] == b"\xef\xbb\xbf"
    assert len(list(csv.reader(io.StringIO(whole.stdout.decode("utf-8-sig"), newline="")))) == 31
    short = subprocess.run(
        ["sh", "-c", f"{' '.join(command)} | head -n 1"], capture_output=True, text=True, check=True
    )
    assert "error" not in short.stderr.lower()


def test_a_script_reads_what_was_written_as_json(searched, tmp_path):
    """`--json` gives file, table, form and counts as one object."""
    code, out, err = said("export", searched.folder, "-o", tmp_path / "x.csv", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["table"], told["format"], told["rows"]) == ("results", "csv", 30)
    assert told["file"] == str(tmp_path / "x.csv")
    assert told["bytes"] == (tmp_path / "x.csv").stat().st_size


def test_all_columns_are_there_when_asked_for(searched, deduped, tmp_path):
    """`--all-columns` adds every column of the table to those for people."""
    few, all_of_them = exported(searched.folder)[0], exported(searched.folder, "--all-columns")[0]
    assert set(pd.read_parquet(searched.folder / "results").columns) <= set(all_of_them)
    assert "request_id" not in few
    pairs = exported(deduped.folder, "--table", "pairs", "--all-columns")[0]
    assert {"score_ab", "found_at", "run_id"} <= set(pairs)


KILLED = """
import os, signal, sys
from pathlib import Path
from batchsearch.tasks.export.place import Place
with Place(Path(sys.argv[1]), force=True) as place:
    place.temporary.write_text("half of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_export_leaves_the_old_file_and_the_next_one_clears_up(tmp_path, searched):
    """After a kill the file is the one before; what was half written goes when the next export begins."""
    file = tmp_path / "found.csv"
    file.write_text("before")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(file)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert file.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2
    with Place(tmp_path / "other.csv", force=False) as other:
        # The killed one's room is gone; that of an export which still works stays.
        assert sorted(tmp_path.iterdir()) == sorted([file, other.room])
        code, _, err = said("export", searched.folder, "-o", file, "--force")
        assert code == 0, err
        assert sorted(tmp_path.iterdir()) == sorted([file, other.room])
    assert list(tmp_path.iterdir()) == [file]
