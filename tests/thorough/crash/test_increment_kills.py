"""An increment whose emulator is killed again and again: each image once, each line told once."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from batch_rig import Folder, dumped, followed, increments, lines_at, ok, picture

from batchsearch.emulator.caller import Caller
from batchsearch.emulator.http.signatures import AccessKey

ROOT = Path(__file__).resolve().parents[3]
IMAGES = 40
ROUNDS = 4
"""Each image is named by so many lines, under another product each time."""


def started(data, bucket):
    """`batchsearch emulator` as it is called, and how to ask it."""
    command = (sys.executable, "-m", "batchsearch", "emulator", "--port", "0", "--log-format", "json",
               "--data", str(data), "--bucket", f"shop={bucket}", "--capacity", "100000",
               "--instance", "demo:other_qps=1e9")  # fmt: skip
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    endpoint = json.loads(process.stderr.readline())["endpoint"]
    return process, Caller(endpoint, AccessKey("emulator", "emulator-secret"))


def test_an_increment_survives_kills_of_the_emulator(tmp_path):
    """Killed whenever more of a list is done, it ends with each image once and each failure told once."""
    folder = Folder(tmp_path / "shop")
    for number in range(IMAGES):
        folder.image(f"{number}.png", picture(number))
    expected = []
    for turn in range(ROUNDS):
        for number in range(IMAGES):
            product = f"p{turn}"
            folder.line(OperationType="ADD", ProductId=product, PicName=f"{number}.png", IntAttr=turn)
            expected.append((product, f"{number}.png"))
        folder.line(OperationType="ADD", ProductId=f"p{turn}", PicName="absent.png")
    folder.write()
    data = tmp_path / "data"
    task, kills, seen = None, 0, -1
    while True:
        process, caller = started(data, folder.root)
        with process:
            try:
                task = task or ok(caller, "IncreaseInstance", BucketName="shop", Path="/in")["Data"]["Id"]
                (found,) = increments(caller, Id=task)
                count = seen
                while count <= seen and found["Status"] == "PROCESSING":
                    count = ok(caller, "Detail")["Instance"]["TotalCount"]
                    (found,) = increments(caller, Id=task)
                seen = count
                if found["Status"] == "PROCESSING":
                    kills += 1
                    process.send_signal(signal.SIGKILL)
                    continue
                told = lines_at(followed(caller, task)["ErrorUrl"])
                held = lines_at(dumped(caller)["MetaUrl"])
                break
            finally:
                process.kill()
                process.communicate()
    assert kills >= 3
    assert found["Msg"] == f"lines: {(IMAGES + 1) * ROUNDS}, failed: {ROUNDS}"
    assert Counter((line["ProductId"], line["PicName"]) for line in held) == Counter(expected)
    assert Counter(line["ProductId"] for line in told) == Counter(f"p{turn}" for turn in range(ROUNDS))
