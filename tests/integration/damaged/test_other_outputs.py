"""Lost ledgers of dedup, of comparison and of several instances, by the commands that people type."""

import json
import shutil
import signal
import sqlite3
from contextlib import closing

import pandas as pd
import pytest

COPIES = 5


def manifest(night, lines):
    (night.folder / "manifest.csv").write_text("\n".join(lines))


def dedup_night(new_night, folder, instance):
    """Every product twice; one more product in the second night."""
    night = new_night(
        folder,
        manifest={"path": "manifest.csv", "key": ["product_id", "pic_name"]},
        dedup={"sync": "add"},
        instance={"add_qps": 1000},
        results_per_row=20,
    )
    lines = ["product_id,pic_name,image"]
    lines += [f"{side}{n},front,p{n:02}.jpg" for side in "AB" for n in range(COPIES)]
    yield night, "dedup"
    manifest(night, lines)
    yield None
    manifest(night, [*lines, f"C0,front,p{COPIES:02}.jpg"])
    yield None


def comparison(new_night, folder, instance):
    """Every two images of two families; one more image in the second night."""
    night = new_night(
        folder, operation="CompareSimilarByImage", compare={"pairs": "groups", "group": "family"}
    )
    lines = ["id,image,family", *(f"r{n},p{n:02}.jpg,{n % 2}" for n in range(8))]
    yield night, "compare"
    manifest(night, lines)
    yield None
    manifest(night, [*lines, "r8,p08.jpg,0"])
    yield None


def several_instances(new_night, folder, instance):
    """Two instances in one job; one row more in the second night."""
    other = {"endpoint": instance.endpoint, "name": "other", "qps": 1000, "custom_qps": True}
    night = new_night(folder, instances=[other], manifest={"columns": {"instance": "shop"}})
    lines = (night.folder / "manifest.csv").read_text().splitlines()
    yield night, "run"
    manifest(night, lines[:-1])
    yield None
    manifest(night, lines)
    yield None


@pytest.fixture(scope="module")
def twice(tmp_path_factory, new_night, instance):
    """Outputs of two nights, made when first asked for: the night, its command, its ledgers in between."""
    known = {}

    def given(kind):
        if kind not in known:
            folder = tmp_path_factory.mktemp(kind.__name__) / "night"
            steps = kind(new_night, folder, instance)
            night, command = next(steps)
            for _ in steps:
                code, _, said = night.do(command, folder / "job.yaml", "--no-progress")
                assert code == 0, said
                if not (folder / "before").exists():
                    shutil.copytree(night.out, folder / "before")
            known[kind] = night, command
        return known[kind]

    return given


def older(ledger, before):
    shutil.rmtree(ledger)
    shutil.copytree(before, ledger)


SPOILT = {
    "removed": lambda ledger, _: shutil.rmtree(ledger),
    "emptied": lambda ledger, _: (ledger / "ledger.sqlite3").write_bytes(b""),
    "older": older,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize(
    ("kind", "ledger"),
    [
        (dedup_night, "search/ledger"),
        (dedup_night, "sync/add/ledger"),
        (comparison, "ledger"),
        (several_instances, "ledger"),
    ],
    ids=["dedup search", "dedup sync", "comparison", "several instances"],
)
def test_a_lost_ledger_is_refused_and_recovered_without_a_call(twice, tmp_path, kind, ledger, spoil):
    """Exit code 6, no call, nothing sealed moved; after `recover` the same night is whole for no call."""
    finished, command = twice(kind)
    night = finished.copied(tmp_path / "night")
    run = (command, night.folder / "job.yaml", "--no-progress")
    tables = [path.parent for path in night.out.rglob("part-000001.parquet")]
    results = {path: pd.read_parquet(path) for path in tables if path.name == "results"}
    spoil(night.out / ledger, night.folder / "before" / ledger)
    calls, files = night.calls(), night.files()
    code, _, said = night.do(*run)
    assert code == 6, said
    assert "batchsearch recover" in said
    assert (night.files(), night.calls()) == (files, calls)
    assert night.do("verify", night.out)[0] == 3
    code, _, said = night.do("recover", night.out)
    assert code == 0, said
    assert night.files().keys() == files.keys()
    code, _, said = night.do(*run)
    assert code == 0, said
    assert night.calls() == calls
    assert night.do("verify", night.out)[0] == 0
    assert results
    for path, before in results.items():
        after = pd.read_parquet(path)
        assert sorted(after["row_key"]) == sorted(before["row_key"])


def test_an_output_stuck_on_a_value_that_no_column_holds_goes_on(new_night, tmp_path, monkeypatch):
    """A width of 2^31 that waits in the ledger costs that field; every row is sealed and the end is 0."""
    night = new_night(tmp_path / "night")
    with monkeypatch.context() as killing:
        killing.setenv("BATCHSEARCH_CRASH_AT", "part_seal_before:1")
        assert night.run()[0] == -signal.SIGKILL
    with closing(sqlite3.connect(night.out / "ledger" / "ledger.sqlite3")) as connection, connection:
        seq, result = connection.execute("SELECT seq, result FROM pending ORDER BY seq LIMIT 1").fetchone()
        result = json.loads(result) | {"source_width": 2**31}
        connection.execute("UPDATE pending SET result = ? WHERE seq = ?", (json.dumps(result).encode(), seq))
    connection.close()
    code, ended, said = night.run()
    assert code == 0, said
    assert ended["done"] == len(night.rows()) == 30
    found = pd.read_parquet(night.out / "results").set_index("row_key").loc[result["row_key"]]
    assert pd.isna(found["source_width"])
    assert found["source_height"] == result["source_height"]
    assert night.do("verify", night.out)[0] == 0
