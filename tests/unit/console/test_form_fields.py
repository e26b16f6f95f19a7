"""The form of an operation is its declaration."""

import pytest

from batchsearch.console.form_fields import CONTROLS, categories_of, checked, fields_of, read_posted
from batchsearch.console.wording import operations, parameters
from batchsearch.service.operations import OPERATIONS

ON_PAGES = ("SearchImageByPic", "SearchImageByName", "AddImage", "UpdateImage", "DeleteImage")


@pytest.mark.parametrize("name", ON_PAGES)
def test_every_parameter_has_a_control(name):
    """What an operation declares has a control and words, in its order: a new parameter fails here first."""
    operation = OPERATIONS[name]
    fields = fields_of(operation, {}, {}, service_type="product")
    assert [field.name for field in fields] == [parameter.key for parameter in operation.parameters]
    assert all(field.words.label for field in fields)
    assert {field.control for field in fields} <= set(CONTROLS.values())


def test_words_are_for_parameters_that_there_are():
    """Every parameter of what the console asks for has words, and no other has."""
    keys = {parameter.key for name in operations() for parameter in OPERATIONS[name].parameters}
    assert set(parameters()) == keys


def test_what_was_posted_is_read_by_the_declaration():
    """Four numbers become a region where one was drawn; empty fields say nothing, unknown ones less."""
    drawn = {"method": "custom", "x1": "1", "x2": "20", "y1": "3", "y2": "40"}
    posted = {**drawn, "num": " 20 ", "filter": "", "crop": "true", "evil": "1", "image_sha": "x"}
    values = read_posted(OPERATIONS["SearchImageByPic"], posted)
    assert values == {"region": "1,20,3,40", "num": "20", "crop": "true"}
    assert "region" not in read_posted(OPERATIONS["SearchImageByPic"], {**posted, "method": "auto"})


def test_problems_are_named_as_the_service_names_them():
    """Each wrong field has its problem, with the error that the call would have been answered with."""
    good, problems = checked(
        OPERATIONS["SearchImageByPic"],
        {"num": "20", "start": "490", "filter": "int_attr > 1 AND", "score_threshold": "1.5"},
        service_type="product",
        longest_id=256,
    )
    assert problems["start"].name == "OverflowMaxResultNum"
    assert problems["filter"].name == "InvalidFilterClause"
    assert problems["filter"].column == 17
    assert "\n" not in problems["filter"].text
    assert "score_threshold" in problems
    assert good["num"] == 20


def test_a_region_is_not_sent_where_no_subject_is_looked_for():
    """With identification off the whole image is used: a region left in the form is not sent along."""
    good, problems = checked(
        OPERATIONS["SearchImageByPic"],
        {"crop": "false", "region": "1,20,1,20"},
        service_type="product",
        longest_id=256,
    )
    assert not problems
    assert good == {"crop": False}


def test_a_kind_with_one_category_says_so():
    """Of a generic instance the category is fixed, with the reason; else it can be chosen."""
    fields = {
        field.name: field
        for field in fields_of(OPERATIONS["SearchImageByPic"], {}, {}, service_type="generic")
    }
    assert "88888888" in fields["category_id"].fixed
    assert categories_of("generic", ()) == ((88888888, "Other"),)
    assert not fields["crop"].fixed
    assert categories_of("product", ((3, "Bag"),)) == ((3, "Bag"),)
    assert len(categories_of("product", ())) > 10
    fabric = {
        field.name: field
        for field in fields_of(OPERATIONS["SearchImageByPic"], {}, {}, service_type="fabric")
    }
    assert fabric["crop"].fixed
    assert fabric["region"].fixed
