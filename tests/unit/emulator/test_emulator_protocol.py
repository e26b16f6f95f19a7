"""Reading requests: the differences between official clients, and what no operation answers to."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest

from batchsearch.emulator.http.error_table import RefusedError
from batchsearch.emulator.http.protocol import (
    MAX_FIELDS,
    decode_pair_text,
    parse_pairs,
    read_call,
    read_inbound,
    wants_xml,
)

FORM = ("Content-Type", "application/x-www-form-urlencoded")
RPC = [FORM, ("x-acs-action", "SearchImageByPic"), ("x-acs-version", "2020-12-14")]


def call(target: str = "/", body: bytes = b"", headers=RPC, method: str = "POST"):
    return read_call(read_inbound(method, target, headers, body))


def code_of(*arguments, **settings) -> str:
    with pytest.raises(RefusedError) as caught:
        call(*arguments, **settings)
    return caught.value.code


def test_query_and_form_are_one_set_of_parameters():
    """A parameter is found wherever it was put; the form wins."""
    found = call("/?ScoreThreshold=0.50&Num=3", b"Num=5&Filter=a+b%2Bc%20d").parameters
    assert dict(found) == {"ScoreThreshold": "0.50", "Num": "5", "Filter": "a b+c d"}


def test_action_and_version_come_from_headers_or_parameters():
    """V3 names the operation in headers, RPC V1 in the query, which is not passed on."""
    found = call("/?Action=Detail&Version=2020-12-14&Format=json&InstanceName=i", headers=[])
    assert (found.action, dict(found.parameters)) == ("Detail", {"InstanceName": "i"})


@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream", "text/plain"])
def test_a_body_of_another_type_is_no_form(content_type):
    """JSON is not parsed, as with the real gateway: its parameters are simply not there."""
    headers = [("content-type", content_type), *RPC[1:]]
    assert dict(call("/?A=1", b"InstanceName=demo", headers).parameters) == {"A": "1"}


def test_a_body_without_a_type_is_read_as_a_form():
    """A missing content type is tolerated."""
    assert dict(call("/", b"Num=1", RPC[1:]).parameters) == {"Num": "1"}


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("a+b", "a b"),
        ("a%20b", "a b"),
        ("%2B%2F%3D", "+/="),
        ("%2b%2f%3d", "+/="),
        ("%252B", "%2B"),
        ("(a)*!~'", "(a)*!~'"),
        ("%E8%A1%A3", "衣"),
        ("%FF", "�"),
        ("%", "%"),
        ("%zz", "%zz"),
        ("", ""),
    ],
)
def test_form_encoding_is_undone(text, decoded):
    """Python's and npm's ways of encoding, and broken ones, decode to what was meant."""
    assert decode_pair_text(text) == decoded


def test_pairs_without_value_and_empty_pieces_are_harmless():
    """Odd separators make no parameters."""
    assert parse_pairs("a&&b=&=c&d=e=f") == (("a", ""), ("b", ""), ("", "c"), ("d", "e=f"))


def test_far_too_many_parameters_are_refused():
    """A form of thousands of fields is not taken apart."""
    text = "&".join(f"a{number}=1" for number in range(MAX_FIELDS + 1))
    with pytest.raises(RefusedError) as caught:
        parse_pairs(text)
    assert caught.value.code == "BadRequest"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"headers": []}, "MissingAction"),
        ({"headers": [("x-acs-action", "Detail")]}, "MissingVersion"),
        ({"headers": [("x-acs-action", "Detail"), ("x-acs-version", "2019-03-25")]}, "InvalidVersion"),
        ({"target": "/other"}, "InvalidApi.NotFound"),
        ({"method": "GET"}, "InvalidApi.NotFound"),
        ({"method": "DELETE"}, "InvalidApi.NotFound"),
        ({"target": "/v2/image/search", "method": "GET"}, "InvalidApi.NotFound"),
        ({"target": "/v2/image/search"}, "InvalidVersion"),
        ({"target": "/v2/image/search", "headers": [FORM], "body": b"Type=SearchByMood"}, "InvalidType"),
    ],
)
def test_what_nothing_answers_to_is_refused(settings, code):
    """Paths, methods, versions and types of no operation have the documented codes."""
    assert code_of(**settings) == code


def test_the_upload_authorization_is_a_get_of_its_own_version():
    """AuthorizeFileUpload belongs to another product and version and comes as GET or POST."""
    headers = [("x-acs-action", "AuthorizeFileUpload"), ("x-acs-version", "2019-12-19")]
    for method in ("GET", "POST"):
        assert call("/?Product=ImageSearch", headers=headers, method=method).action == "AuthorizeFileUpload"
    assert code_of(headers=[headers[0], RPC[2]]) == "InvalidVersion"


@pytest.mark.parametrize(
    ("path", "kind", "action"),
    [
        ("/v2/image/search", "SearchByPic", "SearchImageByPic"),
        ("/v2/image/search", "SearchByName", "SearchImageByName"),
        ("/v2/image/add", "", "AddImage"),
        ("/v2/image/delete", "", "DeleteImage"),
    ],
)
def test_the_operations_of_2019_lead_to_their_successors(path, kind, action):
    """The older version's paths are understood; its Type and RegionId are no parameters."""
    body = urlencode({"Type": kind, "InstanceName": "i"} if kind else {"InstanceName": "i"}).encode()
    found = call(f"{path}?RegionId=cn", body, [FORM, ("x-acs-version", "2019-03-25")])
    assert (found.action, dict(found.parameters)) == (action, {"InstanceName": "i"})


@pytest.mark.parametrize(
    ("target", "accept", "xml"),
    [
        ("/", "application/json", False),
        ("/", "", False),
        ("/", "*/*", False),
        ("/", "text/xml", True),
        ("/", "application/xml, application/json", False),
        ("/", "text/html,application/xhtml+xml", False),
        ("/?Format=XML", "application/json", True),
        ("/?Format=json", "text/xml", False),
    ],
)
def test_the_reply_is_json_unless_xml_is_asked_for(target, accept, xml):
    """Format decides, then Accept; JSON is the default."""
    assert wants_xml(read_inbound("POST", target, [("Accept", accept)], b"")) is xml


def test_headers_are_known_by_lower_case_name_and_repeated_ones_joined():
    """Header names are case-insensitive; values lose their outer spaces."""
    inbound = read_inbound("post", "/", [("X-Acs-A", " 1 "), ("x-acs-a", "2")], b"")
    assert (inbound.method, inbound.headers["x-acs-a"]) == ("POST", "1,2")


def test_an_absolute_target_is_a_path():
    """A request line with scheme and host is read like one without."""
    inbound = read_inbound("POST", "http://host:1/?a=1", [], b"")
    assert (inbound.path, inbound.query) == ("/", (("a", "1"),))


def test_long_base64_survives_decoding():
    """The fast way of decoding an image gives what the slow one gives."""
    text = "".join(map(chr, range(33, 127))) * 50
    assert decode_pair_text(quote(text, safe="")) == text
