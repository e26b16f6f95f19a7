"""Single flipped bits in ledger, write-ahead log and parts: no run ends in 0 with a wrong output."""

import random
import shutil
import signal
import sys
from collections import Counter

import pytest
from crash_rig.checks import same_output, verdict_of
from damage_rig.damages import with_a_bit_flipped
from damage_rig.outputs import files_in, put

pytestmark = pytest.mark.timeout(900)

TRIALS = {"ledger": 90, "magic": 6, "log": 60, "part": 70}
AT_ONCE = 4
MAGIC = 16  # bytes of a SQLite file that say what it is
LEDGER, LOG = "ledger/ledger.sqlite3", "ledger/ledger.sqlite3-wal"
# Refused or stopped in good order: never a traceback, never a death.
IN_ORDER = {0, 4, 5, 6, 64, 74}


@pytest.fixture(scope="module")
def states(world, runs, jobs):
    """A finished output and one whose run was killed with outcomes that wait: contents by path."""
    killed = world.place("flips-killed")
    run = runs.start(
        ["run", jobs[1].file, "--no-progress", "--set", f"output.dir={killed}"],
        killed.with_suffix(".txt"),
        crash_at="part_seal_before:5",
    )
    assert run.wait() == -signal.SIGKILL, run.text()
    found = {"finished": files_in(jobs[1].reference), "killed": files_in(killed)}
    assert found["killed"][LOG]
    return found


def flips(states):
    """Which state is spoilt, which file of it, and how: seeded."""
    rng = random.Random("flipped bits")
    for kind, count in TRIALS.items():
        for number in range(count):
            state = "killed" if kind == "log" or (kind != "magic" and number % 2) else "finished"
            names = {"ledger": [LEDGER], "magic": [LEDGER], "log": [LOG]}.get(kind) or [
                name for name in states[state] if name.endswith(".parquet")
            ]
            name = rng.choice(names)
            content = states[state][name]
            reach = MAGIC if kind == "magic" else len(content)
            yield kind, state, name, with_a_bit_flipped(content[:reach], rng) + content[reach:]


def test_no_flipped_bit_ends_in_0_with_a_wrong_output(states, world, runs, jobs, capsys):
    """Of more than 200 flips each is refused, or comes to the same output as a run that was left alone."""
    job, ended, wrong = jobs[1], Counter(), []

    def start(flip):
        _, state, name, content = flip
        folder = world.place("flip")
        put(folder, states[state] | {name: content})
        arguments = ["run", job.file, "--no-progress", "--set", f"output.dir={folder}"]
        return flip, folder, runs.start(arguments, folder.with_suffix(".txt"))

    def judged(flip, folder, run):
        kind, state, name, content = flip
        code = run.wait()
        ended[kind, code] += 1
        place = next(i for i, (a, b) in enumerate(zip(content, states[state][name], strict=True)) if a != b)
        where = f"{state} {name} byte {place}"
        if code not in IN_ORDER:
            wrong.append(f"{where}: exit code {code}: {run.text()[-400:]}")
        if code == 0:
            try:
                same_output(folder, job)
                assert verdict_of(folder)[0] == "WHOLE", verdict_of(folder)[1]
            except Exception as error:  # noqa: BLE001 - what a reader raises on damage is wrong as well
                wrong.append(f"{where}: exit code 0, {str(error)[:400]}")
        shutil.rmtree(folder)

    waiting = []
    for flip in flips(states):
        waiting.append(start(flip))
        if len(waiting) == AT_ONCE:
            judged(*waiting.pop(0))
    for one in waiting:
        judged(*one)
    with capsys.disabled():
        counts = ", ".join(f"{kind} {code}: {count}" for (kind, code), count in sorted(ended.items()))
        sys.stdout.write(f"\n{ended.total()} flips, by exit code: {counts}\n")
    assert not wrong, "\n".join(wrong)
    assert ended.total() >= 200
    # Where a bit of a ledger is chosen by chance, there are nights when none of them matters.
    for one in ("magic", "log", "part"):
        assert any(code != 0 for kind, code in ended if kind == one), (
            f"no flip in a {one} was refused: {counts}"
        )
