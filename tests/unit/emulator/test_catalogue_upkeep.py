"""The catalogue's items: adding, changing, deleting, capacity, restarts."""

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
from image_files import saved
from PIL import Image, ImageDraw
from sqlite_rig import executed

from batchsearch.emulator.models import open_session
from batchsearch.emulator.search.catalogue import Catalogue, CatalogueFullError
from batchsearch.emulator.search.embedding import MODEL, MODELS, Embedder, similarity
from batchsearch.emulator.search.image_reading import decode_image
from batchsearch.emulator.search.items import ItemStore
from batchsearch.emulator.search.records import Box, Item, NewItem, Query
from batchsearch.errors import BatchsearchError, ConfigError, MissingExtraError, OutputInUseError
from batchsearch.service.facts import OTHER_CATEGORY
from batchsearch.service.filter import parse_filter


def image(seed):
    """A small image unlike any of another seed."""
    rng = np.random.default_rng(seed)
    drawn = Image.new("RGB", (128, 112), tuple(rng.integers(0, 256, 3).tolist()))
    pen = ImageDraw.Draw(drawn)
    for _ in range(6):
        x, y, size = (int(value) for value in rng.integers(10, 90, 3))
        pen.ellipse((x, y, x + size, y + size // 2), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return decode_image(saved(drawn), "generic")


EVERY = Query()


def opened(data=None, *, service_type="generic", capacity=100, name="demo", subject="border"):
    return Catalogue(name=name, service_type=service_type, capacity=capacity, data=data, subject=subject)


def add(catalogue, product_id, pic_name="a.jpg", *, seed=0, **attributes):
    item = NewItem(product_id, pic_name, **attributes)
    return catalogue.add(item, image(seed), crop=True, region=None)


def searched(catalogue, seed, query=EVERY):
    return catalogue.search_image(image(seed), query, crop=True, region=None)


@pytest.fixture
def catalogue():
    made = opened()
    yield made
    made.close()


FULL = {
    "custom_content": "anything at all",
    "int_attr": -(2**31),
    "int_attr2": 2**31 - 1,
    "int_attr3": 0,
    "int_attr4": 4,
    "str_attr": "",
    "str_attr2": "日本 'quoted' \"twice\"",
    "str_attr3": "c",
    "str_attr4": "d",
}


def test_an_item_comes_back_as_it_was_added(catalogue):
    """Every attribute is kept exactly, and attributes that were not given stay absent."""
    add(catalogue, "full", **FULL)
    add(catalogue, "bare", seed=1)
    assert catalogue.get("full", "a.jpg") == Item("full", "a.jpg", OTHER_CATEGORY, **FULL)
    assert catalogue.get("bare", "a.jpg") == Item("bare", "a.jpg", OTHER_CATEGORY)
    assert catalogue.get("full", "b.jpg") is None


def test_adding_again_overwrites(catalogue):
    """The same product id and image name is one item: image and attributes are the later ones."""
    add(catalogue, "p", seed=0, int_attr=1, str_attr="x")
    add(catalogue, "p", seed=1, int_attr=2)
    assert catalogue.count() == 1
    assert catalogue.get("p", "a.jpg") == Item("p", "a.jpg", OTHER_CATEGORY, int_attr=2)
    found = searched(catalogue, 1)
    assert [hit.score for hit in found.hits] == [1.0]


def test_a_full_catalogue_takes_no_more(catalogue):
    """One item too many is refused and not kept; overwriting and adding after a deletion still work."""
    with closing(opened(capacity=2)) as small:
        add(small, "p1")
        add(small, "p2", seed=1)
        with pytest.raises(CatalogueFullError, match="2 items"):
            add(small, "p3", seed=2)
        add(small, "p2", seed=3, int_attr=5)
        assert small.count() == 2
        assert small.get("p3", "a.jpg") is None
        assert small.delete("p1", None) == ["a.jpg"]
        add(small, "p3", seed=2)
        assert small.count() == 2


def test_updating_changes_only_what_is_named(catalogue):
    """Named attributes change, on disk and in filters; others and the image stay."""
    add(catalogue, "p", **FULL)
    changes = {"int_attr": 9, "str_attr4": "new", "custom_content": "c"}
    assert catalogue.update("p", "a.jpg", changes) == 1
    assert catalogue.get("p", "a.jpg") == Item("p", "a.jpg", OTHER_CATEGORY, **{**FULL, **changes})
    query = Query(filter=parse_filter('int_attr=9 AND str_attr4="new" AND int_attr4=4'))
    assert searched(catalogue, 0, query).hits[0].score == 1.0


def test_updating_a_product_changes_all_its_images(catalogue):
    """Without an image name every image of the product changes, and no other product's."""
    for number, product in enumerate(("p", "p", "q")):
        add(catalogue, product, f"{number}.jpg", seed=number)
    assert catalogue.update("p", None, {"int_attr": 1}) == 2
    assert catalogue.update("p", "2.jpg", {"int_attr": 1}) == 0
    assert catalogue.update("nobody", None, {"int_attr": 1}) == 0
    keys = (("p", "0.jpg"), ("p", "1.jpg"), ("q", "2.jpg"))
    assert [catalogue.get(*key).int_attr for key in keys] == [1, 1, None]


@pytest.mark.parametrize("name", ["product_id", "category_id", "id", "int_attr = 1; --"])
def test_only_attributes_can_be_updated(catalogue, name):
    """A name that is no attribute never reaches a statement."""
    add(catalogue, "p")
    with pytest.raises(ValueError, match="not changeable"):
        catalogue.update("p", None, {name: 1})


def test_deleting_by_key_and_by_product(catalogue):
    """One image or a whole product goes; deleting what is not there deletes nothing."""
    for number, product in enumerate(("p", "p", "p", "q")):
        add(catalogue, product, f"{number}.jpg", seed=number)
    assert catalogue.delete("p", "1.jpg") == ["1.jpg"]
    assert catalogue.delete("p", "1.jpg") == []
    assert catalogue.delete("p", None) == ["0.jpg", "2.jpg"]
    assert catalogue.count() == 1
    found = searched(catalogue, 0)
    assert [hit.item.product_id for hit in found.hits] == ["q"]


def test_deleting_by_filter(catalogue):
    """Exactly the items that match go."""
    for number in range(6):
        add(catalogue, f"p{number}", f"{number}.jpg", seed=number, int_attr=number, str_attr="ab"[number % 2])
    assert catalogue.delete_matching(parse_filter('int_attr>=2 AND str_attr="a"')) == ["2.jpg", "4.jpg"]
    assert catalogue.delete_matching(parse_filter("int_attr=2")) == []
    assert catalogue.count() == 4


def test_a_restart_loses_nothing(tmp_path):
    """After closing and opening again items, scores, boxes and the order of equals are the same."""
    first = opened(tmp_path)
    add(first, "full", **FULL)
    for number in range(4):
        add(first, f"twin{number}", seed=7)
    add(first, "gone", seed=8)
    first.delete("gone", None)
    first.update("twin1", None, {"int_attr": 3})
    expected = searched(first, 7)
    named = first.search_name("full", "a.jpg", Query())
    first.close()
    with closing(opened(tmp_path)) as again:
        assert again.count() == 5
        assert searched(again, 7) == expected
        assert again.search_name("full", "a.jpg", Query()) == named
        add(again, "later", seed=7)
        ranked = [hit.item.product_id for hit in again.search_name("twin0", "a.jpg", Query(num=5)).hits]
        assert ranked == ["twin0", "twin1", "twin2", "twin3", "later"]


def test_an_added_item_is_on_disk_when_add_returns(tmp_path):
    """What `add` has returned for, another connection reads."""
    with closing(opened(tmp_path)) as catalogue:
        add(catalogue, "p")
        kept = executed(
            tmp_path / "demo.sqlite3", "SELECT product_id, length(vector) FROM items JOIN vectors USING (id)"
        )
        assert kept == [("p", 1024)]


def test_two_instances_share_a_folder(tmp_path):
    """Instances in one data folder have their own items, whatever characters their names have."""
    names = ("demo", "Demo/2", "..")
    instances = [opened(tmp_path, name=name) for name in names]
    try:
        for number, catalogue in enumerate(instances):
            add(catalogue, f"p{number}")
        assert [catalogue.count() for catalogue in instances] == [1, 1, 1]
        assert instances[1].get("p1", "a.jpg") is not None
        assert instances[1].get("p0", "a.jpg") is None
    finally:
        for catalogue in instances:
            catalogue.close()
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*.sqlite3"))


def test_a_catalogue_is_opened_once(tmp_path):
    """A second opening of the same file is refused until the first one is closed."""
    first = opened(tmp_path)
    with pytest.raises(OutputInUseError, match=r"demo\.sqlite3"):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_a_file_of_another_kind_is_refused(tmp_path):
    """Another service type, another schema and a file that is no database are told apart from damage."""
    opened(tmp_path).close()
    with pytest.raises(ConfigError, match="service type is 'generic', not 'product'"):
        opened(tmp_path, service_type="product")
    executed(tmp_path / "demo.sqlite3", "PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="schema version 99"):
        opened(tmp_path)
    (tmp_path / "other.sqlite3").write_bytes(b"this is no database, only text that is long enough" * 20)
    with pytest.raises(BatchsearchError, match="cannot be opened"):
        opened(tmp_path, name="other")


def model_of(path):
    return executed(path, "SELECT value FROM meta WHERE name = 'model'")[0][0]


@pytest.mark.parametrize("model", MODELS)
def test_a_file_goes_on_with_the_network_that_it_began_with(tmp_path, model):
    """Vectors of two networks are never compared: what is added and searched later gets the file's own."""
    path = tmp_path / "demo.sqlite3"
    ItemStore(path, {"instance name": ["demo"], "service type": ["generic"], "model": [model]}).close()
    vectors = [Embedder(model).embed(image(seed)) for seed in (0, 1)]
    with closing(opened(tmp_path)) as catalogue:
        catalogue.add(NewItem("p", "a.jpg"), image(0), crop=False, region=None)
        found = catalogue.search_image(image(1), Query(), crop=False, region=None)
        assert found.hits[0].score == similarity(*vectors)
    assert model_of(path) == model


def test_a_new_file_begins_with_the_newest_network(tmp_path):
    """One network for what is new; a file of a network that is not there is refused by its name."""
    opened(tmp_path).close()
    assert model_of(tmp_path / "demo.sqlite3") == MODEL == next(iter(MODELS))
    executed(tmp_path / "demo.sqlite3", "UPDATE meta SET value = 'gone/1' WHERE name = 'model'")
    with pytest.raises(ConfigError, match="model is 'gone/1', not"):
        opened(tmp_path)


def test_unknown_service_types_and_ways_are_refused():
    """A name that does not exist is answered with those that do."""
    with pytest.raises(ConfigError, match="hardware"):
        opened(service_type="everything")
    with pytest.raises(ConfigError, match="u2netp"):
        opened(subject="magic")


def test_a_closed_catalogue_refuses(catalogue):
    """After closing, changes and searches fail instead of waiting for ever; closing twice is allowed."""
    catalogue.close()
    catalogue.close()
    with pytest.raises(RuntimeError):
        add(catalogue, "p")
    with pytest.raises(RuntimeError):
        searched(catalogue, 0)


def test_many_threads_add_and_delete_at_once(tmp_path):
    """Concurrent changes of different and of the same keys leave disk and memory agreeing."""
    catalogue = opened(tmp_path, capacity=30)
    refused = []

    def work(worker):
        for number in range(12):
            try:
                add(
                    catalogue, f"p{worker}-{number}" if number % 3 else "shared", seed=worker, int_attr=worker
                )
            except CatalogueFullError:
                refused.append(worker)
            if number % 4 == 3:
                catalogue.delete(f"p{worker}-{number - 1}", None)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    everything = Query(num=100, start=0)
    before = searched(catalogue, 0, everything)
    shared = catalogue.get("shared", "a.jpg")
    catalogue.close()
    assert refused
    with closing(opened(tmp_path, capacity=30)) as again:
        assert again.count() == before.total == len(before.hits) <= 30
        assert again.get("shared", "a.jpg") == shared
        assert searched(again, 0, everything) == before


def test_a_change_that_fails_leaves_the_others_alone(catalogue):
    """A text that cannot be stored fails its own call and no other's."""
    with pytest.raises(UnicodeEncodeError):
        add(catalogue, "p", custom_content="\ud800")
    add(catalogue, "q")
    assert catalogue.count() == 1
    assert catalogue.get("p", "a.jpg") is None


def test_regions_are_kept_with_the_item(catalogue):
    """A search by name reports the box with which the item was added."""
    region = Box(x1=10, x2=60, y1=20, y2=70)
    catalogue.add(NewItem("p", "a.jpg"), image(0), crop=True, region=region)
    found = catalogue.search_name("p", "a.jpg", Query())
    assert found.info.region == region


def test_a_missing_extra_is_named(monkeypatch):
    """Without onnxruntime the message says what to install."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'batchsearch\[emulator\]'"):
        open_session(MODELS[MODEL], wanted_for="the embedded instance")


def test_a_network_keeps_no_memory_of_calls_that_ran_together():
    """What calls needed side by side goes back to the C library: the network has no pool that only grows."""
    session = open_session(MODELS[MODEL], wanted_for="the embedded instance")
    assert not session.get_session_options().enable_cpu_mem_arena
