"""`batchsearch verify` beside commands that are at work: what it says is true of one moment."""

import shutil

import pytest
from crash_rig.checks import whole

pytestmark = pytest.mark.timeout(300)


def looks(folder, process):
    """What verify finds, again and again, until the process has ended; and how often a run was seen."""
    from batchsearch.tasks.verify.findings import Verdict
    from batchsearch.tasks.verify.folder_check import verify_folder

    seen = []
    while not process.ended(0.0):
        if (folder / "ledger" / "ledger.sqlite3").exists():
            verified = verify_folder(folder)
            assert verified.findings.verdict() is not Verdict.PROBLEMS, verified.findings.listed()
            seen.append(verified)
    assert process.wait() == 0, process.text()
    return seen


def test_beside_a_run_nothing_is_wrong(world, runs, jobs):
    """Rows are added and sealed meanwhile: never lost, doubled or different, and ever more of them."""
    job, folder = jobs[1], world.place("beside")
    arguments = [
        "run",
        job.file,
        "--no-progress",
        "--set",
        f"output.dir={folder}",
        "--set",
        "instance.qps=60",
    ]
    seen = looks(folder, runs.start(arguments, folder.with_suffix(".txt")))
    counts = [verified.rows + verified.pending for verified in seen]
    assert counts == sorted(counts)
    assert len({*counts}) > 3, counts
    assert any(verified.running for verified in seen)
    whole(folder)


def test_beside_compactions_nothing_is_wrong(world, runs, jobs):
    """Parts are exchanged meanwhile: verify sees one generation or the other, or says that it cannot."""
    job, seen = jobs[1], []
    for rows in (14, 21, 60):
        folder = world.place("beside-compaction")
        shutil.copytree(job.reference, folder)
        seen += looks(folder, runs.start(["compact", folder, "--rows", rows], folder.with_suffix(".txt")))
        whole(folder)
    assert seen, "verify never came between"
