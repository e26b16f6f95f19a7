"""Buckets with lists of images, and tasks followed over HTTP, for the tests of the batch operations."""

import base64
import json
import math
import random
import urllib.request
from dataclasses import replace
from urllib.error import HTTPError

from image_files import saved
from PIL import Image, ImageDraw

from batchsearch.emulator.flow import BUDGETS
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions

LIFTED = dict.fromkeys(BUDGETS, math.inf)


def picture(seed, size=(128, 112)):
    """A PNG unlike that of any other seed."""
    rng = random.Random(seed)
    drawn = Image.new("RGB", size, tuple(rng.randrange(256) for _ in range(3)))
    pen = ImageDraw.Draw(drawn)
    for _ in range(4):
        x, y = rng.randrange(90), rng.randrange(80)
        pen.ellipse((x, y, x + 30, y + 30), fill=tuple(rng.randrange(256) for _ in range(3)))
    return saved(drawn)


def encoded(data):
    """As a request carries it."""
    return base64.b64encode(data).decode()


def instance(name="demo", **settings):
    """An instance without limits of rate."""
    return InstanceOptions(
        name=name, **{"service_type": "product", "qps": math.inf, "rates": LIFTED, **settings}
    )


def options(*instances, **settings):
    """An emulator's set-up."""
    return EmulatorOptions(instances=instances or (instance(),), **settings)


def with_buckets(places, *instances):
    """The instances, all with these buckets."""
    return tuple(replace(one, buckets=places) for one in instances or (instance(),))


class Folder:
    """A folder that stands for a bucket."""

    def __init__(self, root):
        self.root = root
        self.lines = []

    def image(self, name, data=None, folder="in"):
        """Put an image there."""
        path = self.root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(name) if data is None else data)

    def add(self, product, name, **fields):
        """A line that adds an image, which is put there too."""
        self.image(name)
        self.line(OperationType="ADD", ProductId=product, PicName=name, **fields)

    def line(self, **fields):
        """Any line."""
        self.lines.append(json.dumps(fields, ensure_ascii=False))

    def write(self, folder="in", text=None):
        """Write the list."""
        path = self.root / folder / "increment.meta"
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = "\n".join(self.lines) + "\n" if text is None else text
        path.write_bytes(whole if isinstance(whole, bytes) else whole.encode())


def ok(caller, action, name="demo", **parameters):
    """The body of an answer that is a success."""
    received = caller.call(action, {"InstanceName": name, **parameters})
    assert received.status == 200, received.json()
    return received.json()


def increments(caller, name="demo", **parameters):
    """The increments that are listed."""
    return ok(caller, "IncreaseList", name, **parameters)["Data"]["Increments"]["Instance"]


def followed(caller, task, name="demo"):
    """An increment, once it is over."""
    found = {"Status": "PROCESSING"}
    while found["Status"] == "PROCESSING":
        (found,) = increments(caller, name, Id=task)
    return found


def taken_in(caller, name="demo", bucket="shop", path="/in"):
    """An increment from its beginning to its end."""
    begun = ok(caller, "IncreaseInstance", name, BucketName=bucket, Path=path)
    assert begun["Data"]["IncrementStatus"] == "PROCESSING"
    return followed(caller, begun["Data"]["Id"], name)


def dumped(caller, name="demo"):
    """A dump from its beginning to its end, as it is listed."""
    task = ok(caller, "DumpMeta", name)["Data"]["Id"]
    found = {"Status": "PROCESSING"}
    while found["Status"] == "PROCESSING":
        (found,) = ok(caller, "DumpMetaList", name, Id=task)["Data"]["DumpMetaList"]
    assert found["Status"] == "SUCCESS", found
    return found


def fetched(address):
    """Status and body of what an address leads to."""
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def lines_at(address):
    """The JSON objects of the file at an address."""
    status, body = fetched(address)
    assert status == 200, body
    return [json.loads(line) for line in body.splitlines()]
