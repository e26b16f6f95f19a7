"""`batchsearch compare` over real HTTP: pairs made, called once each, and summed up."""

import json
import signal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_rig import LOGGED, invoke, started, until_at_work

from batchsearch.engine.job.run_options import RunOptions
from batchsearch.errors import ConfigError, ManifestError, OutputInUseError
from batchsearch.storage.ledger.lock import OutputLock
from batchsearch.tasks.compare.comparison_job import compare_job
from batchsearch.tasks.compare.expansion import job_to_plan, pairs_job
from batchsearch.tasks.plan.planning import plan_job

COMPARE = "CompareSimilarByImage"

LIST = [
    {"id": f"r{number}", "image": f"p{number % 8:02}.jpg", "family": "ab"[number % 2], "name": f"n{number}"}
    for number in range(8)
]
GROUPS = {"pairs": "groups", "group": "family"}


def scores_of(settings):
    return pd.read_parquet(f"{settings.output.dir}/scores.parquet")


def record_of(settings):
    with open(f"{settings.output.dir}/compare.json", encoding="utf-8") as file:  # noqa: PTH123 - a test's one line
        return json.load(file)


@pytest.fixture
def comparing(load_here):
    """Loads a job that compares, over the running emulator."""

    def made(rows, compare, **settings):
        return load_here(rows, operation=COMPARE, compare=compare, **settings)

    return made


async def test_a_group_is_compared_pair_by_pair(comparing):
    """Two groups of four make twelve pairs, one call each, and every score stands beside both images."""
    settings = comparing(LIST, {**GROUPS, "carry": ["name"]})
    ended = await compare_job(settings)
    assert (ended.exit_code, ended.summary.calls, ended.compared) == (0, 12, 12)
    scores = scores_of(settings)
    assert len(scores) == 12
    assert set(scores["group"]) == {"a", "b"}
    assert (scores["primary"] < scores["secondary"]).all()
    assert scores["score"].between(0, 1).all()
    one = scores[(scores["primary"] == "r0") & (scores["secondary"] == "r4")].iloc[0]
    assert one["pair_key"] == '["r0","r4"]'
    assert (one["primary_image"], one["secondary_image"]) == ("p00.jpg", "p04.jpg")
    assert (one["primary_name"], one["secondary_name"]) == ("n0", "n4")
    assert (one["primary_source_width"], one["primary_source_format"]) == (160, "JPEG")
    assert len(one["primary_source_sha256"]) == 64


async def test_the_record_sums_up_the_scores(comparing):
    """Counts, statistics and histogram of `compare.json` are those of the table."""
    settings = comparing([*LIST, {**LIST[0], "id": "copy"}, {"id": "none"}], GROUPS)
    ended = await compare_job(settings)
    record, scores = record_of(settings), scores_of(settings)
    assert (record["pairs"], record["compared"], record["failed"]) == (16, 16, 0)
    assert record["images_without_a_group"] == 1
    assert record["same_bytes"] == 1
    assert record["statistics"]["mean"] == pytest.approx(scores["score"].mean(), abs=1e-6)
    assert sum(bar["count"] for bar in record["histogram"]) == 16
    assert {group["group"]: group["count"] for group in record["groups"]} == {"a": 10, "b": 6}
    assert record["most_alike"][0]["primary"] == "copy"
    assert ended.as_dict()["compare"]["compared"] == 16


async def test_a_small_group_has_a_matrix(comparing):
    """Both halves hold the scores, a pair without a score is null; so is a missing image beside itself."""
    settings = comparing([*LIST, {"id": "r9", "image": "gone.jpg", "family": "a", "name": ""}], GROUPS)
    ended = await compare_job(settings)
    written = {matrix.group: matrix for matrix in ended.matrices}
    assert (written["a"].images, written["a"].missing, written["b"].missing) == (5, 4, 0)
    table = pd.read_parquet(f"{ended.matrix_folder}/{written['a'].file}").set_index("image")
    assert list(table.index) == list(table.columns) == ["r0", "r2", "r4", "r6", "r9"]
    scores = scores_of(settings).set_index(["primary", "secondary"])["score"]
    assert table.loc["r0", "r4"] == table.loc["r4", "r0"] == scores["r0", "r4"]
    assert table.loc["r2", "r2"] == 1.0
    assert table.loc["r0"].isna().sum() == 1
    assert table.loc["r9"].isna().all()


async def test_large_groups_have_no_matrix_and_old_ones_go(comparing):
    """Groups beyond the bound are told; a matrix of an earlier run does not stay beside the new scores."""
    first = await compare_job(comparing(LIST, GROUPS))
    assert len(first.matrices) == 2
    again = await compare_job(comparing(LIST, {**GROUPS, "matrix_pictures": 3}))
    assert (again.matrices, again.too_large, again.summary.calls) == ((), 2, 0)
    assert again.matrix_folder is None
    third = await compare_job(comparing(LIST, {**GROUPS, "matrices": 1}))
    assert [matrix.group for matrix in third.matrices] == ["a"]


async def test_one_reference_is_compared_with_every_row(comparing):
    """An image of its own, or a row of the list, which is not compared with itself."""
    by_path = await compare_job(
        comparing(LIST, {"pairs": "reference", "reference": "p02.jpg"}, output__dir="by-path")
    )
    assert (by_path.summary.rows, by_path.compared) == (8, 8)
    settings = comparing(LIST, {"pairs": "reference", "reference_key": "r2"}, output__dir="by-key")
    by_key = await compare_job(settings)
    assert (by_key.summary.rows, by_key.compared) == (7, 7)
    scores = scores_of(settings)
    assert set(scores["primary"]) == {"r2"}
    assert set(scores["secondary"]) == {row["id"] for row in LIST} - {"r2"}
    assert scores["group"].isna().all()


async def test_given_pairs_keep_their_columns_and_share_a_call_both_ways(comparing):
    """(A, B) and (B, A) are one call and two scores; the manifest's own columns follow the scores."""
    pairs = [("p00", "p01"), ("p01", "p00"), ("p02", "p02"), ("p03", "gone")]
    rows = [
        {
            "id": n,
            "primary_image": f"{a}.jpg",
            "secondary_image": f"{b}.jpg",
            "kind": "xy"[n % 2],
            "group": "?",
        }
        for n, (a, b) in enumerate(pairs)
    ]
    settings = comparing(rows, {"group": "kind"})
    ended = await compare_job(settings)
    assert (ended.summary.calls, ended.compared, ended.failed) == (2, 3, 1)
    scores = scores_of(settings).set_index("pair_key").sort_index()
    assert scores.loc["0", "score"] == scores.loc["1", "score"]
    assert scores.loc["2", "same_bytes"]
    assert scores.loc["3", "error_code"] == "Local.ImageMissing"
    assert list(scores["group"]) == ["x", "y", "x", "y"]
    assert list(scores["primary"]) == ["p00.jpg", "p01.jpg", "p02.jpg", "p03.jpg"]
    assert {"id", "kind", "manifest_group"} <= set(scores.columns)
    assert list(scores["kind"]) == list(scores["group"])
    both_ways = comparing(rows, {}, reuse__symmetric_pairs=False, output__dir="both-ways")
    assert (await compare_job(both_ways)).summary.calls == 3


async def test_a_list_that_grows_pays_for_its_new_pairs_only(comparing):
    """Pairs keep their names when rows come, go and are sorted anew; those that are gone are left out."""
    assert (await compare_job(comparing(LIST, GROUPS))).summary.calls == 12
    changed = [{"id": "r8", "image": "p08.jpg", "family": "a", "name": ""}, *LIST[:0:-1]]
    settings = comparing(changed, GROUPS)
    ended = await compare_job(settings)
    assert ended.summary.calls == 3  # r8 with r2, r4 and r6; r0 is gone
    scores = scores_of(settings)
    assert len(scores) == ended.compared == 12
    assert "r0" not in {*scores["primary"], *scores["secondary"]}


async def test_a_stopped_comparison_goes_on_and_sums_up_what_it_has(comparing):
    """After four calls it ends with 4 and four scores; again, it makes the other eight."""
    settings = comparing(LIST, GROUPS)
    first = await compare_job(settings, RunOptions(max_calls=4))
    assert (first.exit_code, first.compared, record_of(settings)["left"]) == (4, 4, 8)
    again = await compare_job(settings)
    assert (again.exit_code, again.summary.calls, again.compared) == (0, 8, 12)


async def test_pairs_are_made_once(comparing, tmp_path):
    """The same manifest's pairs are not written again; a changed one's are."""
    settings = comparing(LIST, GROUPS)
    told = []
    pairs_job(settings, pairs_made=told.append)
    pairs_job(settings, pairs_made=told.append)
    assert told == [12]
    pairs_job(comparing(LIST[:6], GROUPS), pairs_made=told.append)
    assert told == [12, 6]
    assert (tmp_path / "out" / "compare" / "pairs.parquet").stat().st_mode & 0o077 == 0


def test_too_many_pairs_are_refused_before_anything_is_written(comparing, tmp_path):
    """The message says how many calls and hours that is, and which group makes them."""
    settings = comparing(LIST, {**GROUPS, "max_pairs": 11}, instance__qps=10)
    with pytest.raises(ConfigError, match=r"12 pairs, more than .*\(11\).*largest group, 'a', has 4 images"):
        pairs_job(settings)
    assert not (tmp_path / "out" / "compare").exists()
    whole = comparing(LIST, {"pairs": "groups", "max_pairs": 11})
    with pytest.raises(ConfigError, match=r"28 pairs.*the list has 8 images.*`compare\.group` names"):
        pairs_job(whole)


@pytest.mark.parametrize(
    ("compare", "error", "said"),
    [
        ({"pairs": "groups", "group": "famly"}, ManifestError, "did you mean `family`"),
        ({"pairs": "groups", "image": "photo"}, ManifestError, "no column 'photo'"),
        ({"pairs": "groups", "group": "name"}, ManifestError, "no two rows have the same value in `name`"),
        ({"pairs": "groups", "carry": ["colour"]}, ConfigError, "no column 'colour'"),
        (
            {"pairs": "reference", "reference_key": "r22"},
            ConfigError,
            "no row has the key 'r22'; did you mean",
        ),
    ],
)
def test_what_the_list_does_not_have_is_told(comparing, compare, error, said):
    """A column or row that is not there is named beside the nearest that is."""
    with pytest.raises(error, match=said):
        pairs_job(comparing(LIST, compare))


def test_another_operation_compares_nothing(comparing):
    """A search job is told which operation compares."""
    with pytest.raises(ConfigError, match="must be `CompareSimilarByImage`"):
        pairs_job(comparing(LIST, GROUPS).model_copy(update={"operation": "SearchImageByPic"}))


def test_columns_that_mean_nothing_here_are_refused(comparing):
    """`manifest.columns` of a list would be passed over in silence: it is an error."""
    with pytest.raises(ConfigError, match=r"`compare\.image`"):
        pairs_job(comparing(LIST, GROUPS, manifest__columns={"primary_image": "image"}))


def test_pairs_do_not_change_under_a_run(comparing, tmp_path):
    """While a run holds the output, its pairs stay as they are."""
    pairs_job(comparing(LIST, GROUPS))
    with OutputLock(tmp_path / "out" / "ledger" / "lock", "another"), pytest.raises(OutputInUseError):
        pairs_job(comparing(LIST[:4], GROUPS))


async def test_a_plan_writes_nothing(comparing, tmp_path):
    """The calls of the pairs are counted from a temporary file; the output folder stays unmade."""
    settings = comparing(LIST, GROUPS)
    with job_to_plan(settings) as to_plan:
        plan = await plan_job(to_plan)
    assert (plan.rows, plan.calls) == (12, 12)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [pa.binary(), pa.struct([("bytes", pa.binary()), ("path", pa.string())])])
async def test_images_may_be_in_the_manifest(comparing, tmp_path, images, kind):
    """Inline bytes become pairs as well; nothing of them is carried into results or scores."""
    files = [(images / f"p{number:02}.jpg").read_bytes() for number in range(3)]
    cells = files if pa.types.is_binary(kind) else [{"bytes": data, "path": "x.jpg"} for data in files]
    table = pa.table({"id": ["a", "b", "c"], "image": pa.array(cells, kind)})
    pq.write_table(table, tmp_path / "inline.parquet")
    settings = comparing(LIST, {"pairs": "groups"}, manifest__path="inline.parquet")
    ended = await compare_job(settings)
    assert (ended.compared, ended.failed) == (3, 0)
    assert not any(b"JFIF" in path.read_bytes() for path in (tmp_path / "out" / "results").iterdir())
    assert b"JFIF" not in (tmp_path / "out" / "scores.parquet").read_bytes()


async def test_a_signed_address_is_in_no_score(comparing, tmp_path):
    """What an address keeps secret stays in the private pairs; scores, record and results do not have it."""
    rows = [{"id": n, "image": f"http://user:secret@127.0.0.1:9/{n}.jpg?Signature=secret"} for n in range(2)]
    settings = comparing(rows, {"pairs": "groups"})
    ended = await compare_job(settings)
    assert ended.failed == 1
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file() and path.parent.name != "compare" and path.suffix != ".sqlite3-shm":
            assert b"secret" not in path.read_bytes(), path
    assert "secret" not in ended.as_text()


def test_the_command_ends_as_run_does(make_job_here):
    """Last line of stdout: the run's summary as JSON with the scores' beside it; a histogram on stderr."""
    job = make_job_here(
        [*LIST, {"id": "gone", "image": "gone.jpg", "family": "a"}],
        operation=COMPARE,
        compare=GROUPS,
        max_failed=1,
    )
    ran = invoke("compare", job, "--no-progress")
    assert ran.exit_code == 3, ran.stderr
    last = json.loads(ran.stdout.splitlines()[-1])
    assert (last["rows"], last["failed"], last["compare"]["compared"]) == (16, 4, 12)
    assert "####" in ran.stderr
    assert "most alike" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_bad_section_is_bad_configuration(make_job):
    """The exit code is 64, and stdout still ends with a line of JSON."""
    ran = invoke("compare", make_job(LIST, operation=COMPARE, compare={"pairs": "x"}))
    assert ran.exit_code == 64
    assert json.loads(ran.stdout.splitlines()[-1])["exit_code"] == 64


def test_a_terminated_comparison_sums_up_and_goes_on(make_job_here):
    """SIGTERM ends it with 4 and the scores so far; the same command makes the others, none twice."""
    rows = [{"id": f"r{n:02}", "image": f"p{n:02}.jpg"} for n in range(9)]
    job = make_job_here(rows, operation=COMPARE, instance__qps=10, compare={"pairs": "groups"})
    with started("compare", job, *LOGGED) as process:
        until_at_work(process)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    first = json.loads(out.splitlines()[-1])
    assert (process.returncode, first["exit_code"]) == (4, 4)
    assert 0 < first["compare"]["compared"] < 36
    assert first["compare"]["left"] == 36 - first["compare"]["compared"]
    ran = invoke("compare", job, "--set", "instance.qps=1000", "--no-progress")
    again = json.loads(ran.stdout.splitlines()[-1])
    assert (again["compare"]["compared"], again["calls"]) == (36, 36 - first["done"])


def test_fresh_begins_in_another_folder(make_job_here, tmp_path):
    """`--fresh DIR` makes every call anew, into a folder that was empty."""
    job = make_job_here(LIST, operation=COMPARE, compare=GROUPS)
    for folder, code in (("one", 0), ("one", 64), ("two", 0)):
        ran = invoke("compare", job, "--no-progress", "--fresh", tmp_path / folder)
        assert ran.exit_code == code, ran.stderr
        if code == 0:
            assert json.loads(ran.stdout.splitlines()[-1])["calls"] == 12
            assert (tmp_path / folder / "scores.parquet").exists()
