"""Answers and the table of errors."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest

from batchsearch.emulator.http.error_table import ERRORS, RefusedError, answer_of, missing
from batchsearch.emulator.http.replies import failure, new_request_id, success


def refused(error: RefusedError, **settings):
    given = {"action": "SearchImageByPic", "host": "h:1", "request_id": "ID", "xml": False, **settings}
    return failure(error, **given)


def test_an_error_has_the_gateways_five_fields():
    """RequestId, HostId, Code, Message and Recommend, as JSON under the documented status."""
    reply = refused(RefusedError("DeniedRequest"))
    assert (reply.status, reply.content_type) == (403, "application/json;charset=utf-8")
    body = json.loads(reply.body)
    assert body.pop("Recommend").startswith("https://api.aliyun.com/troubleshoot?q=DeniedRequest")
    assert body == {
        "RequestId": "ID",
        "HostId": "h:1",
        "Code": "DeniedRequest",
        "Message": "Your request was denied due to instance flow control.",
    }


def test_the_operation_decides_among_a_codes_answers():
    """A code that operations answer differently is answered as the operation's page says."""
    assert answer_of("DeniedRequest", "Detail")[0] == 400
    assert answer_of("DeniedRequest", "AddImage")[0] == 403
    assert answer_of("InvalidRegion", "AddImage")[1] == "The specific region is illegal."
    assert answer_of("InvalidRegion", "SearchImageByPic")[1] == "The specific region is illegal"
    assert answer_of("PicNotExist", "CompareSimilarByImage")[1] == "The specified image does not exist."
    assert answer_of("NoSpecifiedProductId", "DeleteImage")[1] == "You must specify ProductId."


def test_a_missing_parameter_is_named_in_code_and_message():
    """The gateway's code for a missing parameter is made of its name."""
    assert answer_of(missing("InstanceName").code, None) == (
        400,
        "InstanceName is mandatory for this action.",
    )


def test_an_unknown_code_is_still_answered():
    """A code of nobody's table, as a fault may want it, is a 400."""
    assert answer_of("Nobody.Knows", "Detail")[0] == 400
    assert "Nobody.Knows" not in ERRORS


def test_a_waiting_time_is_announced_in_whole_milliseconds():
    """`x-acs-retry-after` is a positive whole number of milliseconds."""
    reply = refused(RefusedError("DeniedRequest"), retry_after=0.1234)
    assert reply.headers["x-acs-retry-after"] == "123"
    assert refused(RefusedError("DeniedRequest"), retry_after=0.0).headers["x-acs-retry-after"] == "1"
    assert refused(RefusedError("DeniedRequest")).headers == {}


def test_xml_says_the_same_as_json():
    """Asked for XML, an error is an `Error` element under the type that official clients parse."""
    reply = refused(RefusedError("PicNotExist"), xml=True)
    assert reply.content_type == "text/xml;charset=utf-8"
    root = ET.fromstring(reply.body)
    assert (root.tag, root.findtext("Code")) == ("Error", "PicNotExist")


def test_xml_lists_repeat_and_hostile_text_stays_text():
    """Lists become repeated elements; markup and control characters cannot break out."""
    value = {"Auctions": [{"ProductId": "<a>&\x00\ud800"}, {"ProductId": "b"}], "Success": True, "Score": 0.5}
    reply = success(value, action="SearchImageByPic", request_id="ID", xml=True)
    root = ET.fromstring(reply.body)
    assert root.tag == "SearchImageByPicResponse"
    assert [entry.findtext("ProductId") for entry in root.findall("Auctions")] == ["<a>&��", "b"]
    assert (root.findtext("Success"), root.findtext("Score")) == ("true", "0.5")


def test_json_survives_text_that_is_no_unicode():
    """A lone surrogate in an answer is replaced, not fatal."""
    reply = success({"Msg": "\ud800"}, action="Detail", request_id="ID", xml=False)
    assert json.loads(reply.body) == {"Msg": "?", "RequestId": "ID"}


@pytest.mark.parametrize("host", ['h"><script>', "h\r\nX: 1", "h" * 5000])
def test_the_host_header_cannot_break_out_of_the_answer(host):
    """HostId repeats only harmless characters of the Host header, and not too many."""
    shown = json.loads(refused(RefusedError("PicNotExist"), host=host).body)["HostId"]
    assert re.fullmatch(r"[A-Za-z0-9.:/_\[\]-]{0,200}", shown)


def test_request_ids_are_upper_case_uuids_and_differ():
    """Every answer has an id of its own in the vendor's form."""
    ids = {new_request_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", one) for one in ids)
