"""Tables that dedup and comparison deliver: gone or broken, `verify` says so, and they are made anew."""

import asyncio
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from run_rig import granting, said, sign_in
from shop_rig import Shop, samples

from batchsearch.config.load import load_job
from batchsearch.emulator.instance_options import EmulatorOptions
from batchsearch.emulator.server import Emulator
from batchsearch.tasks.compare.comparison_job import compare_job

COPIES = 4


async def worked_twice(shop):
    """Two nights of a shop that has every product twice."""
    for number in range(COPIES):
        for product in (f"A{number}", f"B{number}"):
            shop.put(product, "front.jpg", sorted_samples()[number])
    await shop.night()
    shop.out = shop.folder / "out"
    await shop.night()
    assert said("verify", shop.out)[0] == 0
    return shop


@pytest.fixture
async def dedup(shop):
    """Two nights of a shop, which may have another one."""
    return await worked_twice(shop)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Two nights of a shop, made once; a copy of what they delivered."""
    folder = tmp_path_factory.mktemp("kept") / "shop"
    folder.mkdir()
    with (
        Emulator(EmulatorOptions(instances=(granting(),))) as running,
        pytest.MonkeyPatch.context() as patched,
    ):
        sign_in(patched, running)
        shop = asyncio.run(worked_twice(Shop(folder, running)))
        copy = shutil.copytree(folder, folder.with_name("copy"))
        yield shop, copy


@pytest.fixture
def spoilt(kept, monkeypatch):
    """The shop at its place, as it was after these nights; its instance is never changed."""
    shop, copy = kept
    sign_in(monkeypatch, shop.emulator)
    shutil.rmtree(shop.folder)
    shutil.copytree(copy, shop.folder)
    return shop


def sorted_samples():
    names = [name for _, _, name in samples()]
    return names[: COPIES * 3 : 3]


def ids(folder):
    return dict(pd.read_parquet(folder / "clusters")[["product_id", "cluster_id"]].to_numpy().tolist())


def removed(path):
    path.unlink()


def halved(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path):
    path.write_bytes(b"")


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


TABLES = ("pairs/pairs.parquet", "clusters/clusters.parquet", "dedup.json", "judgements-followed.csv")


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("spoil", [removed, halved, emptied, flipped], ids=lambda spoil: spoil.__name__)
async def test_a_damaged_night_is_told_and_made_anew(spoilt, name, spoil):
    """`verify` names the file, the next night makes it anew without a call, and cluster ids stay."""
    dedup = spoilt
    before, asked = ids(dedup.out), dedup.asked()
    if spoil is not removed and not (dedup.out / name).stat().st_size:
        pytest.skip("an empty file")
    spoil(dedup.out / name)
    code, text = said("verify", dedup.out)
    # One character more or less in a record may leave it the same JSON: its tables are what it says.
    assert code in ((3, 4) if name != "dedup.json" or spoil is not flipped else (0, 3)), text
    if code:
        assert name in text
    if name in TABLES[:2]:
        reported, told = said("report", dedup.out, "--no-page", "--markdown", "-")
        assert (reported, name in told) == (6, True), told
    ended = await dedup.night()
    assert ended.exit_code == 0
    assert dedup.asked() == asked
    assert ids(dedup.out) == before
    assert said("verify", dedup.out)[0] == 0
    aside = [path.read_bytes() for path in dedup.out.glob(f"set-aside/*/{name}")]
    assert bool(aside) == (name in TABLES[:2] and spoil is not removed)


async def test_clusters_that_are_gone_are_said_and_their_ids_taken_from_an_earlier_night(
    dedup, caplog, capsys
):
    """Cluster ids never change in silence: the newest earlier night has them, and the log says so."""
    table = dedup.out / "clusters" / "clusters.parquet"
    before = ids(dedup.out)
    shutil.rmtree(table.parent)
    await dedup.night()
    assert ids(dedup.out) == before
    told = caplog.text + "".join(capsys.readouterr())
    assert "earlier_table_missing" in told
    assert "nights/" in told


async def test_a_table_of_an_earlier_night_is_no_table_of_tonight(dedup):
    """A table put back from an earlier night does not fit its record: told by verify, refused by readers."""
    (night,) = (dedup.out / "nights").iterdir()
    for number in range(COPIES):
        dedup.put(f"C{number}", "front.jpg", sorted_samples()[number])
    await dedup.night()
    shutil.copy(night / "pairs" / "pairs.parquet", dedup.out / "pairs" / "pairs.parquet")
    code, text = said("verify", dedup.out)
    assert (code, "pairs/pairs.parquet" in text) == (4, True), text
    assert said("report", dedup.out, "--no-page", "--markdown", "-")[0] == 6
    assert said("diff", night, dedup.out)[0] == 6


async def test_a_search_that_is_gone_is_told(dedup):
    """Tables whose search is not there any more are not called whole: the next night would pay for it."""
    shutil.rmtree(dedup.out / "search")
    code, text = said("verify", dedup.out)
    assert (code, "search" in text) == (3, True), text


@pytest.fixture
async def compared(signed_in, make_job):
    """A comparison of a group of images, with its matrix."""
    rows = [{"id": f"r{n}", "image": f"p{n:02}.jpg", "family": "a"} for n in range(4)]
    path = make_job(
        rows,
        operation="CompareSimilarByImage",
        instance__endpoint=signed_in.endpoint,
        compare={"pairs": "groups", "group": "family"},
    )
    settings = load_job(path, environ={}).settings
    ended = await compare_job(settings)
    assert ended.exit_code == 0
    return settings


@pytest.mark.parametrize("name", ["scores.parquet", "matrix/*.parquet", "compare.json"])
@pytest.mark.parametrize("spoil", [removed, halved, emptied], ids=lambda spoil: spoil.__name__)
async def test_a_damaged_comparison_is_told_and_made_anew(compared, name, spoil, signed_in):
    """`verify` names the file, and the next comparison writes it again without a call."""
    out = Path(compared.output.dir)
    assert said("verify", out)[0] == 0
    (path,) = out.glob(name)
    spoil(path)
    code, text = said("verify", out)
    assert code in (3, 4), text
    assert path.name in text
    calls = len(signed_in.log.entries("CompareSimilarByImage"))
    assert (await compare_job(compared)).exit_code == 0
    assert len(signed_in.log.entries("CompareSimilarByImage")) == calls
    assert said("verify", out)[0] == 0
    record = json.loads((out / "compare.json").read_text())
    assert "scores.parquet" in record["tables"]


async def test_a_damaged_earlier_night_is_told_and_set_aside(dedup):
    """An earlier night that is not what it was is named by verify, and kept apart by the next night."""
    (night,) = (dedup.out / "nights").iterdir()
    halved(night / "clusters" / "clusters.parquet")
    code, text = said("verify", dedup.out)
    assert (code, f"nights/{night.name}/clusters" in text) == (3, True), text
    await dedup.night()
    assert said("verify", dedup.out)[0] == 0
    assert list(dedup.out.glob(f"set-aside/*/nights/{night.name}/clusters/clusters.parquet"))


async def test_everything_delivered_gone_at_once_is_told(dedup, compared):
    """Not one delivered table is left: `verify` still knows that there were some."""
    for name in ("pairs", "clusters", "nights"):
        shutil.rmtree(dedup.out / name)
    (dedup.out / "dedup.json").unlink()
    code, text = said("verify", dedup.out)
    assert (code, "dedup.json" in text) == (4, True), text
    out = Path(compared.output.dir)
    shutil.rmtree(out / "matrix")
    for name in ("scores.parquet", "compare.json"):
        (out / name).unlink()
    code, text = said("verify", out)
    assert (code, "compare.json" in text) == (4, True), text
