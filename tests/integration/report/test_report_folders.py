"""`batchsearch report` over the three kinds of output, and over folders that are none."""

import hashlib
import json
import re
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_rig import NOW, report_on, table
from run_rig import invoke
from sqlite_rig import executed

from batchsearch.errors import ConfigError, OutputError
from batchsearch.tasks.report.output_kind import open_folder
from batchsearch.tasks.report.reporting import write_page


def cards_of(report, kind):
    return next(gallery for gallery in report.page.galleries if gallery.kind == kind)


def test_a_search_is_summed_up(searched):
    """Outcomes with owner and advice, calls, slots and scores are those of the results and the ledger."""
    report = report_on(searched.folder)
    outcomes = {row[0]: row for row in table(report, "outcomes").rows}
    assert outcomes["ok"][1] == 28
    assert outcomes["Local.ImageMissing"][3:5] == ("local", "image")
    assert "Correct the reference" in outcomes["Local.ImageMissing"][6]
    results = pq.read_table(searched.folder / "results")
    calls = sum(results["attempts"].to_pylist())
    assert sum(row[2] for row in table(report, "calls").rows) == calls
    assert sum(row[2] for row in table(report, "latency").rows) == results["latency_ms"].drop_null().length()
    assert table(report, "usage").rows[0][3] == calls
    hits = pq.read_table(searched.folder / "hits")
    assert sum(row[2] for row in table(report, "scores").rows) == len(hits)
    first = sum(rank == 1 for rank in hits["rank"].to_pylist())
    assert sum(row[2] for row in table(report, "first_scores").rows) == first
    assert report.page.status == ("done, 2 failed", "warn")


def test_a_search_shows_failures_first_and_hits_with_images(searched):
    """Failed rows come first with their code; each other row has its first hits, images and region."""
    report = report_on(searched.folder)
    cards = cards_of(report, "rows").cards
    assert {card["e"] for card in cards[:2]} == {"Local.ImageMissing", "Local.ImageTruncated"}
    assert all("e" not in card for card in cards[2:])
    good = cards[5]
    assert [hit[2] for hit in good["h"]] == sorted((hit[2] for hit in good["h"]), reverse=True)
    assert report.page.thumbnails[good["t"]].data.startswith(b"\xff\xd8")
    assert report.page.thumbnails[good["t"]].boxes
    assert report.page.thumbnails[good["h"][0][3]].data.startswith(b"\xff\xd8")
    assert report.page.notes == ()


def test_bounds_are_kept_and_said(searched):
    """Rows, thumbnails and their size stay within the options, and the page says what it left out."""
    report = report_on(searched.folder, rows=6, thumbnails=3, side=64, close_ups=0)
    gallery = cards_of(report, "rows")
    assert (len(gallery.cards), gallery.total) == (6, 30)
    assert sum("e" in card for card in gallery.cards) == 2
    assert len(report.page.thumbnails) == 3
    assert all(
        max(each.width, each.height) <= 64 for each in report.page.thumbnails if hasattr(each, "width")
    )
    assert any("left out: at most 3 thumbnails" in note for note in report.page.notes)


def test_a_comparison_is_sorted_by_score(compared):
    """Pairs stand side by side, the most alike first; small matrices are shown as they are."""
    report = report_on(compared.folder)
    cards = cards_of(report, "pairs").cards
    scores = [card["s"] for card in cards]
    assert len(scores) == 10
    assert scores == sorted(scores, reverse=True)
    assert all(report.page.thumbnails[card[side]].data for card in cards for side in ("ta", "tb"))
    (matrix,) = report.page.matrices
    assert matrix.scores[0] == (1.0, 0.7, None)
    assert not report.page.judged


def test_clusters_are_shown_with_what_a_person_needs(deduped):
    """Flagged clusters come first, the least certain first; members have scores, images, inner pairs."""
    report = report_on(deduped.folder)
    cards = cards_of(report, "clusters").cards
    assert len(cards) == deduped.clusters
    assert ["v" in card for card in cards] == [True, True, *[False] * (deduped.clusters - 2)]
    confidences = [card["c"] for card in cards[2:]]
    assert confidences == sorted(confidences)
    first = cards[0]
    assert first["n"] == len(first["m"]) == 6
    assert first["m"][0][0] == first["k"]
    assert [member[2] for member in first["m"][1:]] == sorted((m[2] for m in first["m"][1:]), reverse=True)
    assert {tuple(inner[:2]) for inner in first["p"]} == {(0, place) for place in range(1, 6)}
    assert all(report.page.thumbnails[member[1]].boxes for card in cards for member in card["m"])


def test_pairs_nearest_to_their_threshold_come_first(deduped):
    """Pairs are in the order in which a person's judgement tells most; a bound keeps these."""
    cards = cards_of(report_on(deduped.folder), "products").cards
    distances = [card["d"] for card in cards]
    assert len(cards) == len(deduped.pairs)
    assert distances == sorted(distances)
    few = cards_of(report_on(deduped.folder, pairs=3, clusters=2), "products")
    assert [card["d"] for card in few.cards] == distances[:3]
    assert few.total == len(deduped.pairs)


def test_figures_of_a_dedup_job(deduped):
    """Counts of clusters, pairs and judgements are those of the tables; the search has its own section."""
    report = report_on(deduped.folder)
    figures = {figure.label: figure.value for figure in report.sections[0].figures}
    accepted = sum(pair["accepted"] for pair in deduped.pairs)
    assert figures == {
        "clusters": 7,
        "to be looked at": 2,
        "duplicate pairs": accepted,
        "judged by people": 1,
    }
    assert [section.name for section in report.sections] == ["", "search"]
    assert sum(row[1] for row in table(report, "cluster_sizes").rows) == 7
    assert table(report, "review").rows == (("split", 2),)
    assert ("counts.pairs", str(len(deduped.pairs))) in table(report, "dedup").rows


def test_the_same_facts_as_parquet_and_markdown(deduped, tmp_path):
    """A folder of typed tables, one long table, and Markdown say the same as the page."""
    folder, one, text = tmp_path / "facts", tmp_path / "facts.parquet", tmp_path / "r.md"
    arguments = ["report", str(deduped.folder), "--no-page", "--markdown", str(text)]
    assert invoke(*arguments, "--parquet", folder).exit_code == 0
    assert invoke(*arguments, "--parquet", one).exit_code == 0
    outcomes = pq.read_table(folder / "search.outcomes.parquet").to_pylist()
    assert {row["outcome"]: row["rows"] for row in outcomes}["ok"] == 28
    assert pq.read_table(folder / "search.calls.parquet").schema.field("start").type == pa.timestamp(
        "us", "UTC"
    )
    long = pq.read_table(one).to_pylist()
    rows = [row for row in long if row["table"] == "search.outcomes" and row["column"] == "rows"]
    assert [row["number"] for row in rows] == [row["rows"] for row in outcomes]
    markdown = text.read_text(encoding="utf-8")
    assert "| `Local.ImageMissing` | 1 | 3.3 % | local | image |" in markdown
    assert "### Clusters to look at first" in markdown
    outside = re.sub(r"`[^`\n]*`", "", markdown)
    assert "<script" not in outside
    assert "@everyone" not in outside
    assert not (deduped.folder / "report.html").exists()


def test_the_command_writes_the_page(searched, tmp_path):
    """The page is where it was asked for, and the command says so; the folder itself stays as it was."""
    before = sorted(searched.folder.rglob("*"))
    place = tmp_path / "page.html"
    ran = invoke("report", searched.folder, "--output", place, "--pictures", "2")
    assert ran.exit_code == 0, ran.output
    assert str(place) in ran.output
    assert place.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert sorted(searched.folder.rglob("*")) == before


def test_markdown_goes_to_stdout_alone(searched):
    """With `--markdown -` nothing but the Markdown is on stdout: it can be piped into a mail."""
    ran = invoke("report", searched.folder, "--no-page", "--markdown", "-")
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.startswith("## ")


def test_folders_that_are_none(tmp_path, searched):
    """A folder without output, a file, a missing one: each is told what it is, with the nearest guess."""
    (tmp_path / "empty").mkdir()
    for place, what in (
        (tmp_path / "empty", "is no output folder"),
        (tmp_path / "gone", "there is no such folder"),
        (searched.job, "is a file"),
        (searched.folder.parent, f"did you mean {searched.folder}\\?"),
    ):
        with pytest.raises(ConfigError, match=what):
            open_folder(place)
    ran = invoke("report", tmp_path / "gone")
    assert ran.exit_code == 64
    assert "there is no such folder; give the output folder" in ran.output


def test_nothing_sealed_yet(tmp_path):
    """An output whose first part is still to come says so, and when it comes."""
    (tmp_path / "results").mkdir()
    with pytest.raises(OutputError, match="nothing is sealed yet"):
        open_folder(tmp_path)


def test_a_run_going_on_is_reported_as_of_now(searched, tmp_path):
    """Rows without outcome, and outcomes that no part holds yet, are told; the status says how far it is."""
    folder = tmp_path / "going"
    shutil.copytree(searched.folder, folder)
    executed(folder / "ledger" / "ledger.sqlite3", "UPDATE meta SET value = '120' WHERE name = 'total'")
    report = report_on(folder, thumbnails=0)
    assert report.page.status == ("not finished: 25%", "warn")
    assert any("90 rows of the manifest have no outcome yet" in note for note in report.page.notes)
    assert report.page.as_of == NOW


def test_without_a_job_it_says_what_is_missing(searched, tmp_path):
    """Results alone, without a ledger, are summed up; images come from the folder that is named."""
    folder = tmp_path / "bare"
    shutil.copytree(searched.folder / "results", folder / "results")
    report = report_on(folder)
    assert any("--images may help" in note for note in report.page.notes)
    assert table(report, "outcomes").rows[0][1] == 28
    helped = report_on(folder, images=searched.folder.parent / "images")
    good = next(card for card in cards_of(helped, "rows").cards if "e" not in card)
    assert helped.page.thumbnails[good["t"]].width


def test_a_damaged_part_is_named(searched, tmp_path):
    """A part that cannot be read ends the report with its name, not with a trace."""
    folder = tmp_path / "damaged"
    shutil.copytree(searched.folder, folder)
    part = next((folder / "results").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(OutputError, match=part.name):
        report_on(folder)


def test_hostile_names_stay_texts(deduped, tmp_path):
    """Product ids that are markup are in the page's data, and nowhere as markup."""
    report = report_on(deduped.folder)
    write_page(report, tmp_path / "p.html")
    html = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<script>window.pwned" not in html
    assert "onerror=window" not in re.sub(
        r'<script type="application/json".*?</script>', "", html, flags=re.DOTALL
    )
    data = re.search(r'id="data-clusters">(.*?)</script>', html, re.DOTALL)[1]
    ids = {member[0] for card in json.loads(data) for member in card["m"]}
    assert {row["product_id"] for row in deduped.members} == ids


def test_help_pays_for_no_templates():
    """`batchsearch report --help` imports neither tables nor templates nor images."""
    script = (
        "import sys\n"
        "from batchsearch.cli import cli\n"
        "cli(['report', '--help'], standalone_mode=False)\n"
        "print([name for name in ('jinja2', 'pyarrow', 'PIL', 'numpy') if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_duplicates_without_a_search(deduped, tmp_path):
    """A dedup job that found everything without a call is reported too, without images to look up."""
    folder = tmp_path / "local"
    for name in ("pairs", "clusters"):
        shutil.copytree(deduped.folder / name, folder / name)
    report = report_on(folder)
    assert [section.name for section in report.sections] == [""]
    assert len(cards_of(report, "clusters").cards) == deduped.clusters
    assert report.page.thumbnails == []


def seal_anew(output, part):
    """As if the ledger had sealed what is in the part now."""
    now = (hashlib.sha256(part.read_bytes()).hexdigest(), part.name)
    ledger = output / "ledger" / "ledger.sqlite3"
    executed(ledger, "UPDATE parts SET results_sha256 = ? WHERE name = ?", now)


def test_products_are_named_by_the_columns_that_the_job_wrote_down(deduped, tmp_path):
    """Images of pairs are found whatever the manifest calls its columns: `dedup.json` says it."""
    folder = tmp_path / "named"
    shutil.copytree(deduped.folder, folder)
    for part in (folder / "search" / "results").glob("*.parquet"):
        table = pq.read_table(part)
        renamed = {"product_id": "sku", "pic_name": "view"}
        pq.write_table(table.rename_columns([renamed.get(name, name) for name in table.column_names]), part)
        seal_anew(folder / "search", part)
    assert all(card["ta"] == -1 for card in cards_of(report_on(folder, clusters=0), "products").cards)
    (folder / "dedup.json").write_text(json.dumps({"columns": {"product": "sku", "image": "view"}}))
    report = report_on(folder, clusters=0)
    for card in cards_of(report, "products").cards:
        assert report.page.thumbnails[card["ta"]].boxes
        assert report.page.thumbnails[card["tb"]].boxes


def test_a_job_that_found_no_duplicates(deduped, tmp_path):
    """Empty tables make a page that says so, not an error."""
    folder = tmp_path / "none"
    for name in ("pairs", "clusters"):
        (folder / name).mkdir(parents=True)
        schema = pq.read_schema(deduped.folder / name / f"{name}.parquet")
        pq.write_table(schema.empty_table(), folder / name / f"{name}.parquet")
    report = report_on(folder)
    assert [figure.value for figure in report.sections[0].figures] == [0, 0, 0, 0]
    assert write_page(report, tmp_path / "p.html") > 10_000


def test_the_images_of_a_member_are_counted_whatever_their_column_was_called(tmp_path, deduped):
    """Clusters with a column `pictures`, of a version up to 0.1.0, are shown and exported as today's are."""
    before, today = tmp_path / "before", deduped.folder
    shutil.copytree(today, before, symlinks=True)
    for name in ("pairs", "clusters"):
        file = before / name / f"{name}.parquet"
        written = pq.read_table(file)
        names = ["pictures" if each == "images" else each for each in written.column_names]
        metadata = {"batchsearch.table": name, "batchsearch.schema_version": "2"}
        pq.write_table(written.rename_columns(names).replace_schema_metadata(metadata), file)
    now, then = (cards_of(report_on(folder), "clusters").cards for folder in (today, before))
    assert then == now
    assert {member[3] for each in then for member in each["m"]} == {1}
    sheets = []
    for folder in (today, before):
        place = tmp_path / f"{folder.name}.csv"
        assert invoke("export", folder, "-o", place).exit_code == 0
        sheets.append(place.read_text(encoding="utf-8-sig"))
    assert sheets[0] == sheets[1]
    assert ",images," in sheets[1].splitlines()[0]
