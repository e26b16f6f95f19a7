"""Judgements go to the end of the file at once, and nothing that is there is lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from batchsearch.console.judgement_file import BadJudgementError, judged_so_far, write_judgements
from batchsearch.errors import OutputError
from batchsearch.tasks.dedup.clusters.judgements import SAME, read_judgements

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def test_a_new_file_has_its_heading_and_the_newest_holds(tmp_path):
    """What is written is what the next night reads; a judgement taken back is none."""
    path = tmp_path / "new" / "judgements.csv"
    assert (
        write_judgements(
            path, [("b", "a", "same", 'a "note", of\ntwo lines'), ("a", "c", "different", "")], NOW
        )
        == 2
    )
    write_judgements(path, [("a", "c", "none", "")], NOW + timedelta(seconds=1), "ann")
    assert path.read_text().splitlines()[-1].endswith(",,ann")
    assert read_judgements([path]).verdicts == {("a", "b"): SAME}
    assert judged_so_far([path])[0]["note"] == 'a "note", of\ntwo lines'


def test_a_file_of_ones_own_keeps_its_form(tmp_path):
    """A file that ends without a line end, has other columns, or another order is gone on with as it is."""
    path = tmp_path / "judgements.csv"
    path.write_text("\ufeffjudgement,who,product_b,product_a\nsame,me,x,y", encoding="utf-8")
    write_judgements(path, [("p", "q", "different", "lost: there is no column for it")], NOW)
    assert path.read_text(encoding="utf-8-sig").splitlines() == [
        "judgement,who,product_b,product_a",
        "same,me,x,y",
        "different,,q,p",
    ]


@pytest.mark.parametrize(
    "judged",
    [("a", "a", "same", ""), ("", "b", "same", ""), ("a", "b", "maybe", ""), ("a", "b" * 1001, "same", "")],
)
def test_nothing_is_written_of_what_says_nothing(tmp_path, judged):
    """A judgement is about two products and one of three words; else not even a file is made."""
    path = tmp_path / "judgements.csv"
    with pytest.raises(BadJudgementError):
        write_judgements(path, [("x", "y", "same", ""), judged], NOW)
    assert not path.exists()


def test_a_file_that_cannot_be_written_says_so(tmp_path):
    """Where no file can be, the message names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_judgements(tmp_path / "file" / "judgements.csv", [("a", "b", "same", "")], NOW)


def test_windows_at_once_lose_nothing(tmp_path):
    """Twenty windows that judge at the same time leave twenty judgements under one heading."""
    path = tmp_path / "judgements.csv"
    with ThreadPoolExecutor(20) as threads:
        for number in range(20):
            threads.submit(write_judgements, path, [(f"a{number}", "b", "same", "")], NOW)
    lines = path.read_text().splitlines()
    assert len(lines) == 21
    assert sum(line.startswith("product_a") for line in lines) == 1
    assert len(judged_so_far([path])) == 20
