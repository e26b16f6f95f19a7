"""Kill after kill: what to do to a run, seeded, and what must be true of it afterwards."""

import random
import shutil
import signal
from collections import Counter
from dataclasses import dataclass, field

from .checks import never_wrong, repeats, same_output, whole
from .world import MOST_IN_FLIGHT

# Calls that a kill may repeat: those that were out, answers that were not committed among them.
MOST_REPEATED = MOST_IN_FLIGHT

# Places that every run passes which begins again, and those that it passes while something is left to do.
ALWAYS_PASSED = ("open_leftovers", "open_counted", "ledger_commit_before", "ledger_commit_after")
RECOVERY = (
    *ALWAYS_PASSED,
    "before_send",
    "answer_read",
    "part_write",
    "part_sync",
    "part_rename",
    "part_between",
    "part_seal_before",
    "part_seal_after",
)
COMPACTION = (
    "compact_build",
    "compact_intent",
    "compact_exchange_hits",
    "compact_exchange_results",
    "compact_switch",
    "compact_clean",
)
RENEWAL = ("before_send", "answer_read", "part_seal_before", "part_seal_after", *COMPACTION)
_TRIES = 8


@dataclass(frozen=True)
class Kill:
    """One kill: at a crash point the so-manieth time, or after a share of the time that the run takes."""

    point: str | None = None
    count: int = 1
    share: float = 0.0

    def __str__(self):
        return f"{self.point}:{self.count}" if self.point else f"{self.share:.3f} of its time"


@dataclass
class Tally:
    """What a campaign did: kills by place, and how many calls single kills repeated."""

    kills: Counter = field(default_factory=Counter)
    repeated: list = field(default_factory=list)
    scenarios: int = 0

    def __str__(self):
        total = sum(self.kills.values())
        places = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        most = max(self.repeated, default=0)
        return (
            f"{total} kills in {self.scenarios} scenarios ({places}); calls repeated: "
            f"{sum(self.repeated)} in all, at most {most} by one kill"
        )


class Campaign:
    """Kills runs of a world's jobs and looks at what becomes of them.

    Args:
        world: Where.
        starter: Starts the runs.
        killing: Off, nothing is killed: every scenario must then fail.
    """

    def __init__(self, world, starter, *, killing=True):
        self._world = world
        self._starter = starter
        self._killing = killing
        self._started = 0
        self.tally = Tally()

    def scenario(self, job, kills):
        """Run a job, kill it so, let it recover to its end, and compare.

        Raises:
            AssertionError: A process did not die by SIGKILL, or an output is not what it must be.
        """
        folder = self._world.place(f"{job.name}-killed")
        self._world.emulator.log.clear()
        self._started, killed = 0, []
        for number, kill in enumerate(kills):
            expected = job.seconds if number == 0 else max(job.idle_seconds, job.seconds / 2)
            self._killed(job, folder, kill, expected)
            killed.append(self._started - 1)
            never_wrong(folder)
        self._came_to_its_end(self._start(job, folder, ""), job, folder)
        again = repeats(self._world.granted(), killed, job)
        assert max(again.values()) <= MOST_REPEATED, again
        self.tally.repeated += again.values()

    def compacting(self, job, kills, *, finished_by):
        """Compact a copy of a finished output, kill that so, let another command finish it, and compare.

        Args:
            job: The job, whose reference output is copied.
            kills: Kills of one compaction after the other.
            finished_by: `run` or `compact`.

        Raises:
            AssertionError: As `scenario`.
        """
        folder = self._world.place(f"{job.name}-compacted")
        shutil.copytree(job.reference, folder)
        self._world.emulator.log.clear()
        for kill in kills:
            crash_at = f"{kill.point}:{kill.count}" if kill.point else ""
            process = self._command(["compact", folder, "--rows", "20"], folder, crash_at)
            if kill.point is None and not process.ended(kill.share * job.idle_seconds) and self._killing:
                process.kill()
            code = process.wait()
            if kill.point is not None or code != 0:
                assert code == -signal.SIGKILL, process.text()
                self.tally.kills[kill.point or "by time"] += 1
            never_wrong(folder)
        last = (
            self._start(job, folder, "")
            if finished_by == "run"
            else self._command(["compact", folder, "--rows", "20"], folder, "")
        )
        self._came_to_its_end(last, job, folder)
        assert not self._world.granted(), "compaction needs no call"

    def renewing(self, job, point):
        """Ask again for the failed rows of a copy of a finished output, kill that at a place, and run again.

        Raises:
            AssertionError: As `scenario`.
        """
        folder = self._world.place(f"{job.name}-renewed")
        shutil.copytree(job.reference, folder)
        failed = ["retry", folder, "--failed", "--no-progress", "--set", f"output.dir={folder}"]
        process = self._command(failed, folder, f"{point}:1")
        assert process.wait() == -signal.SIGKILL, process.text()
        self.tally.kills[point] += 1
        never_wrong(folder)
        self._came_to_its_end(self._start(job, folder, ""), job, folder, but=("earlier_outcomes",))

    def _came_to_its_end(self, last, job, folder, **options):
        """The last process ends well, and leaves what a run does that was left alone."""
        assert last.wait() == 0, last.text()
        same_output(folder, job, **options)
        whole(folder)
        self.tally.scenarios += 1
        shutil.rmtree(folder)

    def _start(self, job, folder, crash_at):
        arguments = ["run", job.file, "--no-progress", "--set", f"output.dir={folder}"]
        return self._command(arguments, folder, crash_at)

    def _command(self, arguments, folder, crash_at):
        environ = self._world.environ(self._started)
        self._started += 1
        crash_at = crash_at if self._killing else ""
        return self._starter.start(arguments, folder.with_suffix(".txt"), crash_at=crash_at, environ=environ)

    def _killed(self, job, folder, kill, expected):
        """Kill one run. One that comes to its end before is followed by one that is killed earlier."""
        count, share = kill.count, kill.share
        process = None
        for _ in range(_TRIES if self._killing else 1):
            process = self._start(job, folder, f"{kill.point}:{count}" if kill.point else "")
            if kill.point is None and not process.ended(share * expected) and self._killing:
                process.kill()
            code = process.wait()
            if code == -signal.SIGKILL:
                self.tally.kills[kill.point or "by time"] += 1
                return
            assert code == 0, process.text()
            if folder.exists() and kill.point not in ALWAYS_PASSED and count == 1 and kill.point is not None:
                # Nothing was left to do that would lead there.
                kill = Kill(ALWAYS_PASSED[len(job.name) % 2])
            count, share = max(1, count // 2), share / 2
        raise AssertionError(f"{job.name}: no run died by SIGKILL at {kill}")


def by_time(rng):
    """A kill at any moment of a run's life, its end included."""
    return Kill(share=rng.uniform(0.0, 1.0))


def at_point(rng, job, name):
    """A kill at one of the times that a run of this job passes a place."""
    return Kill(name, rng.randint(1, max(1, job.passed.get(name, 1))))


def first_kills(rng, jobs, *, timed, each_point):
    """Scenarios of one kill: so many by time, and so many at each place that a run passes."""
    made = [(rng.choice(jobs), (by_time(rng),)) for _ in range(timed)]
    for name in RECOVERY:
        made += [(job, (at_point(rng, job, name),)) for job in (rng.choice(jobs) for _ in range(each_point))]
    return made


def compaction_kills(rng, jobs, scenarios):
    """Scenarios of compactions that are killed, one to three times."""
    made = []
    for number in range(scenarios):
        place = COMPACTION[number % len(COMPACTION)]
        # After the ledger has said what is coming, the next command finishes that, and compacts no more.
        first = Kill(place)
        later = [by_time(rng) for _ in range(rng.randint(0, 2))]
        made.append((rng.choice(jobs), (first, *later), rng.choice(("run", "compact"))))
    return made


def deep_kills(rng, jobs, scenarios, *, deep=3):
    """Scenarios of one kill and `deep` more of the runs that recover from it, one after the other."""
    made = []
    for _ in range(scenarios):
        job = rng.choice(jobs)
        first = by_time(rng) if rng.random() < 0.5 else at_point(rng, job, rng.choice(RECOVERY))
        later = [
            by_time(rng) if rng.random() < 0.3 else Kill(rng.choice(RECOVERY), rng.randint(1, 3))
            for _ in range(deep)
        ]
        made.append((job, (first, *later)))
    return made


def seeded(seed):
    """Chance that can be had again."""
    return random.Random(seed)
