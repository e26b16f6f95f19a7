"""Every code that the package can give has its line in the table."""

import re
from pathlib import Path

import batchsearch
from batchsearch.service.codes.table import CODES

LITERAL = re.compile(r'"((?:Local|Transport)\.[A-Za-z]+)"')


def test_every_code_written_anywhere_is_in_a_table():
    """A code in the source without meaning and advice would reach people unexplained."""
    written = {
        code
        for path in Path(batchsearch.__file__).parent.rglob("*.py")
        for code in LITERAL.findall(path.read_text(encoding="utf-8"))
    }
    assert len(written) > 40
    assert written - CODES.keys() == set()
