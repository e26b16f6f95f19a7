"""The embedded instance as a local engine: what is answered without HTTP is what HTTP would answer."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from crash_rig import checks
from image_files import saved
from PIL import Image

from batchsearch.config.load import load_job
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.search import embedding
from batchsearch.emulator.search import image_memory as memory
from batchsearch.emulator.server import Emulator
from batchsearch.engine.run import embedded
from batchsearch.engine.run.direct_calls import DirectClient, calls_at_once
from batchsearch.engine.run.job import run_job
from batchsearch.service.client import Client
from batchsearch.service.credentials import Credentials, StaticCredentials
from batchsearch.service.endpoint import parse_endpoint
from batchsearch.service.form import Call, build_call, build_handed_call
from batchsearch.service.http_exchange import new_session
from batchsearch.service.parameters import ParameterProblem
from batchsearch.service.responses import SearchResponse
from batchsearch.tasks.dedup.night import run_night

# By which way a row is asked for decides how much is sent, besides what differs between any two runs.
FREE = checks.FREE | {"body_bytes"}

ADDED = {"product_id": "P1", "pic_name": "front"}
UNICODE = {"product_id": "Größe 1/2 + %41", "pic_name": "前 面", "custom_content": 'a&b="c"\n+'}


def image_bytes(kind, size=(300, 240), colour=(190, 40, 60), **options):
    image = Image.new("RGB", size, (250, 250, 250))
    image.paste(colour, (size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2))
    return saved(image.convert(options.pop("mode", "RGB")), kind, **options)


RED, BLUE = image_bytes("JPEG"), image_bytes("PNG", colour=(20, 50, 200))
CLEAR = image_bytes("PNG", mode="RGBA")
CALLS = [
    ("AddImage", ADDED | {"int_attr": 7, "str_attr": "a"}, [RED]),
    ("AddImage", UNICODE, [BLUE]),
    ("AddImage", {"product_id": "P2", "pic_name": "x", "crop": False}, [CLEAR]),
    ("AddImage", {"product_id": "P3", "pic_name": "x", "region": "10,200,10,150"}, [RED]),
    ("AddImage", {"product_id": "P4", "pic_name": "x"}, [image_bytes("WEBP")]),
    ("SearchImageByPic", {}, [RED]),
    ("SearchImageByPic", {"num": 2, "start": 1, "distinct_product_id": True}, [RED]),
    ("SearchImageByPic", {"filter": "int_attr = 7", "score_threshold": "0.5"}, [BLUE]),
    ("SearchImageByPic", {"region": "10,200,10,150"}, [RED]),
    ("SearchImageByPic", {"crop": False}, [RED]),
    ("SearchImageByName", UNICODE, []),
    ("CompareSimilarByImage", {}, [RED, BLUE]),
    ("CompareSimilarByImage", {}, [RED, RED]),
    ("UpdateImage", ADDED | {"int_attr": 8}, []),
    ("CheckImageExists", ADDED, []),
    ("Detail", {}, []),
    # What is refused is refused alike.
    ("SearchImageByPic", {}, [b"no image at all"]),
    ("SearchImageByPic", {}, [b""]),
    ("SearchImageByPic", {}, [RED[:-200]]),
    ("SearchImageByPic", {}, [image_bytes("JPEG", size=(90, 90))]),
    ("SearchImageByPic", {}, [image_bytes("PNG", size=(300, 20))]),
    ("SearchImageByPic", {"filter": "int_attr = "}, [RED]),
    ("SearchImageByPic", {"region": "10,900,10,150"}, [RED]),
    ("SearchImageByPic", {"num": 101}, [RED]),
    ("SearchImageByName", {"product_id": "nobody", "pic_name": "x"}, []),
    ("CompareSimilarByImage", {}, [b"x", BLUE]),
    ("DeleteImage", {"product_id": "P2"}, []),
    ("DeleteImage", {"is_delete_by_filter": True, "filter": "int_attr = 8"}, []),
    ("DeleteImage", {"product_id": "nobody"}, []),
]


def said(answer):
    """What an answer says, without when and under which id it was said."""
    response = answer.response
    if response is not None:
        response = replace(response, request_id=None)
    if isinstance(response, SearchResponse):
        response = replace(response, head=replace(response.head, search_time=None))
    if hasattr(response, "instance") and response.instance is not None:
        response = replace(
            response, instance=replace(response.instance, utc_create=None, utc_expire_time=None)
        )
    return (answer.http_status, answer.code, answer.origin, answer.message, answer.field_problems, response)


async def test_every_call_is_answered_as_over_http():
    """Two instances that are told the same, one over HTTP and one directly, answer the same, call by call."""
    options = EmulatorOptions(
        instances=(InstanceOptions(qps=float("inf"), rates=dict.fromkeys(BUDGETS, float("inf"))),)
    )
    with Emulator(options) as served, Emulator(options) as asked, ThreadPoolExecutor(2) as threads:
        async with new_session(connections=2) as session:
            key = StaticCredentials(Credentials(served.access_key_id, served.access_key_secret))
            over_http = Client(session, parse_endpoint(served.endpoint), key)
            directly = DirectClient(asked.direct(), threads)
            for instance in ("demo", "nosuch", ""):
                for operation, values, images in CALLS:
                    sent = build_call(operation, instance, values, images)
                    handed = build_handed_call(operation, instance, values, images)
                    assert isinstance(sent, Call)
                    assert isinstance(handed, Call)
                    answers = said(await over_http.send(sent)), said(await directly.send(handed))
                    assert answers[0] == answers[1], (operation, values)
    assert {entry.verdict for entry in asked.log.entries()} == {"direct"}


BUDGETS = ("query", "add", "delete", "update", "other")


def test_what_is_too_large_to_send_is_too_large_to_hand_over():
    """A job's rows do not end otherwise because its instance is in the same process."""
    for size in (2_000_000, 4_190_000):
        images = [b"\xff\xef\xbf" * (size // 3)] * 2
        sent = build_call("CompareSimilarByImage", "demo", {}, images)
        handed = build_handed_call("CompareSimilarByImage", "demo", {}, images)
        assert isinstance(sent, ParameterProblem) == isinstance(handed, ParameterProblem)
        if isinstance(sent, ParameterProblem):
            assert sent == handed


@pytest.fixture
def dedup_job(make_job):
    """A night of dedup over forty images of twenty products, on an embedded instance."""

    def made(**settings):
        rows = [
            {"id": f"r{n:02}", "product": f"P{n // 2:02}", "pic": f"{n}", "image": f"p{n:02}.jpg"}
            for n in range(40)
        ]
        chosen = {
            "instance__endpoint": "emulator",
            "instance__qps": "unlimited",
            "instance__custom_qps": False,
            "dedup": {"sync": "add", "product_column": "product", "pic_name_column": "pic"},
        }
        return load_job(make_job(rows, **(chosen | settings)), environ={}).settings

    return made


def read(settings, name):
    found = pd.read_parquet(Path(settings.output.dir, "search", name))
    order = ["row_key"] if name == "results" else ["row_key", "rank"]
    return found.drop(columns=FREE & set(found.columns)).sort_values(order).reset_index(drop=True)


async def test_a_night_without_a_rate_has_the_tables_of_one_over_http(dedup_job):
    """Results and hits of a job are the same, whether its embedded instance is called directly or not."""
    fast = dedup_job(output__dir="fast")
    slow = dedup_job(
        output__dir="slow",
        instance__qps=1000,
        instance__custom_qps=True,
        instance__add_qps=1000,
    )
    nights = [await run_night(settings) for settings in (fast, slow)]
    for name in ("results", "hits"):
        pd.testing.assert_frame_equal(read(fast, name), read(slow, name))
    assert nights[0].counts == nights[1].counts


async def test_each_image_is_decoded_and_embedded_once(dedup_job, monkeypatch):
    """What an addition has seen of an image, the search by it need not see again."""
    seen = {"decoded": 0, "embedded": 0}
    decode, embed = memory.decode_image, embedding.Embedder.embed

    def decoded(*given):
        seen["decoded"] += 1
        return decode(*given)

    def embedded_now(*given):
        seen["embedded"] += 1
        return embed(*given)

    fresh = memory.ImageMemory()
    monkeypatch.setattr(memory, "decode_image", decoded)
    monkeypatch.setattr(embedding.Embedder, "embed", embedded_now)
    for user in ("arguments", "search.image_vectors"):
        monkeypatch.setattr(f"batchsearch.emulator.{user}.shared_memory", lambda: fresh)
    night = await run_night(dedup_job())
    assert (night.sync["add"].calls, night.search.calls) == (40, 40)
    assert seen["decoded"] == 40
    # The whole image, and its subject where it has one.
    assert 40 <= seen["embedded"] <= 80


async def test_calls_are_counted_and_none_is_repeated(dedup_job):
    """Without a rate a run still keeps its books, and does not flood its own instance."""
    settings = dedup_job()
    night = await run_night(settings)
    for run in (night.sync["add"], night.search):
        assert (run.calls, run.retries, run.denied, run.done) == (40, 0, 0, 40)
        assert run.tier is None
        assert "Infinity" not in run.as_json()
    results = pd.read_parquet(Path(settings.output.dir, "search", "results"))
    assert set(results["attempts"]) == {1}
    usage = json.loads(Path(settings.output.dir, "search", "summary.json").read_text(encoding="utf-8"))
    assert usage["calls"] == 40


async def test_no_more_calls_are_out_than_the_cores_can_work_on(dedup_job, monkeypatch):
    """However many rows are ready, calls under way are bounded by the cores."""
    out = {"now": 0, "most": 0}
    send = DirectClient.send

    async def sending(client, call):
        out["now"] += 1
        out["most"] = max(out["most"], out["now"])
        try:
            return await send(client, call)
        finally:
            out["now"] -= 1

    monkeypatch.setattr(DirectClient, "send", sending)
    await run_night(dedup_job())
    assert 1 <= out["most"] <= calls_at_once()


async def test_others_meet_the_tier_over_http(dedup_job):
    """Another process that calls the instance of an unlimited job over HTTP has the largest tier, no more."""
    settings = dedup_job(instance__update_qps=20, instance__delete_qps=20)
    emulator = await asyncio.to_thread(embedded.start, settings)
    try:
        granted = emulator.options.instances[0].all_rates()
        assert (granted["query"], granted["delete"], granted["update"]) == (10, 20, 20)
    finally:
        await asyncio.to_thread(emulator.stop)


async def test_faults_are_met_over_http(load):
    """Whoever practises bad nights gets them without a rate, too: over HTTP, repeated and in the end done."""
    rows = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(6)]
    settings = load(
        rows,
        instance__endpoint="emulator",
        instance__qps="unlimited",
        instance__custom_qps=False,
        emulator={
            "faults": {
                "rules": [
                    {
                        "error": {"code": "ServiceUnavailable"},
                        "operations": ["SearchImageByPic"],
                        "times": 2,
                    }
                ]
            }
        },
    )
    summary = await run_job(settings)
    assert (summary.ok, summary.calls, summary.retries) == (6, 8, 2)
