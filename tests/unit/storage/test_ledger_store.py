"""The ledger's store, with a real SQLite file."""

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlite_rig import executed

from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.storage.ledger import store
from batchsearch.storage.ledger.entries import AnswerKey, FinishedRow, UsageKey, digest_of
from batchsearch.storage.ledger.store import Ledger
from batchsearch.storage.sealed_part import SealedPart

USAGE = UsageKey("2026-11-21", "demo", "SearchImageByPic", "calls")


def row(key, *, code=None, has_history=False):
    return FinishedRow(
        digest_of(key),
        code,
        "api" if code else None,
        b'{"row_key":"' + key.encode() + b'"}',
        b"",
        b"c",
        has_history,
    )


async def test_a_finished_row_is_on_disk_when_finish_returns(ledger, tmp_path):
    """What `finish` has returned for, another process reads."""
    await ledger.finish(row("a"), {USAGE: 1})
    assert executed(tmp_path / "ledger.sqlite3", "SELECT count(*) FROM rows") == [(1,)]
    assert executed(tmp_path / "ledger.sqlite3", "SELECT result FROM pending") == [(b'{"row_key":"a"}',)]


async def test_waiting_records_share_a_commit(ledger):
    """A thousand records at once are all kept, and counted once each."""
    await asyncio.gather(*(ledger.finish(row(str(n)), {USAGE: 1}) for n in range(1_000)))
    assert ledger.finished_count() == 1_000
    assert ledger.usage() == {USAGE: 1_000}


async def test_outcomes_of_one_commit_are_numbered_in_order(ledger, tmp_path):
    """However many rows share a commit, each row and each answered request names its own outcome."""
    rows = [replace(row(str(n)), result=b"%d" % n, answer=AnswerKey(b"%d" % n, 1.0)) for n in range(200)]
    rows[50] = replace(rows[50], answer=None)
    rows[90] = replace(rows[90], has_history=True)
    await asyncio.gather(*(ledger.finish(each, {USAGE: 1}) for each in rows))
    path = tmp_path / "ledger.sqlite3"
    found = executed(path, "SELECT result, digest FROM pending JOIN rows USING (seq) ORDER BY seq")
    assert found == [(each.result, each.digest) for each in rows]
    query = "SELECT request_key FROM answers JOIN pending USING (seq) WHERE result = request_key"
    assert len(executed(path, query)) == 199


async def test_first_outcomes_are_kept_in_mind_while_they_are_few(ledger, monkeypatch):
    """What a run has finished is known without reading; renewed rows are not new, many are not kept."""
    assert not ledger.has_finished()
    await ledger.finish(row("a"), {})
    await ledger.finish(replace(row("a"), replaces=True), {})
    assert ledger.finished_here == digest_of("a")
    assert ledger.has_finished()
    monkeypatch.setattr(store, "_MOST_FINISHED_HERE", 32)
    await ledger.finish(row("b"), {})
    assert ledger.finished_here == digest_of("a") + digest_of("b")
    await ledger.finish(row("c"), {})
    assert ledger.finished_here is None


async def test_finished_tells_done_rows_from_others(ledger):
    """Only rows with an outcome are reported, over more keys than one statement takes."""
    await ledger.finish(row("7"), {})
    digests = [digest_of(str(n)) for n in range(1_200)]
    assert ledger.finished(digests) == {digest_of("7")}


async def test_history_is_kept_until_the_outcome(ledger):
    """Attempts and pages of an unfinished row survive; its outcome clears them away."""
    digest = digest_of("a")
    await ledger.attempt(digest, 1, '"first"', {})
    await ledger.attempt(digest, 2, '"second"', {}, page=(0, b"page"))
    history = ledger.histories()[digest]
    assert history.attempts == ('"first"', '"second"')
    assert history.pages == {0: b"page"}
    await ledger.finish(row("a", has_history=True), {})
    assert ledger.histories() == {}


async def test_sealing_takes_rows_out_of_the_pending_ones(ledger):
    """A sealed row is never written again, an unsealed one is."""
    for key in "abc":
        await ledger.finish(row(key), {})
    rows = [entry for chunk in ledger.pending(2, chunk=1) for entry in chunk]
    assert [entry.result for entry in rows] == [b'{"row_key":"a"}', b'{"row_key":"b"}']
    part = SealedPart("part-000001.parquet", 2, 0, "r", "h", rows[0].seq, rows[-1].seq)
    await ledger.seal(part)
    assert [entry.result for chunk in ledger.pending(9) for entry in chunk] == [b'{"row_key":"c"}']
    assert ledger.parts() == [part]
    assert ledger.finished_count() == 3


async def test_outcomes_counts_by_code(ledger):
    """Successes and each code are told apart."""
    await ledger.finish(row("a"), {})
    await ledger.finish(row("b", code="InvalidRegion"), {})
    await ledger.finish(row("c", code="InvalidRegion"), {})
    assert ledger.outcomes() == {(None, None): 1, ("InvalidRegion", "api"): 2}


async def test_a_row_cannot_be_finished_twice(ledger):
    """The second outcome of a row is refused, and the first stands."""
    await ledger.finish(row("a"), {})
    with pytest.raises(OutputError, match="cannot be written"):
        await ledger.finish(row("a", code="X"), {})
    assert ledger.outcomes() == {(None, None): 1}


async def test_runs_are_kept(ledger, tmp_path):
    """A run's start and end are on record."""
    now = datetime(2026, 11, 21, 8, tzinfo=UTC)
    await ledger.begin_run("r1", now)
    await ledger.end_run("r1", now, {"ok": 3})
    moment = "2026-11-21T08:00:00+00:00"
    kept = executed(tmp_path / "ledger.sqlite3", "SELECT * FROM runs")
    assert kept == [("r1", moment, moment, '{"ok": 3}')]


def test_closing_commits_what_waits(tmp_path):
    """Records handed over before `close` are there when the ledger is opened again."""

    async def hand_over():
        ledger = Ledger(tmp_path / "l")
        waiting = [asyncio.ensure_future(ledger.finish(row(str(n)), {})) for n in range(50)]
        await asyncio.sleep(0)
        ledger.close()
        await asyncio.gather(*waiting)

    asyncio.run(hand_over())
    again = Ledger(tmp_path / "l")
    assert again.finished_count() == 50
    again.close()


def test_another_version_is_refused_by_name(tmp_path):
    """A ledger of another schema version is not touched; the message names both versions."""
    path = tmp_path / "l"
    executed(path, "PRAGMA user_version = 99")
    with pytest.raises(OutputError, match=r"version 99.*version 2"):
        Ledger(path)


def test_what_is_no_ledger_is_refused(tmp_path):
    """A file that is no SQLite database is named in the error."""
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"not a database, but long enough to look at" * 20)
    with pytest.raises(OutputError, match=r"ledger\.sqlite3: the ledger cannot be opened"):
        Ledger(path)


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9], ids=["early", "middle", "late"])
async def test_any_byte_that_changed_since_is_refused_and_stays_so(tmp_path, at):
    """A byte that turned after the last writer's end is refused each time, on whichever page it is."""
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path)
    await asyncio.gather(*(ledger.finish(row(f"key {n}"), {USAGE: 1}) for n in range(500)))
    ledger.close()
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(OutputDamagedError, match=r"not those that its last writer left.*recover"):
            Ledger(path)


async def test_a_ledger_of_version_1_is_brought_up_to_date(tmp_path):
    """Rows, what waits, numbers and parts of an older ledger stay; nothing of them is given twice."""
    path = tmp_path / "ledger.sqlite3"
    older = sqlite3.connect(path)
    older.executescript((Path(__file__).parents[1] / "data" / "ledger_version_1.sql").read_text())
    for key in "abcde":
        older.execute("INSERT INTO rows VALUES (?, NULL, NULL)", (digest_of(key),))
        older.execute("INSERT INTO pending (result, hits, carried) VALUES (?, '', '')", (key.encode(),))
    parts = [("part-000001.parquet", 2, 2), ("part-000002.parquet", 3, 1)]
    for name, last, rows in parts:
        older.execute(
            "INSERT INTO parts (name, last_seq, rows, hits, results_sha256, hits_sha256, sealed_at) "
            "VALUES (?, ?, ?, 0, 'r', 'h', '')",
            (name, last, rows),
        )
    older.execute("DELETE FROM pending WHERE seq <= 3")
    older.execute("INSERT INTO answers VALUES (?, 3, 1.0)", (b"k" * 32,))
    older.execute("PRAGMA user_version = 1")
    older.commit()
    older.close()
    ledger = Ledger(path)
    try:
        assert ledger.finished_count() == 5
        state = ledger.states([digest_of("a")])[digest_of("a")]
        assert (state.code, state.source, state.outcomes, state.renewal) == (None, None, 1, None)
        assert ledger.waiting().rows == 2
        assert [entry.seq for chunk in ledger.pending(9) for entry in chunk] == [4, 5]
        assert [(part.name, part.first_seq, part.last_seq) for part in ledger.parts()] == [
            ("part-000001.parquet", 1, 2),
            ("part-000002.parquet", 3, 3),
        ]
        assert ledger.next_part() == 3
        assert ledger.answer(b"k" * 32).parts == (("", "part-000002.parquet"),)
        await ledger.finish(row("f"), {})
        assert [entry.seq for chunk in ledger.pending(9) for entry in chunk] == [4, 5, 6]
    finally:
        ledger.close()
