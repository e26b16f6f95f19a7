"""Signatures equal those of the official libraries, made with time and nonce pinned."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, quote

import pytest

from batchsearch.service.credentials import Credentials
from batchsearch.service.form import build_call
from batchsearch.service.signing import (
    Unsigned,
    authorization_v3,
    canonical_request,
    encoded_query,
    sign,
    signature_v1,
    string_to_sign_v1,
)

_FILE = json.loads((Path(__file__).parent / "data" / "signature_vectors.json").read_text(encoding="utf-8"))
_VECTORS = {vector["name"]: vector for vector in _FILE["vectors"]}
_V3 = [name for name, vector in _VECTORS.items() if vector["scheme"] == "ACS3-HMAC-SHA256"]
_V1 = [name for name, vector in _VECTORS.items() if vector["scheme"] == "RPC-V1-HMAC-SHA1"]


def _credentials(vector):
    return Credentials(vector["access_key_id"], vector["access_key_secret"], vector["security_token"])


def test_every_vector_is_used():
    """All vectors but those of the 2019 API's own scheme, which is never signed here, are held to."""
    others = {_VECTORS[name]["scheme"] for name in _VECTORS.keys() - {*_V3, *_V1}}
    assert others == {"ROA-HMAC-SHA1"}
    assert (len(_V3), len(_V1)) == (10, 4)


@pytest.mark.parametrize("name", _V3)
def test_v3(name):
    """The canonical request and the Authorization header are the official ones."""
    vector = _VECTORS[name]
    listed = vector["expected_authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    headers = {key: value for key, value in vector["headers"].items() if key.lower() in listed}
    canonical = canonical_request(
        vector["method"],
        vector["pathname"],
        encoded_query(vector["query"].items()),
        headers,
        vector["hashed_payload"],
    )
    assert canonical == vector["canonical_request"]
    assert authorization_v3(_credentials(vector), headers, canonical) == vector["expected_authorization"]


@pytest.mark.parametrize("name", _V1)
def test_v1(name):
    """The string to sign and the signature are the official ones."""
    vector = _VECTORS[name]
    parameters = [*vector["query"].items(), *parse_qsl(vector["body"], keep_blank_values=True)]
    pairs = [tuple(quote(part, safe="").encode() for part in pair) for pair in parameters]
    text = string_to_sign_v1(vector["method"], pairs)
    assert text.decode() == vector["string_to_sign"]
    assert signature_v1(_credentials(vector), text) == vector["expected_signature"]


@pytest.mark.parametrize("token", [None, "CAIS0wF1q6Ft5B2yfSjIr5fAc+/x=="])
@pytest.mark.parametrize("scheme", ["v3", "v1"])
def test_a_whole_request_is_signed_by_the_same_rules(scheme, token):
    """What `sign` sends is what the vectors' functions compute from the request as a server sees it."""
    pinned = _FILE["pinned"]
    credentials = Credentials("testAccessKeyId", "testAccessKeySecret", token)
    call = build_call(
        "SearchImageByPic", "demo", {"filter": 'str_attr="a b+*~é"', "score_threshold": "0.50"}, [b"\xfb\xff"]
    )
    request = Unsigned(
        "POST", pinned["host"], call.operation, "2020-12-14", call.query, call.body, call.body_sha256
    )
    when = datetime(2026, 3, 1, 8, 9, 10, tzinfo=UTC)
    signed = sign(request, credentials, scheme=scheme, when=when, nonce="n" * 32, user_agent="x/1")
    query = dict(parse_qsl(signed.target.partition("?")[2], keep_blank_values=True))
    if scheme == "v3":
        assert query == {"ScoreThreshold": "0.50"}
        sent = signed.headers["authorization"]
        listed = sent.split("SignedHeaders=")[1].split(",")[0].split(";")
        assert {"host", "content-type", "x-acs-date", "x-acs-content-sha256"} <= set(listed)
        assert ("x-acs-security-token" in listed) is (token is not None)
        headers = {name: signed.headers[name] for name in listed}
        canonical = canonical_request("POST", "/", encoded_query(query.items()), headers, call.body_sha256)
        assert sent == authorization_v3(credentials, headers, canonical)
    else:
        signature = query.pop("Signature")
        assert query.get("SecurityToken") == token
        assert query["Timestamp"] == pinned["timestamp"]
        parameters = [*query.items(), *parse_qsl(call.body.decode())]
        pairs = [tuple(quote(part, safe="").encode() for part in pair) for pair in parameters]
        assert signature == signature_v1(credentials, string_to_sign_v1("POST", pairs))


def test_no_secret_is_shown():
    """Neither credentials nor a signed request show what they must not."""
    credentials = Credentials("id", "the-secret", "the-token")
    when = datetime(2026, 3, 1, tzinfo=UTC)
    signed = sign(
        Unsigned("POST", "h", "Detail", "v"), credentials, scheme="v1", when=when, nonce="n", user_agent="u"
    )
    for shown in (repr(credentials), str(credentials), repr(signed)):
        assert "the-secret" not in shown
        assert "the-token" not in shown
    assert "Signature" not in repr(signed)
