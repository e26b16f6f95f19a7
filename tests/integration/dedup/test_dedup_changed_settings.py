"""A dedup whose settings are others tonight: refused, renewed, begun anew, or followed."""

import pytest
from run_rig import invoke
from shop_rig import clusters_of, same_tables, samples

from batchsearch.errors import ExitCode
from batchsearch.tasks.dedup.candidates.own_image import CatalogueNotHeldError


def command(job, *arguments):
    return invoke("dedup", job, "--no-progress", *arguments)


def test_a_changed_setting_is_refused_and_both_ways_on_are_ways_on(shop, tmp_path):
    """Another `crop` asks something else: nothing is asked until `--fresh` or `--renew` is given."""
    shop.put_all(samples()[45:53])
    job = shop.job()
    assert command(job).exit_code == 0
    asked, changed = shop.asked(), ("--set", "parameters.crop=false")
    refused = command(job, *changed)
    assert refused.exit_code == ExitCode.BAD_CONFIG
    assert "parameters.crop" in refused.stderr
    assert "--renew" in refused.stderr
    assert "--fresh DIR" in refused.stderr
    assert shop.asked() == asked
    anew = command(job, *changed, "--fresh", tmp_path / "anew")
    assert anew.exit_code == 0, anew.stderr
    assert shop.asked() == 2 * asked
    renewed = command(job, *changed, "--renew")
    assert renewed.exit_code == 0, renewed.stderr
    assert shop.asked() == 3 * asked
    assert clusters_of(tmp_path / "out") == clusters_of(tmp_path / "anew")
    assert list((tmp_path / "out" / "search" / "history").iterdir())
    # What was renewed stands: the same settings are those of the output now.
    assert command(job, *changed).exit_code == 0
    assert shop.asked() == 3 * asked


async def test_a_corrected_product_column_renews_what_it_touches_once(shop, tmp_path):
    """By the wrong one no image finds itself: these are asked again, once; tables follow the column."""
    some = samples()[45:57]
    shop.put_all(some)
    shop.more = {"family": {product: f"f{number % 3}" for number, (product, _, _) in enumerate(some)}}
    with pytest.raises(CatalogueNotHeldError, match=r"only 0 of 12 images .* found themselves"):
        await shop.night(product_column="family")
    assert shop.asked() == 12
    right = await shop.night(product_column="product_id")
    assert (right.exit_code, shop.asked()) == (0, 24)
    await shop.night(product_column="product_id")
    assert shop.asked() == 24
    assert right.counts["products"] == len({product for product, _, _ in some})
    await shop.night("alone", product_column="product_id")
    same_tables(tmp_path / "out", tmp_path / "alone")
