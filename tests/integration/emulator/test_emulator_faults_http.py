"""Faults, flow control, limits and hostile clients, as they look from the other end of the connection."""

from __future__ import annotations

import http.client
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from image_files import in_base64
from PIL import Image

from batchsearch.emulator.caller import FORM, Caller, signed_v3
from batchsearch.emulator.faults import (
    ErrorAnswer,
    FaultPlan,
    FaultRule,
    InBodyFailure,
    Latency,
    NotJson,
    Reset,
    Stall,
    Truncate,
    WrongTypes,
)
from batchsearch.emulator.http.request_log import most_within, read_log
from batchsearch.emulator.http.signatures import AccessKey
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions, random_key
from batchsearch.emulator.server import Emulator

LIFTED = dict.fromkeys(("query", "add", "delete", "update", "other"), math.inf)


CONTENT = in_base64(Image.new("RGB", (128, 128), "plum"))

SEARCH = ("SearchImageByPic", {"InstanceName": "demo", "PicContent": CONTENT})
ADD = ("AddImage", {"InstanceName": "demo", "ProductId": "p", "PicName": "n", "PicContent": CONTENT})
DETAIL = ("Detail", {"InstanceName": "demo"})


@pytest.fixture(scope="module")
def emulator():
    options = EmulatorOptions(
        instances=(InstanceOptions(rates=LIFTED),),
        transfer_seconds=0.3,
        idle_seconds=0.3,
        max_body=1024 * 1024,
    )
    with Emulator(options) as running:
        assert running.caller().call(*ADD).status == 200
        yield running


@pytest.fixture
def harm(emulator):
    """Sets one fault for every request; lifted after the test."""

    def set_rules(*effects, **settings) -> None:
        emulator.set_faults(FaultPlan(tuple(FaultRule(effect, **settings) for effect in effects)))

    yield set_rules
    emulator.set_faults(FaultPlan())


def items(emulator) -> int:
    return emulator.catalogue().count()


def test_a_reset_ends_the_connection_without_an_answer(emulator, harm):
    """The client sees a reset; the log has the request, without status, and nothing was done."""
    emulator.catalogue().delete("p", None)
    harm(Reset(), times=1)
    with pytest.raises(ConnectionResetError):
        emulator.caller().call(*ADD)
    entry = emulator.log.entries()[-1]
    assert (entry.verdict, entry.status, entry.fault) == ("granted", None, "reset")
    assert items(emulator) == 0
    assert emulator.caller().call(*ADD).status == 200


def test_an_answer_can_be_lost_after_the_work_was_done(emulator, harm):
    """With `handled` the operation takes effect although the client never hears of it."""
    emulator.catalogue().delete("p", None)
    harm(Reset(handled=True))
    with pytest.raises(ConnectionResetError):
        emulator.caller().call(*ADD)
    assert items(emulator) == 1


def test_a_stall_lasts_as_long_as_it_should(emulator, harm):
    """A stalled request gets nothing until the connection ends."""
    harm(Stall(seconds=0.2))
    started = time.monotonic()
    with pytest.raises(OSError, match="reset"):
        emulator.caller().call(*DETAIL)
    assert time.monotonic() - started >= 0.2


def test_a_truncated_answer_is_shorter_than_announced(emulator, harm):
    """The announced length is right; the body ends early."""
    harm(Truncate(share=0.5))
    with pytest.raises(http.client.IncompleteRead) as caught:
        emulator.caller().call(*DETAIL)
    assert len(caught.value.partial) > 0
    assert caught.value.expected > 0


def test_a_proxys_page_is_no_json(emulator, harm):
    """The answer is a page with the status asked for."""
    harm(NotJson(status=502, body="<h1>Bad Gateway</h1>"))
    received = emulator.caller().call(*DETAIL)
    assert (received.status, received.headers["content-type"]) == (502, "text/html")
    assert received.body == b"<h1>Bad Gateway</h1>"


def test_fields_of_wrong_types_are_valid_json(emulator, harm):
    """Only the named fields change, the rest of the answer stays."""
    harm(WrongTypes({"Auctions.*.Score": "high", "Head": None}))
    body = emulator.caller().call(*SEARCH).json()
    assert {hit["Score"] for hit in body["Auctions"]} == {"high"}
    assert body["Head"] is None
    assert body["Success"] is True


def test_a_failure_can_hide_in_a_200(emulator, harm):
    """Success false with a number as code comes under HTTP 200."""
    harm(InBodyFailure(number=-7, message="no"))
    received = emulator.caller().call(*SEARCH)
    assert (received.status, received.json()["Success"], received.json()["Code"]) == (200, False, -7)


def test_an_error_can_have_any_status_and_announce_a_wait(emulator, harm):
    """Status and waiting time of an error on demand are as asked for."""
    harm(ErrorAnswer("Throttling.User", status=429, retry_after=1.5))
    received = emulator.caller().call(*DETAIL)
    assert (received.status, received.code) == (429, "Throttling.User")
    assert received.headers["x-acs-retry-after"] == "1500"


def test_latency_holds_the_answer_back_and_delays_no_one_else(emulator, harm):
    """Slow answers overlap: each takes its delay, all together less than their sum."""
    harm(Latency(seconds=0.3))
    threads = [threading.Thread(target=emulator.caller().call, args=DETAIL) for _ in range(8)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, entries = time.monotonic() - started, emulator.log.entries()[-8:]
    assert all(entry.seconds >= 0.3 and entry.fault == "latency" for entry in entries)
    assert took < sum(entry.seconds for entry in entries)


def test_flow_control_grants_the_rate_and_records_each_verdict():
    """Of a burst the instance grants the tier; the rest is denied with the waiting time when asked for."""
    instance = InstanceOptions(qps=1, counting="sliding_log")
    with Emulator(EmulatorOptions(instances=(instance,), announce_retry=True)) as running:
        received = [running.caller().call(*SEARCH) for _ in range(12)]
        granted = running.log.entries(verdict="granted")
        denied = running.log.entries(verdict="denied")
    assert most_within(entry.judged for entry in granted) <= 1
    assert len(granted) + len(denied) == 12
    assert [entry.code for entry in denied] == ["DeniedRequest"] * len(denied)
    waits = [int(one.headers["x-acs-retry-after"]) for one in received if one.status == 403]
    assert len(waits) == len(denied) > 0
    assert all(0 < wait <= 1000 for wait in waits)


def test_keys_can_change_while_it_runs(emulator):
    """After a change of keys the old pair is refused and the new one works."""
    old, new = emulator.caller(), random_key()
    before = emulator._keys
    emulator.set_keys((new,))
    try:
        assert emulator.access_key_id == new.access_key_id
        assert old.call(*DETAIL).code == "InvalidAccessKeyId.NotFound"
        assert emulator.caller().call(*DETAIL).status == 200
    finally:
        emulator.set_keys(before)


def test_a_clock_that_is_off_shows_in_the_date_header():
    """An emulator an hour ahead refuses correct dates, says its own, and accepts requests made by it."""
    options = EmulatorOptions(instances=(InstanceOptions(rates=LIFTED),), clock_offset=3600.0)
    with Emulator(options) as running:
        received = running.caller().call(*DETAIL)
        assert received.code == "InvalidTimeStamp.Expired"
        theirs = parsedate_to_datetime(received.headers["date"]).timestamp()
        assert 3590 <= theirs - time.time() <= 3610
        assert running.caller().call(*DETAIL, now=theirs).status == 200


def raw(emulator, data: bytes) -> bytes:
    """Send bytes as they are; returns what comes until the other side closes."""
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=10) as connection:
        connection.sendall(data)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HEAD + b"Content-Length: 100\r\n\r\nnever whole", b"TimeoutForTransferImage"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nnever\r\n", b"TimeoutForTransferImage"),
        (HEAD + b"Content-Length: 1048577\r\n\r\n", b"RequestBodyTooLarge"),
        (HEAD + b"Content-Length: 99999999999999\r\n\r\n", b"RequestBodyTooLarge"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n", b"Timeout"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b'"Code":"BadRequest"'),
        (HEAD + b"Content-Type: multipart/form-data\r\nContent-Length: 1\r\n\r\nx", b"MalformedPOSTRequest"),
        (HEAD + b"X-Acs-Action: \xff\xfe\r\nContent-Length: 0\r\n\r\n", b"MissingVersion"),
        (HEAD + b"X-Long: " + b"x" * 20000 + b"\r\n\r\n", b'"Code":"BadRequest"'),
        (b"POST /?%ff=%fe&&&= HTTP/1.1\r\nHost: http://[\r\nConnection: close\r\n\r\n", b"MissingAction"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b'"Code":"InvalidApi.NotFound"'),
        (b"not HTTP at all\r\n\r\n", b'"Code":"BadRequest"'),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b'"Code":"BadRequest"'),
        (HEAD + b"Content-Length: -1\r\n\r\n", b'"Code":"BadRequest"'),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", b'"Code":"BadRequest"'),
        (b"POST / HTTP/9.9\r\nHost: x\r\n\r\n", b'"Code":"BadRequest"'),
        (b"POST / HTTP/1.1\r\nHost: x", b""),
        (b"", b""),
    ],
)
def test_slow_big_and_broken_requests_are_answered_or_cut_off(emulator, data, expected):
    """No client holds a connection for longer than the limits, and none gets a crash."""
    received = raw(emulator, data)
    assert expected in received
    assert b"Traceback" not in received
    assert b"UnknownException" not in received
    assert emulator.caller().call(*DETAIL).status == 200


def test_what_is_no_http_gets_an_answer_in_the_services_shape(emulator):
    """Malformed HTTP is answered as any refusal is, with a request id, and stands in the request log."""
    head, _, body = raw(emulator, b"not HTTP at all\r\n\r\n").partition(b"\r\n\r\n")
    answer = json.loads(body)
    assert head.partition(b"\r\n")[0].endswith(b" 400 Bad Request")
    assert b"application/json;charset=utf-8" in head
    assert answer.keys() == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    entry = emulator.log.entries()[-1]
    assert (entry.verdict, entry.status, entry.code) == ("refused", 400, "BadRequest")
    assert entry.request_id == answer["RequestId"]
    assert f"x-acs-request-id: {entry.request_id}".encode() in head


def test_a_client_that_waits_to_be_told_sends_its_body(emulator):
    """`Expect: 100-continue`, as curl sends with a large body, is answered before the body is read."""
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=10) as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(b"a=b")
        assert b"MissingAction" in connection.recv(65536)


def test_a_chunked_body_too_large_is_refused_as_it_comes(emulator):
    """The size limit holds without a Content-Length too."""
    chunk = b"40000\r\n" + b"x" * 0x40000 + b"\r\n"
    body = chunk * 5 + b"0\r\n\r\n"
    assert b"RequestBodyTooLarge" in raw(emulator, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)


def test_a_chunked_request_is_like_any_other(emulator):
    """The npm client sends chunked bodies: the signature covers the bytes without the framing."""
    body = b"InstanceName=demo&ProductId=nobody&PicName=n"
    headers = {"host": emulator.endpoint.removeprefix("http://"), "content-type": FORM}
    sent = signed_v3(emulator._keys[0], action="CheckImageExists", target="/", body=body, headers=headers)
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=10)
    connection.request("POST", "/", body=iter((body[:7], body[7:])), headers=sent, encode_chunked=True)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert answer["Exists"] is False


def test_the_log_has_no_secret_and_no_image(emulator, tmp_path):
    """Neither the key's secret nor the image's text is in any entry, in memory or in the file."""
    path = tmp_path / "log.jsonl"
    options = EmulatorOptions(instances=(InstanceOptions(rates=LIFTED),), log_path=path)
    with Emulator(options) as running:
        assert running.caller().call(*SEARCH).status == 200
        running.caller().call("CheckImageExists", {"InstanceName": "demo", "ProductId": "衣", "PicName": "n"})
    text = path.read_text("utf-8") + repr(running.log.entries())
    assert running.access_key_secret not in text
    assert SEARCH[1]["PicContent"][:40] not in text
    first, second = read_log(path)
    assert (first.action, first.verdict, first.status, first.code) == (
        "SearchImageByPic",
        "granted",
        200,
        None,
    )
    assert (second.product_id, second.pic_name) == ("衣", "n")
    assert first.access_key_id == running.access_key_id
    assert first.nonce != second.nonce
    assert len(first.body_sha256) == 64


def test_a_taken_port_is_reported_to_who_starts():
    """`start` raises what went wrong in its thread."""
    with Emulator() as running, pytest.raises(OSError, match="in use"):
        Emulator(EmulatorOptions(port=running.port)).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serving_ends_in_good_order_on_a_signal(tmp_path, number):
    """A process that serves stops on SIGTERM or SIGINT with code 0, and what was added is kept."""
    script = (
        "import sys; from pathlib import Path; from batchsearch.emulator.server import serve_forever\n"
        "from batchsearch.emulator.instance_options import EmulatorOptions\n"
        "from batchsearch.emulator.http.signatures import AccessKey\n"
        "options = EmulatorOptions(data=Path(sys.argv[1]), keys=(AccessKey('id', 'secret'),))\n"
        "serve_forever(options, ready=lambda emulator: print(emulator.endpoint, flush=True))\n"
    )
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    for expected in (0, 1):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            caller = Caller(process.stdout.readline().strip(), AccessKey("id", "secret"))
            assert caller.call(*DETAIL).json()["Instance"]["TotalCount"] == expected
            assert caller.call(*ADD).status == 200
            process.send_signal(number)
            assert process.wait(20) == 0
