"""Each documented error comes from a request that deserves it, with its status, code and message."""

from __future__ import annotations

import base64
import json
import math
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from image_files import in_base64 as encoded
from PIL import Image

from batchsearch.emulator.caller import FORM, Received, signed_v3
from batchsearch.emulator.faults import ErrorAnswer, FaultPlan, FaultRule
from batchsearch.emulator.http.error_table import ERRORS
from batchsearch.emulator.http.signatures import AccessKey
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions, random_key
from batchsearch.emulator.server import Emulator

LIFTED = dict.fromkeys(("query", "add", "delete", "update", "other"), math.inf)
DOCUMENTED = Path(__file__).parents[2] / "contract" / "data" / "errors_2020-12-14.json"
EMULATED = (
    "SearchImageByPic",
    "SearchImageByName",
    "CompareSimilarByImage",
    "AddImage",
    "UpdateImage",
    "DeleteImage",
    "Detail",
    "SearchImageByText",
    "IncreaseInstance",
    "IncreaseList",
    "DumpMeta",
    "DumpMetaList",
)

ANY = "any-key", "secret-1"
LIMITED = AccessKey("limited", "secret-2", instances=frozenset({"other"}))
DISABLED = AccessKey("disabled", "secret-3", active=False)
WRONG = AccessKey(ANY[0], "wrong")
EXPIRED = AccessKey("expired", "secret-5", security_token="token-of-its-own", expires=1.0)


def temporary(token: str | None) -> AccessKey:
    return AccessKey("temporary", "secret-4", security_token=token)


TOKEN = temporary("token-of-its-own")


def plain(width: int = 200, height: int = 150) -> Image.Image:
    return Image.new("RGB", (width, height), "teal")


def rotated() -> str:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(plain(), "JPEG", exif=exif)


GOOD = encoded(plain())
SEARCH = {"PicContent": GOOD}
NAME = {"ProductId": "p", "PicName": "n"}
ADD = {**NAME, "PicContent": GOOD}
COMPARE = {"PrimaryPicContent": GOOD, "SecondaryPicContent": GOOD}


@pytest.fixture(scope="module")
def emulator():
    instances = (
        InstanceOptions(name="demo", service_type="product", rates=LIFTED),
        InstanceOptions(name="other", rates=LIFTED),
        InstanceOptions(name="words", service_type="multimodal", rates=LIFTED),
        InstanceOptions(name="trademark", service_type="trademark", rates=LIFTED),
        InstanceOptions(name="full", capacity=1, rates=LIFTED),
        InstanceOptions(name="broken", available=False, rates=LIFTED),
        InstanceOptions(name="slow", qps=1, rates=dict.fromkeys(LIFTED, 0.001)),
    )
    keys = (AccessKey(*ANY), LIMITED, DISABLED, TOKEN, EXPIRED)
    with Emulator(EmulatorOptions(instances=instances, keys=keys)) as running:
        caller = running.caller()
        assert caller.call("AddImage", {"InstanceName": "full", **ADD}).status == 200
        assert caller.call("SearchImageByPic", {"InstanceName": "slow", **SEARCH}).status == 200
        assert caller.call("Detail", {"InstanceName": "slow"}).status == 200
        yield running


def checked(received: Received, code: str, status: int, message: str) -> None:
    body = received.json()
    assert (body["Code"], received.status, body["Message"]) == (code, status, message)
    assert body["RequestId"] == received.headers["x-acs-request-id"]
    assert body["HostId"]


# Code, status, message.
INVALID_INSTANCE_NAME = ("InvalidInstanceName", 400, "The parameter instanceName is not specified.")
INVALID_INSTANCE = ("InvalidInstance", 400, "The specified instance name is invalid.")
CONSOLE_NOT_FOUND = ("Console.InstanceNotFound", 400, "The specified ImageSearch instance is not found.")
UNAVAILABLE = ("InstanceStatusError", 400, "Your instance is unavailable.")
FLOW_CONTROL = "Your request was denied due to instance flow control."
UNSUPPORTED_PIC_FORMAT = ("UnsupportedPicFormat", 400, "The specified image format is invalid.")
UNSUPPORTED_PIC_PIXELS = ("UnsupportedPicPixels", 400, "The specified pixels is not supported.")
TOO_LONG = "The specified parameter PicContent length greater than 4 * 1024 * 1024."
ROTATED = ("IncorrectOrientation", 400, "The image contains incorrect rotation flags in the meta data.")
NO_PIC = ("NoSpecifiedPic", 400, "The content of an image is not specified in the HTTP POST body.")
INVALID_PIC_URL = ("InvalidPicUrl", 400, "The search picture does not exist at the specific url.")
INVALID_PIC_URL_OF_A_PAIR = ("InvalidPicUrl", 400, "The specified parameter PicUrl is not valid.")
PIC_NOT_EXIST = ("PicNotExist", 400, "The search picture does not exist.")
INVALID_INT_ATTR = ("InvalidIntAttr", 400, "The specified int_attr field is invalid.")
OVER_QUOTA = ("InstanceOverQuota", 400, "The number of items exceeds the limit.")
INVALID_FILTER_CLAUSE = ("InvalidFilterClause", 400, "The specified filtering condition is invalid.")
BAD_REQUEST = ("BadRequest", 400, "The request has invalid parameters.")
CONSOLE_BAD_REQUEST = ("Console.BadRequest", 400, "The request has invalid parameters.")
INVALID_REGION = ("InvalidRegion", 400, "The specific region is illegal")
INVALID_NUM_PARAMETER = ("InvalidNumParameter", 400, "The specified parameter num is invalid.")
INVALID_START_PARAMETER = ("InvalidStartParameter", 400, "The specified parameter start is inavlid.")
MOST_RETURNED = "The specified number of results for each request exceeds the maximum of 100."
MOST_RESULTS = "The specified number of total results exceeds the maximum of 500."
INVALID_CATEGORY = ("InvalidCategory", 400, "The specified category is invalid.")
UNSUPPORTED_INSTANCE = ("UnsupportedInstanceType", 500, "The instance type is not supported.")
STATUS = "The current instance status does not support this operation."
CONSOLE_STATUS = "Current Instance status not supported this opreate."
NO_SUCH_API = "Specified api is not found, please check your url and method."
INVALID_VERSION = ("InvalidVersion", 400, "Specified parameter Version is not valid.")
ILL_FORMATTED = "Specified time stamp or date value is not well formatted."
OTHER_TOKEN = "Specified SecurityToken does not match the access key."
EXPIRED_TIME = ("InvalidTimeStamp.Expired", 400, "Specified time stamp or date value is expired.")


def missing(name: str) -> tuple[str, int, str]:
    return f"Missing{name}", 400, f"{name} is mandatory for this action."


def unspecified(name: str) -> tuple[str, int, str]:
    return f"NoSpecified{name}", 400, f"The parameter {name} no specified."


def invalid(name: str) -> tuple[str, int, str]:
    return f"Invalid{name}", 400, f"The specified parameter {name} is not valid."


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


OVER_4_MB = in_base64(b"x" * (4 * 1024 * 1024 + 1))
REGIONS = ("1,2,3", "a,b,c,d", "10,5,0,50", "0,50,10,5", "0,200,0,50", "0,50,0,150", "-1,5,0,5", "5,5,0,9")
FILTERS = ("int_attr", "color=1", "int_attr!=1", "(" * 3000, f'str_attr="{"x" * 4096}"')
THRESHOLDS = ("1.01", "0.555", "-0.1", "nan")

# Of each operation and instance: parameters, and the answer that they deserve.
DESERVED = {
    ("SearchImageByPic", None): [(SEARCH, missing("InstanceName"))],
    ("SearchImageByPic", ""): [(SEARCH, INVALID_INSTANCE_NAME)],
    ("SearchImageByPic", "nobody"): [(SEARCH, INVALID_INSTANCE)],
    ("SearchImageByPic", "x" * 21): [(SEARCH, INVALID_INSTANCE)],
    ("Detail", "nobody"): [({}, CONSOLE_NOT_FOUND)],
    ("SearchImageByPic", "broken"): [(SEARCH, UNAVAILABLE)],
    ("CompareSimilarByImage", "broken"): [(COMPARE, ("InstanceStatusError", 400, STATUS))],
    ("SearchImageByPic", "slow"): [(SEARCH, ("DeniedRequest", 403, FLOW_CONTROL))],
    ("Detail", "slow"): [({}, ("DeniedRequest", 400, FLOW_CONTROL))],
    ("SearchImageByPic", "demo"): [
        ({}, missing("PicContent")),
        ({"PicContent": ""}, unspecified("PicContent")),
        ({"PicContent": "not base64!"}, UNSUPPORTED_PIC_FORMAT),
        ({"PicContent": in_base64(b"no picture")}, UNSUPPORTED_PIC_FORMAT),
        ({"PicContent": encoded(plain(), "JPEG")[:400]}, UNSUPPORTED_PIC_FORMAT),
        ({"PicContent": OVER_4_MB}, ("InvalidPicContent", 400, TOO_LONG)),
        ({"PicContent": encoded(plain(99, 150))}, UNSUPPORTED_PIC_PIXELS),
        ({"PicContent": encoded(plain(4097, 150))}, UNSUPPORTED_PIC_PIXELS),
        ({"PicContent": rotated()}, ROTATED),
        ({"PicContent": "http://example.com/cat.jpg"}, INVALID_PIC_URL),
        (
            {"PicContent": f"http://b.e/upload-{'0' * 32}"},
            ("PictureError", 500, "[download] Img Download Failed."),
        ),
        *(({**SEARCH, "Region": region}, INVALID_REGION) for region in REGIONS),
        *(
            ({**SEARCH, "Num": num}, INVALID_NUM_PARAMETER)
            for num in ("0", "-1", "ten", "1.5", "99999999999999999999")
        ),
        *(({**SEARCH, "Start": start}, INVALID_START_PARAMETER) for start in ("-1", "500", "x")),
        ({**SEARCH, "Start": "499", "Num": "2"}, ("OverflowMaxResultNum", 400, MOST_RESULTS)),
        *(({**SEARCH, "Filter": text}, INVALID_FILTER_CLAUSE) for text in FILTERS),
        *(({**SEARCH, "CategoryId": text}, INVALID_CATEGORY) for text in ("10", "x", "-1", "8888888")),
        ({**SEARCH, "Crop": "maybe"}, BAD_REQUEST),
        ({**SEARCH, "DistinctProductId": "2"}, BAD_REQUEST),
        *(({**SEARCH, "ScoreThreshold": text}, BAD_REQUEST) for text in THRESHOLDS),
    ],
    ("SearchImageByPic", "trademark"): [({"PicContent": encoded(plain(199, 300))}, UNSUPPORTED_PIC_PIXELS)],
    ("SearchImageByName", "demo"): [
        (NAME, PIC_NOT_EXIST),
        ({**NAME, "Num": "101"}, ("OverflowMaxReturnNum", 400, MOST_RETURNED)),
        ({"PicName": "n"}, missing("ProductId")),
        ({**NAME, "ProductId": ""}, unspecified("ProductId")),
        ({**NAME, "PicName": ""}, unspecified("PicName")),
    ],
    ("UpdateImage", "demo"): [(NAME, PIC_NOT_EXIST)],
    ("AddImage", "demo"): [
        ({**ADD, "Region": "1"}, ("InvalidRegion", 400, "The specific region is illegal.")),
        ({**ADD, "ProductId": "x" * 257}, invalid("ProductId")),
        ({**ADD, "PicName": "a\nb"}, invalid("PicName")),
        ({**ADD, "CustomContent": "x" * 4097}, invalid("CustomContent")),
        ({**ADD, "IntAttr": "1.5"}, INVALID_INT_ATTR),
        *(({**ADD, name: str(2**31)}, invalid(name)) for name in ("IntAttr2", "IntAttr3", "IntAttr4")),
        *(
            ({**ADD, name: bad}, invalid(name))
            for name in ("StrAttr", "StrAttr2", "StrAttr3", "StrAttr4")
            for bad in ("x" * 129, "5%", "a\\b", "¥1", "$", "a&b")
        ),
    ],
    ("UpdateImage", "full"): [({**NAME, "StrAttr": "$"}, invalid("StrAttr"))],
    ("AddImage", "full"): [({**ADD, "ProductId": "another"}, OVER_QUOTA)],
    ("DeleteImage", "demo"): [
        ({}, ("NoSpecifiedProductId", 400, "You must specify ProductId.")),
        ({"IsDeleteByFilter": "true"}, INVALID_FILTER_CLAUSE),
    ],
    ("DeleteImage", "full"): [({"ProductId": "p", "PicName": ""}, BAD_REQUEST)],
    ("CompareSimilarByImage", "demo"): [
        ({"PrimaryPicContent": GOOD}, missing("SecondaryPicContent")),
        ({**COMPARE, "PrimaryPicContent": ""}, NO_PIC),
        ({**COMPARE, "PrimaryPicContent": "?"}, invalid("PrimaryPicContent")),
        ({**COMPARE, "SecondaryPicContent": "?"}, invalid("SecondaryPicContent")),
        (
            {**COMPARE, "SecondaryPicContent": OVER_4_MB},
            ("InvalidPicContent", 400, "The image size exceeds 4 MB."),
        ),
        ({**COMPARE, "PrimaryPicContent": "https://example.com/cat.jpg"}, INVALID_PIC_URL_OF_A_PAIR),
    ],
    ("SearchImageByText", "demo"): [({"Text": "cat"}, UNSUPPORTED_INSTANCE)],
    ("SearchImageByText", "words"): [
        ({}, missing("Text")),
        ({"Text": " "}, invalid("Text")),
        ({"Text": "a\tb"}, invalid("Text")),
        ({"Text": "x" * 513}, ("InvalidTextLength", 400, "Invalid text clause.")),
        ({"Text": "x", "Num": 0}, INVALID_NUM_PARAMETER),
    ],
    ("SearchImageByFilter", "demo"): [({"Filter": "int_attr"}, INVALID_FILTER_CLAUSE)],
    ("IncreaseInstance", "demo"): [
        ({"Path": "/a"}, missing("BucketName")),
        ({"BucketName": "b"}, missing("Path")),
        ({"BucketName": "", "Path": "/a"}, CONSOLE_BAD_REQUEST),
    ],
    ("IncreaseList", "demo"): [({"PageSize": 31}, CONSOLE_BAD_REQUEST)],
    ("DumpMetaList", "demo"): [
        ({"PageNumber": 0}, CONSOLE_BAD_REQUEST),
        ({"Id": "x"}, CONSOLE_BAD_REQUEST),
    ],
    ("IncreaseList", "nobody"): [({}, CONSOLE_NOT_FOUND)],
    ("DumpMeta", "broken"): [({}, ("Console.InstanceStatusError", 409, CONSOLE_STATUS))],
    ("DumpMeta", "slow"): [({}, ("DeniedRequest", 400, FLOW_CONTROL))],
    ("Nothing", "demo"): [({}, ("InvalidApi.NotFound", 404, NO_SUCH_API))],
}
PARAMETERS = [
    (action, instance, parameters, *answer)
    for (action, instance), cases in DESERVED.items()
    for parameters, answer in cases
]


@pytest.mark.parametrize(
    "row", PARAMETERS, ids=[f"{number}-{row[0]}-{row[3]}" for number, row in enumerate(PARAMETERS)]
)
def test_a_bad_request_has_its_documented_answer(emulator, row):
    """Code, HTTP status and message are those of the operation's page."""
    action, instance, parameters, code, status, message = row
    named = {} if instance is None else {"InstanceName": instance}
    checked(emulator.caller().call(action, {**named, **parameters}), code, status, message)
    entry = emulator.log.entries()[-1]
    assert (entry.code, entry.status) == (code, status)


# Key, further headers, seconds that the request's date is off, code, status, message.
AUTHENTICATION = [
    (random_key(), {}, 0, "InvalidAccessKeyId.NotFound", 404, "Specified access key is not found."),
    (DISABLED, {}, 0, "InvalidAccessKeyId.Inactive", 400, "Specified access key is disabled."),
    (WRONG, {}, 0, "SignatureDoesNotMatch", 400, "Specified signature is not matched with our calculation."),
    (AccessKey(*ANY), {}, -1000, *EXPIRED_TIME),
    (AccessKey(*ANY), {}, 1000, *EXPIRED_TIME),
    (AccessKey(*ANY), {"x-acs-date": "yesterday"}, 0, "InvalidTimeStamp.Format", 400, ILL_FORMATTED),
    (temporary(None), {}, 0, "MissingSecurityToken", 400, "SecurityToken is mandatory for this action."),
    (temporary("another-token"), {}, 0, "InvalidSecurityToken.MismatchWithAccessKey", 400, OTHER_TOKEN),
    (EXPIRED, {}, 0, "InvalidSecurityToken.Expired", 400, "Specified SecurityToken is expired."),
    (temporary("a b"), {}, 0, "InvalidSecurityToken.Malformed", 400, "Specified SecurityToken is malformed."),
    (LIMITED, {}, 0, "NoPermission", 403, "You are not authorized to perform this operation."),
    (AccessKey(*ANY), {"x-acs-version": "2018-01-01"}, 0, *INVALID_VERSION),
]


@pytest.mark.parametrize("row", AUTHENTICATION, ids=[row[3] for row in AUTHENTICATION])
def test_an_unauthorized_request_has_its_documented_answer(emulator, row):
    """Keys, tokens, dates and permissions are refused with the gateway's codes."""
    key, headers, off, code, status, message = row
    received = emulator.caller().call(
        "SearchImageByPic",
        {"InstanceName": "demo", **SEARCH},
        key=key,
        headers=headers,
        now=time.time() + off,
    )
    checked(received, code, status, message)


def test_a_key_with_its_token_is_let_in(emulator):
    """A temporary key pair with its own token works."""
    assert emulator.caller().call("Detail", {"InstanceName": "demo"}, key=TOKEN).status == 200


def test_permission_is_refused_with_the_details_of_who_and_what(emulator):
    """NoPermission names the action and the kind of denial; Detail has the console's code for it."""
    body = emulator.caller().call("SearchImageByPic", {"InstanceName": "demo", **SEARCH}, key=LIMITED).json()
    assert body["AccessDeniedDetail"]["AuthAction"] == "imagesearch:SearchImageByPic"
    assert body["AccessDeniedDetail"]["NoPermissionType"] == "ImplicitDeny"
    assert (
        emulator.caller().call("Detail", {"InstanceName": "demo"}, key=LIMITED).code == "Console.NoPermission"
    )
    assert emulator.caller().call("Detail", {"InstanceName": "other"}, key=LIMITED).status == 200


def test_a_replayed_request_is_refused(emulator):
    """The very same signed request works once."""
    caller = emulator.caller()
    body = b"InstanceName=other&ProductId=p&PicName=n"
    headers = {"host": emulator.endpoint.removeprefix("http://"), "content-type": FORM}
    sent = signed_v3(AccessKey(*ANY), action="CheckImageExists", target="/", body=body, headers=headers)
    assert caller.send("POST", "/", body, sent).status == 200
    message = "Specified signature nonce was used already."
    checked(caller.send("POST", "/", body, sent), "SignatureNonceUsed", 400, message)


def test_an_unsigned_request_is_refused(emulator):
    """Without any signature the gateway misses the key."""
    headers = {"x-acs-action": "Detail", "x-acs-version": "2020-12-14", "content-type": FORM}
    received = emulator.caller().send("POST", "/", b"InstanceName=demo", headers)
    checked(received, *missing("AccessKeyId"))


def test_a_refused_request_changes_nothing_and_burns_no_nonce(emulator):
    """A wrongly signed request does not use its nonce up: the right one with the same nonce still works."""
    caller = emulator.caller()
    headers = {"x-acs-signature-nonce": "a-nonce-of-ones-own"}
    call = ("Detail", {"InstanceName": "other"})
    assert caller.call(*call, headers=headers, key=WRONG).code == "SignatureDoesNotMatch"
    assert caller.call(*call, headers=headers).status == 200
    assert caller.call(*call, headers=headers).code == "SignatureNonceUsed"


# CompareSimilarByImage 2026-01 says 400 where the older metadata says 500.
NEWER = {
    ("CompareSimilarByImage", code): 400
    for code in ("PictureError", "UnsupportedInstanceType", "UnsupportedOperationType")
}


def test_the_table_holds_every_documented_error_as_documented():
    """Status and message of each error list's entry, for each emulated operation, are in the table."""
    documented = json.loads(DOCUMENTED.read_text("utf-8"))["ops"]
    for operation in EMULATED:
        for error in documented[operation]:
            found = ERRORS[error["code"]].answer_for(operation)
            status = NEWER.get((operation, error["code"]), error["http"])
            assert found == (status, error["message"]), (operation, error["code"])


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_error_of_the_table_can_be_had_on_demand(emulator, code):
    """A fault answers any code with its own status and message, for codes that no request can deserve."""
    emulator.set_faults(FaultPlan((FaultRule(ErrorAnswer(code)),)))
    try:
        received = emulator.caller().call("SearchImageByName", {"InstanceName": "demo", **NAME})
    finally:
        emulator.set_faults(FaultPlan())
    checked(received, code, *ERRORS[code].answer_for("SearchImageByName"))
    assert quote(code) in received.json()["Recommend"]


def test_the_older_search_has_two_types(emulator):
    """A 2019 search of a third type is refused with that version's code."""
    body = b"InstanceName=demo&Type=SearchByText"
    headers = {"host": emulator.endpoint.removeprefix("http://"), "content-type": FORM}
    headers["x-acs-version"] = "2019-03-25"
    target = "/v2/image/search"
    sent = signed_v3(AccessKey(*ANY), action="SearchImage", target=target, body=body, headers=headers)
    checked(emulator.caller().send("POST", target, body, sent), *invalid("Type"))


# Deserved by requests of other tests: of this file, and of the faults', limits', upload's and batch tasks'.
ELSEWHERE = {
    "Console.NoPermission",
    "Console.TaskAlreadyExist",
    "InvalidType",
    "RequestBodyTooLarge",
    "SignatureNonceUsed",
    "TimeoutForTransferImage",
}
ONLY_ON_DEMAND = {
    "the vendor's own machinery fails": (
        "AccessEngineFailed",
        "ConnectionDVException",
        "Console.CallServiceError",
        "Console.InternalError",
        "ExtractFeatureTimeout",
        "InternalError",
        "InternalOssError",
        "InternalSwiftError",
        "InternalTableStoreError",
        "NetworkException",
        "RequestTimeout",
        "SearchTimeout",
        "ServerInternalError",
        "ServiceUnavailable",
        "UnknownException",
        "UnknownlException",
    ),
    "limits and states of an account, which there is none of": (
        "Console.IncrementStatusError",
        "Console.LoginError",
        "Console.NotAllowedModifyToken",
        "Console.OrderStatusError",
        "Console.PidError",
        "Forbidden",
        "Forbidden.RAM",
        "NeedRegisterBeforeInvoke",
        "Throttling",
        "Throttling.Api",
        "Throttling.User",
    ),
    "about a request between the service's own parts, which no caller writes": (
        "EmptyMeta",
        "InvalidMetaItem",
        "InvalidPicList",
        "InvalidRequestId",
        "InvalidRequestIdTooLarge",
        "NoCaretSeperator",
        "NoPicList",
    ),
    "every operation is emulated": ("UnsupportedOperationType",),
    "another code says the same, and is the one that is answered": (
        "Console.NoPermissionError",
        "InvalidAction.NotFound",
        "NoSpecifiedAddPic",
        "NoSpecifiedItemId",
        "NoSpecifiedSearchPic",
        "RegionError",
        "UnsupportedPictureFormat",
    ),
}


def test_each_error_is_deserved_by_some_request_or_has_a_reason_not_to_be():
    """Every code of the table is the answer to a request that deserves it, or says why it cannot be."""
    deserved = {row[3] for row in (*PARAMETERS, *AUTHENTICATION)} | ELSEWHERE
    on_demand = {code for codes in ONLY_ON_DEMAND.values() for code in codes}
    assert not deserved & on_demand
    assert set(ERRORS) - deserved == on_demand
