"""The report of what each command really writes: comparisons, searches, upkeep, nights of dedup."""

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest
import yaml
from report_rig import report_on, table
from run_rig import harm, invoke
from shop_rig import samples

from batchsearch.emulator.faults import ErrorAnswer
from batchsearch.errors import OutputError
from batchsearch.tasks.compare.comparison import place_lines, score_lines
from batchsearch.tasks.dedup.dedup_page import night_lines
from batchsearch.tasks.report.html_page import page_of
from batchsearch.telemetry.summary import Truth, summary_of

KEY = ("product_id", "pic_name")


def figures_of(report):
    return {figure.label: figure.value for figure in report.sections[0].figures}


class Texts(HTMLParser):
    """What can be read on a page, its data left out."""

    def __init__(self, html):
        super().__init__()
        self.found, self._data = [], 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self._data += tag in ("script", "style")

    def handle_endtag(self, tag):
        self._data -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._data:
            self.found.append(data)


def text_of(report):
    return " ".join(" ".join(Texts(page_of(report.page)).found).split())


@pytest.fixture(scope="session")
def compared_by_command(tmp_path_factory, compared):
    """What `batchsearch compare` writes of ten pairs in two groups, one of whose images is missing."""
    folder = tmp_path_factory.mktemp("compared") / "job"
    shutil.copytree(compared.folder.parent, folder, ignore=lambda *_: ["out", "job.yaml"])
    pairs = (folder / "pairs.csv").read_text(encoding="utf-8").splitlines()
    named = [f"{line},{'kind' if not number else 'ab'[number % 2]}" for number, line in enumerate(pairs)]
    (folder / "pairs.csv").write_text("\n".join([*named, "C10,p00.jpg,gone.jpg,a"]) + "\n", encoding="utf-8")
    job = {
        "operation": "CompareSimilarByImage",
        "instance": {"endpoint": "emulator", "name": "demo", "qps": 200, "custom_qps": True},
        "manifest": {"path": "pairs.csv", "key": ["pair_id"]},
        "compare": {"pairs": "given", "group": "kind"},
        "images": {"root": "images"},
        "output": {"dir": "out"},
        "max_failed": "100%",
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
    ran = invoke("compare", folder / "job.yaml", "--no-progress")
    assert ran.exit_code == 0, ran.output
    return folder / "out"


def test_a_comparison_shows_the_scores_that_the_command_printed(compared_by_command):
    """Its folder of hits is there and empty: scores, median, groups and both ends are shown."""
    assert any((compared_by_command / "hits").glob("*.parquet"))
    record = json.loads((compared_by_command / "compare.json").read_text(encoding="utf-8"))
    report = report_on(compared_by_command)
    assert sum(row[2] for row in table(report, "scores").rows) == record["compared"] == 10
    assert figures_of(report)["median score"] == record["statistics"]["p50"]
    said = dict(table(report, "score_figures").rows)
    assert (said["lowest"], said["highest"]) == (record["statistics"]["min"], record["statistics"]["max"])
    deviation = next(value for name, value in said.items() if "not a sample's" in name)
    assert deviation == record["statistics"]["standard_deviation"]
    assert {row[:3] for row in table(report, "groups").rows} == {
        (each["group"], each["count"], each["mean"]) for each in record["groups"]
    }
    for name in ("most_alike", "least_alike"):
        assert [row[3] for row in table(report, name).rows] == [each["pair_key"] for each in record[name]]
    (gallery,) = report.page.galleries
    assert [chart.title for chart, _ in gallery.charts] == ["Scores of pairs"]
    assert sum(bar.series == "main" for bar in gallery.charts[0][0].bars) > 0
    assert {card["u"] for card in gallery.cards} == {"a", "b"}
    assert report.page.sentence.startswith("10 of 11 pairs have a score; their median is ")
    assert report.page.needs[0].what == "Local.ImageMissing"


def test_without_a_record_a_comparison_has_its_own_median(compared_by_command, tmp_path):
    """Scores alone give the median that the record would have, exactly."""
    folder = tmp_path / "alone"
    shutil.copytree(compared_by_command, folder)
    median = json.loads((folder / "compare.json").read_text(encoding="utf-8"))["statistics"]["p50"]
    for name in ("compare.json", "scores.parquet"):
        (folder / name).unlink()
    assert figures_of(report_on(folder))["median score"] == pytest.approx(median, abs=1e-6)


def test_both_ends_of_the_scores_are_kept(compared_by_command):
    """A bound on pairs keeps the most alike and some of the least alike."""
    scores = sorted(pq.read_table(compared_by_command / "scores.parquet")["score"].drop_null().to_pylist())
    cards = [
        card["s"] for card in report_on(compared_by_command, pairs=5).page.galleries[0].cards if "s" in card
    ]
    assert max(cards) == pytest.approx(scores[-1], abs=1e-4)
    assert min(cards) == pytest.approx(scores[0], abs=1e-4)


def test_a_search_by_name(searched, tmp_path, make_rows, make_run):
    """Hits and first hits are counted, and a row shows the image that its name stands for."""
    named = [{name: row[name] for name in KEY} for row in searched.rows[8:20]]
    make_rows(tmp_path / "names.csv", named)
    source = searched.folder.parent
    catalogue = {"manifest": {"path": str(source / "catalogue.csv")}, "root": str(source / "images")}
    folder = make_run(
        tmp_path, tmp_path / "names.csv", operation="SearchImageByName", emulator={"catalogue": catalogue}
    )
    report = report_on(folder)
    hits = pq.read_table(folder / "hits")
    assert sum(row[2] for row in table(report, "scores").rows) == len(hits) > 0
    assert sum(row[2] for row in table(report, "first_scores").rows) == 12
    card = report.page.galleries[0].cards[0]
    assert report.page.thumbnails[card["t"]].data.startswith(b"\xff\xd8")
    assert report.page.sentence == "12 of 12 rows were searched."


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [("AddImage", "20 of 21 images were added"), ("DeleteImage", "images were deleted")],
)
def test_upkeep_has_no_scores_and_no_hits(  # noqa: PLR0917 - fixtures, and what is tried
    searched, tmp_path, make_rows, make_run, operation, sentence
):
    """A run that changes the instance says what it changed: nothing of it speaks of hits or scores."""
    source = searched.folder.parent
    (tmp_path / "images").symlink_to(source / "images")
    rows = [*searched.rows[8:28], {"product_id": "gone", "pic_name": "gone.jpg", "image": "gone.jpg"}]
    if operation == "DeleteImage":
        rows = [{name: row[name] for name in KEY} for row in rows]
    make_rows(tmp_path / "rows.csv", rows)
    quick = {"endpoint": "emulator", "name": "demo", "qps": 200, "custom_qps": True, "add_qps": 200}
    catalogue = {"manifest": {"path": str(source / "catalogue.csv")}, "root": str(source / "images")}
    folder = make_run(
        tmp_path,
        tmp_path / "rows.csv",
        operation=operation,
        instance=quick | {"delete_qps": 200},
        emulator={"catalogue": catalogue} if operation == "DeleteImage" else {},
        **({"max_deleted": "100%"} if operation == "DeleteImage" else {}),
    )
    report = report_on(folder)
    assert sentence in report.page.sentence
    assert table(report, "scores") is None
    assert report.page.galleries[0].charts == ()
    assert not any("n" in card or "h" in card for card in report.page.galleries[0].cards)


def test_a_column_of_the_manifest_does_not_make_a_search(compared, tmp_path, make_run):
    """What a run is follows from its operation, whatever the manifest's own columns are called."""
    source = compared.folder.parent
    (tmp_path / "images").symlink_to(source / "images")
    lines = (source / "pairs.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "pairs.csv").write_text(
        "\n".join(f"{line},{number or 'hit_count'}" for number, line in enumerate(lines)) + "\n"
    )
    folder = make_run(tmp_path, tmp_path / "pairs.csv", key=["pair_id"], operation="CompareSimilarByImage")
    report = report_on(folder)
    assert report.page.galleries[0].kind == "pairs"
    assert figures_of(report)["median score"] > 0
    shutil.rmtree(folder / "ledger")
    assert report_on(folder).page.galleries[0].kind == "pairs"


def told_with(record, folder, **changes):
    """A copy of an output whose last run told something else of itself."""
    summary = dataclasses.replace(summary_of(record), **changes)
    (folder / "summary.json").write_text(summary.as_json(), encoding="utf-8")
    return summary


@pytest.fixture
def copied(searched, tmp_path):
    """A copy of a search's output, and its summary."""
    folder = tmp_path / "copy"
    shutil.copytree(searched.folder, folder)
    return folder, json.loads((folder / "summary.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("exit_code", "status", "tone"),
    [
        (0, "done, 2 failed", "warn"),
        (3, "done, but more rows failed than the job allows", "bad"),
        (4, "stopped before the end", "warn"),
        (5, "ended by an error that no row can survive", "bad"),
        (6, "damaged", "bad"),
    ],
)
def test_the_status_is_the_jobs_own(copied, exit_code, status, tone):
    """How a run ended is what it told of itself, not what is guessed from its rows."""
    folder, record = copied
    told_with(record, folder, exit_code=exit_code, message="the reason" if exit_code > 3 else "")
    report = report_on(folder)
    assert report.page.status == (status, tone)
    assert (exit_code > 3) == any(need.detail == "the reason" for need in report.page.needs)


def test_every_line_of_a_runs_page_is_in_the_report(copied):
    """Whatever the terminal says at the end of a run stands on the page too: truth and surprises as well."""
    folder, record = copied
    truth = Truth(28, 25, 30, 29, (("gone", "ok", "Local.ImageMissing"), ("P012", "P012", "P013")))
    told = told_with(
        record,
        folder,
        exit_code=4,
        message="the window has closed",
        others=17,
        resumed=11,
        coalesced=5,
        reused=6,
        truth=truth,
        left_out={"where": 41, "without_image": 42, "merged": 43},
    )
    report = report_on(folder)
    text = text_of(report)
    shown = dataclasses.replace(
        told,
        advice={row[0]: row[6] for row in table(report, "outcomes").rows},
        meanings={row[0]: row[5] for row in table(report, "outcomes").rows},
        again=f"batchsearch retry {folder} --codes Local.ImageMissing,Local.ImageTruncated",
    ).as_text()
    lines = [line for line in shown.splitlines() if line.strip() and line != "  failed by code"]
    assert len(lines) >= 18
    missing = []
    for line in lines[1:]:
        said = re.sub(r"^  (?:\S+ ?\S*) {2,}|^ +(?:[\d,]+  )?(?:→ )?", "", line)
        if " ".join(re.split(r": expected ", said)[0].split()) not in text:
            missing.append(line)
    assert missing == []
    assert "expected P012, got P013" in text
    assert told.ending().partition(";")[0] in text
    shown_state = next(need.show for need in report.page.needs if "P012" in need.what)
    assert shown_state == "view=rows&find=P012"


def test_every_line_of_a_nights_page_is_in_the_report(deduped, tmp_path):
    """Whatever the terminal says at the end of a night stands on the page too."""
    folder = tmp_path / "night"
    shutil.copytree(deduped.folder, folder)
    counts = (
        "products",
        "images",
        "new_pairs",
        "gone_pairs",
        "duplicates",
        "review",
        "compared",
        "to_review",
    )
    more = (
        "judged_same",
        "judged_different",
        "shared_images",
        "without_image",
        "searches_cut",
        "colour_variants",
    )
    record = {name: 1000 + place for place, name in enumerate((*counts, *more))}
    record |= {
        "pairs": 900,
        "accepted": 700,
        "clusters": 300,
        "members": 650,
        "complete": False,
        "exit_code": 0,
    }
    record |= {
        "accepted_by": {"search": 1, "perceptual": 77},
        "verdicts": {"identical": 7},
        "folder": "out/night",
    }
    (folder / "dedup.json").write_text(json.dumps(record), encoding="utf-8")
    report = report_on(folder)
    text = text_of(report)
    lines = night_lines(record)
    assert len(lines) == 11
    assert [line for line in lines if " ".join(line[1].split()) not in text] == []
    assert report.page.status == ("not every row is searched yet", "warn")
    assert [need.detail for need in report.page.needs if need.what == "Mind"] == [
        said for label, said in lines if label in ("shared", "mind")
    ]


async def test_a_night_of_dedup(shop, tmp_path):
    """A real night: the verdict, the decisions with their numbers, and the failures of every part."""
    shop.put_all(samples()[40:52])
    shop.write("broken", "x.jpg", b"\xff\xd8\xff\xe0 no picture")
    summary = await shop.night(sync="add")
    report = report_on(tmp_path / "out")
    counts = summary.counts
    assert report.page.sentence.startswith(f"{counts['duplicates']} of {counts['products']} products are")
    text = text_of(report)
    for label, said in night_lines(summary.as_dict()):
        assert " ".join(said.split()) in text, label
    products = next(gallery for gallery in report.page.galleries if gallery.kind == "products")
    assert len(products.cards) == counts["pairs"]
    reasons = {row["reason"] for row in pq.read_table(tmp_path / "out" / "pairs").to_pylist()}
    assert {card["r"] for card in products.cards} == reasons
    for card in products.cards:
        assert card["x"].startswith("accepted: " if card["ok"] else "not accepted: ")
        assert "needed" in card["x"] or "limit" in card["x"]
        assert card["z"][0].startswith("score ")
    (failed,) = [gallery for gallery in report.page.galleries if gallery.kind == "rows"]
    assert {card["part"] for card in failed.cards} == {"Search", "Upkeep: add"}
    assert {need.what for need in report.page.needs if "part=" in need.show} == {
        f"Local.ImageTruncated ({part})" for part in ("Search", "Upkeep: add")
    }


def test_an_upkeep_that_ended_worse_since_is_the_status(deduped, copied, tmp_path):
    """A night whose upkeep was ended by an error is not done, whatever the night before has written."""
    folder = tmp_path / "worse"
    shutil.copytree(deduped.folder, folder)
    (folder / "dedup.json").write_text(json.dumps({"exit_code": 0, "complete": True}), encoding="utf-8")
    upkeep, record = copied
    told_with(record, upkeep, exit_code=5, message="no permission")
    shutil.copytree(upkeep, folder / "sync" / "add")
    report = report_on(folder)
    assert report.page.status == ("upkeep: add ended by an error that no row can survive", "bad")
    assert report.page.needs[0].detail == "no permission"


def test_every_line_of_a_comparisons_page_is_in_the_report(compared_by_command):
    """What `batchsearch compare` prints of scores stands on the page: figures, both ends, groups."""
    record = json.loads((compared_by_command / "compare.json").read_text(encoding="utf-8"))
    text = text_of(report_on(compared_by_command))
    lines = [*score_lines(record), *place_lines(record)]
    assert [label for label, _ in lines] == ["pairs", "scores"]
    assert [said for _, said in lines if " ".join(said.split()) not in text] == []
    for pair in (*record["most_alike"], *record["least_alike"]):
        assert f"{pair['score']:.4f} {pair['primary']} {pair['secondary']}" in text
    for each in record["groups"]:
        figures = " ".join(f"{each[name]:.4f}" for name in ("mean", "min", "max"))
        assert f"{each['group']} {each['count']} {figures}" in text


def test_an_upkeep_alone_is_reported(copied, tmp_path):
    """A night of which nothing but a part of its upkeep is written says so, with what ended it."""
    upkeep, record = copied
    told_with(record, upkeep, exit_code=5, message="no permission")
    (tmp_path / "night" / "lock").mkdir(parents=True)
    (tmp_path / "night" / "lock" / "dedup").touch()
    shutil.copytree(upkeep, tmp_path / "night" / "sync" / "add")
    report = report_on(tmp_path / "night")
    assert report.page.status == ("upkeep: add ended by an error that no row can survive", "bad")
    assert report.page.needs[0].detail == "no permission"
    assert "not known yet" in report.page.sentence


async def test_a_night_that_stopped_says_why(shop, tmp_path):
    """Where nothing is written because the upkeep was ended, the report says by what."""
    shop.write_all(samples()[45:48])
    harm(shop.emulator, ErrorAnswer("NoPermission"), of="AddImage")
    stopped = await shop.night(sync="add")
    assert stopped.exit_code == 5
    told = stopped.sync["add"].message
    with pytest.raises(OutputError, match="upkeep: add ended by an error") as refused:
        report_on(tmp_path / "out")
    assert told in str(refused.value)


def test_a_run_that_was_ended_before_its_first_part_says_why(tmp_path):
    """A run that no row survived is told with its reason; one that works is to be looked at later."""
    (tmp_path / "results").mkdir()
    with pytest.raises(OutputError, match="a little later"):
        report_on(tmp_path)
    ended = dict.fromkeys(("rows", "others", "done", "resumed", "ok", "failed", "calls", "denied"), 0)
    ended |= {"exit_code": 5, "run_id": "r", "operation": "AddImage", "instance": "demo", "codes": {}}
    ended |= {"retries": 0, "coalesced": 0, "reused": 0, "hits": 0, "seconds": 0.1, "calls_per_second": None}
    ended |= {"tier": 5.0, "results": "out/results", "hits_folder": "", "message": "the key is not valid"}
    (tmp_path / "summary.json").write_text(json.dumps(ended), encoding="utf-8")
    with pytest.raises(OutputError, match=r"no row can survive.*the key is not valid"):
        report_on(tmp_path)
