"""An output in an object store, over the S3 protocol of a real server."""

import asyncio
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from store_rig import DayLater

from batchsearch.config.sections.store_settings import ConnectionsSettings, StoreConnection
from batchsearch.errors import ConfigError, OutputDamagedError, OutputError, OutputInUseError
from batchsearch.storage.remote.cargo import LEDGER, read_index
from batchsearch.storage.remote.mirror import Mirror
from batchsearch.storage.remote.rhythm import Rhythm
from batchsearch.storage.remote.store_output import fetch_output, held_by, open_mirror, work_folder
from batchsearch.storage.remote.work_folder import LEFT_BEHIND
from batchsearch.storage.sealed.inventory import SealedFile
from batchsearch.storage.stores.address import parse_address
from batchsearch.storage.stores.object_store import ObjectStore, Patience

QUICK = Patience(2, (0.01, 0.02))


class Run:
    """A run as the engine would be: a work folder with a ledger that counts parts."""

    def __init__(self, folder, endpoint, address, name="run", *, store=None, lapsed=False, **rhythm):
        self.folder = folder
        self.output = parse_address(address)
        self.connections = ConnectionsSettings(**{self.output.scheme: StoreConnection(endpoint=endpoint)})
        self.store = store or ObjectStore(
            self.output.scheme, self.connections, wanted_for="tests", writes=True, patience=QUICK
        )
        store = DayLater(self.store) if lapsed else self.store
        self.mirror = Mirror(store, self.output, folder, run=name, files_of=files_of, rhythm=Rhythm(**rhythm))

    def seal(self, *numbers, content="rows"):
        """Make parts and count them."""
        ledger = self.folder / LEDGER
        ledger.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE IF NOT EXISTS parts (path TEXT PRIMARY KEY, sha256 TEXT)")
            for number in numbers:
                path = f"results/part-{number:06}.parquet"
                data = f"{content} {number}".encode()
                (self.folder / path).parent.mkdir(exist_ok=True)
                (self.folder / path).write_bytes(data)
                digest = hashlib.sha256(data).hexdigest()
                connection.execute("INSERT INTO parts VALUES (?, ?)", (path, digest))

    async def carry(self, *numbers, **more):
        """Make parts and carry them."""
        self.seal(*numbers, **more)
        await self.mirror.carry()

    async def carried(self, *numbers):
        """Take the output, make parts, carry them, and let it go."""
        async with self.mirror.held():
            await self.carry(*numbers)

    def forget(self, *numbers):
        """Take parts out, as compaction does."""
        with closing(sqlite3.connect(self.folder / LEDGER, isolation_level=None)) as connection:
            for number in numbers:
                path = f"results/part-{number:06}.parquet"
                connection.execute("DELETE FROM parts WHERE path = ?", (path,))
                (self.folder / path).unlink()

    def parts(self):
        """What the ledger counts, each file checked."""
        found = {}
        for file in files_of(self.folder / LEDGER):
            data = (self.folder / file.path).read_bytes()
            assert hashlib.sha256(data).hexdigest() == file.sha256
            found[file.path] = data.decode()
        return found

    def rows(self):
        """Which rows the parts hold: a part's number, or those that a merged one stands for."""
        if not (self.folder / LEDGER).exists():
            return set()
        parts = [text.split() for text in self.parts().values()]
        return {n for kind, last in parts for n in ([int(last)] if kind == "rows" else [1, 2, int(last)])}

    def objects(self, below=""):
        base = len(self.output.path) + 1
        names = [each.address.path[base:] for each in self.store.listing(self.output)]
        return [name for name in names if name.startswith(below)]


def files_of(ledger):
    with closing(sqlite3.connect(ledger)) as connection:
        rows = connection.execute("SELECT path, sha256 FROM parts ORDER BY path").fetchall()
    return [SealedFile("results", "current", Path(path).name, 1, sha256) for path, sha256 in rows]


@pytest.fixture
def run(s3_server, bucket, tmp_path):
    """Makes runs over one output, each in the work folder of that name."""

    def run(folder="here", **rhythm):
        name = rhythm.pop("name", f"run-{folder}")
        return Run(
            tmp_path / folder, rhythm.pop("endpoint", s3_server), f"s3://{bucket}/night", name, **rhythm
        )

    return run


async def test_a_run_goes_on_from_another_machine(run):
    """What was carried is all there elsewhere: parts, the ledger that counts them, and nothing else."""
    first = run("here")
    async with first.mirror.held() as taken:
        assert (taken.generation, taken.fetched, taken.resumed) == (1, 0, False)
        first.seal(1, 2)
        (first.folder / "summary.json").write_text("{}")
        await first.mirror.finish()
    second = run("there")
    async with second.mirror.held() as taken:
        assert (taken.generation, taken.fetched, taken.resumed) == (2, 3, True)
        assert second.parts() == first.parts()
        second.seal(3)
        await second.mirror.finish()
    assert not second.objects("_carried/lease")
    assert second.objects("summary.json")
    async with first.mirror.held() as taken:
        assert taken.fetched == 2  # the ledger and the part that it had not
        assert len(first.parts()) == 3
        assert (first.folder / LEDGER).with_name(LEFT_BEHIND).exists()


async def test_the_index_names_every_part_by_content_and_rows(run):
    """Readers find each file's object, SHA-256 and rows; every object is what it says."""
    made = run()
    async with made.mirror.held():
        await made.carry(1, 2)
        index = read_index(made.store, made.output)
    assert [file.path for file in index.tables("results")] == [
        "results/part-000001.parquet",
        "results/part-000002.parquet",
    ]
    for file in (*index.files, index.ledger):
        data = made.store.read(made.store.facts(made.output.below(file.object)))
        assert hashlib.sha256(data).hexdigest() == file.sha256
        assert file.sha256[:16] in file.object
    assert {file.rows for file in index.files} == {1}


async def test_two_runs_at_once_are_one_too_many(run):
    """The second is refused, told who is working, and changes nothing; afterwards it may."""
    first, second = run("here", name="the-first"), run("there")
    async with first.mirror.held():
        before = first.objects()
        with pytest.raises(OutputInUseError, match=r"run the-first, process \d+ on .* lapses in 1\d\d s"):
            await second.mirror.take()
        assert first.objects() == before
        first.seal(1)
        await first.mirror.finish()
    async with second.mirror.held():
        assert len(second.parts()) == 1


async def test_a_lapsed_lease_is_taken_over_and_its_holder_stops(run):
    """The holder that lapsed sends nothing that counts, and is told who has taken over."""
    first, second = run("here"), run("there", name="the-second", lapsed=True)
    await first.mirror.take()
    await first.carry(1)
    async with second.mirror.held() as taken:
        assert taken.generation == 2
        await second.carry(2)
        first.seal(3)
        with pytest.raises(OutputError, match="run the-second"):
            await first.mirror.carry()
        assert [file.path[-14:-8] for file in read_index(second.store, second.output).files] == [
            "000001",
            "000002",
        ]
    await first.mirror.release()


async def test_a_lease_lapses_by_its_holders_time_whoever_looks(run):
    """Who is impatient waits as long as the holder said: until then the holder may still call."""
    first = run("here", lapse=600, beat=1e9)
    async with first.mirror.held():
        impatient = run("there", lapse=0.001)
        with pytest.raises(OutputInUseError, match=r"its lease lapses in (600|59\d) s"):
            await impatient.mirror.take()
        assert held_by(str(first.output), impatient.connections)["lapse"] == 600
        first.mirror._held.lease._owner = replace(first.mirror._held.lease._owner, lapse=0.0)
        first.mirror._held.lease.renew()
        assert held_by(str(first.output), impatient.connections) is None


async def test_a_holder_knows_by_itself_that_its_lease_may_have_lapsed(run):
    """After two thirds of the lease without a renewal the output is not surely its own, whoever has it."""
    now = [1000.0]
    made = run("here", lapse=9.0, beat=1e9)
    made.mirror._held._clock = lambda: now[0]
    assert not made.mirror.is_held
    async with made.mirror.held():
        assert made.mirror.is_held
        now[0] += 6.0
        assert made.mirror.is_held
        now[0] += 0.1
        assert not made.mirror.is_held
        made.mirror._held.beat()
        assert made.mirror.is_held
    assert not made.mirror.is_held


async def test_what_a_lapsed_holder_still_writes_is_seen_by_nobody(run):
    """Even an index written after the takeover, between two looks at the lease, does not count."""
    first, second = run("here"), run("there", lapsed=True)
    await first.mirror.take()
    await first.carry(1)
    late = read_index(first.store, first.output)
    await second.mirror.take()
    first.mirror._cargo.publish(late)
    assert read_index(first.store, first.output).moment.generation == 2
    await second.mirror.release()


async def test_a_killed_run_is_taken_up_at_once_in_its_own_folder(run):
    """The lock of the work folder has shown that the holder is dead: nothing has to lapse."""
    first = run("here")
    await first.mirror.take()
    first.seal(1)
    again = run("here")
    async with again.mirror.held() as taken:
        assert (taken.generation, taken.fetched) == (2, 0)
        # What was sealed before the kill is carried without being asked for.
        assert len(read_index(again.store, again.output).files) == 1
    first.mirror._beating.cancel()


async def test_parts_that_a_new_index_does_not_name_go_after_it(run):
    """Compaction's old parts are in the store until the index without them is there, and not after."""
    made = run()
    async with made.mirror.held():
        await made.carry(1, 2)
        made.seal(3, content="both")
        made.forget(1, 2)
        await made.mirror.carry()
        (left,) = made.objects("results/")
        assert left.startswith("results/part-000003-")
        assert len(made.objects("_carried/index")) == 1
        assert len(made.objects("_carried/ledger")) == 1


async def test_a_part_of_one_name_and_other_content_replaces_nothing(run):
    """Numbers are given again after a resume elsewhere: names in the store tell contents apart."""
    first, second = run("here"), run("there", lapsed=True)
    await first.mirror.take()
    await first.carry(1)
    first.seal(2, content="mine")
    await second.mirror.take()
    await second.carry(2, content="yours")
    with pytest.raises(OutputError):
        await first.mirror.carry()
    third = run("third", lapsed=True)
    async with third.mirror.held():
        assert third.parts()["results/part-000002.parquet"] == "yours 2"
        assert len(third.objects("results/")) == 2  # the other content was cleared away
    await first.mirror.release()
    await second.mirror.release()


async def test_parts_without_their_index_are_refused_and_kept(run):
    """An output that has lost its index is taken by nobody: a new one would take all of it for leftovers."""
    made = run()
    await made.carried(1, 2)
    made.store.delete(made.output.below(name) for name in made.objects("_carried/index"))
    parts = made.objects("results/")
    assert len(parts) == 2
    with pytest.raises(OutputDamagedError, match="no index that names them") as refused:
        await run("there").mirror.take()
    assert "batchsearch recover" in str(refused.value)
    with pytest.raises(OutputError, match=r"holds nothing of this output|no index that names"):
        await run().mirror.take()
    assert made.objects("results/") == parts
    assert made.objects("_carried/ledger")


async def test_a_part_that_no_index_has_named_is_set_aside_and_not_deleted(run):
    """What an interrupted carrying has left makes room under `_carried/set-aside`, whole."""
    made = run()
    async with made.mirror.held():
        await made.carry(1)
        stray = "results/part-000009-0123456789abcdef.parquet"
        made.store.put(made.output.below(stray), b"rows 9")
    again = run("there")
    async with again.mirror.held():
        await again.carry(2)
        assert stray not in again.objects("results/")
        facts = again.store.facts(again.output.below(f"_carried/set-aside/{stray}"))
        assert again.store.read(facts) == b"rows 9"


async def test_a_work_folder_that_lost_the_output_keeps_its_own_parts(run):
    """Parts sealed here that the machine which took over does not have are moved, never overwritten."""
    first, second = run("here"), run("there", lapsed=True)
    await first.mirror.take()
    await first.carry(1)
    first.seal(2, 3, content="mine")
    await second.mirror.take()
    await second.carry(2, content="yours")
    await second.mirror.release()
    first.mirror._beating.cancel()
    again = run("here", lapsed=True)
    async with again.mirror.held():
        assert again.parts()["results/part-000002.parquet"] == "yours 2"
        kept = sorted(path.read_text() for path in (again.folder / "set-aside").rglob("part-*"))
        assert kept == ["mine 2", "mine 3"]
        assert not (again.folder / "results/part-000003.parquet").exists()


async def test_a_work_folder_put_back_from_an_older_copy_is_brought_forward(run, tmp_path):
    """A folder that is behind what it has itself carried is no reason to lose that."""
    made = run("here")
    async with made.mirror.held():
        await made.carry(1)
        shutil.copytree(made.folder, tmp_path / "backup")
        await made.carry(2)
        await made.carry(3)
    shutil.rmtree(made.folder)
    (tmp_path / "backup").rename(made.folder)
    again = run("here")
    async with again.mirror.held() as taken:
        assert taken.fetched == 3
        assert len(again.parts()) == 3


async def test_an_emptied_store_is_not_filled_again_unasked(run):
    """Whoever removed an output from the store did not ask for the old outcomes to come back."""
    made = run()
    await made.carried(1)
    made.store.delete(made.output.below(name) for name in made.objects())
    with pytest.raises(OutputError, match="holds nothing of this output any more"):
        await run().mirror.take()
    assert not made.objects("_carried/lease")


async def test_an_object_that_is_not_what_was_carried_is_refused(run):
    """A damaged object is named, and never becomes part of an output; nor does a missing one."""
    made = run()
    await made.carried(1)
    (name,) = made.objects("results/")
    made.store.put(made.output.below(name), b"rowS 1")
    with pytest.raises(OutputError, match=r"part-000001-\w+\.parquet: is not what was carried"):
        await run("there").mirror.take()
    made.store.delete([made.output.below(name)])
    with pytest.raises(OutputError, match="is not in the store"):
        await run("there").mirror.take()


async def test_a_damaged_local_part_is_never_carried(run):
    """The index goes on naming whole files only."""
    made = run()
    async with made.mirror.held():
        made.seal(1)
        (made.folder / "results/part-000001.parquet").write_bytes(b"cut")
        with pytest.raises(OutputError, match="is not what was sealed"):
            await made.mirror.carry()
        assert read_index(made.store, made.output) is None


async def test_nothing_is_carried_in_the_middle_of_an_exchange(run):
    """A copy of the ledger that counts parts on their way is let go; the next one is carried."""
    made = run()
    async with made.mirror.held():
        made.seal(1)
        made.mirror._cargo._files_of = lambda copy: None
        assert not await made.mirror.carry()
        assert read_index(made.store, made.output) is None
        with pytest.raises(OutputError, match="being exchanged"):
            await made.mirror.finish()
        made.mirror._cargo._files_of = files_of
        assert await made.mirror.carry()
        assert len(read_index(made.store, made.output).files) == 1


async def test_what_is_new_is_carried_while_the_run_goes_on(run):
    """Now and then, without being asked; nothing is sent while nothing changes."""
    made = run(beat=0.05, carry=0.05, rest=0)
    async with made.mirror.held():
        watching = asyncio.create_task(made.mirror.watch())
        for number in (1, 2):
            made.seal(number)
            async with asyncio.timeout(100):
                while len(getattr(read_index(made.store, made.output), "files", ())) < number:  # noqa: ASYNC110 - the store tells nobody
                    await asyncio.sleep(0.02)  # another process would look, too
        moment = read_index(made.store, made.output).moment
        beats = json.loads(
            made.store.read(made.store.facts(made.output.below("_carried/lease/00000001.json")))
        )
        watching.cancel()
        assert beats["beats"] > 0
        await asyncio.gather(watching, return_exceptions=True)
        assert read_index(made.store, made.output).moment == moment


async def test_a_lost_store_ends_the_run(run, line):
    """Before its lease could lapse the run is told to stop; what it has goes up later."""
    made = run("here", endpoint=line.address, beat=0.05, carry=0.1, lapse=3)
    async with made.mirror.held():
        await made.carry(1)
        made.seal(2)
        line.sever()
        with pytest.raises(OutputError, match="kept in the work folder"):
            async with asyncio.timeout(100):
                await made.mirror.watch()
    again = run("here")
    async with again.mirror.held():
        assert len(read_index(again.store, again.output).files) == 2


async def test_a_store_that_is_away_for_a_moment_ends_nothing(run, line):
    """A few refused requests are asked again."""
    made = run("here", endpoint=line.address, beat=0.05, carry=0.05)
    async with made.mirror.held():
        line.drop = 3
        line.hang_up()
        made.seal(1)
        watching = asyncio.create_task(made.mirror.watch())
        async with asyncio.timeout(100):
            while read_index(made.store, made.output) is None:
                assert not watching.done()
                await asyncio.sleep(0.05)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_oss_addresses_work_through_the_same_protocol(s3_server, s3_account, bucket, tmp_path):
    """`oss:` makes its lease with OSS's own word beside S3's; both are honoured."""
    s3_account.setenv("OSS_ACCESS_KEY_ID", "LTAI")
    s3_account.setenv("OSS_ACCESS_KEY_SECRET", "x")
    first = Run(tmp_path / "a", s3_server, f"oss://{bucket}/night")
    second = Run(tmp_path / "b", s3_server, f"oss://{bucket}/night")
    async with first.mirror.held():
        await first.carry(1)
        with pytest.raises(OutputInUseError):
            await second.mirror.take()
    async with second.mirror.held():
        assert len(second.parts()) == 1


async def test_an_output_can_be_looked_at_while_a_run_goes_on(run, s3_server, tmp_path):
    """Looking takes no lease and disturbs nobody."""
    made = run()
    stores = ConnectionsSettings(s3=StoreConnection(endpoint=s3_server))
    async with made.mirror.held():
        await made.carry(1, 2)
        index = fetch_output(str(made.output), stores, tmp_path / "look")
        assert len(index.files) == 2
        assert (tmp_path / "look/results/part-000002.parquet").read_text() == "rows 2"
    assert fetch_output(f"{made.output}-other", stores, tmp_path / "look2") is None


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://bucket", "is a whole bucket"),
        ("http://host/folder", "no output can be kept in http://"),
        ("s3://key:secret@bucket/out", "has a user part"),
        ("s3://bucket/../out", "control character"),
    ],
)
def test_an_output_address_that_cannot_work_is_refused(address, said):
    """Before anything is asked of a store, and without repeating a secret."""
    with pytest.raises(ConfigError, match=said) as caught:
        work_folder(address)
    assert "secret" not in str(caught.value)


def test_the_work_folder_is_the_outputs_own(s3_account, tmp_path):
    """One output, one folder in the user's cache; another output, another folder; or the one that is said."""
    s3_account.setenv("XDG_CACHE_HOME", str(tmp_path))
    one, other = work_folder("s3://bucket/a"), work_folder("s3://bucket/b")
    assert one == work_folder("s3://bucket/a/")
    assert one != other
    assert one.is_relative_to(tmp_path)
    assert work_folder("s3://bucket/a", "/data/work").as_posix() == "/data/work"
    mirror = open_mirror("memory://shelf/a", None, folder=one, run="r", files_of=files_of)
    assert isinstance(mirror, Mirror)


EVERY = 1 if os.environ.get("BATCHSEARCH_ALL_KILLS") else 3
"""Of the places to kill at: every one (a minute), or each third, before and after requests in turn."""

KILLED = """
import asyncio, importlib.util, os, signal, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]).parents[2] / "rigs"))
spec = importlib.util.spec_from_file_location("mirror_tests", sys.argv[1])
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
import s3fs
endpoint, address, folder = sys.argv[2:5]


def one_run(die_at, where):
    run = tests.Run(Path(where), endpoint, address)
    asked = run.store._asked
    steps = 0

    def counted(place, ask):
        # Dies before the step, or after it and before its answer is known.
        nonlocal steps
        steps += 1
        if steps == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        found = asked(place, ask)
        steps += 1
        if steps == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    run.store._asked = counted

    async def work():
        async with run.mirror.held():
            await run.carry(1, 2)
            run.seal(3, content="both")
            run.forget(1, 2)
            await run.mirror.carry()

    asyncio.run(work())
    return steps


for line in sys.stdin:
    die_at, where = line.split()
    child = os.fork()
    if child == 0:
        try:
            one_run(int(die_at), where)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


def test_a_kill_at_any_step_leaves_a_whole_output(s3_server, bucket, tmp_path, run):
    """Killed before or after each of its requests, twice over: the index names whole files, all resumes."""
    arguments = [__file__, s3_server, f"s3://{bucket}/night", "-"]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as runner:

        def ended(die_at, folder):
            runner.stdin.write(f"{die_at} {tmp_path / folder}\n")
            runner.stdin.flush()
            return int(runner.stdout.readline())

        killed = 0
        look = run("nowhere")
        for die_at in range(1, 200, EVERY):
            folder = f"work{die_at}"
            code = ended(die_at, folder)
            index = read_index(look.store, look.output)
            carried = set()
            if index is not None:
                for file in (*index.files, index.ledger):
                    data = look.store.read(look.store.facts(look.output.below(file.object)))
                    assert hashlib.sha256(data).hexdigest() == file.sha256
                carried = {1, 2} if len(index.files) == 2 else {1, 2, 3}
            if code == 0:
                break
            assert code == -signal.SIGKILL
            killed += 1
            # The next run is in the same folder, where it finds its own dead lease, or on another machine.
            folder, lapsed = (folder, False) if die_at % 2 else (f"{folder}-elsewhere", True)
            again = run(folder, lapsed=lapsed, store=look.store)

            async def resumed(again=again):
                async with again.mirror.held():
                    return again.rows()

            rows = asyncio.run(resumed())
            assert rows >= carried
            assert rows in (set(), {1, 2}, {1, 2, 3})
            look.store.delete(look.output.below(name) for name in look.objects())
        runner.stdin.close()
    assert killed > 40 / EVERY


async def test_an_object_that_was_cut_off_is_sent_again(run):
    """An object of another size than the part that it is the copy of is replaced; one that is whole stays."""
    made = run()
    async with made.mirror.held():
        made.seal(1, 2)
        await made.mirror.finish()
    cut, whole = made.objects("results/")
    made.store.put(made.output.below(cut), b"ro")
    before = made.store.facts(made.output.below(whole))
    again = run()
    async with again.mirror.held():
        await again.mirror.finish()
    assert made.store.read(made.store.facts(made.output.below(cut))) == b"rows 1"
    assert made.store.facts(made.output.below(whole)) == before
    assert (await fetched_elsewhere(run)) == again.parts()


async def fetched_elsewhere(run):
    other = run("elsewhere")
    async with other.mirror.held():
        return other.parts()
