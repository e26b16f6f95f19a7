"""What is refused before a call is spent on it, and what the rest is sent as."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from typing import get_args

import numpy as np
import pytest

from batchsearch.service.codes.table import codes_of
from batchsearch.service.operations import OPERATIONS, Budget
from batchsearch.service.parameters import check_parameters, without_defaults

LOCAL_CODES = {code.name for code in codes_of("local", owner="row")}


def _check(operation="SearchImageByPic", service_type="product", **values):
    return check_parameters(operation, values, service_type=service_type)


def _only_problem(operation="SearchImageByPic", service_type="product", **values):
    checked, problems = _check(operation, service_type, **values)
    assert len(problems) == 1, problems
    assert problems[0].parameter not in checked or problems[0].code == "Local.TooManyResults"
    return problems[0]


@pytest.mark.parametrize("value", [10, "10", " 10 ", 10.0, "10.0", "+10", np.int32(10), Decimal(10)])
def test_one_integer_in_many_forms(value):
    """YAML, CSV and Arrow forms of one integer are the same value."""
    assert _check(num=value) == ({"num": 10}, ())


@pytest.mark.parametrize(
    "value", ["1e1", "ten", True, 10.5, "10,", b"10", [10], float("inf"), 10**30, "9" * 30]
)
def test_what_is_no_integer(value):
    """A value that is not exactly an integer of the range is refused, never rounded."""
    assert _only_problem(num=value).code == "Local.InvalidNum"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), ("True", True), ("FALSE", False), (0, False), ("1", True)],
)
def test_booleans(value, expected):
    """Booleans are read in the forms that YAML, CSV and Arrow give."""
    assert _check(crop=value)[0] == {"crop": expected}


@pytest.mark.parametrize("value", ["yes!", 2, 0.5, "tru"])
def test_what_is_no_boolean(value):
    """Anything but true and false is refused."""
    assert _only_problem(crop=value).code == "Local.InvalidParameter"


@pytest.mark.parametrize("value", [None, float("nan"), "", "  ", Decimal("NaN"), np.float64("nan")])
def test_absent_values_are_not_sent(value):
    """Null, NaN and empty cells mean that nothing was given."""
    assert _check(num=value, region=value, filter=value, score_threshold=value, crop=value) == ({}, ())


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (0, "0.00"),
        (1, "1.00"),
        ("0.5", "0.50"),
        (0.85, "0.85"),
        (np.float32(0.85), "0.85"),
        (float(np.float32(0.85)), "0.85"),
        ("1e-1", "0.10"),
    ],
)
def test_thresholds_have_two_decimals(value, sent):
    """A threshold is sent with two decimals, so that equal ones are equal requests."""
    assert _check(score_threshold=value)[0] == {"score_threshold": sent}


@pytest.mark.parametrize("value", [0.855, "0.123", 1.01, -0.01, "x", True, "inf", "nan", [0.5]])
def test_what_is_no_threshold(value):
    """More than two decimals, and what is outside 0 to 1, is refused."""
    assert _only_problem(score_threshold=value).code == "Local.InvalidScoreThreshold"


@pytest.mark.parametrize("value", ["280,486,232,351", " 280, 486 ,232,351", [280, 486, 232, 351]])
def test_regions(value):
    """A region is four whole pixels in the vendor's order, sent without spaces."""
    assert _check(region=value)[0] == {"region": "280,486,232,351"}


@pytest.mark.parametrize(
    "value",
    [
        "1,2,3",
        "1,2,3,4,5",
        "2,1,3,4",
        "1,1,3,4",
        "1,2,4,3",
        "-1,2,3,4",
        "1.5,2,3,4",
        "a,b,c,d",
        5,
        "1,2,3,99999999999",
    ],
)
def test_what_is_no_region(value):
    """Empty, negative and malformed regions are refused."""
    problem = _only_problem(region=value)
    assert (problem.code, problem.prevents) == ("Local.InvalidRegion", "InvalidRegion")


@pytest.mark.parametrize("region", ["0,50,0,50", "50,0,0,50", "no region", [1]])
def test_what_fabric_ignores_is_neither_judged_nor_sent(region):
    """The service looks at no region and no crop of a fabric instance: rows that differ there are equal."""
    assert _check(service_type="fabric", region=region, crop="perhaps", num=5) == ({"num": 5}, ())
    assert _check(service_type="generic", region="0,50,0,50", crop=False)[0] == {
        "crop": False,
        "region": "0,50,0,50",
    }


def test_a_region_in_the_usual_order_gets_a_hint():
    """x1,y1,x2,y2, the order everyone else uses, is recognised."""
    assert "both x before both y" in _only_problem(region="280,232,486,351").message


@pytest.mark.parametrize(
    ("values", "code", "prevents"),
    [
        ({"num": 0}, "Local.InvalidNum", "InvalidNumParameter"),
        ({"num": 101}, "Local.InvalidNum", "OverflowMaxReturnNum"),
        ({"start": 500}, "Local.InvalidStart", "InvalidStartParameter"),
        ({"start": -1}, "Local.InvalidStart", "InvalidStartParameter"),
        ({"start": 401, "num": 100}, "Local.TooManyResults", "OverflowMaxResultNum"),
        ({"start": 495}, "Local.TooManyResults", "OverflowMaxResultNum"),
        ({"category_id": 10}, "Local.InvalidCategory", "InvalidCategory"),
        ({"filter": "int_attr"}, "Local.InvalidFilter", "InvalidFilterClause"),
        ({"filter": "x" * 4097}, "Local.InvalidFilter", "InvalidFilterClause"),
        ({"filter": 5}, "Local.InvalidFilter", "InvalidFilterClause"),
    ],
)
def test_search_limits(values, code, prevents):
    """Each limit of a search is a local code that names the vendor's code it prevents."""
    problem = _only_problem(**values)
    assert (problem.code, problem.prevents) == (code, prevents)


def test_the_last_page_is_allowed():
    """Start and Num may reach the 500th result exactly."""
    assert _check(start=400, num=100) == ({"num": 100, "start": 400}, ())


def test_a_filter_is_sent_as_its_owner_wrote_it():
    """A good filter keeps its own text; only the space around it goes."""
    text = 'int_attr=1000  and str_attr="value1"'
    assert _check(filter=f" {text} ")[0] == {"filter": text}


def test_a_bad_filter_points_at_the_place():
    """The message of a bad filter shows where it is wrong."""
    assert _only_problem(filter="int_attr=").message.endswith("^")


@pytest.mark.parametrize(
    ("values", "code", "prevents"),
    [
        ({"int_attr": 2**31}, "Local.InvalidIntAttr", "InvalidIntAttr"),
        ({"int_attr4": -(2**31) - 1}, "Local.InvalidIntAttr", "InvalidIntAttr4"),
        ({"str_attr": "x" * 129}, "Local.InvalidStrAttr", "InvalidStrAttr"),
        ({"str_attr3": "a&b"}, "Local.InvalidStrAttr", "InvalidStrAttr3"),
        ({"custom_content": "x" * 4097}, "Local.InvalidCustomContent", "InvalidCustomContent"),
        ({"product_id": "x" * 257}, "Local.InvalidProductId", "InvalidProductId"),
        ({"pic_name": "\ud800"}, "Local.InvalidPicName", "InvalidPicName"),
        ({"pic_name": 1.0}, "Local.InvalidPicName", "InvalidPicName"),
    ],
)
def test_item_limits(values, code, prevents):
    """Each limit of an item is a local code that names the vendor's code it prevents."""
    given = {"product_id": "p", "pic_name": "n"} | values
    problem = _only_problem("AddImage", **given)
    assert (problem.code, problem.prevents) == (code, prevents)


@pytest.mark.parametrize("character", "\\¥$&%")
def test_forbidden_characters(character):
    """A text attribute with a character that the service refuses is refused here."""
    given = {"product_id": "p", "pic_name": "n", "str_attr": f"a{character}b"}
    assert character in _only_problem("AddImage", **given).message


def test_integers_become_text_where_text_is_meant():
    """An id column of integers is sent as digits; a float would be a different id and is refused."""
    assert _check("SearchImageByName", product_id=7, pic_name="n")[0] == {"product_id": "7", "pic_name": "n"}


def test_missing_parameters_name_themselves():
    """Each required parameter that is absent is a problem of its own."""
    _, problems = _check("SearchImageByName", product_id=None)
    assert [(problem.parameter, problem.prevents) for problem in problems] == [
        ("product_id", "MissingProductId"),
        ("pic_name", "MissingPicName"),
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CategoryId", "`category_id`"),
        ("catgory", "`category_id`"),
        ("PicContent", "manifest"),
        ("instance_name", "instance.name"),
        ("zzz", "`category_id`, `crop`"),
    ],
)
def test_unknown_parameters_get_the_nearest_name(name, hint):
    """A name that the operation does not have is refused with the name that was meant."""
    problem = _only_problem(**{name: "1"})
    assert problem.code == "Local.UnknownParameter"
    assert hint in problem.message


@pytest.mark.parametrize(
    ("values", "parameter", "code"),
    [
        ({}, "product_id", "Local.MissingParameter"),
        ({"is_delete_by_filter": True}, "filter", "Local.MissingParameter"),
        ({"product_id": "p", "filter": "int_attr=1"}, "filter", "Local.ContradictoryParameters"),
    ],
)
def test_deletions_say_what_they_delete(values, parameter, code):
    """A deletion needs a product or a filter, and a filter without its flag would delete too much."""
    _, problems = _check("DeleteImage", **values)
    assert [(problem.parameter, problem.code) for problem in problems] == [(parameter, code)]


@pytest.mark.parametrize(
    "values", [{"product_id": "p"}, {"is_delete_by_filter": "true", "filter": "int_attr=1"}]
)
def test_good_deletions(values):
    """A product alone deletes all its images, and so may a filter with its flag."""
    assert _check("DeleteImage", **values)[1] == ()


@pytest.mark.parametrize("category", [3, 17, "123456", -1, "shoes", 10**30])
def test_instances_of_one_category_get_that_one(category):
    """Where the service would overrule the category, whatever it is, none is refused."""
    assert _check(category_id=category, service_type="generic") == ({"category_id": 88888888}, ())


def test_categories_of_a_product_instance_are_checked():
    """Where there are several, an unknown one is a call that would be refused."""
    assert _check(category_id=17, service_type="product")[1][0].code == "Local.InvalidCategory"
    assert _check(category_id=3, service_type="product")[0] == {"category_id": 3}


def test_every_problem_is_reported_at_once():
    """One bad value does not hide another."""
    _, problems = _check(num=0, start=999, crop="x", region="x", filter="x", category_id="x", foo=1)
    assert len(problems) == 7
    assert {problem.code for problem in problems} <= LOCAL_CODES


def test_every_local_code_of_the_operations_is_in_the_table():
    """No parameter refers to a local code that nobody documented."""
    used = {parameter.code for operation in OPERATIONS.values() for parameter in operation.parameters}
    assert used <= LOCAL_CODES


def test_operations_are_described_consistently():
    """Names are unique in an operation, and every budget has a rate."""
    for operation in OPERATIONS.values():
        keys = [parameter.key for parameter in operation.parameters]
        wires = [parameter.wire for parameter in operation.parameters]
        wires += [image.wire for image in operation.images]
        assert len(set(keys)) == len(keys)
        assert len(set(wires)) == len(wires)
        assert operation.budget in get_args(Budget)
        assert set(operation.required) <= operation.keys


def test_checking_a_job_file_imports_nothing_heavy():
    """The tables that configuration checks use import no HTTP library and no data frame."""
    program = (
        "import sys, batchsearch.service.operations\n"
        "import batchsearch.service.parameters, batchsearch.service.codes.lookup\n"
        "print(sorted({'aiohttp', 'pandas', 'numpy', 'pyarrow', 'asyncio'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("operation", ["AddImage", "SearchImageByName", "UpdateImage", "DeleteImage"])
def test_how_long_an_id_may_be_is_a_setting(operation):
    """The vendor's documents say 256 and 512: up to 512 where the job says so, never more."""

    def codes(length, longest):
        values = {"product_id": "x" * length, "pic_name": "y" * length, "str_attr": "z"}
        known = {key: value for key, value in values.items() if key in OPERATIONS[operation].keys}
        _, problems = check_parameters(operation, known, service_type="generic", longest_id=longest)
        return [problem.code for problem in problems]

    too_long = ["Local.InvalidProductId", "Local.InvalidPicName"]
    assert (codes(256, 256), codes(257, 256)) == ([], too_long)
    assert (codes(512, 512), codes(513, 512)) == ([], too_long)


@pytest.mark.parametrize("value", [None, float("nan")])
def test_an_update_of_nothing_is_no_call(value):
    """A row that names an image and no attribute is refused before a slot is spent, by its own code."""
    image = {"product_id": "p", "pic_name": "n"}
    _, problems = check_parameters("UpdateImage", image | {"str_attr": value}, service_type="generic")
    assert [problem.code for problem in problems] == ["Local.NothingToChange"]
    for change in ({"str_attr": ""}, {"int_attr4": 0}, {"custom_content": "x"}):
        assert check_parameters("UpdateImage", image | change, service_type="generic")[1] == ()
    _, problems = check_parameters("UpdateImage", image | {"int_attr": "x"}, service_type="generic")
    assert [problem.code for problem in problems] == ["Local.InvalidIntAttr"]


@pytest.mark.parametrize(
    ("operation", "key"),
    [
        (operation.name, parameter.key)
        for operation in OPERATIONS.values()
        for parameter in operation.parameters
        if parameter.default is not None
    ],
)
def test_a_written_out_default_says_nothing(operation, key):
    """For every operation: what the service assumes by itself is one request, written out or left out."""
    default = OPERATIONS[operation].parameter(key).default
    for written in (default, str(default)):
        values, problems = check_parameters(operation, {key: written}, service_type="product")
        assert key not in {problem.parameter for problem in problems}
        assert without_defaults(operation, values, service_type="product") == {}


def test_only_defaults_say_nothing():
    """Any other value is kept; where there is one category only, naming it says nothing either."""
    given = {"num": 11, "start": 1, "crop": False, "distinct_product_id": True, "score_threshold": "0.10"}
    assert without_defaults("SearchImageByPic", given, service_type="generic") == given
    category = {"category_id": 88888888}
    assert without_defaults("SearchImageByPic", category, service_type="generic") == {}
    assert without_defaults("SearchImageByPic", category, service_type="product") == category
