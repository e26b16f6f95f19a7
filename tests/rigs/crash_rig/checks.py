"""What must hold after any sequence of kills, compared with a run that was left alone."""

import pandas as pd
import pyarrow.dataset as ds

# What may differ between two runs over the same rows: who did it, when, and under which request ids.
FREE = frozenset(
    {
        "run_id",
        "request_id",
        "request_ids",
        "first_sent_at",
        "finished_at",
        "answered_at",
        "latency_ms",
        "prepare_ms",
        "search_time_ms",
    }
)

# Of rows that ask the same, chance decides which one is called for.
FREE_WHEN_SHARED = ("coalesced_from", "calls", "attempts", "body_bytes")


def table(folder, name, *, shared=()):
    """Results or hits, every column that two runs must agree on, in an order of their own.

    `shared` are the keys of rows that ask the same as another one.
    """
    read = ds.dataset(folder / name, format="parquet", exclude_invalid_files=False).to_table().to_pandas()
    order = ["row_key"] if name == "results" else ["row_key", "rank"]
    if name == "results":
        read.loc[read["row_key"].isin(shared), list(FREE_WHEN_SHARED)] = None
    return read.drop(columns=FREE & set(read.columns)).sort_values(order).reset_index(drop=True)


def same_output(folder, job, *, but=()):
    """Results and hits equal those of the run that was left alone, but for these columns."""
    for name in ("results", "hits"):
        found, expected = (table(each, name, shared=job.shared) for each in (folder, job.reference))
        if name == "results":
            found, expected = (frame.drop(columns=list(but)) for frame in (found, expected))
        pd.testing.assert_frame_equal(found, expected)
    assert len(table(folder, "results")) == job.rows


def verdict_of(folder):
    """What `batchsearch verify` says, and its page."""
    from batchsearch.tasks.verify.folder_check import verify_folder
    from batchsearch.tasks.verify.verify_page import VerifyPage

    page = VerifyPage((verify_folder(folder),))
    return page.verdict.name, page.as_text()


def whole(folder):
    """Verify finds nothing at all, not even something worth knowing."""
    verdict, text = verdict_of(folder)
    assert verdict == "WHOLE", text
    from batchsearch.tasks.verify.folder_check import verify_folder

    assert not +verify_folder(folder).findings.counts, text


def never_wrong(folder):
    """After a kill an output may be incomplete; nothing in it is ever wrong."""
    if (folder / "ledger" / "ledger.sqlite3").exists():
        verdict, text = verdict_of(folder)
        assert verdict in {"WHOLE", "INCOMPLETE"}, text


def repeats(granted, killed, job):
    """How many calls each killed run made necessary again.

    Args:
        granted: Requests let in, each with the number of the run that made it.
        killed: Numbers of the runs that were killed, or could not go on.
        job: The job: nothing but its requests may have been asked, and all of them.

    Returns:
        For each of these runs, how many of its requests a later run made again.
    """
    again, last = dict.fromkeys(killed, 0), {}
    for run, entry in granted:
        assert entry.body_sha256 in job.bodies, "a request that the job does not need"
        before = last.get(entry.body_sha256)
        if before is not None:
            assert before != run, "one run asked the same twice"
            assert before in again, "asked again, though the run before had come to its end"
            again[before] += 1
        last[entry.body_sha256] = run
    assert set(last) == job.bodies
    return again
