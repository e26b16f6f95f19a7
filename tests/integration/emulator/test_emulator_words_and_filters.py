"""SearchImageByText and SearchImageByFilter over HTTP."""

import math

import pytest
from image_files import in_base64
from PIL import Image

from batchsearch.emulator.flow import BUDGETS
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator

LIFTED = dict.fromkeys(BUDGETS, math.inf)
ITEMS = (
    ("p1", "a.png", {"CustomContent": "red leather shoes", "CategoryId": 4, "IntAttr": 10}),
    ("p1", "b.png", {"CustomContent": "red shoes", "CategoryId": 4, "IntAttr": 20}),
    ("p2", "a.png", {"StrAttr2": "red dress", "CategoryId": 1, "IntAttr": 30}),
    ("p3", "a.png", {"StrAttr": "红色连衣裙", "CategoryId": 1}),
)


def picture(colour):
    return in_base64(Image.new("RGB", (128, 128), colour))


def options(data=None):
    kinds = (("words", "multimodal"), ("plain", "product"))
    return EmulatorOptions(
        data=data,
        instances=tuple(
            InstanceOptions(name=name, service_type=kind, qps=math.inf, rates=LIFTED) for name, kind in kinds
        ),
    )


def fill(caller, name):
    for number, (product, pic, attributes) in enumerate(ITEMS):
        content = picture((40 * number, 90, 90))
        call = {"InstanceName": name, "ProductId": product, "PicName": pic, "PicContent": content}
        assert caller.call("AddImage", {**call, **attributes}).status == 200


@pytest.fixture(scope="module")
def caller():
    with Emulator(options()) as running:
        for name in ("words", "plain"):
            fill(running.caller(), name)
        yield running.caller()


def by_text(caller, text, **parameters):
    return caller.call("SearchImageByText", {"InstanceName": "words", "Text": text, **parameters}).json()


def names(body):
    return [(hit["ProductId"], hit["PicName"]) for hit in body["Auctions"]]


def test_a_text_finds_items_by_their_own_words(caller):
    """Most of the text's words first, equal ones by age; the answer has the fields that the SDK reads."""
    body = by_text(caller, "Red leather shoe")
    assert names(body) == [("p1", "a.png"), ("p1", "b.png"), ("p2", "a.png")]
    first, second, third = (hit["Score"] for hit in body["Auctions"])
    assert first == 1.0 > second > third > 0
    assert set(body) == {"RequestId", "Success", "Code", "Msg", "Head", "PicInfo", "Auctions"}
    assert set(body["PicInfo"]) == {"AllCategories"}
    assert (body["Head"]["DocsFound"], body["Head"]["DocsReturn"]) == (3, 3)
    assert body["Auctions"][0]["CustomContent"] == "red leather shoes"
    assert all("SortExprValues" not in hit for hit in body["Auctions"])
    assert names(by_text(caller, "连衣裙")) == [("p3", "a.png")]
    assert names(by_text(caller, "nothing of the kind here")) == []


def test_what_narrows_a_search_by_image_narrows_one_by_text(caller):
    """Pages, filters, thresholds and one image of each product work as elsewhere."""
    pages = [names(by_text(caller, "red leather shoe", Start=start, Num=1)) for start in range(4)]
    assert pages == [[("p1", "a.png")], [("p1", "b.png")], [("p2", "a.png")], []]
    assert names(by_text(caller, "red", Filter="int_attr>=20")) == [("p1", "b.png"), ("p2", "a.png")]
    assert names(by_text(caller, "red shoe", DistinctProductId="true")) == [("p1", "a.png"), ("p2", "a.png")]
    assert names(by_text(caller, "red leather shoe", ScoreThreshold="1.00")) == [("p1", "a.png")]


def test_words_follow_updates_deletions_and_a_restart(tmp_path):
    """An attribute that changes is found by its new words only, now and after a restart."""
    with Emulator(options(tmp_path)) as running:
        caller = running.caller()
        fill(caller, "words")
        change = {"InstanceName": "words", "ProductId": "p1", "PicName": "b.png", "CustomContent": "green"}
        assert caller.call("UpdateImage", change).status == 200
        assert caller.call("DeleteImage", {"InstanceName": "words", "ProductId": "p2"}).status == 200
        before = [names(by_text(caller, text)) for text in ("red", "green", "dress")]
    assert before == [[("p1", "a.png")], [("p1", "b.png")], [("p3", "a.png")]]
    with Emulator(options(tmp_path)) as running:
        assert [names(by_text(running.caller(), text)) for text in ("red", "green", "dress")] == before


def by_filter(caller, **parameters):
    return caller.call("SearchImageByFilter", {"InstanceName": "plain", **parameters}).json()


def test_a_filter_alone_lists_what_has_the_attributes(caller):
    """Oldest first, page by page, without scores, head or subject; without a filter it lists everything."""
    body = by_filter(caller, Filter="int_attr>=20")
    assert names(body) == [("p1", "b.png"), ("p2", "a.png")]
    assert set(body) == {"RequestId", "Success", "Code", "Msg", "Auctions"}
    assert body["Auctions"][0] == {
        "ProductId": "p1", "PicName": "b.png", "CategoryId": 4, "CustomContent": "red shoes", "IntAttr": 20,
    }  # fmt: skip
    assert names(by_filter(caller, Filter="int_attr>=10", Start=1, Num=1)) == [("p1", "b.png")]
    assert names(by_filter(caller, Filter='str_attr="nobody"')) == []
    assert names(by_filter(caller)) == [(product, pic) for product, pic, _ in ITEMS]
