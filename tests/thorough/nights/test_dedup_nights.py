"""Night after night over real HTTP: what is called, what is found, what stays."""

import json
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from image_files import saved
from PIL import Image, ImageDraw, ImageFilter
from run_rig import command, harm, put, started
from shop_rig import SAMPLES, clusters_of, pairs_of, same_tables, samples

from batchsearch.config.load import load_job
from batchsearch.emulator.faults import ErrorAnswer
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.errors import ConfigError, ExitCode
from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import TableWriter
from batchsearch.tasks.dedup.night import run_night


async def test_a_second_night_pays_for_new_and_changed_products_only(shop, tmp_path):
    """With 3 % new and 1 % changed products, exactly those 4 % are called; clusters as from nothing."""
    everything = samples()[:103]
    random.Random(3).shuffle(everything)
    first, new = everything[:100], everything[100:]
    shop.put_all(first)
    await shop.night()
    assert shop.asked() == 100
    shop.put_all(new)
    # One product shows from now on what another product shows: its old pairs are stale.
    shop.put(*first[0][:2], first[50][2])
    second = await shop.night()
    assert shop.asked() == 100 + 3 + 1
    assert (second.exit_code, second.counts["hits_stale"] > 0) == (ExitCode.DONE, True)
    await shop.night("fresh")
    same_tables(tmp_path / "out", tmp_path / "fresh")


async def test_a_night_without_changes_makes_no_call_and_keeps_when_pairs_were_found(shop, tmp_path):
    """Running again gives the same tables, `found_at` and cluster ids too, and keeps the night before."""
    shop.put_all(samples()[40:70])
    one = await shop.night()
    before = pairs_of(tmp_path / "out")
    clusters = pd.read_parquet(tmp_path / "out" / "clusters")
    asked = shop.asked()
    two = await shop.night()
    assert shop.asked() == asked
    pd.testing.assert_frame_equal(pairs_of(tmp_path / "out"), before)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "clusters"), clusters)
    assert (two.previous_night, two.counts["new_pairs"]) == (one.night, 0)
    kept = tmp_path / "out" / "nights" / one.night
    assert (kept / "pairs" / "pairs.parquet").is_file()
    assert json.loads((kept / "dedup.json").read_text())["night"] == one.night


async def test_colour_variants_are_not_merged_by_default(shop, tmp_path):
    """T-shirts that differ in colour alone stay products of their own, and so do wristbands."""
    wanted = ("t-shirt", "band")
    for product, name, image in samples():
        if Path(image).parent.name == "catalogue" and any(part in image for part in wanted):
            shop.put(product, name, image)
    assert len(shop.rows) == 9
    summary = await shop.night()
    assert clusters_of(tmp_path / "out") == {}
    assert summary.counts["colour_variants"] > 0
    assert summary.counts["verdicts"]["recoloured"] > 0
    merged = await shop.night("blind", verify=None, colours=None)
    assert merged.counts["clusters"] > 0


async def test_products_that_left_the_manifest_leave_the_tables(shop, tmp_path):
    """A withdrawn product is in no pair and no cluster, and is counted; `outside: keep` keeps it."""
    shop.put_all(samples()[45:53])
    shop.put("gone", "front.jpg", samples()[45][2])
    await shop.night()
    assert any("gone" in members for members in clusters_of(tmp_path / "out").values())
    shop.rows = [row for row in shop.rows if row[0] != "gone"]
    summary = await shop.night()
    assert summary.counts["left_out"] == 1
    assert not any("gone" in members for members in clusters_of(tmp_path / "out").values())
    kept = await shop.night(outside="keep")
    assert kept.counts["left_out"] == 0
    assert any("gone" in members for members in clusters_of(tmp_path / "out").values())


async def test_products_that_only_the_instance_has_count_when_asked(shop, tmp_path):
    """With `outside: keep` a new product finds what it repeats; unverified images are for review only."""
    shop.put_all(samples()[45:49])
    shop.rows = shop.rows[:1]
    dropped = await shop.night()
    assert (dropped.counts["clusters"], dropped.counts["hits_outside"]) == (0, 3)
    kept = await shop.night(outside="keep")
    assert (kept.counts["clusters"], kept.counts["verdicts"]["alike"]) == (0, 3)
    await shop.night(outside="keep", verify=None)
    members = {product for product, _, _ in samples()[45:49]}
    assert any(members >= group for group in clusters_of(tmp_path / "out").values())
    table = pd.read_parquet(tmp_path / "out" / "clusters").set_index("product_id")
    assert table.loc[shop.rows[0][0], "row_key"] is not None
    assert table.drop(shop.rows[0][0])["row_key"].isna().all()


async def test_judgements_are_kept_across_nights(shop, tmp_path):
    """A pair judged different is parted and stays parted; one judged the same is joined without a score."""
    shop.put_all(samples()[45:53])
    await shop.night()
    accepted = pairs_of(tmp_path / "out").query("accepted")
    one, other = accepted.index[0]
    stranger = "stranger"
    shop.put(stranger, "front.jpg", samples()[0][2])
    lines = [
        "product_a,product_b,judgement,judged_at,note",
        f"{other},{one},different,,",
        f"{one},{stranger},same,,x",
    ]
    (tmp_path / "judged.csv").write_text("\n".join(lines), encoding="utf-8")
    for _ in range(2):
        await shop.night(judgements="judged.csv")
        groups = clusters_of(tmp_path / "out").values()
        assert not any({one, other} <= members for members in groups)
        assert any({one, stranger} <= members for members in groups)
    pair = pairs_of(tmp_path / "out").loc[tuple(sorted((one, stranger)))]
    assert (pair["judged"], pair["accepted"]) == ("same", True)


async def test_judgements_bring_no_product_back_that_left(shop, tmp_path):
    """Two products judged the same and withdrawn are in no table, from whichever source their pair comes."""
    shop.put_all(samples()[45:49])
    for product in ("left-1", "left-2"):
        shop.put(product, "front.jpg", samples()[0][2])
    (tmp_path / "judged.csv").write_text(
        "product_a,product_b,judgement\nleft-1,left-2,same\n", encoding="utf-8"
    )
    await shop.night(judgements="judged.csv", precheck="report")
    assert any({"left-1", "left-2"} <= members for members in clusters_of(tmp_path / "out").values())
    shop.rows = [row for row in shop.rows if not row[0].startswith("left")]
    await shop.night(judgements="judged.csv", precheck="report")
    assert not any(name.startswith("left") for pair in pairs_of(tmp_path / "out").index for name in pair)
    members = set().union(*clusters_of(tmp_path / "out").values())
    assert not {"left-1", "left-2"} & members
    await shop.night(judgements="judged.csv", precheck="report", outside="keep")
    assert any({"left-1", "left-2"} <= members for members in clusters_of(tmp_path / "out").values())


@pytest.mark.parametrize("mode", ["report", "first", "instead"])
async def test_identical_images_are_found_without_a_call(shop, tmp_path, mode):
    """The pre-check pairs identical files; `instead` makes no call for the later copies."""
    shop.put_all(samples()[45:49])
    for product, name, image in samples()[45:47]:
        shop.put(f"copy-of-{product}", name, image)
    summary = await shop.night(precheck=mode)
    assert summary.precheck["identical_bytes"] == 2
    # Without the pre-check's help the copies' requests are equal to the originals', and one call as well.
    assert shop.asked() == 4
    by_way = pairs_of(tmp_path / "out").groupby("found_by").size()
    assert by_way["identical_bytes"] == 2
    groups = clusters_of(tmp_path / "out").values()
    for product, _, _ in samples()[45:47]:
        assert any({product, f"copy-of-{product}"} <= members for members in groups)


async def test_one_file_is_identical_though_no_shape_is_in_it(shop, tmp_path):
    """Two products with one and the same plain image need no verifying, and no pre-check."""
    plain = Image.new("RGB", (400, 400), "white")
    ImageDraw.Draw(plain).ellipse((100, 80, 300, 320), fill=(200, 205, 215))
    plain = plain.filter(ImageFilter.GaussianBlur(3))
    for product in ("one", "two"):
        shop.put(product, "front.jpg", saved(plain, "JPEG"))
    await shop.night()
    pair = pairs_of(tmp_path / "out").loc[("one", "two")]
    assert (pair["verdict"], pair["reason"]) == ("identical", "the same file")
    assert pair["accepted"]
    assert pair["found_by"] == "search"


async def test_pairs_that_only_tonights_products_make_are_missed_when_searched_first(shop, tmp_path):
    """`search_first` trusts no hit of the same night on a renewed image (see the documentation)."""
    shop.put_all(samples()[45:49])
    await shop.night(order="search_first")
    product, name, _ = shop.rows[0]
    shop.put(product, name, samples()[0][2])
    shop.put("new", "front.jpg", samples()[1][2])
    summary = await shop.night(order="search_first")
    assert summary.counts["hits_stale"] > 0


async def test_the_instance_is_kept_in_step_with_the_manifest(shop, tmp_path):
    """`sync: add` adds new and changed images, each once; then tonight's find one another."""
    some = samples()[45:57]
    shop.write_all(some[:10])
    first = await shop.night(sync="add")
    catalogue = shop.emulator.catalogue()
    assert (first.sync["add"].calls, catalogue.count(), shop.asked()) == (10, 10, 10)
    shop.write_all(some[10:])
    # An image is exchanged for another one: it is added again under its name, and searched again.
    shop.write(some[0][0], some[0][1], some[11][2])
    second = await shop.night(sync="add")
    # Two of tonight's three images are equal: they are searched by one call.
    assert (second.sync["add"].calls, catalogue.count(), shop.asked()) == (3, 12, 12)
    groups = clusters_of(tmp_path / "out").values()
    assert any({some[0][0], some[11][0]} <= members for members in groups)
    third = await shop.night(sync="add")
    assert (third.sync["add"].calls, third.search.calls) == (0, 0)


async def test_what_has_left_the_manifest_leaves_the_instance(shop):
    """`sync: delete` removes the images that the manifest no longer has, and nothing else."""
    shop.put_all(samples()[45:50])
    assert (await shop.night(sync="delete")).sync == {}
    gone = shop.rows.pop(2)
    summary = await shop.night(sync="delete", max_deleted="50%")
    catalogue = shop.emulator.catalogue()
    assert (summary.sync["delete"].calls, catalogue.count()) == (1, 4)
    assert catalogue.get(gone[0], gone[1]) is None


async def test_a_search_does_not_begin_before_the_instance_is_in_step(shop, tmp_path):
    """With `add_first` an upkeep that could not be finished ends the night; the old tables stay."""
    shop.write_all(samples()[45:50])
    harm(shop.emulator, ErrorAnswer("NoPermission"), of="AddImage")
    stopped = await shop.night(sync="add")
    assert (stopped.exit_code, stopped.search, shop.asked()) == (ExitCode.ENDED, None, 0)
    assert not (tmp_path / "out" / "pairs").exists()
    assert "as they were" in stopped.as_text()
    harm(shop.emulator)
    assert (await shop.night(sync="add")).exit_code == ExitCode.DONE


async def test_an_unusable_section_is_reported_before_any_call(shop):
    """A column that there is not is named beside the nearest one; nothing is called."""
    shop.put(*samples()[0])
    with pytest.raises(ConfigError, match=r"dedup\.product_column.*did you mean `product_id`"):
        await shop.night(product_column="product")
    with pytest.raises(ConfigError, match=r"UpdateImage takes nothing called `pice`"):
        await shop.night(sync="update", attributes={"pice": "image"})
    assert shop.asked() == 0


def test_killed_in_the_middle_and_run_again_gives_the_same_clusters(shop, tmp_path):
    """After SIGKILL in the search the night goes on; its clusters are those of a night left alone."""
    shop.put_all(samples()[45:85])
    job = shop.job()
    dedup = ("dedup", job, "--no-progress")
    slowly = ("--set", "instance.qps=40", "--set", "calls.max_in_flight=4")
    run = started(*dedup, *slowly, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shop.emulator.log.wait_for(15, action="SearchImageByPic")
    run.send_signal(signal.SIGKILL)
    run.wait(timeout=30)
    assert not (tmp_path / "out" / "pairs").exists()
    again = command(*dedup)
    assert again.returncode == 0, again.stderr
    summary = json.loads(again.stdout.splitlines()[-1])
    assert (summary["status"], summary["complete"]) == ("done", True)
    assert shop.asked() <= 40 + 4
    assert command(*dedup, "--set", f"output.dir={tmp_path / 'alone'}").returncode == 0
    assert clusters_of(tmp_path / "out") == clusters_of(tmp_path / "alone")


@pytest.mark.parametrize("table", ["pairs", "clusters"])
async def test_a_night_that_ends_between_its_files_leaves_whole_ones(shop, tmp_path, monkeypatch, table):
    """Each file is last night's or tonight's, whichever publication was the last; the next night mends it."""
    shop.put_all(samples()[45:53])
    one = await shop.night()
    shop.put(*samples()[53])

    class PowerCutError(Exception):
        pass

    publish = TableWriter.publish

    def cut(self):
        if self.path.stem == table:
            raise PowerCutError
        publish(self)

    with monkeypatch.context() as patched:
        patched.setattr(TableWriter, "publish", cut)
        with pytest.raises(PowerCutError):
            await shop.night()
    nights = {}
    for name in ("pairs", "clusters"):
        metadata = pq.read_metadata(tmp_path / "out" / name / f"{name}.parquet").metadata
        nights[name] = metadata[b"batchsearch.night"].decode()
        assert len(pd.read_parquet(tmp_path / "out" / name)) > 0
    assert nights["clusters"] == one.night
    assert (nights["pairs"] == one.night) == (table == "pairs")
    await shop.night()
    asked = shop.asked()
    await shop.night("alone")
    assert asked == 9
    assert clusters_of(tmp_path / "out") == clusters_of(tmp_path / "alone")


async def test_an_unfinished_search_says_so_and_goes_on(shop, tmp_path):
    """Stopped after some calls: exit code 4, tables of what is known, marked as incomplete."""
    shop.put_all(samples()[45:57])
    settings = load_job(shop.job(), environ={}).settings
    part = await run_night(settings, RunOptions(max_calls=5))
    assert (part.exit_code, part.complete, shop.asked()) == (ExitCode.INCOMPLETE, False, 5)
    assert "not every row is searched yet" in part.as_text()
    whole = await run_night(settings)
    assert (whole.exit_code, whole.complete, shop.asked()) == (ExitCode.DONE, True, 12)
    assert whole.previous_night == part.night


async def test_each_member_shows_its_own_image(shop, tmp_path):
    """Whatever was answered first, and on whichever night: the image beside a product is the product's."""
    some = samples()[45:57]
    shop.put_all(some[6:])
    await shop.night()
    shop.put_all(some[:6])
    await shop.night()
    table = pd.read_parquet(tmp_path / "out" / "clusters")
    assert len(table) > 6
    own = {(product, file) for product, _, file in shop.rows}
    assert set(zip(table["product_id"], table["image"], strict=True)) <= own


async def test_tables_say_which_night_wrote_them(shop, tmp_path):
    """Pairs and clusters carry the night's id in their metadata, the same as `dedup.json`."""
    shop.put_all(samples()[45:49])
    summary = await shop.night()
    for table in ("pairs", "clusters"):
        metadata = pq.read_metadata(tmp_path / "out" / table / f"{table}.parquet").metadata
        assert metadata[b"batchsearch.night"].decode() == summary.night
    assert not list((tmp_path / "out").glob("*/.*.tmp"))
    shutil.rmtree(tmp_path / "out")


def test_images_of_these_tests_are_readable():
    """The samples that the nights are made of can be opened."""
    for _, _, file in samples()[:60:7]:
        with Image.open(SAMPLES / file) as opened:
            assert min(opened.size) >= 100


def recoloured(source, path):
    """A sample in other colours, written to a file."""
    with Image.open(SAMPLES / source) as opened:
        red, green, blue = opened.convert("RGB").split()
    Image.merge("RGB", (blue, red, green)).save(path, quality=92)
    return path


@pytest.mark.parametrize("mode", ["none", "report", "instead"])
async def test_a_recoloured_image_behind_an_address_is_seen_again(shop, tmp_path, mode):
    """What the search notices, the looks notice: a shirt recoloured in place is no copy from then on."""
    source = next(image for _, _, image in samples() if "t-shirt" in image)
    for product in ("one", "two"):
        shop.put(product, "front.jpg", source)
    shop.rows = [(product, name, (tmp_path / "images" / file).as_uri()) for product, name, file in shop.rows]
    await shop.night(precheck=mode)
    assert list(clusters_of(tmp_path / "out").values()) == [{"one", "two"}]
    path = recoloured(source, tmp_path / "images" / "two-front.jpg")
    put(shop.emulator, "two", path, pic_name="front.jpg")
    await shop.night(precheck=mode)
    assert clusters_of(tmp_path / "out") == {}


async def test_a_copy_that_was_never_searched_parts_when_it_changes(shop, tmp_path):
    """With `precheck: instead` an older hit on a former copy speaks of what it was, and joins nothing."""
    some = samples()
    shop.put("one", "front.jpg", some[45][2])
    shop.put("two", "front.jpg", some[45][2])
    shop.put("three", "front.jpg", some[46][2])
    await shop.night(precheck="instead")
    assert any({"one", "two"} <= members for members in clusters_of(tmp_path / "out").values())
    shop.put("two", "front.jpg", some[20][2])
    await shop.night(precheck="instead")
    assert not any({"one", "two"} <= members for members in clusters_of(tmp_path / "out").values())


async def test_an_image_behind_a_web_address_is_what_was_searched(shop, tmp_path, image_server):
    """An address that shows another image tonight, and was searched again, is looked at again as well."""
    source = next(file for _, _, file in samples() if "t-shirt" in file)
    data = (SAMPLES / source).read_bytes()
    image_server.files["/one.jpg"] = image_server.files["/two.jpg"] = data
    for product in ("one", "two"):
        shop.put(product, "front.jpg", source)
    shop.rows = [
        (product, "front.jpg", f"{image_server.address}/{product}.jpg") for product in ("one", "two")
    ]
    shop.images, shop.reuse = {"allow_hosts": ["127.0.0.1"]}, {"notice_changes": "contents"}
    await shop.night()
    assert list(clusters_of(tmp_path / "out").values()) == [{"one", "two"}]
    path = recoloured(source, tmp_path / "changed.jpg")
    image_server.files["/two.jpg"] = path.read_bytes()
    put(shop.emulator, "two", path, pic_name="front.jpg")
    await shop.night()
    assert clusters_of(tmp_path / "out") == {}


async def test_a_changed_image_hides_no_other_image_of_its_product(shop, tmp_path):
    """A list names a product by its best image; when that one changes, the next best is looked for again."""
    one, other = samples()[45], samples()[53]
    shop.put("late", "front.jpg", one[2])
    await shop.night()
    shop.put("shop", "a.jpg", one[2])
    shop.put("shop", "b.jpg", samples()[46][2])
    shop.put("third", "front.jpg", other[2])
    await shop.night()
    shop.rows.append(shop.rows.pop(0))
    shop.put("late", "front.jpg", samples()[47][2])
    await shop.night()
    shop.put("shop", "a.jpg", other[2])
    summary = await shop.night()
    assert summary.exit_code == ExitCode.DONE
    await shop.night("fresh")
    same_tables(tmp_path / "out", tmp_path / "fresh")
    assert (await shop.night()).search.calls == 0
