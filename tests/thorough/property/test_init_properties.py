"""Job files about manifests of any names."""

from hypothesis import given, settings
from hypothesis import strategies as st

from batchsearch.config.document import parse_document
from batchsearch.tasks.init.first_look import ColumnFacts, ManifestFacts
from batchsearch.tasks.init.guesses import guess
from batchsearch.tasks.init.job_text import Line, job_text
from batchsearch.tasks.init.template import Wishes, lines, title

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=150)
@given(NAMES, st.one_of(NAMES, st.lists(NAMES, max_size=3), st.none(), st.booleans(), st.integers(-9, 9)))
def test_any_value_comes_back_as_it_was(name, value):
    """Column names and values of any letters are read from the job file as they were written."""
    text = job_text([], [Line(f"manifest.columns.{name.replace('.', '_')}", value)])
    assert parse_document(text, "job").root == {"manifest": {"columns": {name.replace(".", "_"): value}}}


@settings(max_examples=60)
@given(st.lists(NAMES, min_size=1, max_size=4, unique=True), st.sampled_from(["search", "compare", "dedup"]))
def test_guesses_about_any_columns_make_a_job_file(names, kind):
    """Whatever the columns are called, there are guesses, and the text made of them reads back."""
    from pathlib import Path

    columns = tuple(
        ColumnFacts(name, "text", tuple(f"{number}-{row}.jpg" for row in range(3)))
        for number, name in enumerate(names)
    )
    found = guess(ManifestFacts(Path("m.csv"), Path(), columns, 3), kind)
    wishes = Wishes(kind, "m.csv", "out", found, None, None, "demo", 10)
    text = job_text(title(wishes, "job.yaml"), lines(wishes))
    root = parse_document(text, "job").root
    assert root["manifest"]["key"] in (found.key[0], list(found.key))
    assert set(found.key) <= set(names)
