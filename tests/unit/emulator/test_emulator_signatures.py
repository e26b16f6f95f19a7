"""The emulator's verification of signatures, against the vendor's recorded ones."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from batchsearch.emulator.http.error_table import RefusedError
from batchsearch.emulator.http.protocol import Inbound, read_inbound
from batchsearch.emulator.http.signatures import (
    AccessKey,
    NonceStore,
    Signed,
    canonical_request_v3,
    string_to_sign_roa,
    string_to_sign_rpc,
    verify,
)

DATA = Path(__file__).parents[2] / "contract" / "data" / "signature_vectors.json"
VECTORS = {vector["name"]: vector for vector in json.loads(DATA.read_text("utf-8"))["vectors"]}
V3 = [name for name, vector in VECTORS.items() if vector["scheme"].startswith("ACS3")]
RPC = [name for name, vector in VECTORS.items() if vector["scheme"].startswith("RPC")]
ROA = [name for name, vector in VECTORS.items() if vector["scheme"].startswith("ROA")]


def inbound_of(
    vector: dict, *, target: str | None = None, headers: dict | None = None, **changes: str
) -> Inbound:
    sent = dict(vector["headers"] if headers is None else headers)
    if "expected_authorization" in vector:
        sent.setdefault("authorization", vector["expected_authorization"])
    target = vector["wire_target"] if target is None else target
    if vector["scheme"].startswith("RPC") and "Signature=" not in target:
        target += f"&Signature={quote_plus(vector['expected_signature'])}"
    body = changes.get("body", vector["body"]).encode()
    return read_inbound(changes.get("method", vector["method"]), target, sent.items(), body)


def keys_of(vector: dict, **changes) -> dict[str, AccessKey]:
    values = {"access_key_secret": vector["access_key_secret"], "security_token": vector["security_token"]}
    key = AccessKey(vector["access_key_id"], **{**values, **changes})
    return {key.access_key_id: key}


def time_of(vector: dict) -> float:
    text = vector["headers"].get("x-acs-date") or vector["query"].get("Timestamp")
    if text is None:
        return datetime(2026, 3, 1, 8, 9, 10, tzinfo=UTC).timestamp()
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def refusal(inbound: Inbound, vector: dict, *, late: float = 0.0, **changes) -> str:
    with pytest.raises(RefusedError) as caught:
        verify(inbound, keys_of(vector, **changes), now=time_of(vector) + late)
    return caught.value.code


@pytest.mark.parametrize("name", VECTORS)
def test_every_recorded_signature_is_accepted(name):
    """A request signed by an official library verifies."""
    vector = VECTORS[name]
    signed = verify(inbound_of(vector), keys_of(vector), now=time_of(vector))
    assert signed.key.access_key_id == vector["access_key_id"]
    assert (signed.nonce is None) == ("oldcore" in name)


@pytest.mark.parametrize("name", V3)
def test_v3_canonical_request_is_the_recorded_one(name):
    """The canonical request equals the official library's, byte for byte."""
    vector = VECTORS[name]
    names = tuple(vector["canonical_request"].split("\n")[-2].split(";"))
    payload = hashlib.sha256(vector["body"].encode()).hexdigest()
    assert canonical_request_v3(inbound_of(vector), names, payload) == vector["canonical_request"]


@pytest.mark.parametrize("name", RPC + ROA)
def test_hmac_sha1_strings_to_sign_are_the_recorded_ones(name):
    """The string to sign of RPC V1 and ROA equals the official library's, byte for byte."""
    vector = VECTORS[name]
    build = string_to_sign_rpc if name in RPC else string_to_sign_roa
    assert build(inbound_of(vector)) == vector["string_to_sign"]


@pytest.mark.parametrize("name", VECTORS)
def test_a_wrong_secret_is_refused(name):
    """Another secret never verifies."""
    vector = VECTORS[name]
    assert refusal(inbound_of(vector), vector, access_key_secret="another") == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", V3)
def test_v3_refuses_each_signed_header_changed(name):
    """Changing any one signed header breaks a V3 signature (or the rule that the header serves)."""
    vector = VECTORS[name]
    listed = vector["canonical_request"].split("\n")[-2].split(";")
    for header in listed:
        changed = dict(vector["headers"])
        changed[header] += "0"
        code = refusal(inbound_of(vector, headers=changed), vector)
        special = {
            "x-acs-date": "InvalidTimeStamp.Format",
            "x-acs-security-token": "InvalidSecurityToken.MismatchWithAccessKey",
        }
        assert code == special.get(header, "SignatureDoesNotMatch"), header


def test_v3_covers_the_content_type_of_a_body():
    """A content type that says how a body is read must be signed; without a body it may go unsigned."""
    vector = VECTORS["v3_ak_minimal_signed_headers"]
    form = {**vector["headers"], "content-type": "application/x-www-form-urlencoded"}
    assert refusal(inbound_of(vector, headers=form), vector) == "SignatureDoesNotMatch"
    vector = VECTORS["v3_ak_AuthorizeFileUpload_GET"]
    assert vector["body"] == ""
    binary = {**vector["headers"], "content-type": "application/octet-stream"}
    assert verify(inbound_of(vector, headers=binary), keys_of(vector), now=time_of(vector))


@pytest.mark.parametrize("name", V3)
def test_v3_refuses_header_lists_that_leave_something_out(name):
    """A header that protects the request must be in the list of signed headers, whoever signs."""
    vector = VECTORS[name]
    listed = vector["canonical_request"].split("\n")[-2].split(";")
    for header in (name for name in listed if name == "host" or name.startswith("x-acs-")):
        shorter = ";".join(name for name in listed if name != header)
        authorization = vector["expected_authorization"].replace(";".join(listed), shorter)
        inbound = inbound_of(vector, headers={**vector["headers"], "authorization": authorization})
        assert refusal(inbound, vector) == "SignatureDoesNotMatch"
    extra = {**vector["headers"], "x-acs-unsigned": "1"}
    assert refusal(inbound_of(vector, headers=extra), vector) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", V3)
def test_v3_refuses_another_body_query_path_or_method(name):
    """Body, query, path and method are all under the V3 signature."""
    vector = VECTORS[name]
    other_query = vector["wire_target"] + ("&" if "?" in vector["wire_target"] else "?") + "Num=3"
    tampered = [
        inbound_of(vector, body=vector["body"] + "&Num=3"),
        inbound_of(vector, target=other_query),
        inbound_of(vector, target="/other" + vector["wire_target"]),
        inbound_of(vector, method="PUT"),
    ]
    assert [refusal(inbound, vector) for inbound in tampered] == ["SignatureDoesNotMatch"] * 4


@pytest.mark.parametrize("name", RPC)
def test_rpc_refuses_each_parameter_changed(name):
    """Every parameter of query and form is under the RPC signature."""
    vector = VECTORS[name]
    target = vector["wire_target"]
    for pair in target.removeprefix("/?").split("&"):
        if pair.startswith(("Signature=", "AccessKeyId=")):
            continue
        code = refusal(inbound_of(vector, target=target.replace(pair, pair + "0")), vector)
        name_of_pair = pair.partition("=")[0]
        special = {
            "Timestamp": "InvalidTimeStamp.Format",
            "SecurityToken": "InvalidSecurityToken.MismatchWithAccessKey",
        }
        assert code == special.get(name_of_pair, "SignatureDoesNotMatch"), pair
    assert refusal(inbound_of(vector, body="Num=3"), vector) == "SignatureDoesNotMatch"
    assert refusal(inbound_of(vector, method="PUT"), vector) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", ROA)
def test_roa_refuses_each_signed_part_changed(name):
    """The ROA signature covers four headers, the `x-acs-` headers, method, path and query."""
    vector = VECTORS[name]
    lowered = {header.lower(): value for header, value in vector["headers"].items()}
    signed = {"accept", "content-type", "content-md5", *(n for n in lowered if n.startswith("x-acs-"))}
    for header in signed & lowered.keys():
        code = refusal(inbound_of(vector, headers={**lowered, header: lowered[header] + "0"}), vector)
        token = header == "x-acs-security-token"
        expected = "InvalidSecurityToken.MismatchWithAccessKey" if token else "SignatureDoesNotMatch"
        assert code == expected, header
    assert refusal(inbound_of(vector, target="/v2/image/add"), vector) == "SignatureDoesNotMatch"
    assert refusal(inbound_of(vector, method="PUT"), vector) == "SignatureDoesNotMatch"
    if "content-md5" in lowered:
        assert refusal(inbound_of(vector, body="Num=3"), vector) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", VECTORS)
def test_a_date_further_away_than_fifteen_minutes_is_refused(name):
    """Fifteen minutes early or late is accepted, a second more is not."""
    vector = VECTORS[name]
    inbound, keys, now = inbound_of(vector), keys_of(vector), time_of(vector)
    assert verify(inbound, keys, now=now + 900)
    assert verify(inbound, keys, now=now - 900)
    assert refusal(inbound, vector, late=901) == "InvalidTimeStamp.Expired"
    assert refusal(inbound, vector, late=-901) == "InvalidTimeStamp.Expired"


@pytest.mark.parametrize(
    "name", ["v3_sts_SearchImageByPic", "rpcv1_sts_SearchImageByName", "roa_sts_2019_SearchImage"]
)
def test_a_security_token_must_be_there_fit_and_live(name):
    """A temporary key pair needs its own token, unexpired; a lasting one takes none."""
    vector = VECTORS[name]
    inbound, now = inbound_of(vector), time_of(vector)
    assert verify(inbound, keys_of(vector, expires=now + 1), now=now)
    assert refusal(inbound, vector, expires=now) == "InvalidSecurityToken.Expired"
    assert (
        refusal(inbound, vector, security_token="other-token") == "InvalidSecurityToken.MismatchWithAccessKey"
    )
    assert refusal(inbound, vector, security_token=None) == "InvalidSecurityToken.MismatchWithAccessKey"
    lasting = VECTORS[name.replace("sts", "ak").replace("SearchImageByName", "SearchImageByPic")]
    assert refusal(inbound_of(lasting), lasting, security_token="some-token") == "MissingSecurityToken"


def test_a_token_that_is_no_token_is_malformed():
    """Text that cannot be a security token has a code of its own."""
    vector = VECTORS["v3_sts_SearchImageByPic"]
    headers = {**vector["headers"], "x-acs-security-token": "with spaces and ü"}
    assert refusal(inbound_of(vector, headers=headers), vector) == "InvalidSecurityToken.Malformed"


def test_unknown_and_disabled_keys_are_told_apart():
    """No such key is 404's code, a disabled one has its own."""
    vector = VECTORS["v3_ak_SearchImageByPic"]
    assert refusal(inbound_of(vector), vector, active=False) == "InvalidAccessKeyId.Inactive"
    with pytest.raises(RefusedError) as caught:
        verify(inbound_of(vector), {}, now=time_of(vector))
    assert caught.value.code == "InvalidAccessKeyId.NotFound"


@pytest.mark.parametrize(
    ("drop", "code"),
    [
        ("authorization", "MissingAccessKeyId"),
        ("x-acs-date", "MissingTimestamp"),
        ("x-acs-signature-nonce", "MissingSignatureNonce"),
        ("x-acs-content-sha256", "SignatureDoesNotMatch"),
        ("host", "SignatureDoesNotMatch"),
    ],
)
def test_an_absent_part_of_the_signature_is_named(drop, code):
    """Leaving out a part of the signature is refused with the code for that part."""
    vector = VECTORS["v3_ak_SearchImageByPic"]
    headers = {**vector["headers"], "authorization": vector["expected_authorization"]}
    del headers[drop]
    inbound = read_inbound("POST", vector["wire_target"], headers.items(), vector["body"].encode())
    assert refusal(inbound, vector) == code


@pytest.mark.parametrize(
    "text", ["ACS3-HMAC-SHA256", "acs x", "Basic eDp5", "ACS3-HMAC-SHA256 Credential=a,Signature=0"]
)
def test_a_mangled_authorization_header_is_a_wrong_signature(text):
    """An Authorization header of no known form is a signature that does not match."""
    vector = VECTORS["v3_ak_SearchImageByPic"]
    inbound = inbound_of(vector, headers={**vector["headers"], "authorization": text})
    assert refusal(inbound, vector) == "SignatureDoesNotMatch"


def test_the_shown_string_to_sign_holds_no_token_and_no_image():
    """The string to sign is appended for RPC as the old client expects, never with a token or an image."""
    vector = VECTORS["rpcv1_ak_Detail"]
    with pytest.raises(RefusedError) as caught:
        verify(inbound_of(vector), keys_of(vector, access_key_secret="x"), now=time_of(vector))
    assert caught.value.detail == f" server string to sign is:{vector['string_to_sign']}"
    for big in (
        inbound_of(vector, body="PicContent=" + base64.b64encode(b"p" * 4096).decode()),
        inbound_of(VECTORS["rpcv1_sts_SearchImageByName"], body="Num=3"),
    ):
        own = VECTORS["rpcv1_sts_SearchImageByName"] if "SecurityToken" in dict(big.query) else vector
        with pytest.raises(RefusedError) as caught:
            verify(big, keys_of(own), now=time_of(own))
        assert (caught.value.code, caught.value.detail) == ("SignatureDoesNotMatch", "")


def test_no_secret_is_in_the_text_of_a_key():
    """A key pair's text shows neither secret nor token."""
    shown = repr(AccessKey("id", "the-secret", security_token="the-token"))
    assert "the-secret" not in shown
    assert "the-token" not in shown


def signed(nonce: str | None, *, date: float = 0.0, key: str = "k") -> Signed:
    return Signed(AccessKey(key, "s"), "v3", nonce, date)


def test_a_nonce_works_once_for_each_key_until_its_request_is_stale():
    """The same nonce is refused until the date of its request is out of the window; keys share none."""
    store = NonceStore()
    assert store.use(signed("n"), now=0.0)
    assert not store.use(signed("n"), now=899.0)
    assert store.use(signed("n", key="other"), now=1.0)
    assert store.use(signed("n", date=901.0), now=901.0)
    assert store.use(signed(None), now=901.0)
    assert store.use(signed(None), now=901.0)


def test_a_future_dated_nonce_is_kept_for_as_long_as_it_could_be_replayed():
    """A request dated ahead of now stays known until that date plus the window."""
    store = NonceStore()
    assert store.use(signed("n", date=900.0), now=0.0)
    assert not store.use(signed("n", date=900.0), now=1799.0)


def test_the_nonce_store_is_bounded():
    """However many requests come, memory holds at most the given number of nonces."""
    store = NonceStore(capacity=10)
    for number in range(100):
        assert store.use(signed(str(number), date=float(number)), now=0.0)
    assert len(store) == 10
    assert not store.use(signed("99", date=99.0), now=0.0)
