"""The client against real servers on loopback: what it sends, and what every kind of answer becomes."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import aiohttp.abc
import pytest
from aiohttp import web
from web_rig import raw_server, web_server

from batchsearch.errors import ConfigError
from batchsearch.service.client import USER_AGENT, Client
from batchsearch.service.credentials import CredentialChain, Credentials, StaticCredentials
from batchsearch.service.endpoint import Endpoint, parse_endpoint
from batchsearch.service.form import build_call
from batchsearch.service.http_exchange import MAX_REPLY_BYTES, Timeouts, new_session
from batchsearch.service.signing import authorization_v3, canonical_request, encoded_query

_CREDENTIALS = Credentials("test-id", "test-secret", "test-token")
_GOOD = {
    "RequestId": "r-1",
    "Success": True,
    "Code": 0,
    "Msg": "success",
    "Head": {"DocsFound": 1, "DocsReturn": 1, "SearchTime": 3},
    "PicInfo": {"CategoryId": 3, "Region": "1,2,3,4", "AllCategories": [], "MultiRegion": []},
    "Auctions": [{"ProductId": "p", "PicName": "n", "CategoryId": 3, "Score": 0.5}],
}
_CALL = build_call("SearchImageByPic", "demo", {"num": 1, "score_threshold": "0.50"}, [b"picture" * 1000])


class _Server:
    """An HTTP server that records requests and answers what it is told."""

    def __init__(self):
        self.requests = []
        self.answers = []
        self.peers = set()

    async def handle(self, request):
        body = await request.read()
        self.peers.add(request.transport.get_extra_info("peername"))
        self.requests.append((request, body))
        answer = self.answers.pop(0) if self.answers else _json(_GOOD)
        return await answer(request) if callable(answer) else answer


def _json(content, status=200, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(
        status=status,
        body=json.dumps(content).encode(),
        headers={"content-type": "application/json", **named},
    )


@pytest.fixture
async def server():
    """A server on a port of its own."""
    handler = _Server()
    async with web_server(handler.handle, "/") as handler.host:
        yield handler


@asynccontextmanager
async def _client(host, credentials=None, **options):
    async with new_session(connections=4) as session:
        endpoint = parse_endpoint(f"http://{host}")
        yield Client(session, endpoint, credentials or StaticCredentials(_CREDENTIALS), **options)


def _replying(reply, *, close=True):
    """A server that writes `reply` (bytes, or nothing at all) after the request's head and ends."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if reply is None:
            writer.transport.abort()
            return
        writer.write(reply)
        await writer.drain()
        if not close:
            await reader.read(-1)

    return raw_server(serve)


async def _sent(host, call=_CALL, credentials=None, **options):
    """What a call becomes that a client sends."""
    async with _client(host, credentials, **options) as client:
        return await client.send(call)


async def test_a_call_arrives_as_documented(server):
    """Method, path, query, headers, body and signature are those of the API's wire format."""
    now = datetime(2026, 3, 1, 8, 9, 10, tzinfo=UTC)
    answer = await _sent(server.host, clock=lambda: now, nonce=lambda: "n" * 32)
    request, body = server.requests[0]
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert (request.method, request.raw_path) == ("POST", "/?ScoreThreshold=0.50")
    assert body == _CALL.body
    assert headers["host"] == server.host
    assert headers["x-acs-action"] == "SearchImageByPic"
    assert headers["x-acs-version"] == "2020-12-14"
    assert headers["x-acs-date"] == "2026-03-01T08:09:10Z"
    assert headers["x-acs-signature-nonce"] == "n" * 32
    assert headers["x-acs-content-sha256"] == hashlib.sha256(body).hexdigest()
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert headers["content-length"] == str(len(body))
    assert headers["accept"] == "application/json"
    assert headers["user-agent"] == USER_AGENT
    listed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    signed = {name: headers[name] for name in listed}
    canonical = canonical_request(
        "POST", "/", encoded_query([("ScoreThreshold", "0.50")]), signed, headers["x-acs-content-sha256"]
    )
    assert headers["authorization"] == authorization_v3(_CREDENTIALS, signed, canonical)
    assert answer.sent_at == now


async def test_a_good_answer(server):
    """A success has no code and no origin, and its records are typed."""
    answer = await _sent(server.host)
    assert (answer.http_status, answer.code, answer.origin, answer.request_id) == (200, None, None, "r-1")
    assert answer.response.hits[0].product_id == "p"
    assert answer.field_problems == 0
    assert answer.latency > 0


async def test_an_operation_without_a_body(server):
    """A query-only operation is a POST of length 0 without a content type."""
    server.answers.append(_json({"RequestId": "r", "Success": True, "Instance": {"Name": "demo", "Qps": 5}}))
    answer = await _sent(server.host, build_call("Detail", "demo", {}, []))
    request, body = server.requests[0]
    assert (body, request.headers["Content-Length"], request.query_string) == (b"", "0", "InstanceName=demo")
    assert "Content-Type" not in request.headers
    assert answer.response.instance.qps == 5


async def test_the_older_signature(server):
    """With V1 the signature and all common parameters are in the query."""
    assert (await _sent(server.host, signature="v1")).code is None
    request, _ = server.requests[0]
    assert {"Action", "Signature", "SecurityToken", "ScoreThreshold"} <= request.query.keys()
    assert "authorization" not in request.headers


async def test_large_bodies_arrive_whole(server):
    """A body of several megabytes is sent as it is, with its length."""
    call = build_call("SearchImageByPic", "demo", {}, [bytes(range(256)) * 12_000])
    assert (await _sent(server.host, call)).code is None
    request, body = server.requests[0]
    assert body == call.body
    assert request.headers["Content-Length"] == str(len(call.body))


async def test_connections_are_kept(server):
    """Calls one after the other use one connection."""
    async with _client(server.host) as client:
        for _ in range(3):
            await client.send(_CALL)
    assert len(server.peers) == 1


async def test_a_denial_with_its_hint(server):
    """A denied call has its code, and the wait in seconds that the service hints in milliseconds."""
    content = {"RequestId": "r", "HostId": "h", "Code": "DeniedRequest", "Message": "flow control"}
    server.answers.append(_json(content, 403, x_acs_retry_after="1500"))
    answer = await _sent(server.host)
    assert (answer.http_status, answer.code, answer.origin) == (403, "DeniedRequest", "api")
    assert answer.retry_after == 1.5
    assert answer.response is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "2"}, 2.0),
        ({"x_acs_retry_after": "-1"}, None),
        ({"x_acs_retry_after": "x"}, None),
        ({"x_acs_retry_after": "9" * 12}, 3600.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
    ],
)
async def test_hints_to_wait(server, headers, seconds):
    """Only a positive whole number is a hint, and an hour is the most that is believed."""
    server.answers.append(_json({"Code": "Throttling"}, 400, **headers))
    assert (await _sent(server.host)).retry_after == seconds


async def test_success_false_under_200(server):
    """A failure in the body of a 200 is a failure."""
    server.answers.append(_json({"RequestId": "r", "Success": False, "Code": 17, "Msg": "engine"}))
    answer = await _sent(server.host)
    assert (answer.http_status, answer.code, answer.message) == (200, "Code.17", "engine")


async def test_redirections_are_not_followed(server):
    """A signed request goes nowhere else: a redirection is an answer with a code."""
    server.answers.append(web.Response(status=307, headers={"location": f"http://{server.host}/"}))
    assert (await _sent(server.host)).code == "Transport.Redirected"
    assert len(server.requests) == 1


async def test_compressed_answers_are_read(server):
    """An answer that a proxy compressed is read all the same."""
    body = gzip.compress(json.dumps(_GOOD).encode())
    server.answers.append(web.Response(body=body, headers={"content-encoding": "gzip"}))
    assert (await _sent(server.host)).code is None


async def test_endless_answers_are_cut(server):
    """An answer that passes the bound is not read on, compressed or not."""
    server.answers.append(web.Response(body=b" " * (MAX_REPLY_BYTES + 1)))
    bomb = gzip.compress(b" " * (4 * MAX_REPLY_BYTES))
    server.answers.append(web.Response(body=bomb, headers={"content-encoding": "gzip"}))
    async with _client(server.host) as client:
        for _ in range(2):
            assert (await client.send(_CALL)).code == "Transport.BodyTooLarge"


_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    ("reply", "code", "status"),
    [
        (None, "Transport.ConnectionLost", None),
        (b"", "Transport.ConnectionLost", None),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "Transport.NotHttp", None),
        (_HEAD + b"content-length: 100\r\n\r\n{", "Transport.TruncatedBody", 200),
        (_HEAD + b"transfer-encoding: chunked\r\n\r\nffff\r\n{", "Transport.TruncatedBody", 200),
        (_HEAD + b"content-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd", "Transport.TruncatedBody", 200),
        (_HEAD + b"content-length: 0\r\n\r\n", "Transport.EmptyBody", 200),
        (_HEAD + b"content-length: 6\r\n\r\n<html>", "Transport.NotJson", 200),
        (b"HTTP/1.1 502 Bad\r\ncontent-length: 6\r\n\r\n<html>", "Transport.NotJson", 502),
        (b"HTTP/1.1 403 No\r\ncontent-length: 6\r\n\r\n<html>", "Transport.NotTheService", 403),
    ],
)
async def test_broken_answers(reply, code, status):
    """Every way in which an answer can break has its code, and the status when there was one."""
    async with _replying(reply) as host:
        answer = await _sent(host)
    assert (answer.code, answer.origin, answer.http_status) == (code, "transport", status)
    assert answer.message


@pytest.mark.parametrize("reply", [b"", _HEAD + b"content-length: 100\r\n\r\n{"])
async def test_slow_answers(reply):
    """An answer that does not come, or does not end, is a read timeout."""
    async with _replying(reply, close=False) as host:
        answer = await _sent(host, timeouts=Timeouts(connect=5, total=0.05))
    assert answer.code == "Transport.ReadTimeout"


async def test_nobody_listens():
    """A refused connection is a failure to connect."""
    async with _replying(b"") as host:
        pass
    answer = await _sent(host)
    assert (answer.code, answer.http_status) == ("Transport.ConnectFailed", None)


class _NoNames(aiohttp.abc.AbstractResolver):
    """A name server that knows nothing."""

    async def resolve(self, host, port=0, family=0):
        raise OSError(None, "unknown")

    async def close(self):
        pass


async def test_a_name_without_address():
    """A host that no name server knows is a failure of its own."""
    connector = aiohttp.TCPConnector(resolver=_NoNames())
    async with aiohttp.ClientSession(connector=connector) as session:
        client = Client(session, Endpoint("http", "nowhere.invalid", 80), StaticCredentials(_CREDENTIALS))
        answer = await client.send(_CALL)
    assert answer.code == "Transport.DnsFailed"


async def test_a_connection_that_cannot_be_secured(server):
    """HTTPS to a port that speaks HTTP is a TLS failure."""
    async with new_session(connections=1) as session:
        client = Client(session, parse_endpoint(server.host), StaticCredentials(_CREDENTIALS))
        answer = await client.send(_CALL)
    assert answer.code == "Transport.TlsFailed"


async def test_the_clock_is_learned_from_a_refusal(server):
    """A refused time stamp corrects the clock of later calls by the answer's Date, for good."""
    now = datetime(2026, 3, 1, 8, 0, 0, tzinfo=UTC)
    expired = {"RequestId": "r", "Code": "InvalidTimeStamp.Expired", "Message": "is expired"}
    server.answers.append(_json(expired, 400, date="Sun, 01 Mar 2026 09:30:00 GMT"))
    async with _client(server.host, clock=lambda: now) as client:
        assert (await client.send(_CALL)).code == "InvalidTimeStamp.Expired"
        assert client.skew == timedelta(minutes=90).total_seconds()
        answer = await client.send(_CALL)
    assert server.requests[1][0].headers["x-acs-date"] == "2026-03-01T09:30:00Z"
    assert answer.sent_at == now


@pytest.mark.parametrize("date", ["yesterday", "Sun, 99 Mar 2026 09:30:00 GMT", ""])
async def test_a_senseless_date_teaches_nothing(server, date):
    """A Date that is none leaves the clock as it was."""
    server.answers.append(_json({"Code": "InvalidTimeStamp.Expired"}, 400, date=date))
    async with _client(server.host) as client:
        await client.send(_CALL)
        assert client.skew == 0.0


async def test_every_call_has_a_nonce_of_its_own(server):
    """The same call sent twice is signed twice."""
    async with _client(server.host) as client:
        await client.send(_CALL)
        await client.send(_CALL)
    nonces = {request.headers["x-acs-signature-nonce"] for request, _ in server.requests}
    assert len(nonces) == 2


async def test_refreshed_credentials_sign_the_next_call(server):
    """Refused credentials are fetched anew, once, and the new ones sign."""

    class _Turning:
        place = "turning"
        temporary = True
        fetched = 0

        def fetch(self, *, renewed):
            self.fetched += 1
            return Credentials(f"id{self.fetched}", "s", "t")

    async with _client(server.host, CredentialChain([_Turning()])) as client:
        server.answers.append(_json({"Code": "InvalidSecurityToken.Expired", "RequestId": "r"}, status=400))
        await client.send(_CALL)
        await client.refresh_credentials()
        await client.refresh_credentials()
        await client.send(_CALL)
    assert [request.headers["x-acs-accesskey-id"] for request, _ in server.requests] == ["id1", "id2"]


async def test_no_credentials_end_the_run(server):
    """Without credentials nothing is sent, and the error says where they were looked for."""
    async with _client(server.host, CredentialChain([])) as client:
        with pytest.raises(ConfigError, match="no credentials"):
            await client.send(_CALL)
    assert server.requests == []


async def test_cancellation_passes(server):
    """A cancelled send is cancelled, not turned into an answer."""
    reached = asyncio.Event()

    async def never(_):
        reached.set()
        await asyncio.Event().wait()

    server.answers.append(never)
    async with _client(server.host) as client:
        task = asyncio.create_task(client.send(_CALL))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
