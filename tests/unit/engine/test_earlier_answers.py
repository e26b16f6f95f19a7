"""Which requests may be answered already, before the ledger is asked."""

from dataclasses import replace

from batchsearch.engine.rows.answer_cache import AnswerCache
from batchsearch.storage.ledger.entries import AnswerKey, FinishedRow, digest_of
from batchsearch.storage.ledger.store import Ledger

ROW = FinishedRow(digest_of("a"), None, None, b"{}", b"", b"c", has_history=False)


async def test_of_a_ledger_without_answers_nobody_asks(tmp_path):
    """For few rows, too, a request that cannot be answered costs no look; one that may be is looked for."""
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    try:
        first = AnswerCache(ledger, tmp_path, round_began=0.0, max_age=1e9, rows=10)
        assert not first.may_hold("11" * 32)
        first.note("11" * 32)
        assert first.may_hold("11" * 32)
        assert not first.may_hold("22" * 32)
        await ledger.finish(replace(ROW, answer=AnswerKey(bytes.fromhex("11" * 32), 1.0)), {})
        second = AnswerCache(ledger, tmp_path, round_began=0.0, max_age=1e9, rows=10)
        assert second.may_hold("11" * 32)
        assert second.find("22" * 32) is None
    finally:
        ledger.close()
