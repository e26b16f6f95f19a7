"""Every file of every kind of output spoilt in every way, and hundreds of flipped bits."""

import shutil
import sys
from collections import Counter

import pytest
from damage_rig.damages import DAMAGES, damaged
from damage_rig.outputs import Case, Emulated, files_in, put, same, tables_of
from damage_rig.trial import Reference

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
    from batchsearch.reporting.logs import configure

    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", instance.emulator.access_key_id)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", instance.emulator.access_key_secret)
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
    """Two nights by picture, two pictures changed between them: staged, history, another generation."""
    case = Case("renewal", folder, instance, operation="SearchImageByPic")
    case.rows([{"id": f"r{n}", "image": f"p{n}.jpg"} for n in range(8)])
    case.night(folder / "out")
    shutil.copytree(folder / "out", folder / "earlier")
    for number in (1, 6):
        instance.draw(number, number + 100)
    return case


def dedup(folder, instance):
    """Two nights of a catalogue that has pictures twice, with a product more in the second."""
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
    """Two nights of a group of pictures, the second with one more."""
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
    """One file removed, emptied, halved, swapped or older: nothing sealed is deleted, nothing wrong ends in 0,
    no call is paid twice."""
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
