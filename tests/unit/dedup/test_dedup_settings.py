"""The job file's `dedup` section: what is refused, and in which words."""

import pytest

from batchsearch.config.load import load_job
from batchsearch.errors import ConfigError
from batchsearch.tasks.dedup.night_jobs import Given, dedup_settings, given_columns, search_job, sync_job

ROWS = [{"product_id": "P1", "pic_name": "front", "image": "p00.jpg", "kind": "shirt"}]


@pytest.fixture
def job(make_job):
    """Loads a job with these settings of `dedup`."""

    def made(**dedup):
        path = make_job(ROWS, manifest__key=["product_id", "pic_name"], dedup=dedup)
        return load_job(path, environ={}).settings

    return made


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"treshold": 0.9}, r"dedup\.treshold: there is no such setting; did you mean `threshold`"),
        ({"threshold": 1.5}, r"dedup\.threshold: must be at most 1"),
        (
            {"threshold": 0.3, "near": 0.4},
            r"dedup\.near: must be less than every threshold; the lowest is 0\.3",
        ),
        ({"thresholds": {"shirt": 2}}, r"dedup\.thresholds\.shirt: must be at most 1"),
        ({"representative": "oldest"}, r"dedup\.oldest_column: is needed for `representative: oldest`"),
        ({"representative": "most_image"}, r"did you mean `most_images`"),
        ({"sync": "ad"}, r"must be one of `none`, `add`, `update`, `delete`"),
        (
            {"sync": ["add", "delet"]},
            r"must be one of `none`, `add`, `update`, `delete`.*did you mean `delete`",
        ),
        ({"sync": ["none", "add"]}, r"dedup\.sync: `none` stands alone"),
        ({"max_deleted": "ten"}, r"dedup\.max_deleted: 'ten' is neither a share"),
        ({"chain_guard": {"min_share": 0}}, r"dedup\.chain_guard\.min_share: must be more than 0"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_right(job, given, said):
    """Every problem says which setting, what is wrong, and the nearest name or bound."""
    with pytest.raises(ConfigError, match=said):
        job(**given)


def test_only_searches_by_image_have_duplicates(load):
    """Another operation is refused in plain words."""
    settings = load([{"id": "1", "product_id": "P", "pic_name": "n"}], operation="SearchImageByName")
    with pytest.raises(ConfigError, match="needs SearchImageByPic, not SearchImageByName"):
        dedup_settings(settings)


def test_products_are_named_by_the_usual_columns_or_by_the_key(job):
    """`product_id` and `pic_name` where they are there, else the key's columns, else what is set."""
    settings = job()
    assert given_columns(settings, ["product_id", "pic_name", "image"]).product == "product_id"
    other = settings.model_copy(
        update={"manifest": settings.manifest.model_copy(update={"key": ("sku", "file")})}
    )
    given = given_columns(other, ["sku", "file", "image"])
    assert (given.product, given.pic_name) == ("sku", "file")
    assert given_columns(job(product_column="kind"), ["kind", "product_id", "pic_name"]).product == "kind"


def test_a_column_that_there_is_not_is_named_with_the_nearest(job):
    """All wrong columns are told at once."""
    settings = job(
        category_column="kinds", product_column="product", sync="add", attributes={"str_atr": "kind"}
    )
    with pytest.raises(ConfigError) as refused:
        given_columns(settings, ["product_id", "pic_name", "image", "kind"])
    text = str(refused.value)
    assert "dedup.category_column: the manifest has no column 'kinds'; did you mean `kind`?" in text
    assert "did you mean `product_id`?" in text
    assert "AddImage takes nothing called `str_atr`; did you mean `str_attr`?" in text


def test_answers_of_earlier_runs_never_serve_a_night(job):
    """Since then the instance has other products: an equal image is asked for anew."""
    search = search_job(job(), Given("product_id", "pic_name", "image"))
    assert search.reuse.max_age_hours == 0
    assert search.output.dir.endswith("/search")
    assert search.emulator.data.endswith("out/emulator")


def test_a_search_that_began_with_other_defaults_keeps_them(job):
    """What an output of an earlier version was silent about stays: nothing is paid for again."""
    given = Given("product_id", "pic_name", "image")
    silent = job().model_copy(update={"results_per_row": None})
    fresh = search_job(silent, given)
    assert (fresh.results_per_row, fresh.parameters) == (100, {"distinct_product_id": True})
    kept = search_job(silent, given, {"operation": "SearchImageByPic", "results_per_row": None})
    assert (kept.results_per_row, kept.parameters) == (None, {})
    begun = {"results_per_row": 100, "parameters.distinct_product_id": True}
    assert search_job(silent, given, begun) == fresh


def test_the_upkeep_is_the_same_manifest_with_another_operation(job):
    """Names, image and attributes go to AddImage's parameters; the search's own do not."""
    settings = job(sync="add", attributes={"str_attr": "kind"})
    settings = settings.model_copy(update={"parameters": {"crop": False, "num": 20}, "results_per_row": None})
    given = given_columns(settings, ["product_id", "pic_name", "image", "kind"])
    sync = sync_job(settings, given, "add")
    assert (sync.operation, sync.parameters) == ("AddImage", {"crop": False})
    assert sync.manifest.columns == {
        "product_id": "product_id",
        "pic_name": "pic_name",
        "image": "image",
        "str_attr": "kind",
    }
    assert sync.output.dir.endswith("/sync/add")
    assert sync.manifest.path == settings.manifest.path


@pytest.mark.parametrize("name", ["seen.csv", b"caf\xe9.csv".decode("utf-8", "surrogateescape")])
def test_one_file_of_judgements_is_a_list_of_one(job, tmp_path, name):
    """A single path stays one file, and never becomes its letters."""
    (found,) = job(judgements=str(tmp_path / name)).dedup.judgements
    assert found == str(tmp_path / name)
