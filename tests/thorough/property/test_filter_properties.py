"""The filter parser against generated expressions and garbage."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from batchsearch.service.expressions import (
    INT_FIELDS,
    INT_OPERATORS,
    STR_FIELDS,
    STR_OPERATORS,
    And,
    Comparison,
    Or,
)
from batchsearch.service.filter import FilterError, parse_filter

_INTS = st.integers(-(2**31), 2**31 - 1)
_TEXTS = st.text(max_size=12)


def _comparison(fields, operators, values):
    def build(field, sign, listed):
        return Comparison(field, sign, tuple(listed) if sign in ("in", "not in") else (listed[0],))

    return st.builds(
        build, st.sampled_from(fields), st.sampled_from(operators), st.lists(values, min_size=1, max_size=4)
    )


_COMPARISONS = _comparison(INT_FIELDS, INT_OPERATORS, _INTS) | _comparison(STR_FIELDS, STR_OPERATORS, _TEXTS)
_EXPRESSIONS = st.recursive(
    _COMPARISONS,
    lambda inner: st.builds(
        lambda kind, terms: kind(tuple(terms)),
        st.sampled_from([And, Or]),
        st.lists(inner, min_size=2, max_size=3),
    ),
    max_leaves=8,
)
_ATTRIBUTES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(INT_FIELDS, _INTS | st.none()) | dict.fromkeys(STR_FIELDS, _TEXTS | st.none())
)


@settings(max_examples=150)
@given(_EXPRESSIONS, _ATTRIBUTES)
def test_an_expression_survives_its_own_text(expression, attributes):
    """`str()` of an expression parses to the same expression, which matches the same items."""
    text = str(expression)
    if len(text) <= 4096:
        again = parse_filter(text)
        assert again == expression
        assert again.matches(attributes) is expression.matches(attributes)


_PIECES = [
    *(INT_FIELDS[0], INT_FIELDS[1], STR_FIELDS[0], *INT_OPERATORS, *STR_OPERATORS, "AND", "or", "not"),
    *("(", ")", ",", '"a"', '"', "\\", "1", "-", "-5", "1.5", "'", " ", "&&", "红", "\0"),
]


@settings(max_examples=200)
@given(st.text(max_size=80) | st.lists(st.sampled_from(_PIECES), max_size=25).map(" ".join))
def test_garbage_is_refused_in_one_way_only(text):
    """Whatever the text, the parser gives an expression or a FilterError within the text."""
    try:
        expression = parse_filter(text)
    except FilterError as error:
        refusal = error
    else:
        assert parse_filter(str(expression)) == expression
        return
    assert 0 <= refusal.position <= len(text)
    assert refusal.message
