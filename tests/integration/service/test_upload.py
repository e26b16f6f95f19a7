"""The upload of an image against a stand-in for the open platform and the object store."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from aiohttp import web
from web_rig import web_server

from batchsearch.service.client import Answer
from batchsearch.service.clock import ServiceClock
from batchsearch.service.credentials import Credentials, StaticCredentials
from batchsearch.service.endpoint import parse_endpoint
from batchsearch.service.http_exchange import new_session
from batchsearch.service.upload import Uploaded, Uploader, multipart

_NOW = datetime(2026, 3, 1, 8, 9, 10, tzinfo=UTC)


class _Store:
    """Gives permissions on GET and takes objects on POST, at one address."""

    def __init__(self):
        self.asked = []
        self.stored = []
        self.permission = {}
        self.permission_status = 200
        self.refusal = None

    async def answer(self, request):
        return await (self.permit if request.method == "GET" else self.store)(request)

    async def permit(self, request):
        self.asked.append(request)
        return web.json_response(self.permission, status=self.permission_status)

    async def store(self, request):
        fields = {}
        async for part in await request.multipart():
            fields[part.name] = (part.filename, bytes(await part.read()))
        self.stored.append(fields)
        if self.refusal is not None:
            return web.Response(status=403, body=self.refusal, content_type="application/xml")
        return web.Response(status=201, body=b"<PostResponse/>", content_type="application/xml")


@pytest.fixture
async def store():
    """A stand-in on a port of its own, that permits everything."""
    handler = _Store()
    async with web_server(handler.answer, "/") as handler.host:
        handler.permission = {
            "RequestId": "r",
            "AccessKeyId": "oss-id",
            "EncodedPolicy": "policy==",
            "Signature": "sig+/=",
            "Bucket": "127",
            "Endpoint": handler.host.removeprefix("127."),
            "ObjectKey": "a/b 1.jpg",
            "UseAccelerate": False,
        }
        yield handler


async def _upload(store, image=b"\x00picture\r\n--\xff"):
    async with new_session(connections=2) as session:
        uploader = Uploader(
            session,
            "cn-shanghai",
            StaticCredentials(Credentials("id", "the-secret")),
            clock=ServiceClock(lambda: _NOW),
            platform=parse_endpoint(f"http://{store.host}"),
        )
        return await uploader.upload(image)


async def test_a_image_is_stored_and_named(store):
    """Permission, upload, address: the three steps of the official SDK, with the fields it sends."""
    uploaded = await _upload(store)
    assert isinstance(uploaded, Uploaded)
    assert uploaded.url == f"http://{store.host}/a/b 1.jpg"
    assert uploaded.url not in repr(uploaded)
    asked = store.asked[0]
    assert dict(asked.query) == {"Product": "ImageSearch", "RegionId": "cn-shanghai"}
    assert asked.headers["x-acs-action"] == "AuthorizeFileUpload"
    assert asked.headers["x-acs-version"] == "2019-12-19"
    assert asked.headers["x-acs-date"] == "2026-03-01T08:09:10Z"
    assert asked.headers["authorization"].startswith("ACS3-HMAC-SHA256 Credential=id,")
    fields = store.stored[0]
    assert list(fields) == [
        *("OSSAccessKeyId", "Signature", "host", "key", "policy", "success_action_status", "file")
    ]
    assert fields["key"] == (None, b"a/b 1.jpg")
    assert fields["success_action_status"] == (None, b"201")
    assert fields["file"] == ("a/b 1.jpg", b"\x00picture\r\n--\xff")


async def test_a_refused_permission_has_the_platforms_code(store):
    """The open platform's refusal is an answer like any call's."""
    store.permission = {"Code": "Forbidden.RAM", "Message": "no", "RequestId": "x"}
    store.permission_status = 403
    answer = await _upload(store)
    assert isinstance(answer, Answer)
    assert (answer.http_status, answer.code, answer.origin) == (403, "Forbidden.RAM", "api")
    assert answer.request_id == "x"
    assert store.stored == []


@pytest.mark.parametrize("body", [b"<Error><Code>AccessDenied</Code><RequestId>q</RequestId></Error>"])
async def test_a_refused_upload_has_the_stores_code(store, body):
    """The object store's refusal keeps its code, marked as the upload's."""
    store.refusal = body
    answer = await _upload(store)
    assert (answer.http_status, answer.code, answer.request_id) == (403, "Upload.AccessDenied", "q")


@pytest.mark.parametrize(
    "change",
    [
        {"Bucket": None},
        {"ObjectKey": ""},
        {"Signature": "a\r\nb"},
        {"Endpoint": "host/path"},
        {"Bucket": "u@127"},
    ],
)
async def test_a_broken_permission_is_not_used(store, change):
    """A permission whose parts are missing or could change the request goes nowhere."""
    store.permission |= change
    answer = await _upload(store)
    assert answer.code == "Upload.BadPermission"
    assert store.stored == []


def test_a_file_name_cannot_leave_its_part():
    """Quotes and line breaks in the object's name are encoded."""
    body = multipart({}, 'a"\r\nb', b"x", "B")
    assert b'filename="a%22%0D%0Ab"' in body
    assert body.count(b"--B") == 2
