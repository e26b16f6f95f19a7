"""The form body: what it says, how large it gets, and its hash."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qsl

import pytest

from batchsearch.service.facts import MAX_BODY_BYTES
from batchsearch.service.form import PIECE_BYTES, Call, build_call
from batchsearch.service.parameters import ParameterProblem


def _call(operation, values, images):
    call = build_call(operation, "demo instance", values, images)
    assert isinstance(call, Call)
    return call


def test_parameters_go_to_their_places():
    """Each parameter is in the query or the form as the SDK places it, booleans in lower case."""
    values = {
        "crop": True,
        "num": 10,
        "filter": 'int_attr=1 AND str_attr="a+b 红"',
        "score_threshold": "0.50",
    }
    call = _call("SearchImageByPic", values, [b"picture"])
    assert call.query == (("ScoreThreshold", "0.50"),)
    assert dict(parse_qsl(call.body.decode())) == {
        "InstanceName": "demo instance",
        "Crop": "true",
        "Num": "10",
        "Filter": values["filter"],
        "PicContent": base64.b64encode(b"picture").decode(),
    }


def test_update_image_splits_its_attributes():
    """UpdateImage carries the third and fourth attributes in the query, the rest in the form."""
    values = {"product_id": "p", "int_attr": 1, "int_attr3": 3, "str_attr4": "x y"}
    call = _call("UpdateImage", values, [])
    assert call.query == (("IntAttr3", "3"), ("StrAttr4", "x y"))
    assert call.body == b"InstanceName=demo%20instance&ProductId=p&IntAttr=1"


def test_detail_has_no_body():
    """An operation of the query alone has an empty body and the hash of nothing."""
    call = _call("Detail", {}, [])
    assert (call.query, call.body) == ((("InstanceName", "demo instance"),), b"")
    assert call.body_sha256 == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    "size", [0, 1, 2, 3, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 2]
)
def test_pieces_join_without_a_seam(size):
    """Images of any length around the piece size arrive as they were, and the hash is the body's."""
    image = bytes(range(251)) * (size // 251 + 1)
    call = _call("SearchImageByPic", {}, [image[:size]])
    sent = dict(parse_qsl(call.body.decode(), keep_blank_values=True))["PicContent"]
    assert base64.b64decode(sent) == image[:size]
    assert call.body_sha256 == hashlib.sha256(call.body).hexdigest()


def test_both_images_of_a_comparison_are_sent():
    """A comparison carries its images in the order given."""
    call = _call("CompareSimilarByImage", {}, [b"first", b"second"])
    form = dict(parse_qsl(call.body.decode()))
    assert [base64.b64decode(form[name]) for name in ("PrimaryPicContent", "SecondaryPicContent")] == [
        b"first",
        b"second",
    ]


def test_an_uploaded_image_is_sent_as_its_address():
    """A text in an image's place is the address of an uploaded object."""
    call = _call("SearchImageByPic", {}, ["http://bucket.host/a b+c"])
    assert dict(parse_qsl(call.body.decode()))["PicContent"] == "http://bucket.host/a b+c"


def test_a_body_over_the_limit_is_a_problem():
    """A request that the service would refuse for its size is refused here, with both sizes named."""
    problem = build_call("CompareSimilarByImage", "demo", {}, [b"\xff" * 2**20, b"\xff" * 2**20])
    assert isinstance(problem, ParameterProblem)
    assert problem.code == "Local.BodyTooLarge"
    assert f"{MAX_BODY_BYTES:,}" in problem.message
    assert "`primary_image` and `secondary_image`" in problem.message


def test_the_body_is_never_shown():
    """A call's text form holds no image."""
    assert "PicContent" not in repr(_call("SearchImageByPic", {}, [b"secret picture"]))


def test_a_missing_image_is_a_mistake_of_the_caller():
    """As many images as the operation takes, or none is sent."""
    with pytest.raises(ValueError, match="zip"):
        build_call("CompareSimilarByImage", "demo", {}, [b"only one"])
