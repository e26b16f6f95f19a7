"""Memory of the embedded instance under clients that send the largest images there are, all different.

    python tests/benchmarks/emulator_memory.py [--clients 16] [--images 48] [--json]

The instance runs in a process of its own, whose threads search as those of its server do. Told are the memory
before, at the peak, and afterwards, beside what the clients' images would take all at once.
"""

from __future__ import annotations

import io
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measuring.apart import called_apart, with_comment
from measuring.command_line import command_line, tell

SIDE = 4_096


def memory(name: str) -> float:
    """A line of this process's status, MB."""
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def searched(clients: int, images: int) -> dict[str, float]:
    """Search by so many images from so many threads; for a process of its own."""
    import numpy as np
    from PIL import Image

    from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
    from batchsearch.emulator.search.image_memory import shared_memory
    from batchsearch.emulator.search.records import NewItem, Query
    from batchsearch.emulator.server import Emulator

    rows = np.linspace(0, 255, SIDE, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(rows[:, None], rows[None], np.uint8(90)), axis=2)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=85)
    jpeg = buffer.getvalue()
    del pixels
    with Emulator(EmulatorOptions(instances=(InstanceOptions(name="demo", qps=1e9),))) as emulator:
        catalogue = emulator.catalogue()
        small = io.BytesIO()
        Image.new("RGB", (300, 300), "teal").save(small, "JPEG")
        image = shared_memory().image(small.getvalue(), "generic")
        catalogue.add(NewItem("P", "front"), image, crop=True, region=None)
        before = memory("VmRSS")

        def search(number: int) -> None:
            image = shared_memory().image(with_comment(jpeg, number), "generic")
            catalogue.search_image(image, Query(start=0, num=10), crop=True, region=None)

        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(search, range(images)))
        seconds = time.perf_counter() - began
        return {
            "before_mb": round(before),
            "peak_mb": round(memory("VmHWM")),
            "after_mb": round(memory("VmRSS")),
            "seconds": round(seconds, 2),
        }


def main() -> None:
    """Measure and print."""
    options = command_line(__doc__, clients=16, images=48).parse_args()
    found = called_apart(searched, options.clients, options.images)
    at_once = round(options.clients * SIDE * SIDE * 4 / 2**20)
    print(
        f"{options.clients} clients, {options.images} images of {SIDE} x {SIDE}: {found['before_mb']:,} MB "
        f"before, {found['peak_mb']:,} MB at the peak, {found['after_mb']:,} MB after, "
        f"{found['seconds']:.1f} s; all clients' pixels at once: {at_once:,} MB"
    )
    tell(options, found | {"all_pixels_mb": at_once})


if __name__ == "__main__":
    main()
