"""A night of dedup that has many images to add brings them by a batch task, any other by calls."""

import pytest
from shop_rig import Shop, clusters_of, samples

from batchsearch.config.load import load_job
from batchsearch.errors import ConfigError, ExitCode


@pytest.fixture
def shop(tmp_path, signed, bucket):
    """A shop over an instance that reads a bucket."""
    shop = Shop(tmp_path, signed)
    shop.sections = {"load": {"to": str(bucket), "poll_seconds": 1}}
    return shop


def added(shop):
    """Calls of AddImage, and batch tasks, so far."""
    log = shop.emulator.log
    return len(log.entries("AddImage")), len(log.entries("IncreaseInstance"))


async def test_many_images_go_by_task_and_few_by_calls(shop, bucket):
    """Night after night each image is added once, whichever way it goes; clusters are those of any night."""
    every = samples()
    shop.write_all(every[45:57])
    how = {"sync": "add", "load_above": 5}
    first = await shop.night(**how)
    assert (first.exit_code, first.sync["add"].ok) == (ExitCode.DONE, 12)
    assert added(shop) == (0, 1)
    assert shop.emulator.catalogue().count() == 12
    shop.write_all(every[57:60])
    assert (await shop.night(**how)).exit_code == ExitCode.DONE
    assert added(shop) == (3, 1)
    put = sorted((bucket / "batchsearch").rglob("*.*"))
    shop.write_all(every[60:68])
    last = await shop.night(**how)
    assert (last.exit_code, last.sync["add"].rows, last.sync["add"].ok) == (ExitCode.DONE, 23, 23)
    assert added(shop) == (3, 2)
    assert shop.emulator.catalogue().count() == 23
    # What calls have added is not put into the bucket.
    assert len(sorted((bucket / "batchsearch").rglob("*.*"))) == len(put) + 8

    whole = Shop(shop.folder, shop.emulator)
    whole.rows = shop.rows
    assert (await whole.night("alone")).exit_code == ExitCode.DONE
    assert clusters_of(shop.folder / "out") == clusters_of(shop.folder / "alone")


async def test_names_without_an_extension_go_by_calls(shop):
    """A task would name them otherwise: such a night makes its calls, and says why."""
    for number, (product, _, source) in enumerate(samples()[45:52]):
        shop.write(product, f"{number}_front", source)
    assert (await shop.night(sync="add", load_above=5)).exit_code == ExitCode.DONE
    assert added(shop) == (7, 0)


def test_without_a_bucket_there_is_no_such_night(shop):
    """The setting needs the section that names the bucket, and names that are the rows' own."""
    shop.write(*samples()[45])
    shop.sections = {}
    with pytest.raises(ConfigError, match="needs the section `load`"):
        load_job(shop.job(sync="add", load_above=5), environ={})
    shop.sections = {"load": {"to": "bucket", "names": "product_id/pic_name"}}
    with pytest.raises(ConfigError, match=r"needs `load\.names: pic_name`"):
        load_job(shop.job(sync="add", load_above=5), environ={})
