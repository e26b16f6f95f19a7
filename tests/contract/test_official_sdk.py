"""The official Python SDK against the emulator: both signatures, both ways of calling, errors, uploads.

The SDK is unmodified. What it decides about an answer (typed models, kinds of exception) is what the
assertions look at, so that the emulator's wire format is judged by the vendor's own code.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import math

import pytest
from alibabacloud_imagesearch20201214 import models
from alibabacloud_imagesearch20201214.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException, ServerException, ThrottlingException
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.core import DaraCore
from darabonba.exceptions import UnretryableException
from darabonba.runtime import RuntimeOptions
from image_files import saved
from PIL import Image, ImageDraw
from sdk_rig import quiet_sdk

from batchsearch.emulator.faults import ErrorAnswer, FaultPlan, FaultRule, InBodyFailure, NotJson
from batchsearch.emulator.http.signatures import AccessKey
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator

# The SDK's asynchronous client leaves closing its sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

LIFTED = dict.fromkeys(("query", "add", "delete", "update", "other"), math.inf)
LASTING = AccessKey("lasting-key", "lasting-secret")
TEMPORARY = AccessKey("temporary-key", "temporary-secret", security_token="CAIS0wF1q6Ft5B2yfSjIr5fAc+/x==")
SCHEMES = {"v3": None, "v1": "v2"}
"""The SDK calls the RPC V1 signature `v2`."""


def image(colour: str) -> bytes:
    drawn = Image.new("RGB", (240, 180), "white")
    ImageDraw.Draw(drawn).ellipse((60, 30, 180, 150), fill=colour)
    return saved(drawn, "JPEG", quality=95)


RED, BLUE = image("red"), image("blue")
RED_TEXT, BLUE_TEXT = (base64.b64encode(data).decode() for data in (RED, BLUE))


__all__ = ["quiet_sdk"]

INSTANCES = (InstanceOptions(name="demo", service_type="product", rates=LIFTED),)


@pytest.fixture(scope="module")
def emulator():
    with Emulator(EmulatorOptions(instances=INSTANCES, keys=(LASTING, TEMPORARY))) as running:
        yield running


@pytest.fixture
def secured(certificate):
    """An emulator with TLS of its own: the SDK keeps its trust for an address in a session of the process."""
    with Emulator(EmulatorOptions(instances=INSTANCES, keys=(LASTING,), tls=certificate)) as running:
        yield running


def client_of(emulator: Emulator, key: AccessKey = LASTING, scheme: str = "v3") -> Client:
    config = Config(
        access_key_id=key.access_key_id,
        access_key_secret=key.access_key_secret,
        security_token=key.security_token,
        endpoint=emulator.endpoint.removeprefix("http://"),
        protocol="HTTP",
        region_id="ap-southeast-1",
        signature_algorithm=SCHEMES[scheme],
    )
    return Client(config)


def request_of(name: str, *, advance: bool = False, **fields):
    """The SDK's request of an operation, by its snake_case name, to the one instance."""
    operation = name.title().replace("_", "")
    kind = getattr(models, f"{operation}{'Advance' if advance else ''}Request")
    return kind(**{"instance_name": "demo", **fields})


class Caller:
    """Calls an operation by its snake_case name, synchronously or not, and returns the typed body."""

    def __init__(self, client: Client, *, asynchronous: bool) -> None:
        self._client, self._asynchronous = client, asynchronous

    async def __call__(self, name: str, **fields):
        request = request_of(name, **fields)
        if self._asynchronous:
            response = await getattr(self._client, f"{name}_async")(request)
        else:
            response = getattr(self._client, name)(request)
        assert response.status_code == 200
        return response.body


@pytest.fixture(params=["sync", "async"])
def way(request) -> str:
    return request.param


@pytest.fixture(params=SCHEMES)
def scheme(request) -> str:
    return request.param


@pytest.fixture(params=[LASTING, TEMPORARY], ids=["key", "token"])
def call(request, emulator, way, scheme) -> Caller:
    emulator.catalogue().delete("p 1/衣+", None)
    emulator.catalogue().delete("q", None)
    return Caller(client_of(emulator, request.param, scheme), asynchronous=way == "async")


async def test_every_operation_gives_typed_answers(call):
    """What is done to items works with each signature, key and way of calling, in the SDK's own types."""
    name = {"product_id": "p 1/衣+", "pic_name": "a b.jpg"}
    attributes = {
        "custom_content": '{"k":"v ~*!\'()"}',
        "int_attr": 100, "int_attr_2": -2, "int_attr_3": 3, "int_attr_4": 4,
        "str_attr": "红色 é", "str_attr_2": "a+b/c=d", "str_attr_3": "", "str_attr_4": "~*!'()",
    }  # fmt: skip
    added = await call("add_image", **name, pic_content=RED_TEXT, category_id=4, crop=True, **attributes)
    assert (added.success, added.code, added.message, added.pic_info.category_id) == (True, 0, "success", 4)
    assert {entry.name for entry in added.pic_info.all_categories} >= {"Shoes", "Other"}
    await call("add_image", product_id="q", pic_name="q", pic_content=BLUE_TEXT, category_id=4)

    searched = await call(
        "search_image_by_pic", pic_content=RED_TEXT, category_id=4, crop=False, num=10, start=0,
        filter='int_attr>=100 AND (str_attr="红色 é" OR str_attr2!="a+b/c=d")', distinct_product_id=True,
        region="60,180,30,150", score_threshold="0.50",
    )  # fmt: skip
    (hit,) = searched.auctions
    assert isinstance(hit.score, float)
    assert 0.5 <= hit.score <= 1.0
    assert isinstance(hit.sort_expr_values, str)
    assert (hit.product_id, hit.pic_name, hit.category_id) == ("p 1/衣+", "a b.jpg", 4)
    assert {field: getattr(hit, field) for field in attributes} == attributes
    assert (searched.head.docs_found, searched.head.docs_return) == (1, 1)
    assert isinstance(searched.head.search_time, int)
    assert (searched.pic_info.category_id, searched.pic_info.region) == (4, "60,180,30,150")
    assert (searched.msg, searched.code, searched.success) == ("success", 0, True)
    assert searched.request_id

    named = await call("search_image_by_name", **name, score_threshold="0.10")
    assert named.auctions[0].product_id == "p 1/衣+"
    assert named.auctions[0].score == pytest.approx(1.0, abs=0.001)

    pair = {"primary_pic_content": RED_TEXT, "secondary_pic_content": RED_TEXT}
    compared = await call("compare_similar_by_image", **pair)
    assert (compared.score, compared.msg) == (1.0, "success")

    changes = {"int_attr": 7, "int_attr_3": -3, "str_attr_3": "a b+c~d*e"}
    updated = await call("update_image", **name, **changes)
    assert (updated.success, updated.message) == (True, "success")
    exists = await call("check_image_exists", **name)
    assert exists.exists is True
    assert {field: getattr(exists.auctions, field) for field in changes} == changes

    told = (await call("detail")).instance
    assert (told.name, told.total_count, told.service_type) == ("demo", 2, 0)
    # A million images in units of ten thousand; the largest tier stands for a limit that was lifted.
    assert (told.capacity, told.qps, told.region) == (100, 10, "ap-southeast-1")
    assert int(told.utc_create) < int(told.utc_expire_time)

    deleted = await call("delete_image", is_delete_by_filter=True, filter="int_attr=7")
    assert deleted.data.pic_names == ["a b.jpg"]
    gone = await call("check_image_exists", **name)
    assert gone.exists is False


async def failure(caller: Caller, name: str, **fields):
    with pytest.raises((ClientException, ServerException, ThrottlingException)) as caught:
        await caller(name, **fields)
    return caught.value


async def test_errors_keep_code_status_and_request_id(call):
    """The SDK reads code, status and request id out of an error answer."""
    error = await failure(call, "search_image_by_name", product_id="nobody", pic_name="n")
    assert (error.code, error.status_code) == ("PicNotExist", 400)
    assert len(error.request_id) == 36
    assert "The search picture does not exist." in error.message


async def test_wrong_keys_are_refused(emulator, way, scheme):
    """A wrong secret, an unknown key, a missing and a wrong token: each has its code."""
    wrong = {
        "SignatureDoesNotMatch": dataclasses.replace(LASTING, access_key_secret="wrong"),
        "InvalidAccessKeyId.NotFound": dataclasses.replace(LASTING, access_key_id="nobody"),
        "MissingSecurityToken": dataclasses.replace(TEMPORARY, security_token=None),
        "InvalidSecurityToken.MismatchWithAccessKey": dataclasses.replace(
            TEMPORARY, security_token="other-token"
        ),
    }
    for code, key in wrong.items():
        caller = Caller(client_of(emulator, key, scheme), asynchronous=way == "async")
        assert (await failure(caller, "detail")).code == code


TAMPERED = {
    "body": lambda request: setattr(request, "body", request.body + b"&Num=3"),
    "query": lambda request: request.query.update(ScoreThreshold="0.90"),
    "method": lambda request: setattr(request, "method", "PUT"),
    "path": lambda request: setattr(request, "pathname", "/v2/image/search"),
    "action": lambda request: request.headers.update({"x-acs-action": "CheckImageExists"}),
    "date": lambda request: request.headers.update({"x-acs-date": "2020-01-01T00:00:00Z"}),
    "nonce": lambda request: request.headers.update({"x-acs-signature-nonce": "another"}),
    "hash": lambda request: request.headers.update({"x-acs-content-sha256": "0" * 64}),
    "agent": lambda request: request.headers.update({"user-agent": "another"}),
    "accept": lambda request: request.headers.update({"accept": "application/json, */*"}),
    "extra header": lambda request: request.headers.update({"x-acs-more": "1"}),
    "unsigned": lambda request: request.headers.pop("Authorization", None),
}
EXPECTED = {"date": "InvalidTimeStamp.Expired", "unsigned": "MissingAccessKeyId"}
FROM_FORM = {"method": "InvalidApi.NotFound", "path": "InvalidVersion"}


@pytest.mark.parametrize("part", TAMPERED)
def test_a_request_tampered_with_after_signing_is_refused(emulator, monkeypatch, part):
    """Whatever is changed between the SDK's signature and the wire, the emulator refuses it."""
    send = DaraCore.do_action

    def tamper(request, runtime):
        if isinstance(request.body, str):
            request.body = request.body.encode()
        TAMPERED[part](request)
        return send(request, runtime)

    monkeypatch.setattr(DaraCore, "do_action", tamper)
    request = request_of("search_image_by_name", product_id="p", pic_name="n", score_threshold="0.10")
    with pytest.raises((ClientException, ServerException)) as caught:
        client_of(emulator).search_image_by_name(request)
    expected = FROM_FORM.get(part) or EXPECTED.get(part, "SignatureDoesNotMatch")
    assert caught.value.code == expected


async def test_throttling_and_odd_answers_come_out_as_the_sdk_treats_them(emulator):
    """A waiting time makes a throttling exception, a 5xx a server's, a page an unreadable one, a 200 none."""
    client = client_of(emulator)
    cases = {
        ThrottlingException: ErrorAnswer("DeniedRequest", retry_after=0.25),
        ClientException: ErrorAnswer("DeniedRequest"),
        ServerException: ErrorAnswer("AccessEngineFailed"),
        UnretryableException: NotJson(),
    }
    try:
        for kind, effect in cases.items():
            emulator.set_faults(FaultPlan((FaultRule(effect),)))
            with pytest.raises(kind) as caught:
                client.detail(request_of("detail"))
            if kind is ThrottlingException:
                assert caught.value.retry_after == 250
        emulator.set_faults(FaultPlan((FaultRule(InBodyFailure(number=5)),)))
        assert client.detail(request_of("detail")).body.success is False
    finally:
        emulator.set_faults(FaultPlan())


# The way without verification is tried on purpose.
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("trust", ["ca", "ignore"])
async def test_the_advance_calls_upload_over_tls(secured, certificate, way, trust):
    """Ask for a place, post the object, name its URL: the SDK's own upload leads to the same image."""
    client = client_of(secured)
    # The only way to point the SDK's upload at another host than the vendor's.
    client._open_platform_endpoint = secured.endpoint.removeprefix("http://")
    runtime = RuntimeOptions(ca=str(certificate[0])) if trust == "ca" else RuntimeOptions(ignore_ssl=True)

    async def call(name: str, **fields):
        request = request_of(name, advance=True, **fields)
        if way == "async":
            return (await getattr(client, f"{name}_advance_async")(request, runtime)).body
        return getattr(client, f"{name}_advance")(request, runtime).body

    secured.log.clear()
    added = await call("add_image", product_id="q", pic_name="up.jpg", pic_content_object=io.BytesIO(RED))
    assert added.success is True
    found = await call("search_image_by_pic", pic_content_object=io.BytesIO(RED))
    assert found.auctions[0].pic_name == "up.jpg"
    assert found.auctions[0].score == pytest.approx(1.0, abs=0.001)
    compared = await call(
        "compare_similar_by_image",
        primary_pic_content_object=io.BytesIO(RED),
        secondary_pic_content_object=io.BytesIO(BLUE),
    )
    assert 0 <= compared.score < 1
    actions = [entry.action for entry in secured.log.entries()]
    assert actions == [
        "AuthorizeFileUpload", "PostObject", "AddImage",
        "AuthorizeFileUpload", "PostObject", "SearchImageByPic",
        *["AuthorizeFileUpload", "PostObject"] * 2, "CompareSimilarByImage",
    ]  # fmt: skip


def test_the_advance_calls_work_without_tls_too():
    """Without a certificate the place is spelled so that the Python SDK posts over plain HTTP."""
    with Emulator(EmulatorOptions(instances=(InstanceOptions(rates=LIFTED),), keys=(LASTING,))) as running:
        client = client_of(running)
        client._open_platform_endpoint = running.endpoint.removeprefix("http://")
        request = request_of("search_image_by_pic", advance=True, pic_content_object=io.BytesIO(RED))
        assert client.search_image_by_pic_advance(request, RuntimeOptions()).body.success is True
