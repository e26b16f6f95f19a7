"""The emulator's promises for any input: no crash, known codes, exact decoding, rates that hold."""

from __future__ import annotations

import math
import time
from urllib.parse import quote, unquote_plus, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_files import in_base64
from PIL import Image

from batchsearch.emulator.caller import signed_v3
from batchsearch.emulator.flow import COUNTINGS, counter_for
from batchsearch.emulator.http.error_table import ERRORS, RefusedError
from batchsearch.emulator.http.gateway import Gateway
from batchsearch.emulator.http.instance_page import instance_page
from batchsearch.emulator.http.protocol import decode_pair_text, read_call, read_inbound
from batchsearch.emulator.http.replies import json_bytes, xml_bytes
from batchsearch.emulator.http.request_log import RequestLog, most_within
from batchsearch.emulator.http.signatures import percent, verify
from batchsearch.emulator.http.upload_place import UploadRefusedError, UploadStore, read_form
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions, random_key
from batchsearch.emulator.operations import OPERATIONS

LIFTED = dict.fromkeys(("query", "add", "delete", "update", "other"), math.inf)
ANY_TEXT = st.text(max_size=40)
NAMES = st.sampled_from(
    [
        "InstanceName",
        "PicContent",
        "PrimaryPicContent",
        "SecondaryPicContent",
        "CategoryId",
        "Crop",
        "Region",
        "Num",
        "Start",
        "Filter",
        "DistinctProductId",
        "ScoreThreshold",
        "ProductId",
        "PicName",
        "CustomContent",
        "IntAttr",
        "IntAttr4",
        "StrAttr",
        "StrAttr3",
        "IsDeleteByFilter",
        "Action",
        "Format",
        "Signature",
    ]
)


IMAGE = in_base64(Image.new("RGB", (100, 100), "navy"))
# Values that get past the first checks, so that the later ones meet odd ones too.
VALUES = st.one_of(
    ANY_TEXT,
    st.sampled_from(
        [
            "demo",
            IMAGE,
            IMAGE[:200],
            "true",
            "FALSE",
            "0",
            "1",
            "10",
            "-1",
            "499",
            "1e9",
            "٣",
            "0.50",
            "10,90,10,90",
            "90,10,10,90",
            "int_attr=1",
            'str_attr in ("a")',
            "http://x/y",
            f"http://x/upload-{'0' * 32}",
            "",
            "p",
            "\x00",
            "\ud800",
            "9" * 400,
        ]
    ),
)


@pytest.fixture(scope="module")
def gateway():
    key = random_key()
    instances = (InstanceOptions(service_type="product", capacity=20, rates=LIFTED),)
    opened = Gateway(EmulatorOptions(instances=instances, keys=(key,)), (key,))
    yield opened, key
    opened.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    action=st.sampled_from(sorted(OPERATIONS)),
    parameters=st.dictionaries(st.one_of(NAMES, ANY_TEXT), VALUES, max_size=8),
    named=st.booleans(),
)
def test_any_signed_form_is_answered_or_refused_with_a_known_code(gateway, action, parameters, named):
    """Whatever parameters an operation gets, it answers with writable fields or refuses with a known code."""
    opened, key = gateway
    if named:
        parameters = {**parameters, "InstanceName": "demo"}
    body = urlencode(parameters, errors="replace").encode()
    headers = signed_v3(key, action=action, target="/", body=body, headers={"host": "h"})
    try:
        examined = opened.examine(read_inbound("POST", "/", headers.items(), body))
        answer = opened.carry_out(opened.admit(examined, at=time.monotonic()))
    except RefusedError as error:
        assert error.code in ERRORS or error.code.startswith("Missing")  # noqa: PT017 - both ends are right
    else:
        # The lists of tasks have no `Success`.
        assert answer.get("Success", True) is True
        assert json_bytes(answer).startswith(b"{")
        assert xml_bytes("Response", answer).startswith(b"<?xml")


@settings(max_examples=200, deadline=None)
@given(
    method=st.text(max_size=8),
    target=st.one_of(ANY_TEXT, st.text(max_size=40).map(lambda text: f"/?{text}")),
    headers=st.lists(
        st.tuples(
            st.one_of(
                ANY_TEXT,
                st.sampled_from(
                    [
                        "authorization",
                        "Host",
                        "x-acs-date",
                        "x-acs-action",
                        "content-type",
                        "Date",
                        "x-acs-version",
                    ]
                ),
            ),
            st.one_of(
                ANY_TEXT,
                ANY_TEXT.map(
                    lambda text: f"ACS3-HMAC-SHA256 Credential=k,SignedHeaders={text},Signature={'0' * 64}"
                ),
                ANY_TEXT.map(lambda text: f"acs k:{text}"),
            ),
        ),
        max_size=8,
    ),
    body=st.binary(max_size=80),
)
def test_any_request_is_read_and_none_but_a_signed_one_verifies(method, target, headers, body):
    """Garbage is refused with a known code by reading and by verification alike; nothing else is raised."""
    key = random_key()
    keys = {"k": key, key.access_key_id: key}
    for check in (read_call, lambda inbound: verify(inbound, keys, now=0.0)):
        try:
            check(read_inbound(method, target, headers, body))
        except RefusedError as error:
            assert error.code in ERRORS or error.code.startswith("Missing")  # noqa: PT017 - as above
        else:
            assert check is read_call


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_percent_encoding_is_rfc_3986(text):
    """Encoding equals the library's with the unreserved characters of RFC 3986."""
    assert percent(text) == quote(text, safe="~")


@given(st.one_of(st.text(), st.text(alphabet="%2BbFf3Dd+/= az09", max_size=60)))
def test_fast_decoding_equals_the_librarys(text):
    """The shortcut for base64's escapes never changes the result."""
    assert decode_pair_text(text) == unquote_plus(text, errors="replace")


@settings(deadline=None)
@given(content_type=ANY_TEXT, body=st.binary(max_size=200), boundary=st.sampled_from(["b", "--", "x y"]))
def test_any_upload_is_read_or_refused(content_type, body, boundary):
    """The object store refuses what is no form of its own, without any other exception."""
    kind = f"multipart/form-data; boundary={boundary}{content_type}"
    for data in (
        body,
        b"--b\r\n" + body + b"\r\n--b--",
        b'--b\r\n; name="file"\r\n\r\n' + body + b"\r\n--b--",
    ):
        with pytest.raises(UploadRefusedError):
            UploadStore().put(kind, data, now=0.0)
        try:
            parts = read_form("multipart/form-data; boundary=b", data)
        except UploadRefusedError:
            continue
        assert all(isinstance(part, bytes) for part in parts.values())


ARRIVALS = st.lists(st.integers(0, 400), min_size=1, max_size=120).map(
    lambda steps: [100 + sum(steps[: index + 1]) / 1000 for index in range(len(steps))]
)


@pytest.mark.parametrize("counting", COUNTINGS)
@settings(max_examples=60, deadline=None)
@given(rate=st.sampled_from([0.5, 1.0, 3.0, 5.0, 10.0]), arrivals=ARRIVALS)
def test_no_way_of_counting_grants_more_than_it_promises(counting, rate, arrivals):
    """Over any stretch of time the granted calls stay within rate times time plus the allowed burst."""
    counter = counter_for(rate, counting)
    granted = [now for now in arrivals if counter.judge(now).granted]
    seconds = max(1, math.floor(rate)) / rate
    burst = {"token_bucket": max(1.0, rate), "token_bucket_one": 1.0}.get(counting)
    if counting.startswith("sliding_log"):
        assert most_within(granted, seconds - 1e-5) <= max(1, math.floor(rate))
    for first, start in enumerate(granted):
        for last in range(first, len(granted)):
            span = granted[last] - start
            count = last - first + 1
            if burst is not None:
                assert count <= burst + rate * span + 1e-3
            else:
                assert count <= (math.floor(span / seconds) + 2) * max(1, math.floor(rate))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals=ARRIVALS)
def test_verdicts_of_a_log_that_counts_denials_are_those_of_its_definition(arrivals):
    """A call is granted exactly when fewer than the rate came in the second before it, granted or not."""
    counter = counter_for(3.0, "sliding_log_denials")
    for index, now in enumerate(arrivals):
        before = [time for time in arrivals[:index] if now - time < 1.0 - 1e-6]
        assert counter.judge(now).granted == (len(before) < 3)


def test_the_console_page_is_built_without_requests(gateway):
    """An empty log makes a page all the same."""
    assert "demo" in instance_page(gateway[0], RequestLog())
