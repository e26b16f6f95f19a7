"""`batchsearch recover`: a ledger made anew from the parts, so that nothing is asked for twice."""

import pandas as pd


def whole(night, rows=30):
    """Verify finds nothing wrong, and every row stands once."""
    code, _, text = night.do("verify", night.out)
    assert code == 0, text
    assert night.rows() == [f"r{n:02}" for n in range(rows)]


def test_after_recovering_nothing_is_asked_for_again(lost):
    """Whatever became of the ledger: the same results, hits and history, and the next run makes no call."""
    code, said, text = lost.do("recover", lost.out)
    assert code == 0, text
    assert said["folders"][0]["rows"] == 30
    code, summary, text = lost.run()
    assert (code, summary["resumed"], summary["calls"]) == (0, 30, 0), text
    assert lost.calls() == lost.calls_before
    whole(lost)
    after, before = (
        frame.sort_values("row_key").reset_index(drop=True)
        for frame in (pd.read_parquet(lost.out / "results"), lost.results_before)
    )
    pd.testing.assert_frame_equal(after, before)
    assert lost.files().keys() >= lost.files_before.keys()
