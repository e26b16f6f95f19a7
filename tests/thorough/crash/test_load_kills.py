"""Loads that are killed at their points: each image there once, each row one outcome, no task twice."""

import shutil

import pandas as pd
import pytest
from crash_rig.loads import SAMPLE, loaded, sample_rows, write_rows

MADE = 55
PER_TASK = 25
TASKS = 4
KILLS = (
    "before_send:20",
    "ledger_commit_before:9",
    "part_seal_before:1",
    "task_taken:1",
    "task_listed:1",
    "task_asking:1",
    "task_asked:2",
    "task_noted:1",
    "task_ended:1",
    "ledger_commit_after:4",
)
"""Ten kills, in the order in which a load comes to them; each resumes what the one before has left."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, images):
    """The sample catalogue and as many synthetic images again, one of them missing."""
    folder = tmp_path_factory.mktemp("load-kills")
    shutil.copytree(SAMPLE / "catalogue", folder / "catalogue")
    shutil.copytree(images, folder / "made")
    rows = sample_rows()
    rows += [
        {
            "product_id": f"M{n:03}",
            "pic_name": f"made/{n}.jpg",
            "image": f"made/p{n % 40:02}.jpg",
            "name": f"größe {n}",
            "price_cents": n,
        }
        for n in range(MADE)
    ]
    rows[7] |= {"image": "catalogue/none.jpg"}
    write_rows(folder, rows)
    return folder


SAME = ["product_id", "pic_name", "outcome", "error_code", "loaded_name", "sent_sha256", "source_bytes"]


def test_a_load_that_is_killed_ten_times_ends_as_one_that_is_left_alone(folder):
    """Ten SIGKILLs between the first image and the last outcome: equal results, images and tasks once."""
    how = {"per_task": PER_TASK, "rows_per_part": 30}
    reference, held_before, asked_before = loaded(folder, "alone", (), **how)
    results, held, asked = loaded(folder, "killed", KILLS, **how)
    assert len(results) == len(reference) == 45 + MADE
    assert not results.duplicated(["product_id", "pic_name"]).any()
    pd.testing.assert_frame_equal(
        results[SAME].reset_index(drop=True), reference[SAME].reset_index(drop=True)
    )
    assert set(results["error_code"].dropna()) == {"Local.ImageMissing"}
    assert len(held) == len(set(held)) == 44 + MADE
    assert held == held_before
    # A task that ran when its load was killed was followed: none was asked for twice.
    assert asked == asked_before == TASKS
