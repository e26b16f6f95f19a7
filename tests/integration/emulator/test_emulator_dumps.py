"""DumpMeta and DumpMetaList: all that an instance holds, behind addresses that are signed and run out."""

import html
from urllib.parse import urlsplit

import pytest
from batch_rig import (
    Folder,
    dumped,
    encoded,
    fetched,
    instance,
    lines_at,
    ok,
    options,
    picture,
    taken_in,
    with_buckets,
)

from batchsearch.emulator.batch.task_records import KEPT_DUMPS
from batchsearch.emulator.caller import signed_v3
from batchsearch.emulator.faults import ErrorAnswer, FaultPlan, FaultRule
from batchsearch.emulator.http.instance_page import STANDS_FOR
from batchsearch.emulator.http.signatures import AccessKey
from batchsearch.emulator.server import Emulator

HOURS = 3600


class Clock:
    """A wall clock that is put forward."""

    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


class Timed:
    """Calls an emulator with the time that its clock tells."""

    def __init__(self, emulator, clock):
        self._caller, self._clock = emulator.caller(), clock

    def call(self, action, parameters):
        return self._caller.call(action, parameters, now=self._clock())


def fill(caller, name="demo"):
    ok(caller, "AddImage", name, ProductId="p1", PicName="a.png", PicContent=encoded(picture(1)),
       CategoryId=3, IntAttr=1, StrAttr="红", Region="10,90,10,80")  # fmt: skip
    ok(caller, "AddImage", name, ProductId="p2", PicName="b.png", PicContent=encoded(picture(2)),
       CategoryId=4, CustomContent="x")  # fmt: skip


LINES = [
    {"OperationType": "ADD", "ProductId": "p1", "PicName": "a.png", "CategoryId": 3, "IntAttr": 1,
     "StrAttr": "红", "Region": "10,90,10,80"},
    {"OperationType": "ADD", "ProductId": "p2", "PicName": "b.png", "CategoryId": 4, "CustomContent": "x"},
]  # fmt: skip


def test_a_dump_is_a_list_that_would_fill_another_instance(tmp_path):
    """Every item is a line with what was given for it; taken in elsewhere it makes the same dump."""
    folder = Folder(tmp_path)
    for name, seed in (("a.png", 1), ("b.png", 2)):
        folder.image(name, picture(seed))
    kinds = with_buckets({"shop": str(tmp_path)}, instance(), instance("other"), instance("empty"))
    with Emulator(options(*kinds)) as emulator:
        caller = emulator.caller()
        fill(caller)
        listed = dumped(caller)
        assert lines_at(listed["MetaUrl"]) == LINES
        assert listed["Msg"] == "lines: 2"
        folder.write(text=fetched(listed["MetaUrl"])[1])
        assert taken_in(caller, "other")["Msg"] == "lines: 2, failed: 0"
        assert lines_at(dumped(caller, "other")["MetaUrl"]) == LINES
        assert lines_at(dumped(caller, "empty")["MetaUrl"]) == []


def test_an_address_is_good_for_two_hours_and_for_nothing_else():
    """Too late, or with another signature, time or instance, it is refused; listed anew it is good."""
    clock = Clock()
    with Emulator(options(instance(), instance("other"), clock=clock)) as emulator:
        caller = Timed(emulator, clock)
        fill(caller)
        fill(caller, "other")
        listed = dumped(caller)
        dumped(caller, "other")
        assert int(listed["UtcCreate"]) == listed["UtcModified"] == clock.now * 1000
        address = listed["MetaUrl"]
        clock.now += 2 * HOURS - 1
        assert fetched(address)[0] == 200
        expires = int(urlsplit(address).query.partition("&")[0].removeprefix("Expires="))
        for wrong in (
            f"{address[:-1]}{'A' if address[-1] != 'A' else 'B'}",
            address.replace(str(expires), str(expires + 1)),
            address.replace("/demo/", "/other/"),
            address.partition("?")[0],
        ):
            status, body = fetched(wrong)
            assert (status, b"SignatureDoesNotMatch" in body) == (403, True), wrong
        for nowhere in ("/nobody/", "/demo/x"):
            assert fetched(address.replace("/demo/", nowhere))[0] == 404
        clock.now += 1
        status, body = fetched(address)
        assert (status, b"Request has expired." in body) == (403, True)
        (again,) = ok(caller, "DumpMetaList")["Data"]["DumpMetaList"]
        assert lines_at(again["MetaUrl"]) == LINES
        logged = [entry for entry in emulator.log.entries() if entry.action == "GetObject"]
        assert {entry.verdict for entry in logged} == {"file"}
        assert [entry.code for entry in logged][:2] == [None, "SignatureDoesNotMatch"]


def test_dumps_outlive_the_emulator(tmp_path):
    """After a restart a dump is listed as before, and an address given out before leads to it still."""
    settings = options(instance(), data=tmp_path)
    with Emulator(settings) as emulator:
        fill(emulator.caller())
        before = dumped(emulator.caller())
    with Emulator(settings) as emulator:
        (after,) = ok(emulator.caller(), "DumpMetaList")["Data"]["DumpMetaList"]
        assert {**after, "MetaUrl": ""} == {**before, "MetaUrl": ""}
        ask = urlsplit(before["MetaUrl"])
        assert lines_at(f"{emulator.endpoint}{ask.path}?{ask.query}") == LINES


def test_dumps_are_listed_a_page_at_a_time_and_the_oldest_lose_their_file():
    """The newest first; how many are kept whole is bounded, and the rest are listed without an address."""
    with Emulator(options()) as emulator:
        caller = emulator.caller()
        made = [dumped(caller)["Id"] for _ in range(KEPT_DUMPS + 2)]
        data = ok(caller, "DumpMetaList", PageSize=30)["Data"]
        assert [entry["Id"] for entry in data["DumpMetaList"]] == made[::-1]
        assert ["MetaUrl" in entry for entry in data["DumpMetaList"]] == [True] * KEPT_DUMPS + [False] * 2
        assert data["TotalCount"] == len(made)
        page = ok(caller, "DumpMetaList", PageSize=5, PageNumber=3)["Data"]["DumpMetaList"]
        assert [entry["Id"] for entry in page] == made[1::-1]
        assert len(ok(caller, "DumpMetaList")["Data"]["DumpMetaList"]) == 10


@pytest.mark.parametrize("action", ["DumpMeta", "DumpMetaList", "IncreaseList"])
def test_what_only_asks_may_be_asked_with_get(action):
    """The metadata allows GET for the batch operations; the answer is the same."""
    with Emulator(options()) as emulator:
        key = AccessKey(emulator.access_key_id, emulator.access_key_secret)
        target, host = "/?InstanceName=demo", emulator.endpoint.removeprefix("http://")
        post = signed_v3(key, action=action, target=target, body=b"", headers={"host": host})
        # The method is signed too: a POST's signature does not hold for a GET.
        refused = emulator.caller().send("GET", target, b"", post)
        assert refused.code == "SignatureDoesNotMatch"
        sent = signed_v3(key, action=action, target=target, body=b"", headers={"host": host}, method="GET")
        answered = emulator.caller().send("GET", target, b"", sent)
        assert answered.status == 200, answered.json()


def test_the_page_for_people_lists_tasks_and_says_what_stands_for_what():
    """Each task with its end, texts of callers escaped, and what is not as at the service."""
    with Emulator(options()) as emulator:
        caller = emulator.caller()
        dumped(caller)
        assert taken_in(caller, bucket="<b>")["Code"] == "NoSuchBucket"
        page = fetched(f"{emulator.endpoint}/console")[1].decode()
    assert "<td>dump</td><td>SUCCESS</td>" in page
    assert "<td>increment</td><td>FAIL</td><td>NoSuchBucket</td>" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    for sentence in STANDS_FOR:
        assert html.escape(sentence) in page


def test_a_call_within_the_process_is_led_to_the_same_files():
    """What is handed over without HTTP names addresses that are served all the same."""
    with Emulator(options()) as emulator:
        fill(emulator.caller())
        dumped(emulator.caller())
        handed = emulator.direct().answer("DumpMetaList", (("InstanceName", "demo"),), b"", {})
        assert lines_at(handed.content["Data"]["DumpMetaList"][0]["MetaUrl"]) == LINES


def test_a_download_can_be_made_to_fail():
    """Faults know it as `GetObject`; the next one is whole again."""
    with Emulator(options()) as emulator:
        fill(emulator.caller())
        address = dumped(emulator.caller())["MetaUrl"]
        rule = FaultRule(ErrorAnswer("InternalError"), operations=("GetObject",), times=1)
        emulator.set_faults(FaultPlan((rule,)))
        assert fetched(address)[0] == 500
        assert lines_at(address) == LINES
