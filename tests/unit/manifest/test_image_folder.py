"""A folder of images as a manifest: what is in it, in an order that never changes, and nothing twice."""

import os
import subprocess
from pathlib import Path

import pytest

from batchsearch.config.load import load_text
from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.errors import ManifestError
from batchsearch.manifest.source import Manifest, Wanted

BY_PIC = Wanted(images=("image",))


@pytest.fixture
def make(tmp_path):
    """Puts empty files into a folder `shots`."""

    def do(*names):
        for name in names:
            path = tmp_path / "shots" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path / "shots"

    return do


def keys(folder, **settings):
    settings = ManifestSettings.model_validate({"path": str(folder), **settings})
    manifest = Manifest.open(settings, base=folder, wanted=BY_PIC)
    manifest.check()
    return [row.key for batch in manifest.batches() for row in batch.rows]


def test_each_image_is_a_row_named_by_its_path(make):
    """By name, folder by folder; hidden files, notes and what is no image are passed over."""
    folder = make(
        "b.JPG",
        "a/2.png",
        "a/10.png",
        "a/.hidden.jpg",
        ".git/x.jpg",
        "readme.txt",
        "c.webp",
        "notes.json",
        "ä ü.tiff",
    )
    assert keys(folder) == ["a/10.png", "a/2.png", "b.JPG", "c.webp", "ä ü.tiff"]


def test_a_folder_with_a_table_is_no_folder_of_images(make):
    """`metadata.csv` beside images is the manifest, unless the job file says otherwise."""
    folder = make("a.jpg")
    (folder / "metadata.csv").write_text("id,image\n7,a.jpg\n", encoding="utf-8")
    assert keys(folder, key="id") == ["7"]
    assert keys(folder, format="images") == ["a.jpg"]


def test_links_are_followed_once_and_never_in_circles(make, tmp_path):
    """A link to another disk is walked through once; one within the folder, or round in a circle, is not."""
    folder = make("real/1.jpg", "2.jpg")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "9.jpg").write_bytes(b"")
    (folder / "again").symlink_to(folder / "real")
    (folder / "up").symlink_to(folder)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "disk").symlink_to(tmp_path / "disk")
    (folder / "other").symlink_to(tmp_path / "disk")
    (folder / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    (tmp_path / "disk" / "back").symlink_to(folder)
    os.mkfifo(folder / "pipe.jpg")
    assert keys(folder) == ["2.jpg", "disk/9.jpg", "gone.jpg", "real/1.jpg"]


@pytest.fixture
def deep(tmp_path):
    """1,200 folders in each other; pytest itself cannot take them away again."""
    here = Path.cwd()
    top = tmp_path / "deep"
    top.mkdir()
    try:
        os.chdir(top)
        for _ in range(1_200):
            Path("d").mkdir()
            os.chdir("d")
        Path("x.jpg").touch()
        os.chdir(here)
        yield top
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", str(top)], check=True)


def test_a_thousand_folders_deep_is_no_trouble(deep):
    """Depth costs a folder's entries each, and no recursion."""
    found = keys(deep)
    assert len(found) == 1
    assert found[0].endswith("d/x.jpg")


def test_a_name_that_is_no_text_is_told(make):
    """It cannot name a row; the message shows it as well as it can be shown."""
    folder = make("a.jpg")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.jpg")).touch()
    with pytest.raises(ManifestError, match="is no text; rename the file"):
        keys(folder)


def test_the_output_below_a_folder_is_no_part_of_it(make):
    """Reports hold images, too: the job's own folder is left out."""
    folder = make("a.jpg", "out/thumb.jpg")
    settings = ManifestSettings(path=str(folder))
    manifest = Manifest.open(settings, base=folder, wanted=BY_PIC, without=str(folder / "out"))
    assert manifest.check() == 1


def test_a_job_needs_nothing_but_the_folder(make, tmp_path):
    """Format, key and the folder that paths start from are those of the folder of images."""
    make("a.jpg")
    job = load_text(
        "operation: SearchImageByPic\n"
        "instance: {endpoint: emulator, name: demo, qps: 10, service_type: generic}\n"
        "manifest: {path: shots}\n"
        "output: {dir: out}\n",
        tmp_path / "job.yaml",
        environ={},
    ).settings
    assert (job.manifest.format, job.manifest.key) == ("images", ("image",))
    assert job.manifest.images_folder == tmp_path / "shots"


def test_what_is_no_folder_is_said(tmp_path):
    """`format: images` over a file, and a folder without anything, are told what they lack."""
    (tmp_path / "m.csv").write_text("id\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="is no folder of this machine"):
        keys(tmp_path / "m.csv", format="images")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="for a folder of images set"):
        keys(tmp_path / "empty")
