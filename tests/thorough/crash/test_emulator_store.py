"""The emulator's items after a real SIGKILL of the process that was adding them."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from batchsearch.emulator.search.items import ItemStore, Regions
from batchsearch.emulator.search.records import Item

ROOT = Path(__file__).resolve().parents[3]
FACTS = {"instance name": ["demo"]}

# Eight threads add, delete and overwrite, and say what was acknowledged, one line a change.
WRITER = """
import sys, threading
from pathlib import Path
import numpy as np
from batchsearch.emulator.search.items import ItemStore, Regions, ids_of
from batchsearch.emulator.search.records import Item

store = ItemStore(Path(sys.argv[1]), {"instance name": ["demo"]})
told = threading.Lock()

def say(*words):
    with told:
        sys.stdout.write(" ".join(map(str, words)) + "\\n")
        sys.stdout.flush()

def work(worker):
    number = 0
    while True:
        product = f"p{worker}-{number}"
        item = Item(product, "a", 0, int_attr=number)
        vector = np.full(256, worker * 1_000_000 + number, dtype=np.float32)
        store.put(item, Regions(), vector, capacity=10**9, then=lambda _: None)
        say("put", worker, number)
        if number % 5 == 4:
            store.delete(ids_of(f"p{worker}-{number - 2}", None), then=lambda _: None)
            say("gone", worker, number - 2)
        number += 1

for worker in range(8):
    threading.Thread(target=work, args=(worker,), daemon=True).start()
threading.Event().wait()
"""


@pytest.mark.parametrize("lines", [1, 40, 700])
def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path, lines):
    """After SIGKILL every acknowledged item is there, whole, and every acknowledged deletion holds."""
    path = tmp_path / "demo.sqlite3"
    acknowledged = []
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        for line in process.stdout:
            acknowledged.append(line.split())
            if len(acknowledged) == lines:
                process.send_signal(signal.SIGKILL)
        watchdog.cancel()
    assert process.returncode == -signal.SIGKILL
    assert len(acknowledged) >= lines
    # The last line may have been cut by the kill: only whole ones are promises.
    whole = [entry for entry in acknowledged if len(entry) == 3]
    put = {(int(worker), int(number)) for kind, worker, number in whole[:-1] if kind == "put"}
    gone = {(int(worker), int(number)) for kind, worker, number in whole[:-1] if kind == "gone"}

    store = ItemStore(path, FACTS)
    try:
        held = {}
        for _, items, vectors in store.load():
            for item, vector in zip(items, vectors, strict=True):
                worker, number = (int(part) for part in item.product_id[1:].split("-"))
                held[worker, number] = (item, vector)
        assert len(store) == len(held)
        for (worker, number), (item, vector) in held.items():
            assert item == Item(f"p{worker}-{number}", "a", 0, int_attr=number)
            assert np.all(vector == np.float32(worker * 1_000_000 + number))
        # A deletion may have been committed without having been acknowledged; nothing else may be missing.
        deletable = {(worker, number - 2) for worker, number in put if number % 5 == 4}
        assert put - gone - set(held) <= deletable
        assert not gone & set(held)
        store.put(
            Item("later", "a", 0), Regions(), np.ones(256, np.float32), capacity=10**9, then=lambda _: None
        )
    finally:
        store.close()
