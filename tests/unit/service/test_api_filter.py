"""The filter language: what is read, what is refused and where, what matches."""

from __future__ import annotations

import pytest

from batchsearch.service.expressions import And, Comparison, Or
from batchsearch.service.filter import MAX_DEPTH, FilterError, parse_filter


def _int(field, sign, *values):
    return Comparison(field, sign, values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int_attr >= 100", _int("int_attr", ">=", 100)),
        ("int_attr>=100", _int("int_attr", ">=", 100)),
        ('str_attr != "value1"', Comparison("str_attr", "!=", ("value1",))),
        (
            'int_attr=1000 AND str_attr="value1"',
            And((_int("int_attr", "=", 1000), Comparison("str_attr", "=", ("value1",)))),
        ),
        ("int_attr2 in (1, -2,3)", _int("int_attr2", "in", 1, -2, 3)),
        ('str_attr4 NOT IN ("a")', Comparison("str_attr4", "not in", ("a",))),
        (r'str_attr="say \"x\" \\"', Comparison("str_attr", "=", ('say "x" \\',))),
        ('str_attr="红色 AND ("', Comparison("str_attr", "=", ("红色 AND (",))),
        ("int_attr = -2147483648", _int("int_attr", "=", -(2**31))),
        ("int_attr = 007", _int("int_attr", "=", 7)),
    ],
)
def test_documented_forms(text, expected):
    """Every form that the pages show or name is read as they mean it."""
    assert parse_filter(text) == expected


def test_and_binds_tighter_than_or():
    """`a OR b AND c` is `a OR (b AND c)`, and parentheses change that."""
    a, b, c = (_int("int_attr", "=", n) for n in (1, 2, 3))
    text = ("int_attr=1", "int_attr=2", "int_attr=3")
    assert parse_filter("{} OR {} AND {}".format(*text)) == Or((a, And((b, c))))
    assert parse_filter("({} or {}) and {}".format(*text)) == And((Or((a, b)), c))


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "empty"),
        ("   ", 3, "empty"),
        ("int_attr", 8, "expected one of"),
        ("int_attr != 3", 9, "not in"),
        ("int_attr == 3", 9, "written `=`"),
        ("IntAttr = 3", 0, "did you mean `int_attr`"),
        ("int_attr5 = 3", 0, "did you mean `int_attr`"),
        ("int_attr = 3 && int_attr2 = 1", 13, "AND, OR or the end"),
        ("int_attr = 1.5", 11, "no whole number"),
        ('int_attr = "1"', 11, "compared with an integer"),
        ("str_attr = 1", 11, "text in double quotes"),
        ("str_attr = 'a'", 11, "double quotes"),
        ('str_attr > "a"', 9, "expected one of `=`, `!=`"),
        ('str_attr = "a', 11, "no closing double quote"),
        (r'str_attr = "a\n"', 13, "backslash"),
        ("int_attr = 2147483648", 11, "32-bit"),
        (f"int_attr = {'9' * 4000}", 11, "32-bit"),
        ("(int_attr = 1", 13, "the `)` of the `(` at character 1"),
        ("int_attr = 1)", 12, "closes nothing"),
        ("int_attr in ()", 13, "compared with an integer"),
        ("int_attr in (1 2)", 15, "`,` or `)`"),
        ("int_attr in 1", 12, "list in parentheses"),
        ("not int_attr = 1", 0, "only before IN"),
        ("int_attr = 1 AND", 16, "the end of the filter"),
        ("int_attr = 1 ; drop", 13, "unexpected character"),
        ("(" * 40 + "int_attr=1" + ")" * 40, MAX_DEPTH, "nest deeper"),
        ("x" * 4097, 4096, "4,096"),
    ],
)
def test_refusals_point_at_the_place(text, position, says):
    """A refused filter is refused at the character that is wrong, with what to write instead."""
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert caught.value.position == position
    assert says in caught.value.message


def test_the_image_of_the_place_has_its_caret_under_it():
    """The caret stands under the place, wide characters before it counted as two columns."""
    with pytest.raises(FilterError) as caught:
        parse_filter('str_attr="红" int_attr=1')
    shown, caret = str(caught.value).splitlines()[-2:]
    assert shown == '  str_attr="红" int_attr=1'
    assert caret == "  " + " " * (len('str_attr="红" ') + 1) + "^"


def test_a_long_filter_is_shown_around_the_place():
    """Of a long filter only the surroundings of the place are shown."""
    text = "int_attr=1 AND " * 200 + "oops"
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    shown, caret = str(caught.value).splitlines()[-2:]
    assert len(shown) < 140
    assert shown[caret.index("^") :].startswith("oops")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("int_attr > 4", True),
        ("int_attr >= 5", True),
        ("int_attr < 5", False),
        ("int_attr <= 5", True),
        ("int_attr = 5", True),
        ("int_attr in (1,5)", True),
        ("int_attr not in (1,5)", False),
        ('str_attr = "red"', True),
        ('str_attr != "red"', False),
        ('str_attr in ("blue")', False),
        ('str_attr not in ("blue")', True),
        ('int_attr=5 AND str_attr="blue"', False),
        ('int_attr=5 OR str_attr="blue"', True),
        ('int_attr=1 AND int_attr=5 OR str_attr="red"', True),
        ('int_attr=1 AND (int_attr=5 OR str_attr="red")', False),
    ],
)
def test_what_matches(text, kept):
    """An item is kept exactly when the comparison holds for its attributes."""
    assert parse_filter(text).matches({"int_attr": 5, "str_attr": "red"}) is kept


@pytest.mark.parametrize(
    "text", ["int_attr2 < 9", "int_attr2 not in (1)", 'str_attr2 != "x"', 'str_attr2 not in ("x")']
)
@pytest.mark.parametrize("attributes", [{}, {"int_attr2": None, "str_attr2": None}])
def test_absent_attributes_match_nothing(text, attributes):
    """An attribute that an item does not have keeps it out, negations included."""
    assert parse_filter(text).matches(attributes) is False


def test_an_attribute_of_the_wrong_type_matches_nothing():
    """Text where a number is compared is no match and no crash."""
    assert parse_filter("int_attr > 1").matches({"int_attr": "2"}) is False
