"""The part of YAML that job files are written in."""

import pytest

from batchsearch.config.document import MAX_DEPTH, parse_document, parse_value, plain_scalar
from batchsearch.errors import ConfigError


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "job.yaml")
    return str(caught.value.problems[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("22:00", "22:00"),
        ("0123", "0123"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("2026-11-21", "2026-11-21"),
        ("10", 10),
        ("-3", -3),
        ("0", 0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".", "."),
        ("nan", "nan"),
        (".inf", ".inf"),
        ("9" * 5000, "9" * 5000),
        ("~", None),
        ("", None),
    ],
)
def test_plain_text_is_read_without_surprises(text, value):
    """Only true, false, null and decimal numbers are anything but text; identifiers keep every digit."""
    found = plain_scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_every_value_knows_its_line():
    """A value's source is the line of its name, in lists the line of the entry."""
    document = parse_document("a: 1\nb:\n  c: [x,\n    y]\n  d:\n", "job.yaml")
    assert document.root == {"a": 1, "b": {"c": ["x", "y"], "d": None}}
    assert str(document.source(("a",))) == "job.yaml:1"
    assert str(document.source(("b", "c", 1))) == "job.yaml:4"
    assert document.source(("b", "nowhere")).line == 2


def test_a_name_given_twice_is_a_problem_and_the_first_stays():
    """Two values for one name are never silently one of them."""
    document = parse_document("a: 1\nb: 2\na: {x: 3}\n", "job.yaml")
    assert [str(problem) for problem in document.problems] == [
        "job.yaml:3: a: is given twice; the first is on line 1"
    ]
    assert document.root == {"a": 1, "b": 2}
    assert ("a", "x") not in document.sources


def test_quoted_values_are_text():
    """Quotes make text of what would be a number."""
    assert parse_document("a: '007'\nb: \"true\"\nc: !!str 5\n", "j").root == {
        "a": "007",
        "b": "true",
        "c": "5",
    }


def test_aliases_are_written_out():
    """An alias is a copy of its anchor's value, lines included."""
    document = parse_document("a: &x {p: [1]}\nb: *x\n", "j")
    assert document.root == {"a": {"p": [1]}, "b": {"p": [1]}}
    assert document.root["a"] is not document.root["b"]
    assert document.sources["b", "p"].line == 1


def test_an_alias_bomb_is_refused():
    """Aliases of aliases count as what they write out, so memory stays bounded."""
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "more than 10,000 values" in refusal("\n".join(lines))


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused(opening):
    """A hostile depth ends in a message, not in a recursion error."""
    assert f"deeper than {MAX_DEPTH}" in refusal("a:\n  " + opening * 5000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b: c", "job.yaml:1: not YAML here, column 5: a second `: `"),
        ("a:\n\t- x", "job.yaml:2: not YAML here, column 1: a tab"),
        ('a: 1\nb: "x', "a quote that is not closed"),
        ("a: {b: 1", "a `{` that is not closed"),
        ("a: [1", "a `[` that is not closed"),
        ("a: *x", "whose anchor"),
        ("a: &x [*x]", "whose anchor"),
        ("a: 1\n---\nb: 1", "job.yaml:2: a second document"),
        ("a: !!python/object/apply:os.system [ls]", "is not understood here"),
        ("a: !!int x", "is not understood here"),
        ("? [a]\n: 1", "a name must be plain text"),
        ("- a", "must be settings"),
        ("", "is empty"),
        ("a: \x00", "is not YAML"),
    ],
)
def test_what_is_not_a_job_file_says_where(text, said):
    """Syntax errors give the line, the column and what most often causes them."""
    assert said in refusal(text)


def test_a_value_alone_reads_as_in_the_file():
    """Override values are YAML: scalars, lists, sections."""
    assert parse_value("5") == 5
    assert parse_value("[a, 'b c']") == ["a", "b c"]
    assert parse_value("{a: 1}") == {"a": 1}
    with pytest.raises(ValueError, match="not closed"):
        parse_value("[a")
    with pytest.raises(ValueError, match="twice"):
        parse_value("{a: 1, a: 2}")
