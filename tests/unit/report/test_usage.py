"""The usage statement: from a ledger's counters to table, JSON and Parquet."""

import json
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlite_rig import executed

from batchsearch.errors import ExitCode, OutputError
from batchsearch.storage.ledger.entries import FinishedRow, UsageKey, digest_of
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.ledger.store import Ledger
from batchsearch.storage.output_layout import LEDGER
from batchsearch.storage.parts.usage_table import USAGE_COLUMNS, UsageLine, usage_schema, write_usage
from batchsearch.tasks.usage.statement import (
    read_usage,
    totals_of,
    usage_as_json,
    usage_lines,
    usage_page,
)


def usage_of(day="2026-11-21", instance="demo", operation="SearchImageByPic", **counters):
    return {UsageKey(day, instance, operation, counter): amount for counter, amount in counters.items()}


async def spend(ledger, key, usage):
    await ledger.finish(FinishedRow(digest_of(key), None, None, b"{}", b"", b"", has_history=False), usage)


@pytest.fixture
def make_output(tmp_path):
    """Makes an output folder whose closed ledger counts this; returns the folder."""

    async def make(name, *usages):
        path = tmp_path / name / LEDGER
        path.parent.mkdir(parents=True)
        ledger = Ledger(path)
        for number, usage in enumerate(usages):
            await spend(ledger, f"{name}{number}", usage)
        ledger.close()
        return tmp_path / name

    return make


def test_counters_become_columns():
    """Granted is what was used and not denied; what was never counted is nought."""
    [line] = usage_lines(usage_of(calls=10, denied=3, rejected=2, coalesced=4, reused=5, rows_ok=7))
    assert line == UsageLine(date(2026, 11, 21), "demo", "SearchImageByPic", 10, 7, 3, 2, 4, 5, 7, 0)


def test_lines_are_ordered_by_day_instance_and_operation():
    """A statement reads the same whatever order the ledger gives."""
    mixed = (
        usage_of(day="2026-11-22", calls=1)
        | usage_of(instance="b", calls=2)
        | usage_of(operation="CompareSimilarByImage", calls=3)
        | usage_of(calls=4)
    )
    found = [(line.day.day, line.instance, line.slots_used) for line in usage_lines(mixed)]
    assert found == [(21, "b", 2), (21, "demo", 3), (21, "demo", 4), (22, "demo", 1)]


async def test_folders_are_summed_and_none_counts_twice(make_output):
    """Several jobs on one instance share its lines; one folder under two names is one folder."""
    first = await make_output("one", usage_of(calls=5, rows_ok=5), usage_of(calls=1, denied=1))
    second = await make_output("two", usage_of(calls=10))
    lines = read_usage([first, second, first / ".." / "one"]).lines
    assert [(line.slots_used, line.slots_granted, line.slots_denied) for line in lines] == [(16, 15, 1)]


async def test_a_folder_without_a_ledger_takes_nothing_from_the_others(make_output, tmp_path):
    """Each mistake is told, with the exit code of a bad configuration; what can be counted is."""
    good = await make_output("one", usage_of(calls=3))
    found = read_usage([tmp_path / "nowhere", good, tmp_path])
    assert [line.slots_used for line in found.lines] == [3]
    nowhere, neither = found.unread
    assert "nowhere: there is no such folder" in str(nowhere)
    assert f"no job has run here: {LEDGER} is not there; did you mean {good}?" in str(neither)
    assert nowhere.exit_code == neither.exit_code == ExitCode.BAD_CONFIG
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_is_no_ledger_is_an_error_that_names_it(tmp_path):
    """Damage is told, not taken for an empty statement."""
    path = tmp_path / LEDGER
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    (problem,) = read_usage([tmp_path]).unread
    assert isinstance(problem, OutputError)
    assert "ledger.sqlite3" in str(problem)


async def test_a_ledger_of_a_later_version_is_refused(make_output):
    """What a newer batchsearch wrote is not guessed at."""
    folder = await make_output("one", usage_of(calls=1))
    executed(folder / LEDGER, "PRAGMA user_version = 99")
    (problem,) = read_usage([folder]).unread
    assert isinstance(problem, OutputError)
    assert "version 99" in str(problem)


async def test_reading_a_closed_ledger_leaves_no_trace(make_output):
    """No file appears beside it, and none changes, even in a folder that cannot be written to."""
    folder = (await make_output("one", usage_of(calls=1))) / LEDGER.parent
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    folder.chmod(0o500)
    try:
        assert read_usage([folder.parent]).lines[0].slots_used == 1
    finally:
        folder.chmod(0o700)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


async def test_what_a_run_commits_is_seen_while_it_works(tmp_path):
    """A statement beside a run is as new as the last commit, and the run's writes go on."""
    path = tmp_path / LEDGER
    path.parent.mkdir()
    ledger = Ledger(path)
    await spend(ledger, "a", usage_of(calls=1))
    with LedgerReader(path) as reader:
        assert sum(reader.usage().values()) == 1
        await spend(ledger, "b", usage_of(calls=1))
        assert sum(reader.usage().values()) == 2
        assert reader.finished([digest_of("b"), digest_of("c")]) == {digest_of("b")}
    ledger.close()


async def test_a_run_that_begins_while_it_is_read_is_noticed(make_output):
    """A ledger read as closed is read anew once somebody writes to it."""
    path = (await make_output("one", usage_of(calls=1))) / LEDGER
    with LedgerReader(path) as reader:
        assert sum(reader.usage().values()) == 1
        ledger = Ledger(path)
        await spend(ledger, "more", usage_of(calls=1))
        assert sum(reader.usage().values()) == 2
        ledger.close()
        assert sum(reader.usage().values()) == 2


async def test_reading_lets_the_log_be_emptied(tmp_path):
    """A reader that stays open between its queries never keeps a run's log from shrinking."""
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path)
    await spend(ledger, "a", usage_of(calls=1))
    with LedgerReader(path) as reader:
        reader.usage()
        [(busy, _, _)] = executed(path, "PRAGMA wal_checkpoint(TRUNCATE)")
        assert busy == 0
        assert path.with_name("ledger.sqlite3-wal").stat().st_size == 0
    ledger.close()


def test_the_table_shows_each_line_and_the_totals():
    """Counts stand under their headings, and the foot sums them up."""
    lines = usage_lines(
        usage_of(calls=12_000, denied=20, rejected=7) | usage_of(day="2026-11-22", calls=1, coalesced=3)
    )
    page = usage_page(lines).splitlines()
    assert page[1].split() == [
        *("day", "instance", "operation"),
        *("used", "granted", "denied", "validation", "coalescing", "reuse", "ok", "failed"),
    ]
    assert page[3].split()[:6] == ["2026-11-21", "demo", "SearchImageByPic", "12,000", "11,980", "20"]
    assert page[6].split() == ["total", "12,001", "11,981", "20", "7", "3", "0", "0", "0"]
    assert page[-1] == "12,001 slots used, 20 of them denied; 10 slots saved."
    assert len({line.rindex("0") for line in page[3:7] if line.endswith("0")}) == 1


def test_a_ledger_without_a_call_says_so():
    """An empty statement is a sentence, not an empty table."""
    assert usage_page([]) == "Nothing was spent yet."


def test_json_has_lines_and_totals():
    """The same facts as the table, for programs."""
    lines = usage_lines(usage_of(calls=3, denied=1) | usage_of(day="2026-11-22", calls=4))
    found = json.loads(usage_as_json(lines))
    assert [line["day"] for line in found["lines"]] == ["2026-11-21", "2026-11-22"]
    assert found["totals"] == totals_of(lines)
    assert found["totals"]["slots_used"] == 7


def test_parquet_has_the_declared_columns_with_their_meaning(tmp_path):
    """The file reads back as it was written, each column documented; an empty one has the same schema."""
    path = tmp_path / "usage.parquet"
    lines = usage_lines(usage_of(calls=3, denied=1, rows_ok=2))
    write_usage(path, [])
    assert pq.read_table(path).num_rows == 0
    write_usage(path, lines)
    table = pq.read_table(path)
    assert table.schema.equals(usage_schema(), check_metadata=True)
    assert [field.name for field in table.schema] == [column.name for column in USAGE_COLUMNS]
    assert all(field.metadata[b"description"] for field in table.schema)
    assert [UsageLine(**row) for row in table.to_pylist()] == lines
    assert table.schema.field("day").type == pa.date32()
    assert list(tmp_path.iterdir()) == [path]


def test_a_statement_that_cannot_be_written_names_its_file(tmp_path):
    """A missing folder is told by the path that was given."""
    with pytest.raises(OutputError, match=r"no-such/usage\.parquet"):
        write_usage(tmp_path / "no-such" / "usage.parquet", [])
