"""Who is needed for what: each need with its owner and its way there, none left out without a word."""

from urllib.parse import parse_qs

from batchsearch.service.codes.lookup import advice_on, meaning_of
from batchsearch.tasks.report.run_facts import Tally, outcome_table
from batchsearch.tasks.report.summing_up.glossary import glossary_of
from batchsearch.tasks.report.summing_up.needs import (
    MOST_CODES,
    Need,
    by_gravity,
    needs_of_failures,
    needs_of_review,
    needs_table,
    state,
)


def outcomes(**codes):
    tally = Tally("error_code", "error_origin", "error_owner")
    tally.found = {(None, None, None): 90} | {(code, "api", "image"): count for code, count in codes.items()}
    return outcome_table(tally, meaning_of, advice_on)


def test_a_failure_has_its_owner_its_advice_and_its_rows():
    """Each code says how many, what it means, what to do and who can, and leads to its rows."""
    (need,) = needs_of_failures(outcomes(PicNotExist=7), "rows", part="Search")
    assert (need.count, need.tone) == (7, "bad")
    assert need.detail == meaning_of("PicNotExist")
    assert need.advice == advice_on("PicNotExist")
    assert need.owner == "whoever gives the images"
    assert parse_qs(need.show) == {"view": ["rows"], "code": ["=PicNotExist"], "part": ["Search"]}


def test_codes_beyond_the_bound_are_counted():
    """Many codes make a bounded list; the last line says how many more there are, with their rows."""
    found = needs_of_failures(outcomes(**{f"Made.Up{number}": 5 for number in range(MOST_CODES + 3)}), "rows")
    assert len(found) == MOST_CODES + 1
    assert (found[-1].what, found[-1].count) == ("3 more codes", 15)


def test_the_gravest_come_first_and_an_ending_before_what_followed_from_it():
    """Failures come before things to look at; a run that ended badly comes before its failures."""
    needs = [
        *needs_of_review([("split", 2)], 3),
        Need("code", tone="bad"),
        Need("end", tone="bad", is_ending=True),
    ]
    assert [need.what for need in by_gravity(needs)] == [
        "end",
        "code",
        "Clusters to be looked at",
        "Pairs for people",
    ]


def test_what_comes_from_outside_stays_one_value_of_the_state():
    """A row key or a group of any signs cannot choose anything else."""
    assert parse_qs(state("rows", find="a&view=pairs#x")) == {"view": ["rows"], "find": ["a&view=pairs#x"]}


def test_needs_are_a_table_as_well():
    """Files and Markdown have what the page has."""
    table = needs_table(needs_of_failures(outcomes(PicNotExist=7), "rows", again="batchsearch retry out"))
    assert table.rows[0][0] == "PicNotExist"
    assert table.rows[1][5] == "batchsearch retry out"
    assert table.arrow().num_rows == 2


def test_every_kind_of_page_explains_its_words_once():
    """No word is explained twice, and each with one sentence at least."""
    for kind in ("search", "compare", "upkeep", "dedup"):
        words = glossary_of(kind)
        assert len({word for word, _ in words}) == len(words) > 5
        assert all(meaning.rstrip().endswith((".", "…")) for _, meaning in words)
