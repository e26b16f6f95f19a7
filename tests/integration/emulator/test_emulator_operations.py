"""What the emulator's operations do, over real HTTP, with real images and real search."""

from __future__ import annotations

import base64
import hmac
import json
import math
from email.utils import formatdate
from hashlib import md5
from urllib.parse import urlencode

import pytest
from image_files import in_base64
from PIL import Image, ImageDraw

from batchsearch.emulator.arguments import Arguments
from batchsearch.emulator.caller import FORM, Caller, signed_v3
from batchsearch.emulator.http.gateway import Gateway
from batchsearch.emulator.http.protocol import read_inbound
from batchsearch.emulator.http.signatures import string_to_sign_roa
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.operations import OPERATIONS, Context
from batchsearch.emulator.server import Emulator
from batchsearch.service.facts import CATEGORIES, OTHER_CATEGORY, SERVICE_TYPES

LIFTED = dict.fromkeys(("query", "add", "delete", "update", "other"), math.inf)


def instance(name: str, service_type: str = "generic", **settings) -> InstanceOptions:
    return InstanceOptions(name=name, service_type=service_type, rates=LIFTED, **settings)


def image(colour: str, shape: str = "disc", size: tuple[int, int] = (320, 240)) -> str:
    drawn = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(drawn)
    box = (size[0] * 0.3, size[1] * 0.2, size[0] * 0.7, size[1] * 0.8)
    if shape == "disc":
        draw.ellipse(box, fill=colour)
    else:
        draw.rectangle(box, fill=colour, outline="black", width=9)
    return in_base64(drawn)


@pytest.fixture(scope="module")
def emulator():
    kinds = tuple(instance(f"kind-{kind}", kind) for kind in SERVICE_TYPES)
    names = ("one", "upkeep", "pages", "tiny")
    rest = tuple(instance(name, capacity=2 if name == "tiny" else 1000) for name in names)
    with Emulator(EmulatorOptions(instances=(*rest, *kinds))) as running:
        yield running


@pytest.fixture(scope="module")
def caller(emulator) -> Caller:
    return emulator.caller()


def ok(caller: Caller, action: str, instance_name: str, **parameters):
    received = caller.call(action, {"InstanceName": instance_name, **parameters})
    body = received.json()
    assert (received.status, body.get("Code", 0), body["Success"]) == (200, 0, True), body
    return body


def add(caller: Caller, instance_name: str, product: str, content: str, **parameters):
    names = {"ProductId": product, "PicName": "a.png", "PicContent": content}
    return ok(caller, "AddImage", instance_name, **{**names, **parameters})


def test_a_image_that_was_added_is_found_by_itself_with_all_its_fields(caller):
    """AddImage, SearchImageByPic and SearchImageByName agree; every attribute comes back as it was given."""
    attributes = {
        "CustomContent": '{"k": "v &<>"}',
        "IntAttr": 1, "IntAttr2": -2, "IntAttr3": 2**31 - 1, "IntAttr4": -(2**31),
        "StrAttr": "红色", "StrAttr2": "a b+c", "StrAttr3": "é", "StrAttr4": "'",
    }  # fmt: skip
    added = add(caller, "one", "衣服 1/+", image("red"), **attributes)
    assert added["Message"] == "success"
    assert added["PicInfo"]["CategoryId"] == OTHER_CATEGORY
    add(caller, "one", "other", image("blue", "box"))
    by_pic = ok(caller, "SearchImageByPic", "one", PicContent=image("red"))
    by_name = ok(caller, "SearchImageByName", "one", ProductId="衣服 1/+", PicName="a.png")
    for body in (by_pic, by_name):
        first, second = body["Auctions"]
        assert first["Score"] == pytest.approx(1.0, abs=1e-3)
        assert first["Score"] > second["Score"]
        assert float(first["SortExprValues"].partition(";")[0]) > 5.3e24
        expected = {"ProductId": "衣服 1/+", "PicName": "a.png", "CategoryId": OTHER_CATEGORY, **attributes}
        assert {name: first[name] for name in expected} == expected
        assert "IntAttr" not in second
        assert body["Msg"] == "success"
        assert body["Head"]["DocsReturn"] == body["Head"]["DocsFound"] == 2
        assert body["Head"]["SearchTime"] >= 1
        categories = {entry["Id"]: entry["Name"] for entry in body["PicInfo"]["AllCategories"]}
        assert categories == dict(CATEGORIES)


def test_a_region_overrides_the_subject_and_comes_back_as_given(caller):
    """With Region the answer's is the request's; without, the subject found lies inside it."""
    given = ok(
        caller, "SearchImageByPic", "one", PicContent=image("red"), Region="10,300,20,200", Crop="false"
    )
    assert given["PicInfo"]["Region"] == "10,300,20,200"
    found = ok(caller, "SearchImageByPic", "one", PicContent=image("red"), Crop="True")
    x1, x2, y1, y2 = map(int, found["PicInfo"]["Region"].split(","))
    assert 0 <= x1 < x2 <= 320
    assert 0 <= y1 < y2 <= 240
    assert {"Region": found["PicInfo"]["Region"]} in found["PicInfo"]["MultiRegion"]


def test_pages_filters_thresholds_and_distinct_products_change_what_is_found(caller):
    """Num and Start cut pages out of one order; Filter, ScoreThreshold and DistinctProductId reduce it."""
    for number in range(6):
        add(
            caller, "pages", f"p{number % 3}", image("green", "disc", (320 + 8 * number, 240)),
            PicName=f"{number}.png", IntAttr=number,
        )  # fmt: skip
    add(caller, "pages", "odd", image("black", "box"), IntAttr=99)

    def search(**parameters):
        return ok(caller, "SearchImageByPic", "pages", PicContent=image("green"), **parameters)

    def names(body):
        return [(hit["ProductId"], hit["PicName"]) for hit in body["Auctions"]]

    whole = search(Num=100)
    assert len(names(whole)) == 7
    assert names(search(Num=3)) + names(search(Num=3, Start=3)) == names(whole)[:6]
    page = search(Num=2, Start=6)
    assert (page["Head"]["DocsReturn"], page["Head"]["DocsFound"]) == (1, 7)
    filtered = search(Filter="int_attr>=2 AND (int_attr<4 OR int_attr in (99)) AND int_attr not in (3)")
    assert sorted(hit["IntAttr"] for hit in filtered["Auctions"]) == [2, 99]
    assert len(search(DistinctProductId="true")["Auctions"]) == 4
    scores = [hit["Score"] for hit in whole["Auctions"]]
    high = search(ScoreThreshold="0.95")
    assert [hit["Score"] for hit in high["Auctions"]] == [score for score in scores if score >= 0.95]
    assert 0 < len(high["Auctions"]) < 7


def test_upkeep_changes_what_is_there(caller):
    """Update changes attributes, Check reports them, Delete removes one, a product's all, or what matches."""
    for product, name in (("p", "1"), ("p", "2"), ("q", "1"), ("r", "1")):
        add(caller, "upkeep", product, image("red"), PicName=name, IntAttr=1)
    key = {"ProductId": "p", "PicName": "2"}
    updated = ok(caller, "UpdateImage", "upkeep", **key, StrAttr3="new", IntAttr=7)
    assert updated["Message"] == "success"
    checked = ok(caller, "CheckImageExists", "upkeep", **key)
    assert checked["Exists"] is True
    assert (checked["Auctions"]["IntAttr"], checked["Auctions"]["StrAttr3"]) == (7, "new")
    assert ok(caller, "CheckImageExists", "upkeep", ProductId="p", PicName="9")["Exists"] is False
    matched = ok(caller, "DeleteImage", "upkeep", IsDeleteByFilter="True", Filter="int_attr=7")
    assert matched["Data"] == {"PicNames": ["2"]}
    assert ok(caller, "DeleteImage", "upkeep", ProductId="q", PicName="1")["Data"]["PicNames"] == ["1"]
    ok(caller, "UpdateImage", "upkeep", ProductId="p", CustomContent="all of p")
    assert ok(caller, "DeleteImage", "upkeep", ProductId="p")["Data"]["PicNames"] == ["1"]
    assert ok(caller, "DeleteImage", "upkeep", ProductId="p")["Data"]["PicNames"] == []
    assert ok(caller, "Detail", "upkeep")["Instance"]["TotalCount"] == 1


def test_adding_again_replaces_and_a_full_instance_takes_no_more(caller):
    """The same ProductId and PicName overwrite; one item more than the capacity is refused."""
    for product in ("a", "b", "a"):
        add(caller, "tiny", product, image("red"))
    assert ok(caller, "Detail", "tiny")["Instance"]["TotalCount"] == 2
    received = caller.call(
        "AddImage",
        {"InstanceName": "tiny", "ProductId": "c", "PicName": "a.png", "PicContent": image("red")},
    )
    assert (received.status, received.code) == (400, "InstanceOverQuota")


def test_comparing_is_symmetric_and_certain_of_itself(caller):
    """The same image scores 1.0; the order of two images does not matter; likeness ranks."""

    def compare(first: str, second: str) -> float:
        return ok(
            caller, "CompareSimilarByImage", "one", PrimaryPicContent=first, SecondaryPicContent=second
        )["Score"]

    red, dark, box = image("red"), image("darkred"), image("blue", "box")
    assert compare(red, red) == 1.0
    assert compare(red, box) == compare(box, red)
    assert 1.0 >= compare(red, dark) > compare(red, box) >= 0.0


@pytest.mark.parametrize("kind", SERVICE_TYPES)
def test_each_kind_of_instance_has_its_number_and_its_categories(caller, kind):
    """Detail reports the kind's number if it is known; kinds without categories have one for all."""
    name = f"kind-{kind}"
    detail = ok(caller, "Detail", name)["Instance"]
    assert detail.get("ServiceType") == next(iter(SERVICE_TYPES[kind].numbers), None)
    category = 3 if SERVICE_TYPES[kind].category is None else OTHER_CATEGORY
    assert (detail["Name"], detail["Qps"], detail["Capacity"]) == (name, 10, 100)
    assert int(detail["UtcExpireTime"]) > int(detail["UtcCreate"])
    content = image("red", size=(480, 460))
    added = add(caller, name, "p", content, CategoryId=3)
    assert added["PicInfo"]["CategoryId"] == category
    found = ok(caller, "SearchImageByPic", name, PicContent=content)
    assert found["PicInfo"]["CategoryId"] == category
    assert found["Auctions"][0]["CategoryId"] == category


def test_fabric_ignores_crop_and_region(caller):
    """A fabric instance does not even look at a region."""
    content = image("red", size=(480, 460))
    body = ok(caller, "SearchImageByPic", "kind-fabric", PicContent=content, Region="not a region")
    assert "Region" not in body["PicInfo"]


def test_the_operations_of_2019_answer_too(emulator, caller):
    """The older version's paths reach the same items, signed with V3 on their path."""
    add(caller, "one", "old", image("orange", "box"))
    form = {"InstanceName": "one", "Type": "SearchByName", "ProductId": "old", "PicName": "a.png"}
    body = urlencode(form).encode()
    host = emulator.endpoint.removeprefix("http://")
    headers = {"host": host, "content-type": FORM, "x-acs-version": "2019-03-25"}
    target = "/v2/image/search"
    sent = signed_v3(emulator._keys[0], action="SearchImage", target=target, body=body, headers=headers)
    received = caller.send("POST", target, body, sent)
    assert received.json()["Auctions"][0]["ProductId"] == "old"


class Watched(dict):
    """Parameters that remember which of them were looked at."""

    def __init__(self, values) -> None:
        super().__init__(values)
        self.seen: set[str] = set()

    def get(self, name, default=None):
        self.seen.add(name)
        return super().get(name, default)

    def __contains__(self, name) -> bool:
        self.seen.add(name)
        return super().__contains__(name)


READS = {
    "SearchImageByPic": [{"PicContent": image("red")}],
    "SearchImageByName": [{"ProductId": "p", "PicName": "n"}],
    "CompareSimilarByImage": [{"PrimaryPicContent": image("red"), "SecondaryPicContent": image("red")}],
    "CheckImageExists": [{"ProductId": "p", "PicName": "n"}],
    "AddImage": [{"ProductId": "p", "PicName": "n", "PicContent": image("red")}],
    "UpdateImage": [{"ProductId": "p", "PicName": "n"}],
    "DeleteImage": [{"IsDeleteByFilter": "true", "Filter": "int_attr=1"}, {"ProductId": "p", "PicName": "n"}],
    "SearchImageByText": [{"Text": "red"}],
    "SearchImageByFilter": [{}],
    "Detail": [{}],
    "IncreaseInstance": [{"BucketName": "b", "Path": "/a"}],
    "IncreaseList": [{}],
    "DumpMeta": [{}],
    "DumpMetaList": [{}],
}


def test_each_operation_reads_the_parameters_it_says_it_reads():
    """The declared parameters of an operation are those that its handler looks at, no more and no less."""
    options = EmulatorOptions(instances=(instance("one", "multimodal"),))
    gateway = Gateway(options, ())
    live = gateway.instances["one"]
    try:
        assert set(READS) == set(OPERATIONS)
        for action in ("AddImage", *READS):
            seen: set[str] = set()
            for parameters in READS[action]:
                watched = Watched(parameters)
                context = Context(
                    Arguments(watched),
                    live.options,
                    live.catalogue,
                    gateway.uploads,
                    live.created,
                    live.tasks,
                    gateway.now(),
                    None,
                )
                # The lists of tasks have no `Success`.
                assert OPERATIONS[action].handle(context).get("Success", True) is True
                seen |= watched.seen
            assert seen == set(OPERATIONS[action].parameters), action
    finally:
        gateway.close()


def test_the_oldest_signature_works_over_http(emulator, caller):
    """A 2019 request signed the ROA way is answered; with its Content-MD5 wrong it is refused."""
    add(caller, "one", "roa", image("brown", "box"))
    body = urlencode({"InstanceName": "one", "Type": "SearchByName", "ProductId": "roa", "PicName": "a.png"})
    key = emulator._keys[0]
    for digest, expected in ((md5(body.encode()).digest(), 0), (b"0" * 16, "SignatureDoesNotMatch")):
        headers = {
            "Accept": "application/json", "Content-Type": FORM, "Date": formatdate(usegmt=True),
            "Content-MD5": base64.b64encode(digest).decode(), "x-acs-version": "2019-03-25",
            "x-acs-signature-method": "HMAC-SHA1", "x-acs-signature-version": "1.0",
        }  # fmt: skip
        target = "/v2/image/search?RegionId=cn-shanghai"
        text = string_to_sign_roa(read_inbound("POST", target, headers.items(), body.encode()))
        signature = hmac.digest(key.access_key_secret.encode(), text.encode(), "sha1")
        headers["Authorization"] = f"acs {key.access_key_id}:{base64.b64encode(signature).decode()}"
        assert caller.send("POST", target, body.encode(), headers).code == expected


def test_items_outlive_the_emulator(tmp_path):
    """With a data folder, what was added is there after a restart."""
    options = EmulatorOptions(data=tmp_path, instances=(instance("keep"), instance("empty")))
    with Emulator(options) as running:
        add(running.caller(), "keep", "p", image("red"))
    with Emulator(options) as running:
        body = ok(running.caller(), "SearchImageByPic", "keep", PicContent=image("red"))
        assert [hit["ProductId"] for hit in body["Auctions"]] == ["p"]
        assert ok(running.caller(), "Detail", "empty")["Instance"]["TotalCount"] == 0


def test_two_lines_make_an_emulator():
    """With nothing said, one in-memory instance named demo answers to a random key pair on loopback."""
    with Emulator() as running:
        assert running.endpoint.startswith("http://127.0.0.1:")
        caller = running.caller()
        assert ok(caller, "Detail", "demo")["Instance"]["TotalCount"] == 0
    with pytest.raises(ConnectionRefusedError):
        caller.call("Detail", {"InstanceName": "demo"})
    with pytest.raises(RuntimeError, match="not started"):
        _ = running.port
    with pytest.raises(RuntimeError, match="make a new one"):
        running.start()
    running.stop()


def test_the_console_page_shows_requests_and_escapes_them(emulator, caller):
    """The page lists instances and requests; what came with a request stays text."""
    caller.call("CheckImageExists", {"InstanceName": "one", "ProductId": "<script>", "PicName": "x"})
    page = caller.send("GET", "/console", b"", {}).body.decode()
    assert "kind-fabric" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert emulator.access_key_secret not in page


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1.elsewhere.example:80", "10.0.0.1", "[", ""])
def test_the_console_page_is_not_there_under_another_name(caller, host):
    """A name of somebody else that was made to lead here gets what any unknown path gets."""
    received = caller.send("GET", "/console", b"", {"Host": host})
    assert (received.status, received.code) == (404, "InvalidApi.NotFound")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "LOCALHOST.:8088"])
def test_the_console_page_is_there_under_its_own_names(caller, host):
    """By its address or as localhost, whatever port leads to it, the page is shown."""
    received = caller.send("GET", "/console", b"", {"Host": host})
    assert received.status == 200
    assert b"batchsearch emulator" in received.body


def test_answers_come_as_xml_when_asked(caller):
    """Accept: text/xml gives the vendor's XML form."""
    received = caller.call("Detail", {"InstanceName": "one"}, headers={"accept": "text/xml"})
    assert received.headers["content-type"] == "text/xml;charset=utf-8"
    assert b"<DetailResponse>" in received.body
    assert json.loads(caller.call("Detail", {"InstanceName": "one"}).body)["Success"] is True
