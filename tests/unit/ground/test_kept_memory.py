"""Memory that stays with a command's process."""

import subprocess
import sys

import pytest

from batchsearch.kept_memory import keep_memory

_PROBE = """
import resource
import numpy as np
from batchsearch.kept_memory import keep_memory

assert keep_memory()

def used():
    return [np.ones(400_000, np.float32) for _ in range(11)]

used()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    used()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other C libraries have no such setting")
def test_memory_that_was_let_go_is_used_again_without_the_system():
    """Whoever takes and lets go the same large pieces over and over touches no new page."""
    ran = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True)
    pages_each_time = 11 * 1_600_000 // 4_096
    assert int(ran.stdout) < pages_each_time


def test_a_system_without_the_setting_is_left_as_it_is(monkeypatch):
    """Where the C library is another one, nothing is told to it."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_memory()
