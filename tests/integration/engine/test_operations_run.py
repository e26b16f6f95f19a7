"""The three operations over the shipped job files and sample data, against answers known beforehand."""

import csv
import math
from pathlib import Path

import pytest
from image_files import saved as png
from PIL import Image, ImageDraw
from run_rig import hits_of, results_of, sign_in
from sqlite_rig import executed

from batchsearch.config.load import load_job
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ExitCode
from batchsearch.service.facts import OTHER_CATEGORY, SERVICE_TYPES

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "sample_data"
LIFTED = dict.fromkeys(("query", "add", "delete", "update", "other"), math.inf)
SHIRTS = {f"{colour}-t-shirt.jpg" for colour in ("blue", "green", "grey", "purple", "teal")}
BANDS = {f"{colour}-band.jpg" for colour in ("blue", "lime", "pink", "purple")}


def read(name):
    """A table of the sample data, every value as text."""
    with (SAMPLE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


CATALOGUE = {row["pic_name"]: row for row in read("catalogue.csv")}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Runs a shipped job file, faster than it says, over one embedded instance that is filled once."""
    folder = tmp_path_factory.mktemp("shipped")
    names = iter(range(100))

    async def run(name, *overrides):
        common = (
            f"output.dir={folder / str(next(names))}",
            f"emulator.data={folder / 'instance'}",
            "instance.qps=1000",
            "instance.custom_qps=true",
            "emulator.qps=1000000",
        )
        job = load_job(ROOT / "configs" / f"{name}.yaml", overrides=(*common, *overrides), environ={})
        summary = await run_job(job.settings)
        assert summary.exit_code == ExitCode.DONE, summary
        assert summary.done == summary.rows > 0
        return summary, results_of(job.settings), hits_of(job.settings)

    return run


@pytest.fixture(scope="module")
def by_catalogue(shipped):
    """Runs the demo over the catalogue's own 45 photographs."""
    source = (
        f"manifest.path={SAMPLE / 'catalogue.csv'}",
        "truth.first_hit=null",
        "truth.outcome=null",
        "manifest.key=pic_name",
    )

    async def run(*overrides):
        return await shipped("demo", *source, *overrides)

    return run


async def test_a_photograph_finds_itself_with_score_one_and_all_that_is_kept_with_it(by_catalogue):
    """The very same image scores 1.0, comes first, and brings its attributes as they were added."""
    summary, _, hits = await by_catalogue("results_per_row=5")
    first = hits[hits["rank"] == 1].set_index("row_key")
    assert summary.calls == 45
    assert set(first["score"]) == {1.0}
    assert set(first["category_id"]) == {OTHER_CATEGORY}
    kept = ["product_id", "pic_name", "custom_content", "str_attr", "str_attr2", "int_attr"]
    for name, row in CATALOGUE.items():
        wanted = ["product_id", "pic_name", "name", "category", "colour"]
        assert list(first.loc[name, kept]) == [*(row[column] for column in wanted), int(row["price_cents"])]


async def test_colour_variants_rank_above_unrelated_products(by_catalogue):
    """Behind a T-shirt come the four others of its cut, behind a wristband the three others."""
    _, _, hits = await by_catalogue("results_per_row=45")
    for family in (SHIRTS, BANDS):
        for name in family:
            ranked = list(hits[hits["row_key"] == name]["pic_name"])
            assert len(ranked) == 45
            assert ranked[0] == name
            assert set(ranked[: len(family)]) == family


async def test_a_filter_excludes_what_does_not_match(by_catalogue):
    """Only items whose attributes match are found, and all of them are."""
    text = 'str_attr = "Clothing" AND int_attr < 2100'
    _, results, hits = await by_catalogue(f"parameters.filter={text}", "results_per_row=45")
    wanted = {
        name
        for name, row in CATALOGUE.items()
        if row["category"] == "Clothing" and int(row["price_cents"]) < 2100
    }
    assert 0 < len(wanted) < 45
    assert set(results["hit_count"]) == set(results["docs_found"]) == {len(wanted)}
    assert all(set(found["pic_name"]) == wanted for _, found in hits.groupby("row_key"))


async def test_a_threshold_cuts_what_is_less_similar(by_catalogue):
    """The hits are exactly those of an unlimited search that score the threshold or more."""
    _, _, every = await by_catalogue("results_per_row=45")
    _, results, kept = await by_catalogue("results_per_row=45", "parameters.score_threshold=0.4")
    columns = ["row_key", "rank", "pic_name", "score"]
    wanted = every[every["score"] >= 0.4][columns].reset_index(drop=True)
    assert 45 < len(wanted) < len(every)
    assert kept[columns].reset_index(drop=True).equals(wanted)
    assert results["hit_count"].sum() == len(wanted)


async def test_every_name_finds_itself_and_an_unknown_one_is_told(shipped):
    """SearchImageByName needs no image: a name's own image scores 1.0, an unknown name is PicNotExist."""
    summary, results, hits = await shipped("by-name")
    first = hits[hits["rank"] == 1].set_index("row_key")
    known = [row for row in read("names.csv") if row["truth_outcome"] == "ok"]
    assert summary.truth.outcomes_matched == summary.truth.outcomes_expected == len(results) == 47
    assert summary.truth.first_hits_found == summary.truth.first_hits_expected == len(known) == len(first)
    assert set(first["score"]) == {1.0}
    unknown = results[results["outcome"] == "failed"]
    assert list(unknown["error_code"]) == ["PicNotExist"] * 2
    assert set(unknown["error_owner"]) == {"row"}
    assert set(unknown["http_status"]) == {400}


async def test_the_similarity_report_scores_as_its_pairs_are_made(shipped):
    """Identical pairs score 1.0, the order of a pair does not matter, unrelated pairs score least."""
    _, results, _ = await shipped("similarity-report")
    score = results["score"]
    assert set(score[results["kind"] == "identical"]) == {1.0}
    # Two pairs of colour variants stand in the table both ways round.
    assert score["P019"] == score["P029"]
    assert score["P030"] == score["P036"]
    unrelated = score[results["kind"] == "unrelated"].max()
    assert score[results["kind"] == "colour variant"].min() > unrelated + 0.3
    assert score[results["kind"] == "changed copy"].min() > unrelated + 0.3
    assert results[results["kind"] == "unusable image"]["error_origin"].eq("local").all()


# -- what the sample data is too small for -----------------------------------------------------------


def painted(number, size=(100, 100)):
    """A small image of its own for each number: three bars of different colours and widths."""
    image = Image.new("RGB", size, (255, 255, 255))
    pen = ImageDraw.Draw(image)
    for bar in range(3):
        colour = tuple((number * step + bar * 60) % 256 for step in (37, 91, 149))
        left = 10 + bar * 28
        pen.rectangle((left, 10 + (number * 7) % 40, left + 8 + number % 15, 90), fill=colour)
    return image


@pytest.fixture
def serve(monkeypatch):
    """Starts emulators with the instances asked for and signs in to them; stopped after the test."""
    from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
    from batchsearch.emulator.server import Emulator

    running = []

    def start(*service_types):
        instances = tuple(InstanceOptions(kind, kind, rates=LIFTED) for kind in service_types)
        emulator = Emulator(EmulatorOptions(instances=instances)).start()
        running.append(emulator)
        sign_in(monkeypatch, emulator)
        return emulator

    yield start
    for emulator in running:
        emulator.stop()


def put(emulator, instance, image, product_id, pic_name="front", **attributes):
    """Put an image into an instance without any call."""
    from batchsearch.emulator.search.image_reading import decode_image
    from batchsearch.emulator.search.records import NewItem

    item = NewItem(product_id=product_id, pic_name=pic_name, **attributes)
    return emulator.catalogue(instance).add(item, decode_image(png(image), instance), crop=True, region=None)


async def test_five_hundred_results_come_in_five_calls(serve, load, tmp_path):
    """Ranks run from 1 to 500 without gap or repeat, best first, and each page is a slot that is counted."""
    emulator = serve("generic")
    distinct = [painted(number) for number in range(26)]
    for number in range(520):
        put(emulator, "generic", distinct[number % 26], f"P{number % 130:03}", f"view {number // 130}")
    (tmp_path / "q.png").write_bytes(png(distinct[0]))
    settings = load(
        [{"id": "a", "image": "q.png"}],
        instance__endpoint=emulator.endpoint,
        instance__name="generic",
        images__root=str(tmp_path),
        results_per_row=500,
    )
    summary = await run_job(settings)
    row, hits = results_of(settings).loc["a"], hits_of(settings)
    assert summary.calls == len(emulator.log.entries("SearchImageByPic")) == row["attempts"] == 5
    assert row["calls"] == 5
    assert row["hit_count"] == 500
    assert row["docs_found"] == 520
    assert row["docs_return"] == 100
    assert list(hits["rank"]) == list(range(1, 501))
    assert list(hits["page"]) == [page for page in range(5) for _ in range(100)]
    assert hits["score"].is_monotonic_decreasing
    assert list(hits["score"][:20]) == [1.0] * 20
    assert not hits.duplicated(["product_id", "pic_name"]).any()
    pages = hits.groupby("page")["request_id"].agg(["nunique", "first"])
    assert set(pages["nunique"]) == {1}
    assert pages["first"].nunique() == 5
    ledger = Path(settings.output.dir) / "ledger" / "ledger.sqlite3"
    assert executed(ledger, "SELECT amount FROM usage WHERE counter = 'calls'") == [(5,)]


async def test_with_distinct_product_id_each_product_comes_once(serve, load, tmp_path):
    """Job-wide and row by row: of each product only the best image is a hit."""
    emulator = serve("generic")
    for number in range(12):
        put(emulator, "generic", painted(number), f"P{number // 3}", f"view {number % 3}")
    (tmp_path / "q.png").write_bytes(png(painted(4)))
    given = [{"id": which, "image": "q.png", "once": which} for which in ("false", "true")]
    settings = load(
        given,
        instance__endpoint=emulator.endpoint,
        instance__name="generic",
        images__root=str(tmp_path),
        manifest__columns={"distinct_product_id": "once"},
        parameters={"num": 50},
    )
    await run_job(settings)
    hits = hits_of(settings)
    found = {
        key: list(zip(part["product_id"], part["pic_name"], strict=True))
        for key, part in hits.groupby("row_key")
    }
    best = list(dict.fromkeys(product for product, _ in found["false"]))
    assert len(found["false"]) == 12
    assert [product for product, _ in found["true"]] == best
    assert sorted(best) == ["P0", "P1", "P2", "P3"]
    assert found["true"][0] == ("P1", "view 1")
    assert set(found["true"]) <= set(found["false"])


async def test_a_rows_own_columns_win_over_the_jobs_parameters(serve, load, tmp_path):
    """Region, category and filter may differ from row to row; an empty cell leaves the job's value."""
    emulator = serve("product")
    for number in range(6):
        put(
            emulator,
            "product",
            painted(number),
            f"P{number}",
            category_id=number % 2,
            int_attr=number,
        )
    (tmp_path / "q.png").write_bytes(png(painted(3)))
    given = [
        {"id": "job's", "box": "", "category": "", "only": ""},
        {"id": "category", "box": "", "category": "0", "only": ""},
        {"id": "filter", "box": "", "category": "", "only": "int_attr in (1, 2)"},
        {"id": "region", "box": "10,90,20,80", "category": "", "only": ""},
        {"id": "wrong category", "box": "", "category": "17", "only": ""},
        {"id": "wrong filter", "box": "", "category": "", "only": "int_attr ~ 1"},
        {"id": "outside", "box": "100,200,0,50", "category": "", "only": ""},
    ]
    settings = load(
        [{**row, "image": "q.png"} for row in given],
        instance__endpoint=emulator.endpoint,
        instance__name="product",
        instance__service_type="product",
        images__root=str(tmp_path),
        manifest__columns={"region": "box", "category_id": "category", "filter": "only"},
        parameters={"category_id": 1, "filter": "int_attr >= 1", "num": 20},
    )
    summary = await run_job(settings)
    results, hits = results_of(settings), hits_of(settings)
    found = hits.groupby("row_key")["product_id"].agg(set)
    assert found["job's"] == {"P1", "P3", "P5"}
    assert found["category"] == {"P2", "P4"}
    assert found["filter"] == {"P1"}
    assert found["region"] == {"P1", "P3", "P5"}
    assert dict(results["pic_category_id"].dropna()) == {"job's": 1, "category": 0, "filter": 1, "region": 1}
    assert results.loc["region", "pic_region"] == "10,90,20,80"
    assert results.loc["job's", "pic_region"] != "10,90,20,80"
    assert dict(results["error_code"].dropna()) == {
        "wrong category": "Local.InvalidCategory",
        "wrong filter": "Local.InvalidFilter",
        "outside": "Local.InvalidRegion",
    }
    assert summary.calls == 4


async def test_a_product_instance_predicts_the_category(serve, load, tmp_path):
    """Without a category the nearest items' one is reported, and the search keeps to it."""
    emulator = serve("product")
    for number in range(6):
        put(emulator, "product", painted(number), f"P{number}", category_id=(4, 7)[number >= 3])
    for name, number in (("low", 1), ("high", 5)):
        # Another image of the product, not the same bytes.
        painted(number).save(tmp_path / f"{name}.jpg", quality=70)
    settings = load(
        [{"id": name, "image": f"{name}.jpg"} for name in ("low", "high")],
        instance__endpoint=emulator.endpoint,
        instance__name="product",
        instance__service_type="product",
        images__root=str(tmp_path),
    )
    await run_job(settings)
    results, hits = results_of(settings), hits_of(settings)
    assert dict(results["pic_category_id"]) == {"low": 4, "high": 7}
    assert dict(results["hit_count"]) == {"low": 3, "high": 3}
    first = hits[hits["rank"] == 1].set_index("row_key")
    assert dict(first["product_id"]) == {"low": "P1", "high": "P5"}
    assert dict(first["category_id"]) == {"low": 4, "high": 7}


async def test_each_service_types_sides_are_held_before_any_call(serve, load, tmp_path):
    """One pixel too few costs no call, the bounds themselves pass untouched, one too many is shrunk."""
    emulator = serve(*SERVICE_TYPES)
    for number, kind in enumerate(SERVICE_TYPES.values()):
        # Beside the long side so much of the short one that shrinking leaves it long enough.
        sides = {
            "small": (kind.min_side, kind.min_side - 1),
            "least": (kind.min_side, kind.min_side),
            "most": (kind.max_side, kind.min_side),
            "large": (kind.max_side + 1, kind.min_side + 50),
        }
        for name, size in sides.items():
            Image.new("L", size, 128).save(tmp_path / f"{name}.png")
        settings = load(
            [{"id": name, "image": f"{name}.png"} for name in sides],
            instance__endpoint=emulator.endpoint,
            instance__name=kind.name,
            instance__service_type=kind.name,
            images__root=str(tmp_path),
            output__dir=str(tmp_path / f"out{number}"),
        )
        summary = await run_job(settings)
        results = results_of(settings)
        assert dict(results["error_code"].dropna()) == {"small": "Local.ImageTooSmall"}, kind.name
        assert summary.calls == 3
        sent = results[["sent_width", "sent_height"]].dropna()
        assert tuple(sent.loc["least"]) == sides["least"]
        assert tuple(sent.loc["most"]) == sides["most"]
        assert kind.min_side <= sent.loc["large"].min() <= sent.loc["large"].max() <= kind.max_side
        assert list(results.loc["most", "transforms"]) == []
        assert list(results.loc["large", "transforms"]) != []
    refused = [entry.code for entry in emulator.log.entries("SearchImageByPic") if entry.code]
    assert refused == []
