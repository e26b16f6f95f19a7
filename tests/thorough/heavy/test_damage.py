"""Every file of every kind of output spoilt in every way, and hundreds of flipped bits."""

import shutil
import sys
from collections import Counter

import pytest
from damage_rig.damages import DAMAGES, damaged
from damage_rig.outputs import Case, Emulated, files_in, put, same, tables_of
from damage_rig.trial import Reference
from run_rig import sign_in

pytestmark = pytest.mark.timeout(900)

# Locks hold nothing; what a process says of itself while it runs is no output.
NO_OUTPUT = ("lock", "heartbeat.json")


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    with Emulated(tmp_path_factory.mktemp("instance")) as instance:
        yield instance


@pytest.fixture(autouse=True)
def quiet(instance, monkeypatch):
    """Keys for the runs of this process, and no lines of theirs."""
    from batchsearch.telemetry.logs import configure

    sign_in(monkeypatch, instance.emulator)
    configure("json", "error")


def named_rows(count):
    return [{"id": f"r{n:02}", "product_id": f"P{n % 10}", "pic_name": "front"} for n in range(count)]


def run(folder, instance):
    """A run by name, stopped once."""
    case = Case("run", folder, instance, operation="SearchImageByName")
    case.rows(named_rows(10))
    case.night(folder / "out", max_calls=6)
    shutil.copytree(folder / "out", folder / "earlier")
    return case


def renewal(folder, instance):
    """Two nights by image, two images changed between them: staged, history, another generation."""
    case = Case("renewal", folder, instance, operation="SearchImageByPic")
    case.rows([{"id": f"r{n}", "image": f"p{n}.jpg"} for n in range(8)])
    case.night(folder / "out")
    shutil.copytree(folder / "out", folder / "earlier")
    for number in (1, 6):
        instance.draw(number, number + 100)
    return case


def dedup(folder, instance):
    """Two nights of a catalogue that has images twice, with a product more in the second."""
    case = Case(
        "dedup",
        folder,
        instance,
        operation="SearchImageByPic",
        manifest={"path": "manifest.csv", "key": ["product_id", "pic_name"]},
        dedup={"sync": "add"},
        results_per_row=20,
    )
    rows = [
        {"product_id": f"{side}{n}", "pic_name": "front", "image": f"p{n}.jpg"}
        for side in "AB"
        for n in range(4)
    ]
    case.rows(rows)
    case.night(folder / "out")
    shutil.copytree(folder / "out", folder / "earlier")
    case.rows([*rows, {"product_id": "C0", "pic_name": "front", "image": "p0.jpg"}])
    return case


def comparison(folder, instance):
    """Two nights of a group of images, the second with one more."""
    case = Case(
        "comparison",
        folder,
        instance,
        operation="CompareSimilarByImage",
        compare={"pairs": "groups", "group": "family"},
    )
    rows = [{"id": f"r{n}", "image": f"p{n}.jpg", "family": "a"} for n in range(5)]
    case.rows(rows[:4])
    case.night(folder / "out")
    shutil.copytree(folder / "out", folder / "earlier")
    case.rows(rows)
    return case


@pytest.mark.parametrize("make", [run, renewal, dedup, comparison], ids=lambda make: make.__name__)
def test_no_damage_deletes_lies_or_costs(make, instance, tmp_path, capsys):
    """Whatever file is spoilt: nothing sealed is deleted, nothing wrong ends in 0, no call is paid twice."""
    case = make(tmp_path / "case", instance)
    out = case.folder / "out"
    assert case.night(out) == 0
    # A second time, so that the damaged ones have nothing left to do.
    calls = instance.calls()
    assert case.night(out) == 0
    assert instance.calls() == calls
    reference = Reference(case, out)
    files, earlier = files_in(out), files_in(case.folder / "earlier")
    broken, trials = [], Counter()
    undamaged = case.folder / "undamaged"
    put(undamaged, files)
    assert not reference.broken(undamaged)
    for name in files:
        if name.split("/")[-1] in NO_OUTPUT:
            continue
        for damage in DAMAGES:
            spoilt = damaged(files, earlier, name, damage)
            if spoilt is None:
                continue
            copy = case.folder / "copy"
            put(copy, spoilt)
            trials[damage.__name__] += 1
            broken += [f"{name} {damage.__name__}: {promise}" for promise in reference.broken(copy)]
            shutil.rmtree(copy)
    with capsys.disabled():
        sys.stdout.write(f"\n{case.name}: {len(files)} files, {dict(trials)}\n")
    assert not broken, "\n".join(broken)
    assert min(trials[damage.__name__] for damage in DAMAGES) > 0


ADDRESS = "memory://shelf/night"


def objects():
    """What is in the store below the output, by path."""
    import fsspec

    held = fsspec.filesystem("memory").store
    under = ADDRESS.removeprefix("memory:/") + "/"
    return {
        path.removeprefix(under): file.getvalue() for path, file in held.items() if path.startswith(under)
    }


def put_objects(files):
    """Make the store hold these and nothing else."""
    import fsspec

    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    for name, content in files.items():
        store.pipe_file(f"/shelf/night/{name}", content)


@pytest.fixture(scope="module")
def carried(instance, tmp_path_factory):
    """A run whose output is in a store, stopped once; what the store and the work folder held, and hold."""
    from batchsearch.telemetry.logs import configure

    configure("json", "error")
    folder = tmp_path_factory.mktemp("carried")
    with pytest.MonkeyPatch.context() as patch:
        sign_in(patch, instance.emulator)
        case = Case("store", folder / "case", instance, operation="SearchImageByName")
        case.rows(named_rows(10))
        work = case.folder / "work"
        case.night(ADDRESS, f"output.work_dir={work}", max_calls=6)
        case.earlier = {"store": objects(), "work": files_in(work)}
        for _ in range(2):
            assert case.night(ADDRESS, f"output.work_dir={work}") == 0
        case.now = {"store": objects(), "work": files_in(work)}
    yield case
    put_objects({})


@pytest.mark.parametrize(("where", "machine"), [("store", "same"), ("store", "another"), ("work", "same")])
def test_no_damage_in_a_store_deletes_lies_or_costs(carried, where, machine, capsys):
    """An object or a file of the work folder is spoilt: the run, here or on another machine, keeps it all."""
    case, broken, trials = carried, [], Counter()
    copy, fetched = case.folder / "copy", case.folder / "fetched"

    def tables():
        fetched_files = {name: data for name, data in objects().items() if not name.startswith("_carried")}
        put(fetched, fetched_files)
        found = tables_of(fetched, case)
        shutil.rmtree(fetched)
        return found

    put_objects(case.now["store"])
    expected = tables()
    assert len(expected[0]) == 10
    sealed = {data for name, data in case.now["store"].items() if "part-" in name}
    for name in case.now[where]:
        if name.split("/")[-1] in NO_OUTPUT:
            continue
        for damage in DAMAGES:
            spoilt = damaged(case.now[where], case.earlier[where], name, damage)
            if spoilt is None:
                continue
            held = case.now | {where: spoilt}
            put_objects(held["store"])
            put(copy, held["work"] if machine == "same" else {"empty": b""})
            kept = sealed & {*held["store"].values(), *(held["work"].values() if machine == "same" else ())}
            calls = case.instance.calls()
            trials[damage.__name__] += 1
            code = case.night(ADDRESS, f"output.work_dir={copy}")
            promises = []
            if case.instance.calls() != calls:
                promises.append(f"{case.instance.calls() - calls} calls were paid again, exit code {code}")
            lost = kept - {*objects().values(), *files_in(copy).values()}
            if lost:
                promises.append(f"{len(lost)} sealed files were deleted, exit code {code}")
            if code == 0 and not same(tables(), expected):
                promises.append("the run ended with 0 and a wrong output")
            broken += [f"{name} {damage.__name__}: {promise}" for promise in promises]
            shutil.rmtree(copy)
    with capsys.disabled():
        sys.stdout.write(f"\n{where}, {machine} machine: {len(case.now[where])} files, {dict(trials)}\n")
    assert not broken, "\n".join(broken)
    assert trials.total() > len(DAMAGES)
