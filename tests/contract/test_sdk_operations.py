"""The official SDKs complete every operation against the emulator: Python in both ways of calling, and npm.

All three do the same steps, told as data, and what each SDK's typed models made of the answers is judged and
compared. docs/operations.md holds the table of it.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import io
import json
import math
import os
import re
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from alibabacloud_imagesearch20201214 import models
from alibabacloud_imagesearch20201214.client import Client
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions
from PIL import Image, ImageDraw
from sdk_rig import quiet_sdk

import batchsearch
from batchsearch.config.model import OperationName
from batchsearch.emulator.flow import BUDGETS
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator
from batchsearch.service.operations import OPERATIONS
from batchsearch.storage.parts.results_and_hits import RESULT_COLUMNS

# The SDK's asynchronous client leaves closing its sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PACKAGE = Path(batchsearch.__file__).parent
NPM = Path(__file__).parent / "npm"
PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
MARKS = "<!-- operations: begin -->\n", "<!-- operations: end -->"
WAYS = ("sync", "async", "npm")
LIFTED = dict.fromkeys(BUDGETS, math.inf)
CHANGING = {
    "RequestId",
    "SearchTime",
    "Id",
    "UtcCreate",
    "UtcModified",
    "UtcExpireTime",
    "MetaUrl",
    "ErrorUrl",
    "Name",
}
"""Fields that differ from call to call, or from instance to instance."""


@dataclass(frozen=True)
class Done:
    """What one SDK did.

    Attributes:
        bodies: Of the answers, by step.
        files: What the addresses in them led to, by step.
        operations: Operations that the emulator granted and answered without an error.
        advanced: Those of them that were sent an image by upload.
    """

    bodies: list
    files: dict
    operations: set
    advanced: set


def picture(path, colour):
    drawn = Image.new("RGB", (240, 180), "white")
    ImageDraw.Draw(drawn).ellipse((60, 30, 180, 150), fill=colour)
    drawn.save(path, "PNG")
    return base64.b64encode(path.read_bytes()).decode()


__all__ = ["quiet_sdk"]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A folder that stands for a bucket, with a list of three lines, one of which fails."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "in" / "sub").mkdir(parents=True)
    picture(folder / "in" / "sub" / "green.png", "green")
    lines = (
        {"OperationType": "ADD", "ProductId": "batch", "PicName": "sub/green.png", "CategoryId": 4,
         "IntAttr": 9, "StrAttr": "绿", "Region": "60,180,30,150"},
        {"OperationType": "ADD", "ProductId": "batch", "PicName": "absent.png"},
        {"OperationType": "DELETE", "ProductId": "nobody"},
    )  # fmt: skip
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (folder / "in" / "increment.meta").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def running(bucket, certificate):
    """One instance for each SDK, of the kind that is searched by text."""
    instances = tuple(
        InstanceOptions(
            name=way, service_type="multimodal", qps=math.inf, rates=LIFTED, buckets={"shop": str(bucket)}
        )
        for way in WAYS
    )
    with Emulator(EmulatorOptions(instances=instances, tls=certificate)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """What is called, by an instance's name: fields by their names on the wire."""
    folder = tmp_path_factory.mktemp("pictures")
    red, blue = (picture(folder / f"{colour}.png", colour) for colour in ("red", "blue"))
    name = {"ProductId": "p 1/衣+", "PicName": "a b.png"}
    page = {"Num": 5, "Start": 0, "DistinctProductId": True, "ScoreThreshold": "0.10"}

    def of(instance):
        here = {"InstanceName": instance}
        place = {"BucketName": "shop", "Path": "/in"}
        plain = (
            ("AddImage", {**name, "PicContent": red, "CategoryId": 4, "Crop": True, "IntAttr": 7,
                          "IntAttr4": -4, "StrAttr": "红色", "CustomContent": "red shoes ~*!'()"}),
            ("SearchImageByPic", {"PicContent": red, "CategoryId": 4, "Filter": "int_attr>=7", **page}),
            ("SearchImageByName", {**name, **page}),
            ("CompareSimilarByImage", {"PrimaryPicContent": red, "SecondaryPicContent": blue}),
            ("UpdateImage", {**name, "IntAttr": 8, "StrAttr3": "a b+c~d*e"}),
            ("CheckImageExists", name),
            ("SearchImageByText", {"Text": "Red shoe", "Filter": "int_attr=8", **page}),
            ("SearchImageByFilter", {"Filter": 'str_attr="红色"', "Num": 5, "Start": 0}),
        )  # fmt: skip
        advance = (
            ("AddImage", {"ProductId": "up", "PicName": "up.png"}, {"PicContent": "blue"}),
            ("SearchImageByPic", {"Num": 1}, {"PicContent": "blue"}),
            ("CompareSimilarByImage", {}, {"PrimaryPicContent": "blue", "SecondaryPicContent": "blue"}),
        )
        batch = (
            ("IncreaseInstance", {**place, "CallbackAddress": "http://127.0.0.1:9/"}, None),
            ("IncreaseList", {**place, "PageNumber": 1, "PageSize": 5}, "SUCCESS"),
            ("DumpMeta", {}, None),
            ("DumpMetaList", {"PageNumber": 1, "PageSize": 5}, "SUCCESS"),
            ("Detail", {}, None),
            ("DeleteImage", {"IsDeleteByFilter": True, "Filter": "int_attr=8"}, None),
        )
        return [
            *({"operation": operation, "fields": {**here, **fields}} for operation, fields in plain),
            *(
                {
                    "operation": operation,
                    "fields": {**here, **fields},
                    "files": {key: str(folder / f"{colour}.png") for key, colour in files.items()},
                }
                for operation, fields, files in advance
            ),
            *(
                {"operation": operation, "fields": {**here, **fields}, **({"until": until} if until else {})}
                for operation, fields, until in batch
            ),
        ]

    return of


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def first_task(body):
    data = body["Data"]
    return (data.get("DumpMetaList") or data["Increments"]["Instance"])[0]


def streams_of(files):
    return {name: io.BytesIO(Path(path).read_bytes()) for name, path in files.items()}


async def by_python(emulator, steps, certificate, *, asynchronous):
    """The bodies that the Python SDK read, as its typed models have them."""
    endpoint = emulator.endpoint.removeprefix("http://")
    client = Client(
        Config(
            access_key_id=emulator.access_key_id,
            access_key_secret=emulator.access_key_secret,
            endpoint=endpoint,
            protocol="HTTP",
            region_id="ap-southeast-1",
        )
    )
    # The only way to point the SDK's upload at another host than the vendor's.
    client._open_platform_endpoint = endpoint

    async def called(step):
        files = step.get("files", {})
        kind = "Advance" if files else ""
        request = getattr(models, f"{step['operation']}{kind}Request")().from_map(step["fields"])
        method = snake(step["operation"]) + ("_advance" if files else "") + ("_async" if asynchronous else "")
        more = (RuntimeOptions(ca=str(certificate[0])),) if files else ()
        for name, stream in streams_of(files).items():
            setattr(request, f"{snake(name)}_object", stream)
        answer = getattr(client, method)(request, *more)
        answer = await answer if inspect.isawaitable(answer) else answer
        assert answer.status_code == 200
        return answer.body.to_map()

    bodies = []
    for step in steps:
        body = await called(step)
        while "until" in step and first_task(body)["Status"] == "PROCESSING":
            body = await called(step)
        bodies.append(body)
    return bodies


@cache
def npm_modules(shared):
    """The folder with the npm packages of the lock file, installed once; skips where there is no npm.

    Args:
        shared: A folder of this run of the tests, the same for all its workers.
    """
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("no npm on this machine: the official npm SDK is not tried")
    folder = shared / "npm-of-the-sdk"
    if not folder.exists():
        coming = folder.with_name(f"{folder.name}.{os.getpid()}")
        coming.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(NPM / name, coming)
        command = ("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
        ran = subprocess.run(command, cwd=coming, capture_output=True, text=True, check=False)
        if ran.returncode and "CI" not in os.environ:
            pytest.skip(f"npm cannot install the official SDK: {ran.stderr.strip()[-300:]}")
        assert ran.returncode == 0, ran.stderr
        try:
            coming.rename(folder)
        except OSError:
            # Another worker was faster.
            shutil.rmtree(coming)
    return folder


def by_npm(emulator, steps, certificate, modules):
    """The same of the npm SDK, in one process."""
    told = {
        "modules": str(modules),
        "endpoint": emulator.endpoint.removeprefix("http://"),
        "key": emulator.access_key_id,
        "secret": emulator.access_key_secret,
        "ca": certificate[0].read_text(),
        "steps": steps,
    }
    ran = subprocess.run(
        ("node", str(NPM / "call_operations.js")),
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def done(running, steps, certificate, tmp_path_factory):
    """What an SDK did, by the way it is called; each does it once."""

    @cache
    def did(way):
        todo = steps(way)
        if way == "npm":
            base = tmp_path_factory.getbasetemp()
            shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
            bodies = by_npm(running, todo, certificate, npm_modules(shared))
        else:
            called = by_python(running, todo, certificate, asynchronous=way == "async")
            bodies = asyncio.run(called)
        addresses = {
            number: first_task(body).get("MetaUrl") or first_task(body)["ErrorUrl"]
            for number, (step, body) in enumerate(zip(todo, bodies, strict=True))
            if "until" in step
        }
        files = {number: fetched(address) for number, address in addresses.items()}
        granted = {
            entry.action
            for entry in running.log.entries()
            if entry.instance == way
            and entry.verdict == "granted"
            and (entry.status, entry.code) == (200, None)
        }
        completed = {step["operation"] for step in todo if step["operation"] in granted}
        return Done(bodies, files, completed, {step["operation"] for step in todo if "files" in step})

    return did


def fetched(address):
    with urllib.request.urlopen(address, timeout=30) as answer:
        return [json.loads(line) for line in answer.read().splitlines()]


@pytest.mark.parametrize("way", WAYS)
def test_an_sdk_completes_every_operation(done, steps, way):
    """Each operation, and each Advance call, gives this SDK's typed models what was asked for."""
    did = done(way)
    answers = dict(
        zip([(step["operation"], "files" in step) for step in steps(way)], did.bodies, strict=True)
    )
    assert did.operations == set(OPERATIONS)

    def hits(operation, *, advance=False):
        return [(hit["ProductId"], hit["PicName"]) for hit in answers[operation, advance]["Auctions"]]

    red = ("p 1/衣+", "a b.png")
    assert answers["AddImage", False]["PicInfo"]["CategoryId"] == 4
    assert hits("SearchImageByPic") == hits("SearchImageByName") == [red]
    assert answers["SearchImageByPic", False]["Auctions"][0]["IntAttr4"] == -4
    assert 0 <= answers["CompareSimilarByImage", False]["Score"] < 1
    assert answers["UpdateImage", False]["Success"] is True
    assert answers["CheckImageExists", False]["Exists"] is True
    assert answers["CheckImageExists", False]["Auctions"]["StrAttr3"] == "a b+c~d*e"
    assert hits("SearchImageByText") == hits("SearchImageByFilter") == [red]
    assert answers["SearchImageByText", False]["Auctions"][0]["Score"] == 1
    assert answers["AddImage", True]["Success"] is True
    assert hits("SearchImageByPic", advance=True) == [("up", "up.png")]
    assert answers["CompareSimilarByImage", True]["Score"] == 1
    assert answers["IncreaseInstance", False]["Data"]["IncrementStatus"] == "PROCESSING"
    increment = first_task(answers["IncreaseList", False])
    assert (increment["Status"], increment["CallbackAddress"]) == ("SUCCESS", "http://127.0.0.1:9/")
    assert answers["DumpMeta", False]["Data"]["DumpMetaStatus"] == "PROCESSING"
    assert first_task(answers["DumpMetaList", False])["Status"] == "SUCCESS"
    assert answers["Detail", False]["Instance"]["TotalCount"] == 3
    assert answers["DeleteImage", False]["Data"]["PicNames"] == ["a b.png"]
    failed, exported = did.files.values()
    assert [(line["PicName"], line["Code"]) for line in failed] == [("absent.png", "PicNotExist")]
    assert [line["PicName"] for line in exported] == ["a b.png", "up.png", "sub/green.png"]
    assert exported[2]["Region"] == "60,180,30,150"


def lasting(value):
    """A body without what differs from call to call."""
    if isinstance(value, dict):
        return {name: lasting(inner) for name, inner in value.items() if name not in CHANGING}
    return [lasting(inner) for inner in value] if isinstance(value, list) else value


def test_the_sdks_read_the_same_answers(done):
    """What the three ways make of the same steps is equal, field by field."""
    sync, others = lasting(done("sync").bodies), [lasting(done(way).bodies) for way in ("async", "npm")]
    assert others == [sync, sync]


COMMANDS = {
    "Detail": ("instance show", "a page, JSON"),
    "IncreaseInstance": ("load", "`results/`"),
    "IncreaseList": ("load", "`results/`"),
    "DumpMeta": ("instance export", "Parquet"),
    "DumpMetaList": ("instance export", "Parquet"),
}
"""Operations on the instance itself: the command that calls each, and what comes out."""


def called_by(operation):
    """How people call an operation, and where the answers go; empty where there is no way."""
    if operation in get_args(OperationName):
        written = "`results/`, `hits/`" if OPERATIONS[operation].paged else "`results/`"
        return "a job", written if RESULT_COLUMNS.get(operation) else ""
    command, written = COMMANDS.get(operation, ("", ""))
    folder = PACKAGE / "tasks" / command.partition(" ")[0]
    named = any(f'"{operation}"' in path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    return (f"`{command}`", written) if command and named else ("", "")


def table(rows):
    """The table of docs/operations.md.

    Args:
        rows: Cells of each operation by column, in order; an empty one is a hole.
    """
    columns = ["Operation", *next(iter(rows.values()))]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for operation, cells in rows.items():
        lines.append(f"| {' | '.join([f'`{operation}`', *cells.values()])} |")
    return "\n".join(lines) + "\n"


def test_no_operation_is_missing_anywhere(done):
    """docs/operations.md holds the table of who completes what, as it was just seen, and no cell is empty."""
    titles = {"sync": "Python SDK, sync", "async": "Python SDK, async", "npm": "npm SDK"}

    def cell(operation, way):
        if operation not in done(way).operations:
            return ""
        return "yes, `Advance` too" if operation in done(way).advanced else "yes"

    rows = {
        operation: {
            **{title: cell(operation, way) for way, title in titles.items()},
            "emulator": "yes" if all(operation in done(way).operations for way in WAYS) else "",
            **dict(zip(("job file or command", "what comes out"), called_by(operation), strict=True)),
        }
        for operation in OPERATIONS
    }
    assert all(text for cells in rows.values() for text in cells.values())
    _, begin, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    assert begin
    assert rest.partition(MARKS[1])[0] == table(rows)
