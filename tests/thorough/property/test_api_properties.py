"""The API's pure parts against generated input."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qsl

from hypothesis import given, settings
from hypothesis import strategies as st

from batchsearch.service.facts import SERVICE_TYPES
from batchsearch.service.form import Call, build_call
from batchsearch.service.operations import OPERATIONS
from batchsearch.service.parameters import check_parameters
from batchsearch.service.parse import parse_answer

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=4),
    st.decimals(),
)
_VALUES = _SCALARS | st.lists(_SCALARS, max_size=5)
_NAMES = st.sampled_from(sorted({key for operation in OPERATIONS.values() for key in operation.keys}))


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(OPERATIONS)),
    st.dictionaries(_NAMES | st.text(max_size=10), _VALUES, max_size=6),
    st.sampled_from(sorted(SERVICE_TYPES)),
)
def test_checking_never_fails_and_is_stable(operation, values, service_type):
    """Any values give checked ones and problems; checked values check to themselves."""
    checked, problems = check_parameters(operation, values, service_type=service_type)
    assert {problem.parameter for problem in problems} <= values.keys() | OPERATIONS[operation].keys
    again, _ = check_parameters(operation, checked, service_type=service_type)
    assert again == checked
    if not problems:
        images = [b"x"] * len(OPERATIONS[operation].images)
        assert isinstance(build_call(operation, "demo", checked, images), Call)


@settings(max_examples=60)
@given(st.binary(max_size=300), st.text(max_size=30).filter(lambda text: text.isprintable()))
def test_a_body_says_what_was_given(image, text):
    """Any image and any text come out of the form as they went in."""
    call = build_call("AddImage", "demo", {"custom_content": text}, [image])
    form = dict(parse_qsl(call.body.decode("ascii"), keep_blank_values=True))
    assert form["CustomContent"] == text
    assert base64.b64decode(form["PicContent"]) == image
    assert call.body.endswith(
        form["PicContent"].replace("+", "%2B").replace("/", "%2F").replace("=", "%3D").encode()
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Success",
                    "Code",
                    "Msg",
                    "Message",
                    "Head",
                    "PicInfo",
                    "Auctions",
                    "Score",
                    "Data",
                    "Instance",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(OPERATIONS)),
    st.sampled_from([200, 204, 301, 400, 403, 429, 500, 503]),
    st.binary(max_size=60) | _JSON.map(lambda content: json.dumps(content).encode()),
)
def test_no_answer_breaks_the_parser(operation, status, body):
    """Any bytes under any status are an answer: a success with a response, or a code with an origin."""
    parsed = parse_answer(operation, status, body)
    if parsed.code is None:
        assert status // 100 == 2
        assert parsed.response is not None
        assert parsed.origin is None
    else:
        assert parsed.origin in ("api", "transport")
        assert parsed.code.isprintable()
