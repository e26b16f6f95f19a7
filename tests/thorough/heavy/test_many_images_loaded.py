"""The sample catalogue and 20,000 synthetic images loaded by batch task, killed ten times on the way."""

import shutil

import pytest
from crash_rig.loads import SAMPLE, loaded, sample_rows, write_rows
from PIL import Image

pytestmark = pytest.mark.timeout(1_200)

MADE, DRAWN = 20_000, 250
PER_TASK = 8_000
KILLS = (
    "before_send:3000",
    "part_seal_after:1",
    "ledger_commit_before:80",
    "before_send:2000",
    "task_listed:1",
    "task_asked:1",
    "task_noted:2",
    "task_ended:1",
    "ledger_commit_after:60",
    "part_seal_before:1",
)


@pytest.fixture
def folder(tmp_path):
    """The manifest and its images: 250 pictures, each in eighty products."""
    shutil.copytree(SAMPLE / "catalogue", tmp_path / "catalogue")
    (tmp_path / "made").mkdir()
    for n in range(DRAWN):
        colour = (n * 41 % 256, n * 97 % 256, n * 13 % 256)
        drawn = Image.new("RGB", (120, 100), colour)
        drawn.paste((255 - colour[0], colour[2], colour[1]), (n % 60, n % 40, n % 60 + 40, n % 40 + 30))
        drawn.save(tmp_path / "made" / f"{n}.jpg", quality=85)
    made = [
        {
            "product_id": f"M{n:05}",
            "pic_name": f"{n % 100}/{n}.jpg",
            "image": f"made/{n % DRAWN}.jpg",
            "name": f"made {n}",
            "price_cents": n,
        }
        for n in range(MADE)
    ]
    write_rows(tmp_path, sample_rows() + made)
    return tmp_path


def test_twenty_thousand_images_are_loaded_once_through_ten_kills(folder):
    """Every image is on the instance once, every row has one outcome, three tasks were asked for."""
    results, held, asked = loaded(folder, "killed", KILLS, per_task=PER_TASK, rows_per_part=5_000)
    assert len(results) == 45 + MADE
    assert not results.duplicated(["product_id", "pic_name"]).any()
    assert set(results["outcome"]) == {"ok"}
    assert results["task_id"].nunique() == asked == 3
    assert len(held) == len(set(held)) == 45 + MADE
