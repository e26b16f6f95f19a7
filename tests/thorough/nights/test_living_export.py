"""A catalogue's table from night to night: columns come, go, move and widen, the path changes."""

import asyncio
import base64
import gzip
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from run_rig import put_all

import batchsearch
from batchsearch.engine.job.job_of_output import job_of
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.engine.renewal import removed_rows
from batchsearch.engine.renewal.row_selector import RowSelector
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ConfigError, ExitCode
from batchsearch.storage.ledger.checksum import forget_sum
from batchsearch.tasks.compact.compacting import compact
from batchsearch.tasks.plan.planning import plan_job
from batchsearch.tasks.recover.recovery import recover_folder
from batchsearch.tasks.verify.findings import Verdict
from batchsearch.tasks.verify.folder_check import verify_folder

SEARCH = "SearchImageByPic"
IDS = ["a", "b", "c"]
MORE = [*IDS, "d"]


def paths(count):
    return [f"p{number:02}.jpg" for number in range(count)]


@pytest.fixture
def night(load, signed_in, tmp_path):
    """Runs the job over a table, or over what lies at another path; `paying` says for how many calls."""

    async def run(table=None, *, path="m.parquet", key=("id",), only=None, **more):
        if table is not None:
            made = tmp_path / path
            made.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, made)
        settings = job(path, key, **more)
        summary = await run_job(settings)
        return settings, summary

    def job(path="m.parquet", key=("id",), **more):
        given = {"output__rows_per_part": 2, **more}
        return load(
            [{"id": "unused", "image": "unused"}],
            instance__endpoint=signed_in.endpoint,
            manifest__path=path,
            manifest__key=list(key),
            **given,
        )

    async def paying(calls, *table, **more):
        settings, summary = await run(*table, **more)
        assert (summary.exit_code, summary.calls) == (ExitCode.DONE, calls)
        return settings

    run.job, run.paying = job, paying
    return run


def readers(settings):
    """What each program that people use reads of the results, by row key; all agree on rows and columns."""
    folder = Path(settings.output.dir, "results")
    frames = {
        "pandas": pd.read_parquet(folder),
        "arrow": ds.dataset(folder).to_table().to_pandas(),
        "duckdb": duckdb.sql(f"SELECT * FROM read_parquet('{folder}/*.parquet')").df(),
        "duckdb by name": duckdb.sql(
            f"SELECT * FROM read_parquet('{folder}/*.parquet', union_by_name = true)"
        ).df(),
        "python": batchsearch.Output(Path(settings.output.dir)).to_pandas(),
    }
    columns = list(frames["arrow"].columns)
    for name, frame in frames.items():
        assert list(frame.columns) == columns, name
        assert sorted(frame["row_key"]) == sorted(frames["arrow"]["row_key"]), name
    assert len({str(pq.read_schema(part)) for part in folder.glob("*.parquet")}) == 1
    return ds.dataset(folder).to_table().sort_by("row_key")


def column(results, name):
    return dict(zip(results["row_key"].to_pylist(), results[name].to_pylist(), strict=True))


def is_whole(settings):
    found = verify_folder(Path(settings.output.dir))
    assert not found.findings.listed()
    return found.findings.verdict() == Verdict.WHOLE


def base(**more):
    return pa.table({"id": IDS, "image": paths(3), **more})


def grown(**more):
    return pa.table({"id": MORE, "image": paths(4), **more})


def changed(first, second, wanted, kind):
    """A column of the first night, of the second, what it must be then, and its type."""
    return base(c=first), grown(c=second), {"c": wanted}, kind


LARGE = 2**60 + 1
WIDE = pa.array([1, 2, 3, 2**40])
XYZ, XYZA = ["x", "y", "z"], pa.array(["x", "y", "z", "ä"])
MOMENTS = [pd.Timestamp(n, unit="s" if n < 4 else "ms").to_pydatetime() for n in (1, 2, 3, 4)]
STRUCTS = [{"a": 1.0, "b": None}, None, {"a": 3.0, "b": None}, {"a": 1.5, "b": "x"}]
NIGHTS = {
    "new column": (base(), grown(season=["s"] * 4), {"season": [None, None, None, "s"]}, pa.string()),
    "column gone": (base(season=["s"] * 3), grown(), {"season": ["s", "s", "s", None]}, pa.string()),
    "reordered": (
        base(n=[1, 2, 3]),
        grown(n=[1, 2, 3, 4]).select(["n", "image", "id"]),
        {"n": [1, 2, 3, 4]},
        pa.int64(),
    ),
    "int becomes double": changed([1, 2, 3], [1.0, 2.0, None, 4.5], [1.0, 2.0, 3.0, 4.5], pa.float64()),
    "double becomes int": changed([1.5, None, 3.0], [1, 2, 3, 4], [1.5, None, 3.0, 4.0], pa.float64()),
    "large ids become double": changed(
        [1, 2, LARGE], [1.0, 2.0, None, 4.0], ["1", "2", str(LARGE), "4"], pa.string()
    ),
    "narrow int becomes wide": changed(WIDE[:3].cast(pa.int16()), WIDE, WIDE.to_pylist(), pa.int64()),
    "string becomes large_string": changed(XYZ, XYZA.cast(pa.large_string()), XYZA.to_pylist(), pa.string()),
    "large_string becomes string": changed(
        pa.array(XYZ, pa.large_string()), XYZA, XYZA.to_pylist(), pa.large_string()
    ),
    "dictionary becomes text": changed(
        pa.array(["x", "y", "x"]).dictionary_encode(), [*"xyxz"], [*"xyxz"], pa.string()
    ),
    "all null gets a type": changed(pa.nulls(3), [None, None, None, 7], [None, None, None, 7], pa.int64()),
    "seconds become finer": changed(
        pa.array([1, 2, 3], pa.timestamp("s")),
        pa.array([1, 2, 3, 4], pa.timestamp("ms")),
        MOMENTS,
        pa.timestamp("ms"),
    ),
    "number becomes text": changed(
        [10, 2_000_000, 3], ["10", "2000000", "3", "none"], ["10", "2000000", "3", "none"], pa.string()
    ),
    "truth becomes number": changed(
        [True, None, False], [1, 0, 0, 1], ["true", None, "false", "1"], pa.string()
    ),
    "struct gains a field": changed(
        [{"a": 1}, None, {"a": 3}],
        [{"a": 1.5, "b": "x"}] * 4,
        STRUCTS,
        pa.struct([("a", pa.float64()), ("b", pa.string())]),
    ),
    "list of wider numbers": changed(
        pa.array([[1], None, [2, None]], pa.list_(pa.int32())),
        [[1.5], [], [2.0], [0.5]],
        [[1.0], None, [2.0, None], [0.5]],
        pa.list_(pa.float64()),
    ),
    "list becomes text": changed(
        [["x", "ü"], None, []], ["x,ü", "", "", "z"], ['["x", "ü"]', None, "[]", "z"], pa.string()
    ),
    "named like a column of the results": (
        base(),
        grown(outcome=["mine"] * 4),
        {"manifest_outcome": [None, None, None, "mine"], "outcome": ["ok"] * 4},
        pa.string(),
    ),
}


@pytest.mark.parametrize(("first", "second", "wanted", "kind"), NIGHTS.values(), ids=NIGHTS.keys())
async def test_only_the_new_row_is_paid_for(night, first, second, wanted, kind):
    """Whatever its columns do, the second night pays for the new row, and every program reads all rows."""
    await night.paying(3, first)
    settings, summary = await night(second)
    assert (summary.exit_code, summary.calls, summary.rows) == (ExitCode.DONE, 1, 4)
    results = readers(settings)
    assert results["row_key"].to_pylist() == MORE
    for name, values in wanted.items():
        assert list(column(results, name).values()) == values
    name = next(iter(wanted))
    assert results.schema.field(name).type == kind
    assert is_whole(settings)
    # The next night finds nothing to do, and writes nothing anew.
    parts = sorted(Path(settings.output.dir, "results").iterdir())
    settings = await night.paying(0, second)
    assert sorted(Path(settings.output.dir, "results").iterdir()) == parts


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.array([1, 2, 3]), pa.array(["1", "2", "3", "4"])),
        (pa.array(["1", "2", "3"]), pa.array([1, 2, 3, 4])),
        (pa.array([1, 2, 3], pa.int32()), pa.array([1, 2, 3, 4], pa.uint64())),
        (pa.array([1, 2, 3], pa.decimal128(18, 0)), pa.array([1, 2, 3, 4])),
        (pa.array(["1", "2", "3"]), pa.array(["1", "2", "3", "4"], pa.large_string())),
    ],
    ids=["text", "numbers", "width", "decimal", "large"],
)
@pytest.mark.parametrize("key", [("id",), ("id", "shop")], ids=["one column", "two columns"])
async def test_a_key_of_the_same_text_names_the_same_row(night, first, second, key):
    """Ids that are numbers one night and text the next name the rows that they named."""
    shop = pa.array([f"s{n}" for n in range(4)])
    await night(pa.table({"id": first, "image": paths(3), "shop": shop[:3]}), key=key)
    again = pa.table({"id": second, "image": paths(4), "shop": shop})
    plan = await plan_job(night.job(key=key))
    settings, summary = await night(again, key=key)
    assert (plan.rows, plan.done) == (3, 3)
    assert (summary.exit_code, summary.calls, summary.rows) == (ExitCode.DONE, 1, 4)
    results = readers(settings)
    assert results.num_rows == 4
    assert [str(value) for value in results["id"].to_pylist()] == ["1", "2", "3", "4"]
    assert is_whole(settings)
    assert (await plan_job(settings)).done == 4
    _, summary = await night(again, key=key)
    assert summary.calls == 0


async def test_text_that_is_no_number_names_a_row_of_its_own(night):
    """Where ids of two columns were numbers, `007` is not 7, and text that no number is stays text."""
    await night(pa.table({"id": [7], "image": paths(1), "shop": ["s"]}), key=("id", "shop"))
    table = pa.table({"id": ["7", "007", 'x"y'], "image": paths(3), "shop": ["s"] * 3})
    settings, summary = await night(table, key=("id", "shop"))
    assert (summary.calls, summary.rows) == (2, 3)
    assert {tuple(json.loads(key)) for key in readers(settings)["row_key"].to_pylist()} == {
        (7, "s"),
        ("007", "s"),
        ('x"y', "s"),
    }


async def test_the_path_may_carry_a_date_and_the_format_may_change(night, tmp_path):
    """Parquet, CSV, gzipped CSV with semicolons and another folder, a night each: one row paid each time."""
    await night(base(n=[1, 2, 3]), path="exports/2026-11-26.parquet")
    lines = [
        "image,id,n",
        *(f"{image},{name},{n}" for n, (image, name) in enumerate(zip(paths(4), MORE, strict=True))),
    ]
    (tmp_path / "exports" / "2026-11-27.csv").write_text("\n".join(lines))
    await night.paying(1, path="exports/2026-11-27.csv")
    (tmp_path / "elsewhere").mkdir()
    more = [line.replace(",", ";") for line in [*lines, "p04.jpg,e,5"]]
    with gzip.open(tmp_path / "elsewhere" / "2026-11-28.csv.gz", "wt") as file:
        file.write("\n".join(more))
    settings, summary = await night(
        path="elsewhere/2026-11-28.csv.gz", manifest__csv={"delimiter": ";"}, manifest__format="csv"
    )
    assert (summary.exit_code, summary.calls, summary.rows) == (ExitCode.DONE, 1, 5)
    results = readers(settings)
    assert column(results, "n") == {"a": "1", "b": "2", "c": "3", "d": "3", "e": "5"}
    assert is_whole(settings)


async def test_a_folder_may_begin_to_name_a_column(night, tmp_path):
    """The column of a Hive folder that appears is a column like any other."""
    await night(base(), path="lake/part.parquet")
    shutil.rmtree(tmp_path / "lake")
    (tmp_path / "lake" / "day=2026-11-26").mkdir(parents=True)
    pq.write_table(grown(), tmp_path / "lake" / "day=2026-11-26" / "part.parquet")
    settings = await night.paying(1, path="lake")
    assert column(readers(settings), "day") == {"a": None, "b": None, "c": None, "d": "2026-11-26"}


async def test_columns_without_a_name_come_and_go(night, tmp_path):
    """A spreadsheet leaves empty columns behind the last one on one night and none on the next."""
    (tmp_path / "m.csv").write_text("id,image,,\na,p00.jpg,,\nb,p01.jpg,,\n")
    await night.paying(2, path="m.csv")
    (tmp_path / "m.csv").write_text("id,image\na,p00.jpg\nb,p01.jpg\nc,p02.jpg\n")
    settings = await night.paying(1, path="m.csv")
    assert readers(settings)["id"].to_pylist() == IDS
    (tmp_path / "m.csv").write_text("id,image,\na,p00.jpg,\nb,p01.jpg,\nc,p02.jpg,\nd,p03.jpg,\n")
    settings = await night.paying(1, path="m.csv")
    assert readers(settings)["id"].to_pylist() == MORE
    assert is_whole(settings)


async def test_columns_that_are_not_carried_any_more_stay(night):
    """`manifest.carry` may be set or taken back: rows keep what was carried of them."""
    await night(base(n=[1, 2, 3]))
    settings = await night.paying(1, grown(n=[1, 2, 3, 4]), manifest__carry=["id"])
    assert column(readers(settings), "n") == {"a": 1, "b": 2, "c": 3, "d": None}


async def test_a_renewed_row_has_tonights_columns(night):
    """A row whose parameters changed gets tonight's values; what it was stays in history as it was."""
    mapped = {"manifest__columns": {"num": "most"}}
    await night(base(most=[5, 6, 7], n=[1, 2, 3]), **mapped)
    settings = await night.paying(2, grown(most=[5, 6, 8, 9], n=["x", "y", "z", "w"]), **mapped)
    assert column(readers(settings), "n") == {"a": "1", "b": "2", "c": "z", "d": "w"}
    (past,) = pd.read_parquet(Path(settings.output.dir, "history"))["n"]
    assert str(past) == "3"
    assert is_whole(settings)


async def test_a_parameter_that_became_a_double_is_the_same_request(night):
    """Whole numbers that the first missing value turns into doubles ask what they asked: nothing is paid."""
    mapped = {"manifest__columns": {"num": "most"}}
    await night(base(most=[5, 6, 7]), **mapped)
    settings = await night.paying(1, grown(most=[5.0, 6.0, 7.0, None]), **mapped)
    assert is_whole(settings)


async def test_what_waits_in_the_ledger_is_sealed_as_it_was_written(night):
    """Outcomes that a stopped night has left unsealed become parts with the columns that they had."""
    settings, _ = await night(base(n=[1, 2, 3]))
    unseal(settings)
    settings = await night.paying(1, grown(n=["x", "y", "z", "w"], season=["s"] * 4))
    results = readers(settings)
    assert column(results, "n") == {"a": "1", "b": "2", "c": "3", "d": "w"}
    assert column(results, "season") == {"a": None, "b": None, "c": None, "d": "s"}
    assert is_whole(settings)


@pytest.mark.parametrize("waits", [False, True], ids=["sealed", "waiting"])
async def test_an_output_of_the_first_version_lives_on(night, waits):
    """A ledger that notes the columns as text only, as 0.1.0 did, is understood; nothing is paid twice."""
    first = base(n=[1, 2, 3], at=pa.array([1, 2, 3], pa.timestamp("ms", "UTC")))
    settings, _ = await night(first)
    if waits:
        unseal(settings)
    as_first_version(settings, first)
    settings = await night.paying(1, grown(n=[1.5, None, None, 2.0]))
    results = readers(settings)
    assert column(results, "n") == {"a": 1.0, "b": 2.0, "c": 3.0, "d": 2.0}
    assert column(results, "at")["c"].microsecond == 3_000
    assert is_whole(settings)


async def test_a_ledger_made_anew_finds_the_columns_in_the_parts(night):
    """After `recover` the next night still has all columns, and pays for new rows only."""
    settings, _ = await night(base(n=[1, 2, 3], outcome=["x"] * 3))
    shutil.rmtree(Path(settings.output.dir, "ledger"))
    recover_folder(Path(settings.output.dir))
    settings = await night.paying(1, grown(season=["s"] * 4))
    results = readers(settings)
    assert column(results, "n") == {"a": 1, "b": 2, "c": 3, "d": None}
    assert column(results, "manifest_outcome") == {"a": "x", "b": "x", "c": "x", "d": None}
    assert is_whole(settings)


async def test_compaction_follows_the_columns(night):
    """Parts of several nights merge into one with the columns of all."""
    await night(base(n=[1, 2, 3]))
    settings, _ = await night(grown(n=["x", "y", "z", "w"]))
    done = await in_thread(compact, Path(settings.output.dir))
    assert done.after == 1
    assert column(readers(settings), "n") == {"a": "1", "b": "2", "c": "3", "d": "w"}
    await night.paying(0, grown(n=[1, 2, 3, 4]))


async def test_equal_requests_are_answered_from_widened_parts(night):
    """A new row that asks what an earlier night has asked gets its answer, wherever the parts are now."""
    await night(base(n=[1, 2, 3]))
    again = pa.table({"id": [*MORE, "e"], "image": [*paths(4), "p00.jpg"], "n": ["x"] * 5})
    settings = await night.paying(1, again)
    assert column(readers(settings), "coalesced_from")["e"] == "a"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"parameters__crop": False}, "parameters.crop: was (not set), is False"),
        ({"parameters__start": 5}, "parameters.start: was (not set), is 5"),
        ({"images__quality": 80}, "images.quality: was 90, is 80"),
        ({"key": ("image",)}, "manifest.key: was ['id'], is ['image']"),
    ],
)
async def test_what_truly_differs_is_still_another_job(night, more, said):
    """What decides answers is told setting by setting, with the ways on; plan and run say the same."""
    await night(base())
    with pytest.raises(ConfigError, match="what changed since") as refused:
        await night(grown(season=["s"] * 4), **more)
    assert said in str(refused.value)
    ways = str(refused.value)
    assert "--fresh DIR --set reuse.from=" in ways
    assert ("--renew" in ways) == ("key" not in more)
    with pytest.raises(ConfigError, match="another job") as planned:
        await plan_job(night.job(**more))
    assert said in str(planned.value)


async def test_a_dozen_everyday_changes_never_pay_twice(night, signed_in, tmp_path, images):
    """Twelve nights, each with another change of the export: every one pays for what is new, and no more.

    What was paid is counted where it is spent, by the instance.
    """
    own = tmp_path / "own"
    shutil.copytree(images, own)
    job = {"images__root": str(own), "output__rows_per_part": 5, "results_per_row": 2}
    put_all(signed_in, images, range(8, 12))
    ids = [f"s{number}" for number in range(8)]

    def table(rows=8, **more):
        return pa.table({"id": ids[:rows], "image": paths(rows), "n": list(range(rows)), **more})

    async def paid(table=None, **more):
        before = len(signed_in.log.entries(SEARCH))
        settings, summary = await night(table, **{**job, **more})
        assert summary.exit_code == ExitCode.DONE
        spent = len(signed_in.log.entries(SEARCH)) - before
        assert spent == summary.calls
        assert verify_folder(Path(settings.output.dir)).findings.verdict() == Verdict.WHOLE
        return spent

    assert await paid(table()) == 8
    changes = {
        "column added": {"table": table(season=["s"] * 8)},
        "column removed": {"table": table().drop_columns(["n"])},
        "column moved": {"table": table().select(["n", "image", "id"])},
        "column widened": {"table": table().set_column(2, "n", pa.array([*range(7), None], pa.float64()))},
        "unused column renamed": {"table": table().rename_columns(["id", "image", "count"])},
        "dated file name": {"table": table(), "path": "2026-11-27.parquet"},
    }
    for change, more in changes.items():
        assert await paid(**more) == 0, change
    # Several files in place of one, the rows in another order among them.
    (tmp_path / "parts").mkdir()
    pq.write_table(table().slice(5), tmp_path / "parts" / "a.parquet")
    pq.write_table(table().slice(0, 5), tmp_path / "parts" / "b.parquet")
    assert await paid(path="parts/*.parquet") == 0
    # CSV in place of Parquet, and a column that the job uses under another name: the setting is corrected.
    table().to_pandas().to_csv(tmp_path / "m.csv", index=False)
    assert await paid(path="m.csv") == 0
    table().rename_columns(["id", "image_link", "n"]).to_pandas().to_csv(tmp_path / "m.csv", index=False)
    renamed = {"manifest__columns": {"image": "image_link"}}
    assert await paid(path="m.csv", **renamed) == 0
    # A row added, one removed, and one whose image changed: two of them are new questions.
    shutil.copy(images / "p30.jpg", own / "p00.jpg")
    grown = pa.table({"id": [*ids[:7], "new"], "image": [*paths(7), "p20.jpg"]})
    assert await paid(grown) == 2
    # More hits for each row: lists that were full are asked for again, those that were not have all there is.
    assert await paid(grown, results_per_row=10) == 8
    assert await paid(grown, results_per_row=20) == 0
    assert await paid(grown, results_per_row=2) == 0


async def in_thread(function, *arguments):
    return await asyncio.to_thread(function, *arguments)


def unseal(settings):
    """Put the outcomes of a finished night back among those that wait, as a kill leaves them."""
    folder = Path(settings.output.dir)
    forget_sum(folder / "ledger" / "ledger.sqlite3")  # what is written here is not noted
    with closing(sqlite3.connect(folder / "ledger" / "ledger.sqlite3")) as ledger, ledger:
        names = [row[0] for row in ledger.execute("SELECT name FROM parts ORDER BY part")]
        carried = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(meta(ledger, "carried"))))
        seq = 0
        for name in names:
            rows = pq.read_table(folder / "results" / name)
            own = rows.drop_columns(carried.names)
            for place in range(rows.num_rows):
                seq += 1
                values = own.slice(place, 1).to_pylist()[0]
                result = json.dumps({k: v for k, v in values.items() if v is not None}, default=str)
                batch = rows.select(carried.names).cast(carried).slice(place, 1).to_batches()[0]
                ledger.execute(
                    "INSERT INTO pending (seq, replaces, result, hits, carried) VALUES (?, 0, ?, ?, ?)",
                    (seq, result.encode(), b"", batch.serialize().to_pybytes()),
                )
            for table in ("results", "hits"):
                (folder / table / name).unlink()
        ledger.execute("DELETE FROM parts")
        ledger.execute("UPDATE meta SET value = '' WHERE name = 'keys'")


def as_first_version(settings, table):
    """What version 0.1.0 noted of the columns, and nothing else."""
    forget_sum(Path(settings.output.dir, "ledger", "ledger.sqlite3"))  # what is written here is not noted
    with closing(sqlite3.connect(Path(settings.output.dir, "ledger", "ledger.sqlite3"))) as ledger, ledger:
        known = json.loads(meta(ledger, "fingerprint"))
        del known["key columns in quotes"]
        known["manifest's columns"] = [f"{field.name}: {field.type}" for field in table.schema]
        ledger.execute("UPDATE meta SET value = ? WHERE name = 'fingerprint'", (json.dumps(known),))
        ledger.execute("DELETE FROM meta WHERE name = 'carried'")


def meta(ledger, name):
    return ledger.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0]


async def test_rows_that_left_the_manifest_are_marked_and_come_back(night):
    """A row that is missing tonight says since when; one that is there again says so, and nothing is paid."""
    await night(grown())
    whole = readers(night.job())
    assert column(whole, "in_manifest") == dict.fromkeys(MORE, True)
    assert set(column(whole, "left_at").values()) == {None}
    settings, summary = await night(grown().slice(0, 2))
    assert (summary.calls, summary.others) == (0, 2)
    left = readers(settings)
    assert column(left, "in_manifest") == {"a": True, "b": True, "c": False, "d": False}
    since = column(left, "left_at")
    assert since["a"] is None
    assert since["c"] is not None
    # Another night without them changes nothing: no part is written anew, the time stays.
    parts = sorted(Path(settings.output.dir, "results").iterdir())
    await night(grown().slice(0, 2))
    assert sorted(Path(settings.output.dir, "results").iterdir()) == parts
    # One comes back as another one leaves: as many are missing as before.
    _, summary = await night(pa.concat_tables([grown().slice(0, 1), grown().slice(2, 1)]))
    assert (summary.calls, summary.others) == (0, 2)
    swapped = readers(settings)
    assert column(swapped, "in_manifest") == {"a": True, "b": False, "c": True, "d": False}
    assert column(swapped, "left_at")["c"] is None
    assert column(swapped, "left_at")["d"] == since["d"]
    assert verify_folder(Path(settings.output.dir)).findings.verdict() == Verdict.WHOLE
    _, summary = await night(grown())
    assert (summary.calls, summary.others) == (0, 0)
    assert column(readers(settings), "in_manifest") == dict.fromkeys(MORE, True)


async def test_the_same_rows_missing_again_cost_nothing(night, monkeypatch):
    """Whether parts say what they should is looked at when other rows are missing than the night before."""
    looked = []
    look = removed_rows._wrong_parts
    monkeypatch.setattr(removed_rows, "_wrong_parts", lambda *given: looked.append(1) or look(*given))
    await night(grown())
    await night(grown().slice(0, 3))
    assert looked == [1]
    assert "d" not in await _marked_as_there(night, grown().slice(0, 3))
    assert looked == [1]
    assert await _marked_as_there(night, grown().slice(0, 2)) == {"a", "b"}
    assert await _marked_as_there(night, grown()) == set(MORE)
    assert looked == [1] * 3


async def test_rows_that_were_not_sealed_yet_are_marked_the_night_after(night):
    """An outcome that waited for its part while its row left says so one run later."""
    settings, _ = await night(grown())
    unseal(settings)
    await night(grown().slice(0, 2))
    assert await _marked_as_there(night, grown().slice(0, 2)) == {"a", "b"}


async def _marked_as_there(night, table):
    """The rows that the results say are in the manifest, after another night."""
    settings, summary = await night(table)
    assert summary.calls == 0
    return {key for key, there in column(readers(settings), "in_manifest").items() if there}


async def test_a_retry_marks_nothing(night):
    """Asking again for some rows looks at no others: what left is marked by the next run of the job."""
    await night(grown())
    pq.write_table(grown().slice(0, 2), night.job().manifest.path)
    await run_job(job_of(Path(night.job().output.dir)).settings, RunOptions(chosen=RowSelector(rows=("a",))))
    assert set(column(readers(night.job()), "in_manifest").values()) == {True}
    await night()
    assert column(readers(night.job()), "in_manifest")["d"] is False


@pytest.mark.parametrize(
    ("key", "wanted"), [(("id",), ["1"]), (("id", "shop"), ["1", "s"])], ids=["one", "several"]
)
async def test_hits_say_whose_they_are_whatever_the_key(night, signed_in, images, key, wanted):
    """Hits carry the key's values, the run and the time of their row; a key of one column is a list, too."""
    put_all(signed_in, images, [0])
    settings, _ = await night(pa.table({"id": [1], "image": paths(1), "shop": ["s"]}), key=key)
    (row,) = readers(settings).to_pylist()
    (hit,) = ds.dataset(Path(settings.output.dir, "hits")).to_table().to_pylist()
    assert row["key_values"] == hit["key_values"] == wanted
    assert (hit["run_id"], hit["finished_at"]) == (row["run_id"], row["finished_at"])
