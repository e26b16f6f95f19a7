"""Every code that the package can give has an entry in a table."""

import re
from pathlib import Path

import batchsearch
from batchsearch.engine.retry.codes import advice_on
from batchsearch.images.fetching.fetch_codes import FETCH_CODES
from batchsearch.images.rules import LOCAL_CODES as IMAGE_CODES
from batchsearch.own_errors import OWN_CODES
from batchsearch.service.codes.local_codes import LOCAL_CODES as PARAMETER_CODES
from batchsearch.service.codes.lookup import CODES

LITERAL = re.compile(r'"((?:Local|Transport)\.[A-Za-z]+)"')


def test_every_code_written_anywhere_is_in_a_table():
    """A code in the source without meaning and advice would reach people unexplained."""
    tables = {*CODES, *PARAMETER_CODES, *IMAGE_CODES, *FETCH_CODES, *OWN_CODES}
    written = {
        code
        for path in Path(batchsearch.__file__).parent.rglob("*.py")
        for code in LITERAL.findall(path.read_text(encoding="utf-8"))
    }
    assert len(written) > 40
    assert written - tables == set()


def test_local_codes_name_real_vendor_codes():
    """What a local refusal says it prevents is a code, or a family, of the vendor's tables."""
    for code in (*PARAMETER_CODES.values(), *IMAGE_CODES.values()):
        assert code.prevents is None or code.prevents in CODES, code.name


def test_no_code_stands_in_two_tables():
    """One code, one meaning."""
    tables = [set(CODES), set(PARAMETER_CODES), set(IMAGE_CODES), set(FETCH_CODES), set(OWN_CODES)]
    assert len(set().union(*tables)) == sum(map(len, tables))
    assert all(advice_on(code).endswith(".") for code in FETCH_CODES)
