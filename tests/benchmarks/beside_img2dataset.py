"""Images per CPU second, of `img2dataset` and of `batchsearch check --save`, over the same addresses.

`prepare.py --img2dataset` calls this. `img2dataset` stands in an environment of its own, made on demand in
the folder for temporary files (or in $BATCHSEARCH_IMG2DATASET). Both fetch from one loopback web server,
shrink or pass each image, and write it to disk. Start-up is excluded on both sides in the same way:
the CPU time for one image is taken from that for all of them.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from measuring.loopback import served

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = "img2dataset>=1.45"

WORK = """
import json, sys
from img2dataset import download

if __name__ == "__main__":
    download(**json.loads(sys.argv[1]))
"""

JOB = """
operation: SearchImageByPic
instance: {{endpoint: "http://127.0.0.1:9", name: bench, qps: 10}}
manifest: {{path: "{manifest}", key: id}}
images: {{allow_hosts: [127.0.0.1], threads: 2, max_side: {side}}}
output: {{dir: "{output}"}}
"""


def environment() -> Path:
    """The interpreter of an environment that has `img2dataset`; made when it is not there."""
    folder = Path(
        os.environ.get("BATCHSEARCH_IMG2DATASET") or Path(tempfile.gettempdir()) / "batchsearch-img2dataset"
    )
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"making an environment for img2dataset in {folder} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PACKAGE], check=True)
        (folder / "ready").touch()
    return python


def cpu_seconds(command: list[str | Path], **options: object) -> float:
    """CPU time of a command and of the processes that it starts and waits for."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return spent() - before


class Side(ABC):
    """One of the two programs over one list of addresses."""

    def __init__(self, folder: Path, addresses: Sequence[str], *, side: int | None) -> None:
        self.folder = folder
        self.addresses = addresses
        self.side = side

    def rate(self) -> float:
        """Images per CPU second, start excluded."""
        one, many = self.spend(self.addresses[:1]), self.spend(self.addresses)
        return (len(self.addresses) - 1) / (many - one)

    @abstractmethod
    def spend(self, addresses: Sequence[str]) -> float:
        """CPU seconds for these images, start included."""


class Img2dataset(Side):
    """At most `side` pixels, or everything as it is."""

    def __init__(self, python: Path, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.python = python

    def spend(self, addresses: Sequence[str]) -> float:
        output = self.folder / "img2dataset"
        shutil.rmtree(output, ignore_errors=True)
        listing = self.folder / "addresses.txt"
        listing.write_text("\n".join(addresses) + "\n")
        script = self.folder / "download.py"
        script.write_text(WORK)
        order = {
            "url_list": str(listing),
            "output_folder": str(output),
            "image_size": self.side or 4096,
            "resize_mode": "keep_ratio_largest",
            "resize_only_if_bigger": True,
            "skip_reencode": self.side is None,
            "encode_quality": 90,
            "processes_count": 1,
            "thread_count": 8,
            "output_format": "files",
        }
        quiet = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
        spent = cpu_seconds([self.python, script, json.dumps(order)], env=quiet, cwd=self.folder)
        written = len(list(output.rglob("*.jpg")))
        assert written == len(addresses), f"img2dataset wrote {written} of {len(addresses)} images"
        return spent


class Batchsearch(Side):
    """`batchsearch check --save` over a manifest of the same addresses."""

    def spend(self, addresses: Sequence[str]) -> float:
        output = self.folder / "batchsearch"
        shutil.rmtree(output, ignore_errors=True)
        manifest = self.folder / "manifest.csv"
        with manifest.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "image"))
            writer.writerows(enumerate(addresses))
        job = self.folder / "job.yaml"
        job.write_text(JOB.format(manifest=manifest, side=self.side or "null", output=output))
        command = [sys.executable, "-m", "batchsearch", "check", job, "--json", "--save", output / "sent"]
        spent = cpu_seconds(command)
        written = len(list((output / "sent").glob("*.jpg")))
        assert written == len(addresses), f"batchsearch wrote {written} of {len(addresses)} images"
        return spent


def measure(photographs: Sequence[bytes], rounds: int) -> list[tuple[str, float, float, float]]:
    """Name, ours, `img2dataset`'s and the ratio to reach, for shrinking and for passing through."""
    python = environment()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = folder / "images"
        images.mkdir()
        for number, data in enumerate(photographs):
            (images / f"{number:04}.jpg").write_bytes(data)
        megabytes = sum(map(len, photographs)) / 1e6
        about = f"{len(photographs)} synthetic photographs of {megabytes:.0f} MB over HTTP"
        found = []
        with served(images) as address:
            addresses = [f"{address}/{path.name}" for path in sorted(images.iterdir())]
            for what, side, bar in (("at 1024", 1024, 1.15), ("pass-through", None, 4.0)):
                theirs = Img2dataset(python, folder, addresses, side=side)
                ours = Batchsearch(folder, addresses, side=side)
                pairs = [(theirs.rate(), ours.rate()) for _ in range(rounds)]
                reference, measured = (statistics.median(column) for column in zip(*pairs, strict=True))
                found.append((f"{about}, {what}", measured, reference, bar))
        return found
