"""Answers to typed records: the pages' samples, failures of every shape, fields gone wrong."""

from __future__ import annotations

import json

import pytest

from batchsearch.service.parse import parse_answer
from batchsearch.service.responses import AccessDeniedDetail, Category, CompareResponse, Head, SearchResponse

_SEARCH = {
    "Auctions": [
        {
            "CategoryId": 0,
            "PicName": "demo.jpg",
            "SortExprValues": "7.33136443711219e+24;0",
            "Score": 1.0,
            "ProductId": "demo",
            "CustomContent": "zidingyi",
            "IntAttr": 2,
            "IntAttr2": 20,
            "IntAttr3": 3,
            "IntAttr4": 4,
            "StrAttr": "a",
            "StrAttr2": "b",
            "StrAttr3": "c",
            "StrAttr4": "d",
        }
    ],
    "Head": {"DocsReturn": 1, "DocsFound": 10, "SearchTime": 155},
    "PicInfo": {
        "CategoryId": 0,
        "Region": "111,697,113,774",
        "AllCategories": [{"Name": "Tops", "Id": 0}],
        "MultiRegion": [{"Region": "604,1814,451,1358"}, {"Region": "843,1615,687,1138"}],
    },
    "RequestId": "D61D869E",
    "Msg": "success",
    "Success": True,
    "Code": 0,
}
_BARE = {"RequestId": "r", "Success": True, "Code": 0}


def _parse(content, operation="SearchImageByPic", status=200):
    return parse_answer(operation, status, json.dumps(content).encode())


def test_a_search_answer_in_full():
    """Every documented field of a search is read, under its meaning."""
    parsed = _parse(_SEARCH)
    response = parsed.response
    assert isinstance(response, SearchResponse)
    assert (parsed.code, parsed.origin, parsed.request_id, parsed.field_problems) == (
        None,
        None,
        "D61D869E",
        0,
    )
    assert (response.success, response.code, response.message) == (True, 0, "success")
    assert response.head == Head(docs_found=10, docs_return=1, search_time=155)
    assert response.pic_info.region == "111,697,113,774"
    assert response.pic_info.multi_region == ("604,1814,451,1358", "843,1615,687,1138")
    assert response.pic_info.all_categories == (Category(0, "Tops"),)
    hit = response.hits[0]
    assert (hit.product_id, hit.pic_name, hit.category_id, hit.score) == ("demo", "demo.jpg", 0, 1.0)
    assert (hit.int_attr, hit.int_attr2, hit.int_attr3, hit.int_attr4) == (2, 20, 3, 4)
    assert (hit.str_attr, hit.str_attr2, hit.str_attr3, hit.str_attr4) == ("a", "b", "c", "d")
    assert (hit.custom_content, hit.sort_expr_values) == ("zidingyi", "7.33136443711219e+24;0")


def test_a_comparison():
    """A comparison has its score, and the detail of a denial when there is one."""
    detail = {
        "AuthAction": "xxx",
        "AuthPrincipalDisplayName": "111",
        "AuthPrincipalOwnerId": "222",
        "AuthPrincipalType": "SubUser",
        "EncodedDiagnosticMessage": "xxxxxx",
        "NoPermissionType": "ImplicitDeny",
        "PolicyType": "AccountLevelIdentityBasedPolicy",
    }
    content = _BARE | {"Score": 0.85, "Msg": "success", "AccessDeniedDetail": detail}
    parsed = _parse(content, "CompareSimilarByImage")
    assert parsed.field_problems == 0
    assert parsed.response == CompareResponse(
        True, 0, "success", "r", 0.85, AccessDeniedDetail(*detail.values())
    )


def test_a_denied_comparison_keeps_its_detail():
    """A refusal that explains itself is kept as the answer to the comparison."""
    content = {
        "RequestId": "r",
        "Code": "NoPermission",
        "Message": "no",
        "AccessDeniedDetail": {"AuthAction": "a"},
    }
    parsed = _parse(content, "CompareSimilarByImage", 403)
    assert parsed.code == "NoPermission"
    assert parsed.response.access_denied_detail.auth_action == "a"


@pytest.mark.parametrize(
    ("operation", "extra", "attribute", "expected"),
    [
        (
            "AddImage",
            {"Message": "done", "PicInfo": {"CategoryId": 3, "Region": "1,2,3,4"}},
            "message",
            "done",
        ),
        ("UpdateImage", {"Message": "done"}, "message", "done"),
        ("DeleteImage", {"Message": "done", "Data": {"PicNames": ["a", "b"]}}, "pic_names", ("a", "b")),
        (
            "CheckImageExists",
            {"Msg": "m", "Exists": True, "Auctions": {"ProductId": "p", "PicName": "n"}},
            "exists",
            True,
        ),
    ],
)
def test_upkeep_answers(operation, extra, attribute, expected):
    """The upkeep operations answer under their own message field and with their own records."""
    parsed = _parse(_BARE | extra, operation)
    assert parsed.code is None
    assert parsed.field_problems == 0
    assert getattr(parsed.response, attribute) == expected


def test_details_of_an_instance():
    """Detail describes the instance and has neither code nor message."""
    instance = {"Name": "demo", "Region": "r", "ServiceType": 1, "Capacity": 10, "TotalCount": 7, "Qps": 5}
    parsed = _parse({"RequestId": "r", "Success": True, "Instance": instance}, "Detail")
    assert parsed.field_problems == 0
    assert (parsed.response.instance.qps, parsed.response.instance.total_count) == (5, 7)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (17, "Code.17"),
        ("17", "Code.17"),
        ("InvalidInstance", "InvalidInstance"),
        (0, "Code.0"),
        (None, "Code.Missing"),
        ([], "Code.Unreadable"),
        ("no name at all!", "Code.Unreadable"),
    ],
)
def test_success_false_is_a_failure(code, expected):
    """HTTP 200 with `Success: false` fails with its code, however the code is written."""
    parsed = _parse(_SEARCH | {"Success": False, "Code": code, "Msg": "broken"})
    assert (parsed.code, parsed.origin, parsed.message) == (expected, "api", "broken")


@pytest.mark.parametrize(
    ("code", "failed"), [(0, False), ("0", False), (None, False), (5, True), ("Bad", True)]
)
def test_without_a_verdict_the_code_decides(code, failed):
    """Where `Success` is missing, a code other than 0 is a failure."""
    content = {name: value for name, value in _SEARCH.items() if name != "Success"} | {"Code": code}
    assert (_parse(content).code is not None) is failed


@pytest.mark.parametrize(
    "operation", ["SearchImageByPic", "AddImage", "UpdateImage", "CompareSimilarByImage"]
)
@pytest.mark.parametrize(("code", "said"), [(500, "Code.500"), ("DeniedRequest", "DeniedRequest")])
def test_a_success_with_another_code_than_0_is_none(operation, code, said):
    """The pages: values other than 0 say that the request failed. "Nothing found" would be final."""
    content = _SEARCH | {"Success": True, "Code": code, "Score": 1.0}
    parsed = parse_answer(operation, 200, json.dumps(content).encode())
    assert (parsed.code, parsed.origin) == (said, "api")


def test_a_gateway_error():
    """The gateway's body gives code, message and request id."""
    content = {
        "RequestId": "r1",
        "HostId": "h",
        "Code": "DeniedRequest",
        "Message": "denied",
        "Recommend": "u",
    }
    parsed = _parse(content, status=403)
    assert (parsed.code, parsed.origin, parsed.message, parsed.request_id) == (
        "DeniedRequest",
        "api",
        "denied",
        "r1",
    )
    assert parsed.response is None


def test_an_xml_error():
    """An error in the gateway's XML is read too, its entities as text."""
    body = b'<?xml version="1.0"?><Error><RequestId>r</RequestId><Code>Throttling.User</Code>'
    parsed = parse_answer("Detail", 400, body + b"<Message>a &lt; b</Message></Error>")
    assert (parsed.code, parsed.origin, parsed.message, parsed.request_id) == (
        "Throttling.User",
        "api",
        "a < b",
        "r",
    )


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"<html>welcome</html>", "Transport.NotJson"),
        (502, b"<html>bad gateway</html>", "Transport.NotJson"),
        (200, b"", "Transport.EmptyBody"),
        (500, b"  \n", "Transport.EmptyBody"),
        (200, b"[1,2]", "Transport.NotJson"),
        (200, b"{}", "Transport.NotJson"),
        (200, b'{"status": "maintenance"}', "Transport.NotJson"),
        (200, b'{"Success": true', "Transport.NotJson"),
        (200, b"\xff\xfe\x00\x01", "Transport.NotJson"),
        (200, b"[" * 100_000, "Transport.NotJson"),
        (200, b'{"Code": ' + b"9" * 5000 + b"}", "Transport.NotJson"),
        (403, b"<html>forbidden</html>", "Transport.NotTheService"),
        (413, b"<html>too large</html>", "Http.413"),
        (429, b"", "Http.429"),
        (302, b"", "Transport.Redirected"),
        (503, b'{"error": "x"}', "Http.503"),
        (403, b'{"error": "forbidden by policy"}', "Transport.NotTheService"),
        (429, b'{"error": "slowly"}', "Http.429"),
    ],
)
def test_answers_that_are_none(status, body, code):
    """What is no answer of the service has a code that says so, and no exception."""
    parsed = parse_answer("SearchImageByPic", status, body)
    assert parsed.code == code
    assert parsed.response is None


def _changed(path, value):
    content = json.loads(json.dumps(_SEARCH))
    inner = content
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return content


@pytest.mark.parametrize(
    ("path", "value", "read"),
    [
        (("Auctions", 0, "Score"), "0.5", lambda r: r.hits[0].score == 0.5),
        (("Auctions", 0, "Score"), None, lambda r: r.hits[0].score is None),
        (("Auctions", 0, "IntAttr"), "12", lambda r: r.hits[0].int_attr == 12),
        (("Auctions", 0, "IntAttr"), 12.0, lambda r: r.hits[0].int_attr == 12),
        (("Auctions", 0, "IntAttr"), 12.5, lambda r: r.hits[0].int_attr is None),
        (("Auctions", 0, "IntAttr"), True, lambda r: r.hits[0].int_attr is None),
        (("Auctions", 0, "IntAttr"), 10**30, lambda r: r.hits[0].int_attr is None),
        (("Auctions", 0, "ProductId"), 7, lambda r: r.hits[0].product_id == "7"),
        (("Auctions", 0, "StrAttr"), "a\ud800b", lambda r: r.hits[0].str_attr == "a?b"),
        (("Auctions", 0, "New"), 1, lambda r: len(r.hits) == 1),
        (("Auctions",), None, lambda r: r.hits == ()),
        (("Head",), None, lambda r: r.head is None),
        (("Head",), [], lambda r: r.head is None),
        (("Head", "DocsFound"), "3", lambda r: r.head.docs_found == 3),
        (("PicInfo",), "x", lambda r: r.pic_info is None),
        (("PicInfo", "MultiRegion"), ["1,2,3,4"], lambda r: r.pic_info.multi_region == ()),
        (
            ("PicInfo", "AllCategories", 0, "Id"),
            "x",
            lambda r: r.pic_info.all_categories == (Category(None, "Tops"),),
        ),
        (("Success",), "true", lambda r: r.success is True),
        (("Code",), "0", lambda r: r.code == 0),
        (("Msg",), 5, lambda r: r.message == "5"),
        (("RequestId",), None, lambda r: r.request_id is None),
        (("Extra",), {"a": 1}, lambda r: len(r.hits) == 1),
    ],
)
def test_fields_gone_wrong_are_survived_and_counted(path, value, read):
    """A missing, unknown, null or mistyped field costs one count, not the answer."""
    parsed = _parse(_changed(path, value))
    assert parsed.code is None
    assert parsed.field_problems == 1
    assert read(parsed.response)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"CustomContent": "红色连衣裙"},
        {"CustomContent": "half \ud800"},
        {"Score": 1, "IntAttr": 2**63},
        {"Score": None},
        {"CategoryId": "88"},
        {"StrAttr": 7, "IntAttr4": True},
    ],
)
def test_a_hit_that_is_as_documented_is_read_as_any_other(changes):
    """Hits are read at once where they can be, and a field that nobody knows changes no other."""
    hit = _SEARCH["Auctions"][0] | changes
    parsed = _parse(_changed(("Auctions", 0), hit))
    with_care = _parse(_changed(("Auctions", 0), hit | {"New": 1}))
    assert parsed.response.hits == with_care.response.hits
    assert parsed.field_problems + 1 == with_care.field_problems


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("Success",), None),
        (("Auctions",), {}),
        (("Auctions",), "none"),
        (("Auctions",), 0),
        (("Auctions", 0), "x"),
        (("Auctions", 0), None),
        (("Auctions", 0, "ProductId"), ["x"]),
        (("Auctions", 0, "PicName"), True),
        (("Auctions", 0, "Score"), "high"),
        (("Auctions", 0, "Score"), float("nan")),
    ],
)
def test_an_answer_that_says_nothing_is_not_nothing_found(path, value):
    """What a search is asked for is of another type, or nothing says that it went well."""
    content = _changed(path, value)
    content.pop("Code", None)
    parsed = _parse(content)
    assert (parsed.code, parsed.origin, parsed.response) == ("Transport.Unreadable", "transport", None)
    assert f"`{path[-1] if isinstance(path[-1], str) else path[0]}`" in parsed.message


@pytest.mark.parametrize(
    ("operation", "content"),
    [
        ("SearchImageByPic", {"Success": None}),
        ("SearchImageByName", {"RequestId": "r"}),
        ("SearchImageByName", {"Success": "perhaps", "Auctions": []}),
        ("CompareSimilarByImage", {"Success": True}),
        ("CompareSimilarByImage", {"Success": True, "Score": None}),
        ("CompareSimilarByImage", {"Success": True, "Score": "alike"}),
        ("CompareSimilarByImage", {"Success": True, "Score": [0.5]}),
        ("CompareSimilarByImage", {"Success": None, "Score": 0.5}),
        ("AddImage", {"Success": None}),
        ("AddImage", {"RequestId": "r", "PicInfo": {}}),
        ("UpdateImage", {"Success": {}}),
        ("DeleteImage", {"Data": {"PicNames": []}}),
        ("CheckImageExists", {"Success": True}),
        ("CheckImageExists", {"Success": True, "Exists": "often"}),
        ("Detail", {"Success": True, "Instance": "demo"}),
        ("Detail", {"Success": True, "Instance": None}),
    ],
)
def test_no_operation_takes_silence_for_success(operation, content):
    """An answer without what it was asked for is no success of any operation, whatever its status."""
    parsed = _parse(content, operation)
    assert (parsed.code, parsed.origin) == ("Transport.Unreadable", "transport")


@pytest.mark.parametrize(
    ("operation", "content"),
    [
        ("SearchImageByPic", {"Success": True}),
        ("SearchImageByPic", {"Success": None, "Code": 0, "Auctions": []}),
        ("SearchImageByPic", {"Auctions": []}),
        ("CompareSimilarByImage", {"Score": "0.5"}),
        ("AddImage", {"Code": 0}),
        ("AddImage", {"Success": True, "PicInfo": "x"}),
        ("DeleteImage", {"Success": "true", "Data": []}),
    ],
)
def test_what_can_be_read_without_loss_is_a_success(operation, content):
    """A null list has no entries, as official clients read it; a code of 0 is a verdict."""
    assert _parse(content, operation).code is None


@pytest.mark.parametrize(
    "operation", ["SearchImageByName", "AddImage", "DeleteImage", "CompareSimilarByImage"]
)
@pytest.mark.parametrize(("status", "success"), [(403, None), (200, False)])
def test_a_denial_says_what_is_not_granted_to_whom(operation, status, success):
    """RAM's own explanation is part of the message of every operation's refusal."""
    detail = {
        "AuthAction": f"imagesearch:{operation}",
        "AuthPrincipalDisplayName": "nightly",
        "NoPermissionType": "ImplicitDeny",
    }
    content = {"Success": success, "Code": "NoPermission", "Message": "No.", "AccessDeniedDetail": detail}
    content["Msg"] = content["Message"]
    parsed = _parse(content, operation, status)
    assert parsed.code == "NoPermission"
    assert parsed.message == f"No: imagesearch:{operation} is not granted to nightly (ImplicitDeny)"
    assert parsed.denial.auth_principal_display_name == "nightly"


def test_one_kind_of_deviation_counts_once():
    """A field that is wrong in every hit is one problem, not a hundred."""
    hits = [{"ProductId": "p", "PicName": "n", "CategoryId": 0, "Score": "0.5"}] * 100
    assert _parse(_SEARCH | {"Auctions": hits}).field_problems == 1


def test_the_message_has_two_names():
    """`Message` is read where the operation says `Msg`, and the other way round: the pages mix them."""
    content = {name: value for name, value in _SEARCH.items() if name != "Msg"} | {"Message": "fine"}
    assert _parse(content).message == "fine"
    assert _parse(_BARE | {"Msg": "fine"}, "AddImage").message == "fine"


def test_endless_messages_are_cut():
    """A message is kept to 2,000 characters."""
    assert len(_parse({"Code": "BadRequest", "Message": "x" * 10_000}, status=400).message) == 2000


_INCREMENT = {
    "Id": 7,
    "Status": "SUCCESS",
    "Code": "",
    "Msg": "",
    "BucketName": "shop",
    "Path": "/in",
    "CallbackAddress": "",
    "ErrorUrl": "https://host/file?Signature=secret",
    "UtcCreate": "1764230400000",
    "UtcModified": 1764230401000,
}


def test_a_list_of_imports_is_read_whatever_its_numbers_are_written_as():
    """Ids and times come as text and as numbers: both are read, and neither is a deviation."""
    data = {"PageNumber": 1, "PageSize": 10, "TotalCount": 1, "Increments": {"Instance": [_INCREMENT]}}
    parsed = _parse({"RequestId": "r", "Data": data}, "IncreaseList")
    assert (parsed.code, parsed.field_problems) == (None, 0)
    (task,) = parsed.response.tasks
    assert (task.task_id, task.status, task.path) == ("7", "SUCCESS", "/in")
    assert (task.utc_create, task.utc_modified) == (1764230400000, 1764230401000)
    assert "secret" not in repr(parsed)


def test_a_list_of_exports_is_read_alike():
    """The two kinds of tasks name the same things differently."""
    dump = {"Id": "9", "Status": "PROCESSING", "UtcCreate": 1, "UtcModified": 2}
    data = {"PageNumber": 1, "PageSize": 10, "TotalCount": 1, "DumpMetaList": [dump]}
    parsed = _parse({"RequestId": "r", "Data": data}, "DumpMetaList")
    assert (parsed.code, parsed.field_problems) == (None, 0)
    assert [(task.task_id, task.status, task.file_url) for task in parsed.response.tasks] == [
        ("9", "PROCESSING", None)
    ]


@pytest.mark.parametrize(
    ("operation", "status"), [("IncreaseInstance", "IncrementStatus"), ("DumpMeta", "DumpMetaStatus")]
)
def test_a_task_that_is_begun_says_its_id(operation, status):
    """The id is what a task is followed by: an answer without `Data` is none."""
    parsed = _parse({"RequestId": "r", "Success": True, "Data": {"Id": 3, status: "PROCESSING"}}, operation)
    assert (parsed.code, parsed.response.task_id, parsed.response.status) == (None, "3", "PROCESSING")
    assert _parse({"RequestId": "r", "Success": True}, operation).code == "Transport.Unreadable"


def test_what_is_listed_by_filter_has_neither_head_nor_scores():
    """Without an image there is nothing to be like: that they are missing is no deviation."""
    hit = {"CategoryId": 0, "PicName": "a.jpg", "ProductId": "p", "IntAttr": 2}
    parsed = _parse({**_BARE, "Msg": "success", "Auctions": [hit]}, "SearchImageByFilter")
    assert (parsed.code, parsed.field_problems) == (None, 0)
    assert (parsed.response.hits[0].score, parsed.response.head) == (None, None)
