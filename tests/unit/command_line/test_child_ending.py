"""What the end of a child process means to its scheduler."""

import pytest

from batchsearch.child.ending import Ended, meaning_of
from batchsearch.errors import ExitCode

FINAL = {
    ExitCode.TOO_MANY_FAILED,
    ExitCode.ENDED,
    ExitCode.DAMAGED,
    ExitCode.BAD_CONFIG,
    ExitCode.BAD_MANIFEST,
}
AGAIN = {ExitCode.INCOMPLETE, ExitCode.DEFECT, ExitCode.OUTPUT_FAILED, ExitCode.OUTPUT_IN_USE}


def test_every_exit_code_has_one_meaning():
    """Done, final or again: nothing is left to what the last line happens to say."""
    assert {ExitCode.DONE} | FINAL | AGAIN == set(ExitCode)
    for result in (None, {"status": "failed", "message": "x"}, {"status": "ended by an error"}):
        assert {code for code in ExitCode if meaning_of(Ended(code, result)) == "final"} == FINAL
        assert {code for code in ExitCode if meaning_of(Ended(code, result)) == "again"} == AGAIN


@pytest.mark.parametrize("code", [-9, -15, 1, 120, 137])
def test_a_process_that_broke_is_started_again(code):
    """Killed, out of memory, or an interpreter that could not begin: the output resumes."""
    assert meaning_of(Ended(code)) == "again"
