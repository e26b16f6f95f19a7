"""A world for lanes: two instances at tier 10, a store, a scheduler, and workers as machines of their own.

Each worker has its own cache folder, so that nothing but the store's lease keeps two owners of a lane apart,
and its own key pair, by which its calls are known in the instances' log.
"""

import csv
import json
import os
import random
import signal
import subprocess
import sys
from bisect import bisect_left
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pandas as pd
import yaml
from object_stores_rig import S3_ACCOUNT, s3_process
from PIL import Image
from run_rig import keys_of, put

from batchsearch.config.load import load_job
from batchsearch.config.sections.image_settings import connections_of
from batchsearch.engine.job.lanes import lanes_of
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.engine.run.job import run_job
from batchsearch.python_api.output import Output
from batchsearch.storage.remote.store_output import fetch_outputs
from batchsearch.tasks.lanes.lane_keeper import Watching
from batchsearch.tasks.lanes.whole_run import run_whole
from batchsearch.tasks.verify.folder_check import verify_folders
from batchsearch.telemetry.progress import Progress

from .checks import FREE
from .fork_server import ROOT

NAMES = ("first", "second")
TIER = 10
IN_FLIGHT = 8
LEASE = 4.0
KEYS = 64
ARRIVAL, DEPARTURE = 0.25, 0.02
"""How much later than meant a call may arrive on a busy machine, and leave, seconds."""

SEARCH = "SearchImageByPic"


class LaneWorld:
    """As a context manager; `patched` is pytest's, for this process's environment.

    Args:
        folder: Where everything goes.
        rows: Rows of each instance.
        patched: Sets variables of the environment.
    """

    def __init__(self, folder, rows, patched):
        from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions, random_key
        from batchsearch.emulator.server import Emulator

        self.folder = folder
        self._patched = patched
        self._keys = tuple(random_key() for _ in range(KEYS))
        instances = tuple(InstanceOptions(name=name, qps=1e9) for name in NAMES)
        self.emulator = Emulator(EmulatorOptions(instances=instances, keys=self._keys, log_size=1_000_000))
        self.rows = rows
        self.workers = {}
        self._started = 0

    def __enter__(self):
        with ExitStack() as undo:
            undo.callback(self.emulator.stop)
            self.emulator.start()
            self._fill()
            for name, value in {
                **S3_ACCOUNT,
                **self._environ(0),
                "AWS_EC2_METADATA_DISABLED": "true",
            }.items():
                self._patched.setenv(name, value)
            self.store = undo.enter_context(s3_process())
            self.job = load_job(self._job()).settings
            from batchsearch.storage.stores.object_store import ObjectStore

            files = ObjectStore("s3", self.job.stores, wanted_for="tests", writes=True)
            files._files.mkdir("night")
            self._cluster = undo.enter_context(_scheduler())
            self._forks = undo.enter_context(
                subprocess.Popen(
                    [sys.executable, "-W", "ignore", str(Path(__file__).with_name("worker_forks.py"))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
                )
            )
            undo.callback(self._forks.kill)
            undo.callback(self._end_workers)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_):
        self._undo.close()

    # -- what is run

    def _fill(self):
        self.images = self.folder / "images"
        self.images.mkdir()
        for number in range(self.rows):
            small = Image.frombytes("RGB", (8, 6), random.Random(number).randbytes(144))
            path = self.images / f"p{number:03}.jpg"
            small.resize((120, 100), Image.Resampling.BICUBIC).save(path, quality=90)
            if number % 4 == 0:
                for name in NAMES:
                    put(self.emulator, f"P{number}", path, name)

    def _job(self):
        manifest = self.folder / "manifest.csv"
        with manifest.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "image", "shop"))
            for number in range(self.rows):
                writer.writerows((f"{name}-{number:03}", f"p{number:03}.jpg", name) for name in NAMES)
        places = [
            {"endpoint": self.emulator.endpoint, "name": name, "qps": TIER, "shared": "none"}
            for name in NAMES
        ]
        job = {
            "operation": SEARCH,
            "instance": places[0],
            "instances": places[1:],
            "manifest": {"path": str(manifest), "key": ["id"], "columns": {"instance": "shop"}},
            "images": {"root": str(self.images)},
            "calls": {"max_in_flight": IN_FLIGHT, "connect_timeout": 1},
            "stores": {"s3": {"endpoint": self.store}},
            "output": {
                "dir": "s3://night/out",
                "rows_per_part": 11,
                "lease_seconds": LEASE,
                "carry_seconds": 3,
                "journal_seconds": 0.1,
            },
        }
        file = self.folder / "job.yaml"
        file.write_text(yaml.safe_dump(job), encoding="utf-8")
        return file

    def into(self, name):
        """From now on outputs go elsewhere, and calls are counted anew."""
        output = self.job.output.model_copy(update={"dir": f"s3://night/{name}"})
        self.job = self.job.model_copy(update={"output": output})
        self.emulator.log.clear()

    async def left_alone(self):
        """The rows as runs make them that nothing happens to, at full speed and in local folders."""
        quick = [
            each.model_copy(update={"qps": 1000.0, "custom_qps": True})
            for each in (self.job.instance, *self.job.instances)
        ]
        output = self.job.output.model_copy(update={"dir": str(self.folder / "reference")})
        settings = self.job.model_copy(
            update={"instance": quick[0], "instances": quick[1:], "output": output}
        )
        for lane in lanes_of(settings).values():
            summary = await run_job(lane)
            assert (summary.exit_code, summary.done) == (0, self.rows)
        self.emulator.log.clear()
        return Path(output.dir)

    async def run(self, progress=None, silence=5.0, signals=None, address=None):
        """Run the lanes on the workers, or on those of another cluster."""
        workers = self.job.workers.model_copy(update={"dask": address or self._cluster.scheduler_address})
        settings = self.job.model_copy(update={"workers": workers})
        watching = Watching(tick=0.1, ask=0.2, silence=silence)
        return await run_whole(settings, RunOptions(progress=progress, signals=signals), watching=watching)

    # -- workers

    def _environ(self, number):
        return keys_of(self._keys[number])

    def start_worker(self):
        """One more worker, a machine of its own; its process."""
        self._started += 1
        folder = self.folder / f"machine-{self._started}"
        folder.mkdir()
        order = {
            "scheduler": self._cluster.scheduler_address,
            "folder": str(folder),
            "log": str(folder / "log.txt"),
            "environ": {**self._environ(self._started), "XDG_CACHE_HOME": str(folder)},
        }
        self._forks.stdin.write(json.dumps(order) + "\n")
        self._forks.stdin.flush()
        pid = int(self._forks.stdout.readline())
        self.workers[pid] = self._keys[self._started].access_key_id
        return pid

    def pid_of(self, address):
        """The process of a worker, by its address."""
        known = self._cluster.scheduler.workers.get(address)
        return None if known is None else int(known.name)

    def kill(self, pid):
        """SIGKILL, and another machine in its place."""
        del self.workers[pid]
        os.kill(pid, signal.SIGKILL)
        self.start_worker()

    def _end_workers(self):
        for pid in self.workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # -- what came of it

    def calls(self):
        """The calls in the order of their coming: (instance, when, key, request)."""
        entries = self.emulator.log.entries(SEARCH)
        return sorted((e.instance, e.arrived, e.access_key_id, e.body_sha256) for e in entries)

    def fetched(self):
        """The output, brought here whole."""
        folder = self.folder / f"fetched-{self.job.output.dir.rpartition('/')[2]}"
        folder.mkdir()
        connections = connections_of(self.job.stores, self.job.images.stores)
        assert fetch_outputs(self.job.output.dir, connections, folder)
        return folder

    def check(self, reference, kills, *, lapsed=True):
        """Nothing lost, nothing doubled, nothing asked for in vain, and no second above the tier.

        `lapsed` says that owners did not let go of their leases.
        """
        whole = self.fetched()
        for verified in verify_folders(whole):
            assert not +verified.findings.counts, verified.findings.listed()
        for table in ("results", "hits"):
            pd.testing.assert_frame_equal(rows_of(whole, table), rows_of(reference, table))
        calls = self.calls()
        needed = len({(instance, body) for instance, _, _, body in calls})
        assert needed == len(NAMES) * self.rows
        assert len(calls) - needed <= IN_FLIGHT * kills
        for name in NAMES:
            own = [call[1:] for call in calls if call[0] == name]
            assert most_in([when for when, _, _ in own], 1 - ARRIVAL) <= TIER
            moves = [n for n in range(1, len(own)) if own[n][1] != own[n - 1][1]]
            owners = [own[0][1], *(own[n][1] for n in moves)]
            assert len(owners) == len(set(owners)), f"{name}: an owner called after another one had begun"
            # Between two owners a lease has lapsed, of which the earlier one leaves a third unused.
            assert not lapsed or all(own[n][0] - own[n - 1][0] >= 1 for n in moves)
        results = Output(whole).to_pandas("results", ["instance", "first_sent_at"])
        for name, sent in results.groupby("instance")["first_sent_at"]:
            times = sorted(moment.timestamp() for moment in sent)
            assert most_in(times, 1 - DEPARTURE) <= TIER, f"{name}: more calls in a second than its tier"
        return len(calls) - needed


class Killer(Progress):
    """A progress that kills the workers of lanes at seeded moments: after so many calls, or as a lane moves.

    Args:
        world: Where.
        rng: Chance.
        kills: How many.
    """

    def __init__(self, world, rng, kills):
        super().__init__()
        self._world = world
        self._left = kills
        self._rng = rng
        self._next = rng.randint(5, 20)
        self._as_it_moves = False
        self.killed = 0

    def update(self, stats):
        """Kill the worker of a lane when it is time."""
        made = len(self._world.emulator.log.entries(SEARCH))
        if not self._left or made < self._next or not stats.in_flight + stats.ready:
            return
        self._kill(self._rng.choice(self._at_work()))
        self._next = made + self._rng.randint(5, 25)
        # Every other time whoever takes the lane over dies as well, before it has made a call.
        self._as_it_moves = self._rng.random() < 0.5

    def heard(self, _logger, _method, event):
        """Hears the events of this process: a lane that was just placed may lose its worker at once."""
        if event["event"] == "lane_placed" and self._as_it_moves and self._left:
            self._as_it_moves = False
            self._kill(event["worker"])
        return event

    def _at_work(self):
        tasks = self._world._cluster.scheduler.tasks.values()
        return sorted(task.processing_on.address for task in tasks if task.processing_on is not None)

    def _kill(self, address):
        pid = self._world.pid_of(address)
        if pid in self._world.workers:
            self._world.kill(pid)
            self._left -= 1
            self.killed += 1


class After(Progress):
    """A progress that does something once, after so many calls.

    Args:
        world: Where.
        calls: How many.
        act: What is done then.
    """

    def __init__(self, world, calls, act):
        super().__init__()
        self._world = world
        self._calls = calls
        self._act = act

    def update(self, _stats):
        """Do it when it is time."""
        if self._act is not None and len(self._world.emulator.log.entries(SEARCH)) >= self._calls:
            act, self._act = self._act, None
            act()


class Stopper(Progress):
    """A progress that stops the worker of a lane, and wakes it when another one makes that lane's calls.

    Args:
        world: Where.
        instance: The lane's.
    """

    def __init__(self, world, instance):
        super().__init__()
        self._world = world
        self._instance = instance
        self._worker = ""
        self._pid = None
        self.woken = False

    def __exit__(self, *error):
        super().__exit__(*error)
        if self._pid is not None:
            os.kill(self._pid, signal.SIGCONT)

    def heard(self, _logger, _method, event):
        """Hears where the lane is."""
        if event["event"] == "lane_placed" and event["instance"] == self._instance:
            self._worker = event["worker"]
        return event

    def update(self, stats):
        """Stop it after some calls, wake it after some of the next owner's."""
        keys = [key for instance, _, key, _ in self._world.calls() if instance == self._instance]
        if self._pid is None and len(keys) >= 5:
            pid = self._world.pid_of(self._worker)
            # Right after a call, so that none is on its way out.
            while len(keys) == sum(call[0] == self._instance for call in self._world.calls()):
                os.sched_yield()
            os.kill(pid, signal.SIGSTOP)
            self._pid = pid
        elif self._pid is not None and not self.woken and len(set(keys)) > 1 and keys.count(keys[-1]) >= 3:
            os.kill(self._pid, signal.SIGCONT)
            self.woken = True


@contextmanager
def hearing(watcher):
    """A progress that hears the events of this process as well."""
    import structlog

    structlog.configure(processors=[watcher.heard, structlog.processors.KeyValueRenderer()])
    try:
        yield watcher
    finally:
        structlog.reset_defaults()


def most_in(times, seconds):
    """The most of some ascending times that are within so many seconds."""
    return max(bisect_left(times, first + seconds) - n for n, first in enumerate(times))


def rows_of(folder, table):
    """A table, every column that two runs must agree on, in an order of its own."""
    read = Output(folder).to_pandas(table)
    order = ["row_key"] if table == "results" else ["row_key", "rank"]
    return read.drop(columns=FREE & set(read.columns)).sort_values(order, ignore_index=True)


def _scheduler():
    from distributed import LocalCluster

    return LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=False)
