"""The instance beside the manifest: what is added, updated and deleted, and what no export may do to it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from run_rig import command
from shop_rig import clusters_of, pairs_of, same_tables, samples

from batchsearch.errors import ExitCode, ManifestError
from batchsearch.tasks.dedup.candidates.own_image import CatalogueNotHeldError
from batchsearch.tasks.dedup.upkeep.upkeep_steps import searched_too_early

ALL = ["add", "update", "delete"]


@pytest.mark.parametrize("rows", [0, 5])
async def test_a_broken_export_deletes_nothing(shop, tmp_path, rows):
    """A header alone, or half of the rows: exit code 65 before anything is called or deleted."""
    shop.put_all(samples()[45:55])
    await shop.night(sync="delete")
    tables = (tmp_path / "out" / "pairs" / "pairs.parquet").read_bytes()
    asked = len(shop.emulator.log.entries())
    whole, shop.rows = shop.rows, shop.rows[:rows]
    ran = command("dedup", shop.job(sync="delete"))
    assert ran.returncode == ExitCode.BAD_MANIFEST
    assert ("an empty manifest never deletes" if rows == 0 else "5 of 10 images (50.0 %)") in ran.stderr
    assert shop.emulator.catalogue().count() == 10
    assert len(shop.emulator.log.entries()) == asked
    assert (tmp_path / "out" / "pairs" / "pairs.parquet").read_bytes() == tables
    anyway = command("dedup", shop.job(sync="delete"), "--delete-all-missing")
    if rows == 0:
        assert anyway.returncode == ExitCode.BAD_MANIFEST
        assert shop.emulator.catalogue().count() == 10
    else:
        assert anyway.returncode == 0, anyway.stderr
        assert shop.emulator.catalogue().count() == 5
    shop.rows = whole


async def test_an_empty_manifest_without_deletions_is_a_quiet_night(shop):
    """Nothing is called, nothing is deleted, and the night ends well."""
    shop.put_all(samples()[45:49])
    await shop.night()
    shop.rows = []
    summary = await shop.night()
    assert (summary.exit_code, summary.search.calls) == (ExitCode.DONE, 0)
    assert shop.emulator.catalogue().count() == 4


async def test_an_instance_without_the_images_ends_the_night_and_the_next_one_mends_it(shop, tmp_path):
    """No clusters because nothing is there is no answer; once images are added, they are searched again."""
    some = samples()[45:57]
    shop.write_all(some)
    ran = command("dedup", shop.job())
    assert ran.returncode == ExitCode.ENDED
    assert "only 0 of 12 images that were searched found themselves" in ran.stderr
    assert "dedup.sync: add" in ran.stderr
    assert not (tmp_path / "out" / "clusters").exists()
    summary = await shop.night(sync="add")
    assert (summary.exit_code, summary.search.calls) == (ExitCode.DONE, 12)
    assert clusters_of(tmp_path / "out")
    asked = shop.asked()
    assert (await shop.night(sync="add")).search.calls == 0
    assert shop.asked() == asked


@pytest.mark.parametrize("sync", [["add"], ["add", "delete"]])
async def test_an_image_that_was_taken_off_a_product_joins_it_to_nothing(shop, tmp_path, sync):
    """A wrong image, a copy of another product's, is taken away: from that night on the two are two."""
    (one, _, image), *others = samples()[45:57:4]
    shop.write_all([(one, "front.jpg", image), *others])
    product = others[0][0]
    shop.write(product, "wrong.jpg", image)
    await shop.night(sync=sync, max_deleted="60%")
    assert {one, product} in clusters_of(tmp_path / "out").values()
    shop.rows = [row for row in shop.rows if row[:2] != (product, "wrong.jpg")]
    for _ in range(2):
        summary = await shop.night(sync=sync, max_deleted="60%")
        assert summary.exit_code == ExitCode.DONE
        assert not any({one, product} <= cluster for cluster in clusters_of(tmp_path / "out").values())
        assert not {(one, product), (product, one)} & {*pairs_of(tmp_path / "out").index}


async def test_a_column_that_only_tonight_has_stops_no_deletion(shop):
    """No result of an earlier night has it, and what has left the manifest does not ask for it."""
    some = samples()[45:57]
    shop.put_all(some)
    options = {"sync": ["delete"], "max_deleted": "50%"}
    await shop.night(**options)
    shop.more = {"code": {product: str(number) for number, (product, _, _) in enumerate(some)}}
    gone = shop.rows.pop(2)
    second = await shop.night(**options, same_when=["code"])
    assert (second.exit_code, second.sync["delete"].calls) == (ExitCode.DONE, 1)
    assert shop.emulator.catalogue().get(gone[0], gone[1]) is None


async def test_what_comes_back_is_searched_again(shop, tmp_path):
    """While a product was away a copy of it came: neither search has seen the other's image."""
    some = samples()[45:57]
    shop.write_all(some)
    options = {"sync": ["add", "delete"], "max_deleted": "50%"}
    await shop.night(**options)
    away = shop.rows.pop(2)
    await shop.night(**options)
    shop.write("copy", "front.jpg", some[2][2])
    await shop.night(**options)
    shop.rows.insert(2, away)
    back = await shop.night(**options)
    assert (back.sync["add"].calls, back.search.calls) == (1, 1)
    assert {away[0], "copy"} in clusters_of(tmp_path / "out").values()
    await shop.night("anew", **options)
    same_tables(tmp_path / "out", tmp_path / "anew")
    assert (await shop.night(**options)).search.calls == 0


async def test_what_was_searched_before_it_was_added_is_searched_again(shop, tmp_path):
    """By a job that searched first: what is in the instance now was not when it was searched."""
    shop.write_all(samples()[45:57])
    await shop.night(sync="add", order="search_first")
    now = datetime.now(UTC)
    assert len(searched_too_early(tmp_path / "out", None, now)) == 12
    # What a clock that ran ahead has written is not searched again every night.
    assert searched_too_early(tmp_path / "out", None, now - timedelta(days=1)) == []
    second = await shop.night(sync="add")
    assert (second.exit_code, second.search.calls) == (ExitCode.DONE, 12)
    await shop.night("anew", sync="add")
    same_tables(tmp_path / "out", tmp_path / "anew")
    assert (await shop.night(sync="add")).search.calls == 0


async def test_half_of_the_images_is_enough_to_go_on(shop):
    """Six of twelve in the instance find themselves; five are too few."""
    some = samples()[0:24:2]
    shop.put_all(some[:6])
    shop.write_all(some[6:])
    assert (await shop.night()).exit_code == ExitCode.DONE
    shop.emulator.catalogue().delete(some[0][0], some[0][1])
    with pytest.raises(CatalogueNotHeldError, match="only 5 of 12"):
        await shop.night("again")


async def test_added_updated_deleted_and_added_again(shop):
    """Each step has its own ledger: an attribute is updated without its image, a returned image is added."""
    some = samples()[45:57]
    shop.write_all(some)
    options = {"sync": ALL, "attributes": {"str_attr": "pic_name"}, "max_deleted": "50%"}
    first = await shop.night(**options)
    assert {step: run.calls for step, run in first.sync.items()} == {"add": 12, "update": 0}
    gone = shop.rows.pop(2)
    second = await shop.night(**options)
    assert {step: run.calls for step, run in second.sync.items()} == {"delete": 1, "add": 0, "update": 0}
    assert shop.emulator.catalogue().get(gone[0], gone[1]) is None
    third = await shop.night(**options)
    assert {step: run.calls for step, run in third.sync.items()} == {"add": 0, "update": 0}
    shop.rows.insert(2, gone)
    returned = await shop.night(**options)
    assert returned.sync["add"].calls == 1
    assert shop.emulator.catalogue().get(gone[0], gone[1]) is not None
    shop.rows.pop(2)
    again = await shop.night(**options)
    assert again.sync["delete"].calls == 1
    assert shop.emulator.catalogue().get(gone[0], gone[1]) is None


async def test_an_attribute_that_changed_is_updated_and_its_image_is_not_sent_again(shop):
    """With `add` and `update` a new price is one UpdateImage; a new image is one AddImage with its price."""
    some = samples()[45:51]
    shop.write_all(some)
    shop.more = {"price": {row[0]: 1 for row in shop.rows}}
    options = {"sync": ["add", "update"], "attributes": {"int_attr": "price"}}
    options["types"] = {"price": "int64"}
    await shop.night(**options)
    shop.more["price"][some[0][0]] = 7
    second = await shop.night(**options)
    assert {step: run.calls for step, run in second.sync.items()} == {"add": 0, "update": 1}
    assert shop.emulator.catalogue().get(some[0][0], some[0][1]).int_attr == 7
    shop.write(some[1][0], some[1][1], samples()[0][2])
    shop.more["price"][some[1][0]] = 9
    third = await shop.night(**options)
    assert {step: run.calls for step, run in third.sync.items()} == {"add": 1, "update": 0}
    assert shop.emulator.catalogue().get(some[1][0], some[1][1]).int_attr == 9
    assert (await shop.night(**options)).sync["update"].calls == 0


async def test_an_image_that_another_row_has_stays(shop):
    """What left one row and is in another has not left the manifest."""
    shop.put_all(samples()[45:49])
    shop.key = ["row"]
    shop.more = {"row": dict(zip([row[0] for row in shop.rows], "abcd", strict=True))}
    await shop.night(sync="delete")
    shop.more["row"][shop.rows[0][0]] = "e"
    summary = await shop.night(sync="delete")
    assert summary.sync == {}
    assert shop.emulator.catalogue().count() == 4


async def test_a_plan_counts_the_whole_night(shop):
    """Search and every step of the upkeep are planned as the night then does them."""
    some = samples()[45:57]
    shop.write_all(some[:9])
    options = {"sync": ALL, "attributes": {"str_attr": "pic_name"}, "max_deleted": "50%"}
    ran = command("plan", shop.job(**options), "--json")
    assert ran.returncode == 0, ran.stderr
    page = json.loads(ran.stdout)
    assert (page["operation"], page["calls"]) == ("SearchImageByPic", 9)
    assert page["sync"]["add"]["calls"] == 9
    await shop.night(**options)
    shop.rows.pop(0)
    shop.write_all(some[9:])
    ran = command("plan", shop.job(**options), "--json")
    assert ran.returncode == 0, ran.stderr
    page = json.loads(ran.stdout)
    counted = {step: plan["calls"] for step, plan in page["sync"].items()}
    night = await shop.night(**options)
    assert (page["calls"], counted) == (
        night.search.calls,
        {step: run.calls for step, run in night.sync.items()},
    )
    assert "SearchImageByPic" in command("plan", shop.job(**options)).stdout


async def test_own_images_leave_room_for_others(shop, tmp_path):
    """Two products with twelve images each, all of one photograph, find each other with the defaults."""
    source = samples()[45][2]
    for product in ("one", "two"):
        for number in range(12):
            shop.put(product, f"{number}.jpg", source)
    shop.results_per_row = None
    await shop.night()
    assert list(clusters_of(tmp_path / "out").values()) == [{"one", "two"}]


async def test_a_run_over_a_dedup_job_says_that_it_only_searches(shop):
    """Whoever expects clusters of `batchsearch run` reads which command makes them."""
    shop.put_all(samples()[45:47])
    ran = command("run", shop.job(), "--log-format", "json")
    assert ran.returncode == 0, ran.stderr
    events = [json.loads(line)["event"] for line in ran.stderr.splitlines() if line.startswith("{")]
    assert events[0] == "only_searched"


async def test_the_upkeep_of_version_0_1_is_taken_over(shop, tmp_path):
    """What an earlier version added is not added again: its folder becomes that of the step."""
    shop.write_all(samples()[45:49])
    await shop.night(sync="add")
    folder = tmp_path / "out" / "sync"
    (folder / "add").rename(tmp_path / "out" / "moved")
    folder.rmdir()
    (tmp_path / "out" / "moved").rename(folder)
    summary = await shop.night(sync="add")
    assert summary.sync["add"].calls == 0
    assert (folder / "add" / "ledger").is_dir()


async def test_deletions_are_counted_before_the_guard_only_once(shop):
    """What an earlier night has deleted is not missing any more: small losses every night are allowed."""
    shop.put_all(samples()[40:60])
    for _ in range(4):
        summary = await shop.night(sync="delete")
        shop.rows.pop()
    assert summary.sync["delete"].calls == 1
    assert shop.emulator.catalogue().count() == 17
    shop.rows = shop.rows[:8]
    with pytest.raises(ManifestError, match="max_deleted"):
        await shop.night(sync="delete")


async def test_a_living_export_updates_and_searches_nothing(shop, tmp_path):
    """A price that became a double and a column more change no image: no call is made."""
    some = samples()[45:51]
    shop.write_all(some)
    shop.more = {"price": {product: 1_000_000 + n for n, (product, *_) in enumerate(some)}}
    sync = {"sync": ALL, "attributes": {"int_attr": "price"}}
    assert (await shop.night(**sync, types={"price": "int64"})).exit_code == ExitCode.DONE
    clusters, asked = clusters_of(tmp_path / "out"), len(shop.emulator.log.entries())
    assert asked >= 12  # each image added and searched
    shop.more["season"] = dict.fromkeys(shop.more["price"], "autumn")
    summary = await shop.night(**sync, types={"price": "float64"})
    assert summary.exit_code == ExitCode.DONE
    assert len(shop.emulator.log.entries()) == asked
    assert clusters_of(tmp_path / "out") == clusters
    for run in ("search", "sync/add"):
        ran = command("verify", tmp_path / "out" / run)
        assert ran.returncode == 0, ran.stdout
