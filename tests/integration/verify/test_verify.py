"""`batchsearch verify`: a whole output is whole, and every way of not being so is found and named."""

import asyncio
import csv
import fcntl
import hashlib
import json
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from run_rig import command, granting, put, sign_in
from sqlite_rig import executed

from batchsearch.config.load import load_job
from batchsearch.errors import ConfigError
from batchsearch.tasks.verify.findings import KINDS, MOST_LISTED, Verdict
from batchsearch.tasks.verify.folder_check import output_folders, verify_folder
from batchsearch.tasks.verify.verify_page import VerifyPage

ROWS = 24


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A job that was run to its end: a folder with `m.csv`, `job.yaml` and the output `out`."""
    from batchsearch.emulator.instance_options import EmulatorOptions
    from batchsearch.emulator.server import Emulator
    from batchsearch.engine.run.job import run_job

    folder = tmp_path_factory.mktemp("finished")
    options = EmulatorOptions(instances=(granting(),))
    with pytest.MonkeyPatch.context() as patch, Emulator(options) as emulator:
        sign_in(patch, emulator)
        for number in range(ROWS):
            colour = (number * 9 % 256, number * 31 % 256, number * 57 % 256)
            Image.new("RGB", (120, 120), colour).save(folder / "image.png")
            put(emulator, f"P{number:02}", folder / "image.png")
        _write_manifest(folder, [f"r{n:02}" for n in range(ROWS)])
        job = {
            "operation": "SearchImageByName",
            "instance": {"endpoint": emulator.endpoint, "name": "demo", "qps": 1000, "custom_qps": True},
            "manifest": {"path": "m.csv", "key": ["id"]},
            "output": {"dir": "out", "rows_per_part": 7},
            "max_failed": "100%",
        }
        (folder / "job.yaml").write_text(yaml.safe_dump(job))
        asyncio.run(run_job(load_job(folder / "job.yaml").settings))
    return folder


def _write_manifest(folder, keys):
    with (folder / "m.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "product_id", "pic_name"])
        # The last row's name is unknown to the service: one row fails.
        writer.writerows([key, f"P{int(key[1:]):02}" if key != "r23" else "nobody", "front"] for key in keys)


@pytest.fixture
def made(finished, tmp_path):
    """A copy of the finished job to spoil; its manifest is read where the copy is."""
    folder = tmp_path / "job"
    shutil.copytree(finished, folder)
    return folder


def verified(folder, **options):
    return verify_folder(folder / "out", **({"config": folder / "job.yaml"} | options))


def found(folder, **options):
    return dict(+verified(folder, **options).findings.counts)


def first_part(folder, table):
    return min((folder / "out" / table).glob("part-*.parquet"))


def rewrite(folder, table, change, *, part=None):
    """Change a part's rows and its seal with them, as a defect would that the checksums cannot show."""
    path = part or first_part(folder, table)
    changed = change(pq.read_table(path))
    pq.write_table(changed, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    counted, column = ("rows", "results_sha256") if table == "results" else ("hits", "hits_sha256")
    execute(
        folder,
        f"UPDATE parts SET {counted} = ?, {column} = ? WHERE name = ?",
        (changed.num_rows, digest, path.name),
    )


def execute(folder, statement, values=()):
    executed(folder / "out" / "ledger" / "ledger.sqlite3", statement, values)
    # Changed by hand on purpose: what is to be found is what the change means.
    (folder / "out" / "ledger" / "ledger.sum").unlink(missing_ok=True)


def with_column(table, name, values):
    place = table.schema.get_field_index(name)
    return table.set_column(
        place, table.schema.field(place), pa.array(values, table.schema.field(place).type)
    )


def changed_first(table, name, value):
    return with_column(table, name, [value, *table[name].to_pylist()[1:]])


def test_a_finished_output_is_whole(made):
    """Nothing is found in what a run has finished, and everything was counted."""
    seen = verified(made)
    assert seen.findings.verdict() is Verdict.WHOLE
    assert not +seen.findings.counts
    assert (seen.rows, seen.manifest_rows, seen.pending, seen.running) == (ROWS, ROWS, 0, False)
    assert seen.hits == sum(pq.read_metadata(path).num_rows for path in (made / "out" / "hits").iterdir())


def test_the_ledger_says_which_manifest_it_is(finished):
    """Without being told, verify finds the manifest by what the ledger keeps of the job."""
    seen = verify_folder(finished / "out")
    assert seen.manifest_rows == ROWS
    assert not +seen.findings.counts


SPOILT = {
    "part_missing": lambda made: first_part(made, "results").unlink(),
    "part_changed": lambda made: pq.write_table(
        with_other_compression(first_part(made, "results")), first_part(made, "results"), compression="none"
    ),
    "part_unreadable": lambda made: first_part(made, "hits").write_bytes(b"PAR1 and no more"),
    "part_rows": lambda made: execute(made, "UPDATE parts SET rows = rows + 1 WHERE part = 1"),
    "part_schema": lambda made: rewrite(made, "hits", with_text_for_scores),
    "part_older": lambda made: rewrite(made, "hits", lambda table: table.drop_columns(["score"])),
    "key_doubled": lambda made: rewrite(
        made, "results", lambda table: pa.concat_tables([table, table.slice(2, 1)])
    ),
    "row_lost": lambda made: rewrite(made, "results", lambda table: table.slice(0, table.num_rows - 1)),
    "row_unledgered": lambda made: execute(
        made, "DELETE FROM rows WHERE digest = (SELECT digest FROM rows ORDER BY digest LIMIT 1)"
    ),
    "code_differs": lambda made: execute(
        made,
        "UPDATE rows SET code = 'PicNotExist', origin = 'api' WHERE digest = "
        "(SELECT digest FROM rows WHERE code IS NULL LIMIT 1)",
    ),
    "outcome_old": lambda made: execute(
        made,
        "UPDATE rows SET outcomes = outcomes + 1 WHERE digest = (SELECT digest FROM rows LIMIT 1)",
    ),
    "outcome_differs": lambda made: rewrite(
        made, "results", lambda table: changed_first(table, "outcome", "failed")
    ),
    "hit_without_row": lambda made: rewrite(
        made, "hits", lambda table: changed_first(table, "row_key", "nobody")
    ),
    "hit_of_failed": lambda made: rewrite(made, "hits", hit_of_the_failed_row),
    "hit_count": lambda made: rewrite(made, "hits", lambda table: table.slice(1)),
    "hit_ranks": lambda made: rewrite(made, "hits", lambda table: changed_first(table, "rank", 4)),
    "stray_table": lambda made: shutil.copy(
        first_part(made, "hits"), made / "out" / "results" / "mine.parquet"
    ),
    "leftover": lambda made: (made / "out" / "results" / "part-000099.parquet.tmp").write_bytes(b""),
    "stray_file": lambda made: (made / "out" / "hits" / "notes.txt").write_text("mine"),
    "row_missing": lambda made: _write_manifest(made, [f"r{n:02}" for n in range(ROWS + 2)]),
    "row_elsewhere": lambda made: _write_manifest(made, [f"r{n:02}" for n in range(1, ROWS)]),
    "manifest_doubled": lambda made: _write_manifest(made, ["r00", *(f"r{n:02}" for n in range(ROWS))]),
    "manifest_unknown": lambda made: (made / "m.csv").unlink(),
    "switching": lambda made: execute(made, "INSERT INTO meta VALUES ('switching', '')"),
}


def with_other_compression(path):
    return pq.read_table(path)


def with_text_for_scores(table):
    place = table.schema.get_field_index("score")
    return table.set_column(place, "score", table["score"].cast(pa.string()))


def hit_of_the_failed_row(table):
    return changed_first(table, "row_key", "r23")


@pytest.mark.parametrize("kind", SPOILT)
def test_every_way_of_not_being_whole_is_found(made, kind):
    """What was spoilt is found under its name, with the place that it is at, and decides the verdict."""
    SPOILT[kind](made)
    seen = verified(made)
    assert seen.findings.counts[kind] > 0, dict(seen.findings.counts)
    expected = {
        "problem": Verdict.PROBLEMS,
        "incomplete": Verdict.INCOMPLETE,
        "unknown": Verdict.INCOMPLETE,
        "note": Verdict.WHOLE,
    }[KINDS[kind].weight]
    if kind != "switching":
        assert seen.findings.verdict() is expected
    told = [finding for finding in seen.findings.listed() if finding.kind == kind]
    assert told
    assert all(finding.where for finding in told)
    page = VerifyPage((seen,)).as_text()
    assert KINDS[kind].meaning in page
    assert KINDS[kind].advice in page


def test_findings_name_rows(made):
    """A row is named by its key and its place: file, or row of the manifest."""
    _write_manifest(made, [f"r{n:02}" for n in range(ROWS + 1)])
    rewrite(made, "results", lambda table: changed_first(table, "hit_count", 99))
    listed = {finding.kind: finding for finding in verified(made).findings.listed()}
    assert listed["row_missing"].where == f"row {ROWS + 1} of the manifest: r{ROWS}"
    first = pq.read_table(first_part(made, "results"))["row_key"][0].as_py()
    assert listed["hit_count"].where == f"results/{first_part(made, 'results').name}: {first}"
    assert "99" in listed["hit_count"].what


def test_a_file_that_is_gone_is_one_finding(made):
    """The rows of a missing part are not reported one by one as lost as well."""
    first_part(made, "results").unlink()
    assert found(made) == {"part_missing": 1}


def test_ranks_are_told_apart_in_any_order(made):
    """Hits of a row may stand in any order of their ranks; a rank twice is found."""
    rewrite(
        made,
        "hits",
        lambda table: table.take(pc.sort_indices(table, [("row_key", "ascending"), ("rank", "descending")])),
    )
    assert found(made) == {}
    rewrite(made, "hits", lambda table: with_column(table, "rank", [1] * table.num_rows))
    assert set(found(made)) == {"hit_ranks"}


def test_many_findings_are_counted_and_few_are_told(made):
    """All are counted, the first of each kind are named, the page says how many more there are."""
    _write_manifest(made, [f"r{n}" for n in range(100, 150)])
    seen = verified(made)
    assert seen.findings.counts["row_missing"] == 50
    assert len([one for one in seen.findings.listed() if one.kind == "row_missing"]) == MOST_LISTED
    assert f"and {50 - MOST_LISTED} more" in VerifyPage((seen,)).as_text()


def test_another_place_of_the_manifest(made, tmp_path):
    """`--manifest` gives the manifest where the job's own cannot be reached."""
    shutil.move(made / "m.csv", tmp_path / "elsewhere.csv")
    assert found(made, manifest=tmp_path / "elsewhere.csv") == {}
    assert found(made, manifest=tmp_path / "elsewhere.csv", config=None) == {}


def test_a_damaged_ledger_is_found(made):
    """A page of the ledger overwritten: said, and nothing else is concluded from it."""
    path = made / "out" / "ledger" / "ledger.sqlite3"
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 3] = b"\xff" * 4096
    path.write_bytes(data)
    assert set(found(made)) == {"ledger_damaged"}
    path.write_bytes(b"no database at all, and longer than the head of one" * 20)
    assert set(found(made)) == {"ledger_damaged"}


def test_a_run_that_goes_on_is_seen_without_its_lock_being_touched(made):
    """While the lock is held the page says so, and files without a seal are the run's own."""
    (made / "out" / "results" / "part-000099.parquet.tmp").write_bytes(b"")
    with (made / "out" / "ledger" / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        seen = verified(made)
    assert seen.running
    assert found_kinds(seen) == {"being_written"}
    assert seen.findings.verdict() is Verdict.WHOLE
    assert "a run is going on" in VerifyPage((seen,)).as_text()


def found_kinds(seen):
    return set(+seen.findings.counts)


def test_a_dedup_folder_is_both_of_its_runs(made, tmp_path):
    """The folder of a dedup job stands for the output folders inside it."""
    night = tmp_path / "night"
    for name in ("search", "sync"):
        shutil.copytree(made / "out", night / name)
    assert output_folders(night) == [night / "search", night / "sync"]
    with pytest.raises(ConfigError, match="no job has run here"):
        output_folders(tmp_path / "job")


def test_the_command_says_it_to_people_and_schedulers(made):
    """Exit code 0, 3, 4 or 64; the page on stderr, one line of JSON on stdout."""

    def run(*arguments):
        return command("verify", *arguments)

    def options():
        return made / "out", "--config", made / "job.yaml"

    whole = run(*options())
    assert (whole.returncode, json.loads(whole.stdout)["status"]) == (0, "whole")
    assert "whole" in whole.stderr
    _write_manifest(made, [f"r{n:02}" for n in range(ROWS + 3)])
    told = run(*options(), "--json")
    assert (told.returncode, told.stderr) == (4, "")
    assert json.loads(told.stdout)["folders"][0]["missing"] == 3
    first_part(made, "hits").unlink()
    wrong = run(*options())
    assert wrong.returncode == 3
    assert json.loads(wrong.stdout)["folders"][0]["found"] == {"part_missing": 1, "row_missing": 3}
    assert run(made).returncode == 64
