"""A night's tables under a hard limit of memory, many times smaller than what the night is about."""

import sys
import textwrap
from pathlib import Path

import pytest
from cluster_scale import make
from run_rig import program

PRODUCTS = 40_000
MB_MORE = 32
"""What the process may take beyond what it has once it has made the tables of a small night."""
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searches")
    make(folder / "small", 200)
    make(folder / "large", PRODUCTS)
    return folder


def night(folder, *, in_memory, at_once):
    """Make the tables of a small night, then, limited, those of a large one."""
    script = f"""
        import re, resource
        from pathlib import Path
        from batchsearch.tasks.dedup.candidates import catalogue_images, catalogue_reading, hits, in_pieces
        from batchsearch.tasks.dedup.candidates import off_memory, pair_folding, text_index
        from cluster_scale import ours
        off_memory.IN_MEMORY = {in_memory}
        in_pieces.AT_ONCE = text_index._AT_ONCE = {at_once}
        catalogue_images.BATCH_ROWS = hits._ROWS_AT_ONCE = catalogue_reading._KEYS_AT_ONCE = {at_once}
        pair_folding.PairFolder.__init__.__kwdefaults__["fold_at"] = {at_once}
        folder = Path({str(folder)!r})
        ours(folder / "small")
        has = int(re.search(r"VmData:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) << 10
        resource.setrlimit(resource.RLIMIT_DATA, (has + ({MB_MORE} << 20),) * 2)
        print(ours(folder / "large")["members"])
    """
    plain = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    return program("-c", textwrap.dedent(script), cwd=BENCHMARKS, env=plain, timeout=300)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_night_keeps_to_a_limit_that_it_would_pass_if_all_were_in_memory(searches):
    """What memory does not hold is in files: with room for a part of it the tables are made, else not."""
    found = night(searches, in_memory=1 << 20, at_once=1 << 12)
    assert found.returncode == 0, found.stderr
    assert int(found.stdout.split()[-1]) > 0.3 * PRODUCTS - 6
    failed = night(searches, in_memory=1 << 40, at_once=1 << 30)
    assert failed.returncode != 0
    assert "MemoryError" in failed.stderr or "malloc" in failed.stderr, failed.stderr
