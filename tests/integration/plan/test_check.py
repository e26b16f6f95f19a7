"""`batchsearch check`: verdicts about a manifest's images, without any call."""

import asyncio
import base64
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from aiohttp import web
from PIL import Image
from run_rig import started
from web_rig import web_server

from batchsearch.errors import ConfigError, ManifestError, OutputError
from batchsearch.images.fetching import patience
from batchsearch.service.codes.lookup import meaning_of
from batchsearch.storage.parts.verdict_table import SavedImages, VerdictFile, saved_name, verdicts_schema
from batchsearch.tasks.check import checking
from batchsearch.tasks.check.checking import check_job

ROOT = Path(__file__).parents[3]


def run_check(config, *arguments):
    """The command in a process of its own, without any credentials in its environment."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("ALIBABA", "ALIYUN"))}
    return subprocess.run(
        [sys.executable, "-m", "batchsearch", "check", str(config), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=bare,
        check=False,
    )


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """The demonstration's images, checked and saved from the command line."""
    folder = tmp_path_factory.mktemp("checked")
    ran = run_check(
        ROOT / "configs" / "demo.yaml", "--set", f"output.dir={folder}", "--save", folder / "sent"
    )
    return folder, ran


def test_every_awkward_file_gets_the_verdict_that_was_foretold(checked):
    """Each image passes or is repaired where `ok` is expected, and else is rejected with its code."""
    folder, ran = checked
    assert ran.returncode == 0, ran.stderr
    verdicts = pd.read_parquet(folder / "check" / "verdicts.parquet")
    queries = pd.read_csv(ROOT / "sample_data" / "queries.csv", dtype=str)
    assert verdicts["code"].fillna("ok").tolist() == queries["truth_outcome"].tolist()
    assert verdicts["row_number"].tolist() == list(range(len(queries)))
    usable = verdicts["verdict"].isin(["pass", "repaired"])
    assert (usable == (queries["truth_outcome"] == "ok")).all()
    assert (verdicts["reference"] == queries["image"]).all()
    rejected = verdicts[verdicts["verdict"] == "rejected"]
    too_small = rejected.set_index("code").loc["Local.ImageTooSmall"]
    assert (too_small["prevents"], too_small["source_width"]) == ("UnsupportedPicPixels", 50)


def test_nothing_of_a_run_is_touched(checked):
    """Verdicts and saved images are all that is written: no ledger, no results, no instance."""
    assert sorted(path.name for path in checked[0].iterdir()) == ["check", "sent"]
    assert [path.name for path in (checked[0] / "check").iterdir()] == ["verdicts.parquet"]


def test_the_file_has_the_declared_schema(checked):
    """Readers find the columns with their documentation."""
    written = pq.read_schema(checked[0] / "check" / "verdicts.parquet")
    assert written.metadata == verdicts_schema().metadata
    declared = [(field.name, field.metadata[b"description"]) for field in verdicts_schema()]
    assert [(field.name, field.metadata[b"description"]) for field in written] == declared


def test_what_would_be_sent_is_saved_as_the_verdicts_say(checked):
    """Each usable image is there under a name of digits, with the bytes and the format foretold."""
    folder, _ = checked
    verdicts = pd.read_parquet(folder / "check" / "verdicts.parquet")
    usable = verdicts[verdicts["saved_as"].notna()]
    assert set(usable["saved_as"]) == {path.name for path in (folder / "sent").iterdir()}
    assert (verdicts["saved_as"].notna() == verdicts["verdict"].isin(["pass", "repaired"])).all()
    for row in usable.itertuples():
        assert re.fullmatch(r"[0-9a-f]{32}\.(jpg|png|webp)", row.saved_as)
        path = folder / "sent" / row.saved_as
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row.sent_sha256
        with Image.open(path) as image:
            assert (image.format, *image.size) == (row.sent_format, row.sent_width, row.sent_height)
        if row.verdict == "pass":
            assert row.sent_sha256 == row.source_sha256


def test_the_summary_counts_the_verdicts_for_people_and_programs(checked):
    """The JSON line and the page tell the same counts, with advice and example rows for each code."""
    folder, ran = checked
    summary = json.loads(ran.stdout.splitlines()[-1])
    verdicts = pd.read_parquet(folder / "check" / "verdicts.parquet")
    counted = verdicts["verdict"].value_counts()
    assert summary["by_verdict"] == {
        name: int(counted.get(name, 0)) for name in ("pass", "repaired", "rejected", "unreachable")
    }
    assert summary["codes"] == verdicts["code"].value_counts().to_dict()
    usable = verdicts[verdicts["saved_as"].notna()]
    assert summary["sent_bytes"] == usable["sent_bytes"].sum()
    assert summary["source_bytes"] == usable["source_bytes"].sum()
    assert summary["sent_formats"] == usable["sent_format"].value_counts().to_dict()
    assert f"{counted['repaired']} repaired" in ran.stderr
    failure = ran.stderr.partition("Local.ImageTruncated\n")[2].splitlines()
    assert failure[0].strip() == meaning_of("Local.ImageTruncated")
    assert failure[1].strip() == "→ Fetch or export the image again."
    assert "awkward-truncated.jpg" in ran.stderr


def test_images_inside_the_manifest_get_the_same_verdicts(checked, tmp_path):
    """Inline bytes are checked like files, and never shown."""
    ran = run_check(
        ROOT / "configs" / "demo-parquet.yaml", "--output", tmp_path / "verdicts", "--json", "--no-progress"
    )
    assert ran.returncode == 0
    assert "rows " not in ran.stderr
    inline = pd.read_parquet(tmp_path / "verdicts" / "verdicts.parquet")
    files = pd.read_parquet(checked[0] / "check" / "verdicts.parquet")
    same = ["row_key", "verdict", "code", "source_sha256", "sent_sha256"]
    pd.testing.assert_frame_equal(inline[same], files[same])
    shown = inline["reference"].str.fullmatch(r"inline, [\d,]+ bytes")
    assert (shown | (inline["code"] == "Local.ImageMissing")).all()


def test_a_pair_has_a_verdict_for_each_of_its_images(make_job, tmp_path):
    """CompareSimilarByImage: two verdicts a row, named by role; one bad image makes the row unusable."""
    rows = [
        {"id": "1", "primary_image": "p00.jpg", "secondary_image": "p01.jpg"},
        {"id": "2", "primary_image": "p02.jpg", "secondary_image": "gone.jpg"},
        {"id": "3", "primary_image": "", "secondary_image": "p03.jpg"},
    ]
    ran = run_check(make_job(rows, operation="CompareSimilarByImage", max_failed=1))
    assert ran.returncode == 3, ran.stderr
    summary = json.loads(ran.stdout)
    assert (summary["rows"], summary["images"], summary["unusable_rows"]) == (3, 6, 2)
    verdicts = pd.read_parquet(tmp_path / "out" / "check" / "verdicts.parquet")
    assert verdicts["role"].tolist() == ["primary_image", "secondary_image"] * 3
    assert verdicts["code"].fillna("").tolist() == ["", "", "", "Local.ImageMissing", "Local.NoImage", ""]


def test_a_job_without_images_is_refused(make_job):
    """SearchImageByName sends none: exit code 64 instead of an empty table."""
    rows = [{"id": 1, "product_id": "p", "pic_name": "n"}]
    ran = run_check(make_job(rows, operation="SearchImageByName"))
    assert ran.returncode == 64
    assert "sends no images" in ran.stderr


async def test_a_bad_manifest_ends_the_check_before_anything_is_written(load, tmp_path):
    """Keys are checked first, as in a run."""
    settings = load([{"id": "1", "image": "p00.jpg"}, {"id": "1", "image": "p01.jpg"}])
    with pytest.raises(ManifestError, match="unique"):
        await check_job(settings)
    assert not (tmp_path / "out").exists()


async def test_an_unusable_output_folder_is_told(load, tmp_path):
    """A file where the folder should be is an error of the output, not of a row."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file.*cannot be written"):
        await check_job(load([{"id": "1", "image": "p00.jpg"}]), output=tmp_path / "file")
    with pytest.raises(OutputError, match="cannot be saved"):
        await check_job(load([{"id": "1", "image": "p00.jpg"}]), save=tmp_path / "file")


async def test_rows_keep_their_order_whatever_finishes_first(load, tmp_path, monkeypatch):
    """Many small batches at once come out as the manifest has them."""
    monkeypatch.setattr(checking, "ROWS_A_BATCH", 3)
    rows = [{"id": f"r{n:02}", "image": f"p{n:02}.jpg"} for n in range(40)]
    page = await check_job(load(rows))
    assert page.tally.rows == page.tally.total == 40
    keys = pq.read_table(page.verdicts).column("row_key").to_pylist()
    assert keys == [row["id"] for row in rows]


@pytest.fixture
async def host(images):
    """A web server with one image, and places where there is none."""
    asked = asyncio.Event()
    release = asyncio.Event()
    counts = {}

    async def answer(request):
        name = request.match_info["name"]
        counts[name] = counts.get(name, 0) + 1
        asked.set()
        if name == "image":
            return web.Response(body=(images / "p00.jpg").read_bytes())
        if name == "never":
            await release.wait()
        if name == "second" and counts[name] == 2:
            return web.Response(body=(images / "p01.jpg").read_bytes())
        return web.Response(status=404 if name == "gone" else 503)

    async with web_server(answer) as host:
        yield host, asked, counts
        release.set()


async def test_unreachable_is_told_apart_from_missing_and_secrets_are_not_shown(
    host, load, tmp_path, monkeypatch
):
    """A failing host is tried again and says nothing about its image; addresses lose user and query."""
    monkeypatch.setattr(patience, "backoff", lambda *_: 0.0)
    address, _, counts = host
    names = ("image", "gone", "down", "second")
    rows = [{"id": name, "image": f"http://me:pass@{address}/{name}?sig=hush"} for name in names]
    page = await check_job(load(rows, images__allow_hosts=["127.0.0.1"]))
    verdicts = pq.read_table(page.verdicts).to_pylist()
    assert [row["verdict"] for row in verdicts] == ["pass", "rejected", "unreachable", "pass"]
    assert [row["code"] for row in verdicts[1:3]] == ["Local.ImageMissing", "Transport.ImageHttpStatus"]
    assert verdicts[2]["prevents"] is None
    assert counts == {"image": 1, "gone": 1, "down": patience.FETCH_ATTEMPTS, "second": 2}
    assert page.tally.unusable == 2
    written = str(verdicts) + page.as_text() + page.as_json()
    assert "pass@" not in written
    assert "hush" not in written


def contents(folder):
    """Every file of a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_a_stopped_check_leaves_the_earlier_verdicts(host, load, tmp_path):
    """The table is replaced when it is whole, or not at all."""
    page = await check_job(load([{"id": "1", "image": "p00.jpg"}]))
    folder = Path(page.verdicts).parent
    before = contents(folder)
    rows = [{"id": "1", "image": f"http://{host[0]}/never"}]
    task = asyncio.create_task(check_job(load(rows, images__allow_hosts=["127.0.0.1"])))
    await host[1].wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert contents(folder) == before
    assert list(before) == ["verdicts.parquet"]


def test_a_signal_ends_a_check_with_4_and_says_so(make_job, tmp_path):
    """A scheduler that stops the command learns that there are no verdicts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        rows = [{"id": "1", "image": f"http://127.0.0.1:{listening.getsockname()[1]}/never"}]
        job = make_job(rows, images__allow_hosts=["127.0.0.1"])
        with started("check", job, "--no-progress", stdout=None) as process:
            connection, _ = listening.accept()
            with connection:
                process.send_signal(signal.SIGTERM)
                told = process.communicate()[1]
    assert process.returncode == 4
    assert "no verdicts were written" in told
    assert list((tmp_path / "out" / "check").iterdir()) == []


async def test_base64_cells_are_not_copied_into_the_verdicts(load, images):
    """An image in text is named by its length alone."""
    text = base64.b64encode((images / "p00.jpg").read_bytes()).decode()
    page = await check_job(load([{"id": "1", "image": text}], images__text="base64"))
    (verdict,) = pq.read_table(page.verdicts).to_pylist()
    assert (verdict["verdict"], verdict["source_format"]) == ("pass", "JPEG")
    assert verdict["reference"] == f"inline, {len(text):,} characters of base64"


@pytest.mark.parametrize("key", ["../../escaped", "/etc/passwd", "a\0b", "\udcff", "", "x" * 5000, "CON"])
def test_no_row_key_chooses_where_a_image_is_saved(key, tmp_path):
    """Names are digits of a digest: they stay in the folder and differ by row and role."""
    saved = SavedImages(tmp_path / "sent")
    name = saved.save(key, "image", "JPEG", b"picture")
    assert re.fullmatch(r"[0-9a-f]{32}\.jpg", name)
    assert [path.name for path in tmp_path.iterdir()] == ["sent"]
    assert (tmp_path / "sent" / name).read_bytes() == b"picture"
    assert name != saved_name(key, "primary_image", "JPEG") != saved_name(key + "1", "primary_image", "JPEG")


def test_saving_replaces_a_link_instead_of_following_it(tmp_path):
    """A link laid under an image's name does not lead what is saved out of the folder."""
    target = tmp_path / "target"
    target.write_bytes(b"mine")
    saved = SavedImages(tmp_path / "sent")
    link = tmp_path / "sent" / saved_name("1", "image", "PNG")
    link.symlink_to(target)
    saved.save("1", "image", "PNG", b"picture")
    assert target.read_bytes() == b"mine"
    assert not link.is_symlink()


def test_verdicts_flow_to_disk_in_groups(tmp_path, monkeypatch):
    """Memory holds one row group's verdicts, however many there are."""
    monkeypatch.setattr("batchsearch.storage.parts.verdict_table._ROW_GROUP_ROWS", 10)
    with VerdictFile(tmp_path) as file:
        for number in range(35):
            file.add([{"row_key": str(number), "verdict": "pass"}])
            assert len(file._waiting) < 10
    assert pq.ParquetFile(file.path).num_row_groups == 4
    assert pq.read_table(file.path).num_rows == 35


async def test_a_rule_of_the_job_that_cannot_hold_is_a_bad_configuration(load):
    """A `max_side` below what the service accepts is refused before anything is read."""
    with pytest.raises(ConfigError, match="max_side"):
        await check_job(load([{"id": "1", "image": "p00.jpg"}], images__max_side=20))
