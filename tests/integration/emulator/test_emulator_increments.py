"""IncreaseInstance and IncreaseList: images taken in from a bucket by a list."""

import json
import threading

import pytest
from batch_rig import (
    Folder,
    dumped,
    encoded,
    fetched,
    followed,
    increments,
    instance,
    lines_at,
    ok,
    options,
    picture,
    taken_in,
    with_buckets,
)
from image_files import saved
from PIL import Image

from batchsearch.config.sections.store_settings import ConnectionsSettings, StoreConnection
from batchsearch.emulator.batch.source_bucket import BucketError, FolderBucket
from batchsearch.emulator.server import Emulator
from batchsearch.errors import ConfigError
from batchsearch.storage.stores.address import parse_address
from batchsearch.storage.stores.object_store import ObjectStore
from batchsearch.storage.stores.store_bucket import bucket_opener


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "shop")


@pytest.fixture
def running(folder):
    """Two instances that read from the folder; the second is filled by calls, and small."""
    kinds = (instance(), instance("calls", capacity=3), instance("cloth", service_type="fabric"))
    with Emulator(options(*with_buckets({"shop": str(folder.root)}, *kinds))) as emulator:
        yield emulator


def test_a_list_does_what_calls_would_do(running, folder):
    """Additions with everything that a line can say, replacements and deletions, in their order."""
    caller = running.caller()
    full = {
        "CategoryId": 4, "IntAttr": -7, "IntAttr2": 2, "IntAttr3": 3, "IntAttr4": 4,
        "StrAttr": "红", "StrAttr2": "b", "StrAttr3": "", "StrAttr4": "d", "CustomContent": '{"k": "v"}',
        "Region": "10,90,5,80",
    }  # fmt: skip
    folder.add("p1", "sub/a.png", **full)
    folder.add("p1", "b.png", IntAttr=1)
    folder.add("p2", "c.png", IntAttr="5")
    folder.add("p3", "d.png")
    folder.line(OperationType="ADD", ProductId="p1", PicName="b.png", CategoryId=9, More="unknown")
    folder.line(OperationType="DELETE", ProductId="p2", PicName="c.png")
    folder.line(OperationType="DELETE", ProductId="p3")
    folder.line(OperationType="DELETE", ProductId="nobody", PicName="x")
    folder.write()
    task = taken_in(caller)
    assert (task["Status"], task["Msg"]) == ("SUCCESS", "lines: 8, failed: 0")
    assert "ErrorUrl" not in task
    for name, more in (("sub/a.png", full), ("b.png", {"CategoryId": 9})):
        content = encoded(picture(name))
        ok(caller, "AddImage", "calls", ProductId="p1", PicName=name, PicContent=content, **more)
    ours, theirs = (fetched(dumped(caller, name)["MetaUrl"])[1] for name in ("demo", "calls"))
    assert ours == theirs
    searches = [
        ok(caller, "SearchImageByPic", name, PicContent=encoded(picture("sub/a.png")), CategoryId=4)
        for name in ("demo", "calls")
    ]
    assert searches[0]["Auctions"] == searches[1]["Auctions"]


def test_each_line_that_fails_is_told_with_its_code(running, folder):
    """The rest takes effect, the task is a success, and a signed file says which lines failed and why."""
    caller = running.caller()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(Image.new("RGB", (128, 128)), "JPEG", exif=exif)
    broken = {
        "none.png": ("PicNotExist", None),
        "text.png": ("UnsupportedPicFormat", b"no image"),
        "empty.png": ("InvalidPicContent", b""),
        "large.png": ("InvalidPicContent", bytes(4 * 1024 * 1024 + 1)),
        "small.png": ("UnsupportedPicPixels", picture(1, (99, 128))),
        "turned.jpg": ("IncorrectOrientation", turned),
    }
    folder.add("good", "good.png")
    for name, (_, data) in broken.items():
        if data is not None:
            folder.image(name, data)
        folder.line(OperationType="ADD", ProductId="p", PicName=name)
    folder.image("fine.png")
    wrong = (
        ({"OperationType": "ADD", "PicName": "fine.png"}, "NoSpecifiedProductId"),
        ({"OperationType": "ADD", "ProductId": "p"}, "NoSpecifiedPicName"),
        ({"OperationType": "DELETE", "PicName": "fine.png"}, "NoSpecifiedProductId"),
        ({"OperationType": "DELETE", "ProductId": "good", "PicName": ""}, "NoSpecifiedPicName"),
        ({"OperationType": "UPDATE", "ProductId": "p", "PicName": "fine.png"}, "InvalidMetaItem"),
        ({"ProductId": "p", "PicName": "fine.png"}, "InvalidMetaItem"),
        ({"OperationType": "ADD", "ProductId": ["p"], "PicName": "fine.png"}, "InvalidMetaItem"),
    )
    for fields, _ in wrong:
        folder.line(**fields)
    fields = (
        ("IntAttr", True, "InvalidMetaItem"),
        ("IntAttr", 2**31, "InvalidIntAttr"),
        ("IntAttr3", "many", "InvalidIntAttr3"),
        ("StrAttr2", "x" * 129, "InvalidStrAttr2"),
        ("CustomContent", "x" * 4097, "InvalidCustomContent"),
        ("CategoryId", 55, "InvalidCategory"),
        ("Region", "10,300,10,90", "InvalidRegion"),
        ("PicName", "/fine.png", "InvalidPicName"),
        ("PicName", "../in/fine.png", "InvalidPicName"),
        ("PicName", "x" * 257, "InvalidPicName"),
    )
    for name, value, _ in fields:
        folder.line(**{"OperationType": "ADD", "ProductId": "p", "PicName": "fine.png", name: value})
    folder.write()
    task = taken_in(caller)
    codes = (
        [code for code, _ in broken.values()] + [code for _, code in wrong] + [code for *_, code in fields]
    )
    assert (task["Status"], task["Msg"]) == (
        "SUCCESS",
        f"lines: {len(codes) + 1}, failed: {len(codes)}",
    )
    told = lines_at(task["ErrorUrl"])
    assert [line["Code"] for line in told] == codes
    assert all(set(line) == {"ProductId", "PicName", "Code", "Message"} for line in told)
    assert told[0] == {
        "ProductId": "p",
        "PicName": "none.png",
        "Code": "PicNotExist",
        "Message": "The search picture does not exist.",
    }
    assert ok(caller, "Detail")["Instance"]["TotalCount"] == 1


def test_what_finds_no_room_fails_line_by_line(running, folder):
    """An instance that is full refuses further images, and still replaces and deletes."""
    for number in range(5):
        folder.add(f"p{number}", f"{number}.png")
    folder.line(OperationType="ADD", ProductId="p0", PicName="0.png", IntAttr=9)
    folder.line(OperationType="DELETE", ProductId="p1")
    folder.add("p5", "5.png")
    folder.write()
    caller = running.caller()
    task = taken_in(caller, "calls")
    told = lines_at(task["ErrorUrl"])
    assert [(line["ProductId"], line["Code"]) for line in told] == [
        ("p3", "InstanceOverQuota"),
        ("p4", "InstanceOverQuota"),
    ]
    products = {line["ProductId"] for line in lines_at(dumped(caller, "calls")["MetaUrl"])}
    assert products == {"p0", "p2", "p5"}


def test_a_kind_that_ignores_regions_ignores_those_of_a_list(running, folder):
    """On fabric a line's Region is not even read."""
    folder.image("a.png", picture(1, (480, 460)))
    folder.line(OperationType="ADD", ProductId="p", PicName="a.png", Region="nonsense")
    folder.write()
    assert taken_in(running.caller(), "cloth")["Msg"] == "lines: 1, failed: 0"


GOOD = '{"OperationType": "ADD", "ProductId": "p", "PicName": "a.png"}'
LISTS = {
    "two objects": (f"{GOOD}\n{GOOD}{GOOD}\n", "InvalidMetaItem", "line 2 holds more than one JSON object"),
    "an array": (f"[{GOOD}]", "InvalidMetaItem", "line 1 is no JSON object"),
    "no JSON": (f"{GOOD}\nProductId=p", "InvalidMetaItem", "line 2 is no JSON object: Expecting value"),
    "over lines": (json.dumps(json.loads(GOOD), indent=1), "InvalidMetaItem", "line 1 is no JSON object"),
    "another encoding": (GOOD.encode("utf-16"), "InvalidMetaItem", "line 1 is not UTF-8"),
    "too deep": ("[" * 100_000, "InvalidMetaItem", "line 1 is nested too deeply"),
    "a long number": (f'{{"IntAttr": {"1" * 5000}}}', "InvalidMetaItem", "line 1 holds a number"),
    "a long line": (f"{GOOD}\n{' ' * 1_100_000}", "InvalidMetaItem", "longer than a megabyte"),
    "nothing": ("\n \n", "EmptyMeta", "increment.meta has no line"),
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_that_cannot_be_read_fails_the_task_and_changes_nothing(running, folder, kind):
    """The task says FAIL with a code and which line it is; not even the lines before it take effect."""
    text, code, message = LISTS[kind]
    folder.image("a.png")
    folder.write(text=text)
    task = taken_in(running.caller())
    assert (task["Status"], task["Code"]) == ("FAIL", code)
    assert message in task["Msg"]
    assert ok(running.caller(), "Detail")["Instance"]["TotalCount"] == 0


@pytest.mark.parametrize(
    ("bucket", "path", "code"),
    [
        ("shop", "/elsewhere", "NoSuchKey"),
        ("nobodys", "/in", "NoSuchBucket"),
        *(("shop", path, "InvalidPath") for path in ("in", "/in/", "/", "/in/../in", "/a//b")),
    ],
)
def test_a_place_without_a_list_fails_the_task(running, folder, bucket, path, code):
    """The call is granted; that there is no such bucket, list or path is what became of the task."""
    folder.add("p", "a.png")
    folder.write()
    task = taken_in(running.caller(), bucket=bucket, path=path)
    assert (task["Status"], task["Code"]) == ("FAIL", code)
    assert (task["BucketName"], task["Path"]) == (bucket, path)


class Gated(FolderBucket):
    """A folder whose images are handed out once a gate is open."""

    def __init__(self, root):
        super().__init__(root)
        self.closed = False
        self.gate, self.reached = threading.Event(), threading.Event()

    def read(self, found, start, stop):
        if not found.key.endswith(".meta"):
            self.reached.set()
            self.gate.wait()
        if self.closed:
            raise BucketError("closed", is_whole=True)
        return super().read(found, start, stop)

    def close(self):
        self.closed = True
        self.gate.set()


@pytest.fixture
def gated(folder):
    """An emulator that waits in the middle of a list of three images, and its bucket."""
    for number in range(3):
        folder.add(f"p{number}", f"{number}.png")
    folder.write()
    bucket = Gated(folder.root)
    with Emulator(options(*with_buckets({"shop": "-"}), open_bucket=lambda _: bucket)) as emulator:
        yield emulator, bucket


def test_one_task_at_a_time_and_everything_else_goes_on(gated):
    """A second task is refused while one is in progress; calls are answered, a dump is made meanwhile."""
    emulator, bucket = gated
    caller = emulator.caller()
    callback = "http://127.0.0.1:9/told"
    begun = ok(caller, "IncreaseInstance", BucketName="shop", Path="/in", CallbackAddress=callback)
    assert bucket.reached.wait(30)
    again = caller.call("IncreaseInstance", {"InstanceName": "demo", "BucketName": "shop", "Path": "/in"})
    assert (again.status, again.code) == (409, "Console.TaskAlreadyExist")
    (task,) = increments(caller)
    assert (task["Id"], task["Status"]) == (int(begun["Data"]["Id"]), "PROCESSING")
    assert task["CallbackAddress"] == callback
    assert int(task["UtcCreate"]) <= task["UtcModified"]
    ok(caller, "AddImage", ProductId="q", PicName="q", PicContent=encoded(picture(7)))
    assert len(ok(caller, "SearchImageByPic", PicContent=encoded(picture(7)))["Auctions"]) == 1
    assert [line["ProductId"] for line in lines_at(dumped(caller)["MetaUrl"])] == ["q"]
    bucket.gate.set()
    assert followed(caller, begun["Data"]["Id"])["Status"] == "SUCCESS"
    assert ok(caller, "Detail")["Instance"]["TotalCount"] == 4
    assert taken_in(caller)["Status"] == "SUCCESS"


def test_a_task_that_was_stopped_goes_on_at_the_next_start(folder, tmp_path):
    """Stopped in good order in the middle of a list, it is in progress after a restart, and ends."""
    for number in range(3):
        folder.add(f"p{number}", f"{number}.png")
    folder.write()
    data = tmp_path / "data"
    bucket = Gated(folder.root)
    settings = with_buckets({"shop": str(folder.root)})
    with Emulator(options(*settings, data=data, open_bucket=lambda _: bucket)) as emulator:
        begun = ok(emulator.caller(), "IncreaseInstance", BucketName="shop", Path="/in")
        assert bucket.reached.wait(30)
        (task,) = increments(emulator.caller())
        assert task["Status"] == "PROCESSING"
    with Emulator(options(*settings, data=data)) as emulator:
        assert followed(emulator.caller(), begun["Data"]["Id"])["Msg"] == "lines: 3, failed: 0"
        assert ok(emulator.caller(), "Detail")["Instance"]["TotalCount"] == 3


def test_a_list_that_was_replaced_meanwhile_fails_the_task(folder, tmp_path):
    """A task never goes on with another list than it was begun with."""
    folder.add("p", "a.png")
    folder.write()
    data = tmp_path / "data"
    bucket = Gated(folder.root)
    settings = with_buckets({"shop": str(folder.root)})
    with Emulator(options(*settings, data=data, open_bucket=lambda _: bucket)) as emulator:
        begun = ok(emulator.caller(), "IncreaseInstance", BucketName="shop", Path="/in")
        assert bucket.reached.wait(30)
    folder.add("p", "b.png")
    folder.write()
    with Emulator(options(*settings, data=data)) as emulator:
        task = followed(emulator.caller(), begun["Data"]["Id"])
    assert (task["Status"], task["Code"]) == ("FAIL", "InvalidMetaItem")
    assert "replaced" in task["Msg"]


def test_increments_are_listed_by_id_place_and_page(running, folder):
    """The newest first, ten a page unless told otherwise, and only those asked for."""
    caller = running.caller()
    for name in ("in", "more"):
        folder.write(folder=name, text="\n")
    made = [taken_in(caller, path=path)["Id"] for path in ("/in", "/more", "/in")]
    assert [task["Id"] for task in increments(caller)] == made[::-1]
    assert [task["Id"] for task in increments(caller, Path="/in")] == [made[2], made[0]]
    assert increments(caller, BucketName="other") == []
    assert [task["Id"] for task in increments(caller, PageSize=2, PageNumber=2)] == [made[0]]
    data = ok(caller, "IncreaseList", PageSize=2)["Data"]
    assert (data["PageNumber"], data["PageSize"], data["TotalCount"]) == (1, 2, 3)


def test_a_bucket_may_be_in_an_object_store(folder, s3_server, bucket):
    """List and images are read through the S3 protocol; a bucket that is not there fails the task."""
    connections = ConnectionsSettings(s3=StoreConnection(endpoint=s3_server))
    store = ObjectStore("s3", connections, wanted_for="tests", writes=True)
    for number in range(3):
        folder.add(f"p{number}", f"sub/{number}.png")
    folder.line(OperationType="ADD", ProductId="p", PicName="absent.png")
    folder.write()
    for path in (folder.root / "in").rglob("*.*"):
        key = path.relative_to(folder.root).as_posix()
        store.put_file(parse_address(f"s3://{bucket}/{key}"), path)
    places = {"shop": f"s3://{bucket}", "gone": "s3://bucket-that-is-not-there"}
    opener = bucket_opener(connections)
    with Emulator(options(*with_buckets(places), open_bucket=opener)) as emulator:
        task = taken_in(emulator.caller())
        assert (task["Status"], task["Msg"]) == ("SUCCESS", "lines: 4, failed: 1")
        assert [line["Code"] for line in lines_at(task["ErrorUrl"])] == ["PicNotExist"]
        products = [line["ProductId"] for line in lines_at(dumped(emulator.caller())["MetaUrl"])]
        assert products == ["p0", "p1", "p2"]
        assert taken_in(emulator.caller(), bucket="gone")["Status"] == "FAIL"


@pytest.mark.parametrize("place", ["s3://key@bucket", "s3://", "nosuchstore://bucket"])
def test_a_place_that_is_no_bucket_is_refused_before_anything_listens(place):
    """What cannot be opened is said at the start, not by every task."""
    with pytest.raises(ConfigError):
        Emulator(options(*with_buckets({"shop": place}), open_bucket=bucket_opener()))
    with pytest.raises(ConfigError, match="give the path of a folder"):
        Emulator(options(*with_buckets({"shop": place})))


def test_a_link_out_of_the_folder_leads_nowhere(folder, tmp_path):
    """What stands for a bucket hands out nothing from outside of it."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture(1))
    folder.image("a.png")
    (folder.root / "in" / "link.png").symlink_to(secret)
    bucket = FolderBucket(folder.root)
    assert bucket.find("in/a.png").size > 0
    assert bucket.find("in/link.png") is None
    assert bucket.find("../secret.png") is None
    assert bucket.find("in") is None
