"""Every request parameter and response field of the five API pages, followed through client and emulator.

Each cell of the table comes from what the code does: a bad value is sent to the emulator and given to the
client, a call is built, an answer is changed in one field and read again. Run this file as a script to
write the table anew: `python tests/contract/test_parameter_table.py`.
"""

from __future__ import annotations

import base64
import copy
import json
import math
import re
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from image_files import saved
from PIL import Image, ImageDraw

from batchsearch.config.load import load_text
from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.emulator.http.signatures import AccessKey
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator
from batchsearch.errors import ConfigError
from batchsearch.images.prepare import prepare
from batchsearch.images.rules import rules_for
from batchsearch.service.codes.table import CODES
from batchsearch.service.credentials import Credentials
from batchsearch.service.form import build_call
from batchsearch.service.operations import OPERATIONS
from batchsearch.service.parameters import check_parameters
from batchsearch.service.parse import parse_answer
from batchsearch.service.signing import Unsigned, sign
from batchsearch.storage.parts.results_and_hits import HIT_COLUMNS, RESULT_COLUMNS

DATA = Path(__file__).parent / "data"
PAGES = json.loads((DATA / "page_fields.json").read_text(encoding="utf-8"))["pages"]
TABLE = DATA / "parameter_table.md"
SEARCHES = ("SearchImageByPic", "SearchImageByName")

_TYPE = "the console's switch between the two searches; here `operation` says which one"
_MESSAGE = "the console page's word for `Msg`: the API pages and the official SDK have `Msg`"
EMPTY_CELLS = {
    **{(operation, "Type", cell): _TYPE for operation in SEARCHES for cell in ("refused", "checked", "sent")},
    **{(operation, "Message", cell): _MESSAGE for operation in SEARCHES for cell in ("produced", "stored")},
}
"""Cells that are empty for a reason, by operation, name and cell."""

JSON_TYPES = {
    "String": str,
    "Integer": int,
    "Boolean": bool,
    "Float": float,
    "double": float,
    "Object": dict,
    "Array": list,
}
BAD = {
    "integer": "600",
    "boolean": "perhaps",
    "text": "x" * 5000,
    "threshold": "1.01",
    "region": "1,2,3",
    "filter": "int_attr ~ 1",
    "category": "17",
}
"""For each kind of parameter a value that the pages do not allow."""


def png():
    image = Image.new("RGB", (160, 120), "white")
    ImageDraw.Draw(image).ellipse((50, 30, 110, 90), fill="teal")
    return saved(image)


IMAGE = png()
GOOD = base64.b64encode(IMAGE).decode()
CALLS = {
    "SearchImageByPic": {"PicContent": GOOD},
    "SearchImageByName": {"ProductId": "p", "PicName": "n"},
    "CompareSimilarByImage": {"PrimaryPicContent": GOOD, "SecondaryPicContent": GOOD},
}
ITEM = {
    "ProductId": "p",
    "PicName": "n",
    "CategoryId": "4",
    "CustomContent": "any",
    "PicContent": GOOD,
    **{f"IntAttr{n}": "7" for n in ("", "2", "3", "4")},
    **{f"StrAttr{n}": "text" for n in ("", "2", "3", "4")},
}


@dataclass(frozen=True)
class Seen:
    """What the emulator did: codes for bad values by operation and parameter, bodies by operation."""

    refusals: dict
    answers: dict


@cache
def seen() -> Seen:
    """Asks a running emulator everything that the table says of it."""
    lifted = dict.fromkeys(("query", "add", "delete", "update", "other"), math.inf)
    keys = (AccessKey("any", "secret"), AccessKey("limited", "secret", instances=frozenset()))
    options = EmulatorOptions(instances=(InstanceOptions("demo", "product", rates=lifted),), keys=keys)
    with Emulator(options) as emulator:
        caller = emulator.caller()
        assert caller.call("AddImage", {"InstanceName": "demo", **ITEM}).status == 200
        refusals, answers = {}, {}
        for operation, good in CALLS.items():
            answers[operation] = [caller.call(operation, {"InstanceName": "demo", **good}).json()]
            for name in named("request", operation):
                values = {"InstanceName": "demo", **good, name: bad_value(operation, name)}
                action = values.pop("Action", operation)
                answer = caller.call(action, values).json()
                refusals[operation, name] = None if answer.get("Success") else answer["Code"]
        limited = type(caller)(emulator.endpoint, keys[1])
        denied = limited.call(
            "CompareSimilarByImage", {"InstanceName": "demo", **CALLS["CompareSimilarByImage"]}
        )
        answers["CompareSimilarByImage"].append(denied.json())
    return Seen(refusals, answers)


def named(part, operation):
    """Names of an operation's parameters or fields, each with the pages that have it, in their order."""
    found = {}
    for page, content in PAGES.items():
        only = {name: which for which, names in content.get("only", {}).items() for name in names}
        if operation in content["operations"]:
            for name in content[part]:
                if only.get(name, operation) == operation:
                    found.setdefault(name, []).append(page)
    return found


def parameter(operation, wire):
    return next((each for each in OPERATIONS[operation].parameters if each.wire == wire), None)


def is_image(operation, wire):
    return wire in {image.wire for image in OPERATIONS[operation].images}


def bad_value(operation, wire):
    """A value that the service would not take."""
    if wire == "Action":
        return "SearchImageByNothing"
    if wire == "InstanceName":
        return "x" * 21
    if is_image(operation, wire):
        return base64.b64encode(b"no picture").decode()
    known = parameter(operation, wire)
    return "no such kind" if known is None else BAD[known.kind]


def refused_by_job_file(setting, given):
    """Which setting a job with such a value is refused for."""
    job = {
        "operation": "SearchImageByName",
        "instance": {"endpoint": "emulator", "name": "demo", "qps": 1},
        "manifest": {"path": "manifest.csv", "key": ["product_id", "pic_name"]},
        "output": {"dir": "out"},
    }
    load_text(json.dumps(job), Path("job.json"), environ={})
    with pytest.raises(ConfigError, match=rf"job\.json:\d+: {re.escape(setting)}: "):
        load_text(json.dumps(job | given), Path("job.json"), environ={})
    return f"job file: {setting}"


def checked(operation, wire):
    """The client's own code for the bad value, and the service's code that it prevents."""
    value = bad_value(operation, wire)
    if wire == "Action":
        return refused_by_job_file("operation", {"operation": value}), None
    if wire == "InstanceName":
        given = {"instance": {"endpoint": "emulator", "name": value, "qps": 1}}
        return refused_by_job_file("instance.name", given), "InvalidInstance"
    if is_image(operation, wire):
        code = prepare(base64.b64decode(value), rules_for("product", ImageSettings())).code
        return code, CODES[code].prevents
    known = parameter(operation, wire)
    if known is None:
        return None, None
    _, problems = check_parameters(operation, {known.key: value}, service_type="product")
    found = next((each for each in problems if each.parameter == known.key), None)
    return (None, None) if found is None else (found.code, found.prevents)


@cache
def sent(operation):
    """Where each parameter of a call stands, by the vendor's name."""
    good = {
        "integer": 5, "boolean": True, "text": "p", "threshold": "0.5", "region": "0,50,0,50",
        "filter": "int_attr = 1", "category": 4,
    }  # fmt: skip
    values = {each.key: good[each.kind] for each in OPERATIONS[operation].parameters}
    checked_values, problems = check_parameters(operation, values, service_type="product")
    assert problems == ()
    call = build_call(operation, "demo", checked_values, [IMAGE] * len(OPERATIONS[operation].images))
    request = Unsigned("POST", "host", operation, "2020-12-14", call.query, call.body, call.body_sha256)
    signed = sign(
        request,
        Credentials("id", "secret"),
        scheme="v3",
        when=datetime(2026, 1, 1, tzinfo=UTC),
        nonce="n",
        user_agent="-",
    )
    places = {name: "query" for name, _ in call.query}
    places |= {pair.split("=")[0]: "form" for pair in call.body.decode().split("&")}
    action = next(name for name, value in signed.headers.items() if value == operation)
    return {**places, "Action": f"header {action}"}


def value_at(body, path):
    """The value at a path like `Auctions[].Score`, of the first entry of a list; None where there is none."""
    here = body
    for name in path.split("."):
        here = here.get(name.removesuffix("[]")) if isinstance(here, dict) else None
        if name.endswith("[]"):
            here = here[0] if here else None
    return here


def changed_at(body, path):
    """The body with another value of the same type at a path; without it where it is a part or a list."""
    body = copy.deepcopy(body)
    if path == "Message":
        del body["Msg"]  # Where both are, the operation's own name counts.
    *way, last = path.split(".")
    here = value_at(body, ".".join(way)) if way else body
    match here.get(last):
        case bool(value):
            here[last] = not value
        case int(value):
            here[last] = value + 1
        case float(value):
            here[last] = value / 2
        case dict() | list():
            del here[last]
        case value:
            here[last] = f"{value}~"
    return body


def flat(value, path=""):
    """A record's leaves by path; of a list the first entry's."""
    if is_dataclass(value):
        leaves = {}
        for each in fields(value):
            leaves |= flat(getattr(value, each.name), f"{path}.{each.name}" if path else each.name)
        return leaves
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return {path: len(value), **flat(value[0], f"{path}[]")}
    return {path: value}


def read(operation, path):
    """Which part of the client's typed answer a field becomes: the part that changes with it."""
    body = next((body for body in seen().answers[operation] if value_at(body, path) is not None), None)
    body = seen().answers[operation][0] if body is None and path == "Message" else body
    if body is None:
        return None
    status = 200 if body.get("Success") else 403
    before, after = (
        parse_answer(operation, status, json.dumps(each).encode()).response
        for each in (body, changed_at(body, path))
    )
    if after is None:  # The part without which a refusal is no answer to the comparison.
        return f"{type(before).__name__}.{snake(path)}"
    old, new = flat(before), flat(after)
    moved = [name for name in {**old, **new} if old.get(name, ...) != new.get(name, ...)]
    return f"{type(before).__name__}.{min(moved, key=len)}" if moved else None


def snake(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def stored(operation, path):
    """The columns that hold a field, by the vendor's names that they carry."""
    if path == "Auctions" and operation in SEARCHES:
        return ["hits"]
    if path.startswith("Auctions[]."):
        return [f"hits.{each.name}" for each in HIT_COLUMNS if each.vendor_name == path.split(".")[1]]
    columns = [("results", each) for each in RESULT_COLUMNS[operation] if each.vendor_name]
    if operation in SEARCHES:
        columns += [("hits", each) for each in HIT_COLUMNS if each.vendor_name == "RequestId"]
    found = []
    for table, column in columns:
        outer, _, rest = path.partition(column.vendor_name)
        if path == column.vendor_name or column.vendor_name.startswith(f"{path}."):
            found.append(f"{table}.{column.name}")
        elif outer == "" and rest.startswith((".", "[].")):
            inner = column.type.value_type if pa.types.is_list(column.type) else column.type
            child = snake(rest.removeprefix("[]").removeprefix("."))
            if pa.types.is_string(inner):
                found.append(f"{table}.{column.name}")
            elif child in {inner.field(at).name for at in range(inner.num_fields)}:
                found.append(f"{table}.{column.name}.{child}")
    return found


@cache
def request_rows():
    """One row for each operation and parameter."""
    rows = []
    for operation in CALLS:
        for name, pages in named("request", operation).items():
            code, _ = checked(operation, name)
            cells = {
                "refused": seen().refusals[operation, name],
                "checked": code,
                "sent": sent(operation).get(name),
            }
            rows.append((operation, name, len(pages), cells))
    return rows


@cache
def response_rows():
    """One row for each operation and field."""
    rows = []
    for operation in CALLS:
        for name, pages in named("response", operation).items():
            values = [value_at(body, name) for body in seen().answers[operation]]
            value = next((value for value in values if value is not None), None)
            cells = {
                "produced": None if value is None else type(value).__name__,
                "read": read(operation, name),
                "stored": ", ".join(stored(operation, name)) or None,
            }
            rows.append((operation, name, len(pages), cells))
    return rows


WRITTEN = """Written by `python tests/contract/test_parameter_table.py` from what client and emulator do; a
test holds this file to it. *Pages*: how many of the five API pages name it."""
REQUEST = """*Emulator*: its answer to a value that the pages do not allow. *Client*: the code with which such
a value is refused before any call. *Sent*: where the request carries it."""
RESPONSE = """*Emulator*: the type in its answer. *Client*: the part of the typed answer that it becomes.
*Output*: the column that holds it."""


def as_markdown():
    """The whole table."""

    def table(head, rows):
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        for operation, name, pages, cells in rows:
            shown = [
                f"`{cell}`" if cell else EMPTY_CELLS.get((operation, name, which), "")
                for which, cell in cells.items()
            ]
            lines.append(f"| {operation} | `{name}` | {pages} | {' | '.join(shown)} |")
        return lines

    return "\n".join(
        [
            "# Every parameter and field of the API pages",
            "",
            WRITTEN,
            "",
            "## Request parameters",
            "",
            REQUEST,
            "",
            *table(("operation", "parameter", "pages", "emulator", "client", "sent"), request_rows()),
            "",
            "## Response fields",
            "",
            RESPONSE,
            "",
            *table(("operation", "field", "pages", "emulator", "client", "output"), response_rows()),
            "",
        ]
    )


def test_the_sources_are_whole():
    """The names that the table starts from are as many as the pages have."""
    counts = {page: (len(content["request"]), len(content["response"])) for page, content in PAGES.items()}
    assert counts == {
        "SearchImageByPic.2025-05.en.txt": (10, 31),
        "SearchImageByPic.2023-08.zh.txt": (9, 27),
        "SearchImageByName.2023-09.en.txt": (8, 27),
        "CompareSimilarByImage.2026-01.zh.txt": (4, 13),
        "ImageQuery.2026-01.en.txt": (8, 31),
    }


@pytest.mark.parametrize("rows", [request_rows, response_rows])
def test_no_cell_is_empty_without_a_reason(rows):
    """Every parameter is accepted, checked and sent, every field produced, read and stored."""
    empty = {
        (operation, name, which)
        for operation, name, _, cells in rows()
        for which, cell in cells.items()
        if cell is None
    }
    known = {key for key in EMPTY_CELLS if key[2] in rows()[0][3]}
    assert empty == known


def test_the_client_prevents_what_the_emulator_answers():
    """For the same bad value the client names the very code that the service would have answered."""
    compared = 0
    for operation in CALLS:
        for name in named("request", operation):
            _, prevents = checked(operation, name)
            if prevents is not None:
                assert seen().refusals[operation, name] == prevents, (operation, name)
                compared += 1
    assert compared >= 20


def test_fields_have_the_types_of_the_pages():
    """What the emulator produces is of the type that every page gives."""
    for operation, name, _, cells in response_rows():
        for page in named("response", operation)[name]:
            if cells["produced"] is not None:
                wanted = JSON_TYPES[PAGES[page]["response"][name]].__name__
                assert cells["produced"] == wanted, (operation, name, page)


def test_the_table_is_the_one_that_is_kept():
    """The kept table is what the code does today."""
    assert TABLE.read_text(encoding="utf-8") == as_markdown()


if __name__ == "__main__":
    TABLE.write_text(as_markdown(), encoding="utf-8")
