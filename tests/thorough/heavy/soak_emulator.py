"""The soak's service: an emulator in a process of its own, in which something goes wrong all the time.

Writes its address and key pair as one line of JSON; on a line of stdin, how many requests it has answered;
ends with stdin.
"""

import json
import random
import sys
from io import BytesIO

from PIL import Image

from batchsearch.emulator.faults import parse_plan
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.search.image_reading import decode_image
from batchsearch.emulator.search.records import Item
from batchsearch.emulator.server import Emulator

FAULTS = {
    "seed": 6,
    "rules": [
        {"latency": {"kind": "exponential", "seconds": 0.004, "cap": 0.2}},
        {"error": {"code": "DeniedRequest"}, "probability": 0.01},
        {"error": {"code": "UnknownException"}, "probability": 0.004},
        {"error": {"code": "SearchTimeout", "handled": True}, "probability": 0.004},
        {"error": {"code": "BadRequest"}, "probability": 0.002},
        {"reset": {}, "probability": 0.004},
        {"reset": {"handled": True}, "probability": 0.004},
        {"stall": {"seconds": 1.0}, "probability": 0.0005},
        {"truncate": {"share": 0.5}, "probability": 0.004},
        {"not_json": {}, "probability": 0.004},
        {"wrong_types": {}, "probability": 0.01},
        {"in_body_failure": {"number": 7}, "probability": 0.002},
    ],
}


def main():
    """Serve until stdin ends."""
    items = int(sys.argv[1])
    unlimited = dict.fromkeys(("add", "delete", "update", "other"), 1e9)
    options = EmulatorOptions(
        instances=(InstanceOptions(name="demo", qps=1e9, rates=unlimited),),
        faults=parse_plan(FAULTS),
        log_size=1_000,
        threads=2,
    )
    with Emulator(options) as emulator:
        fill(emulator.catalogue(), items)
        told = {
            "endpoint": emulator.endpoint,
            "ALIBABA_CLOUD_ACCESS_KEY_ID": emulator.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": emulator.access_key_secret,
        }
        say(json.dumps(told))
        for _ in sys.stdin:
            kept = emulator.log.entries()
            say(str(max((entry.number for entry in kept), default=0)))


def say(line):
    """Tell the test something."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def fill(catalogue, items):
    """Images of some colour each, under names that the manifest has."""
    rng = random.Random(1)
    for number in range(items):
        image = Image.frombytes("RGB", (8, 6), rng.randbytes(144)).resize((120, 100))
        data = BytesIO()
        image.save(data, "JPEG")
        catalogue.add(
            Item(f"P{number:03}", "front", custom_content="c" * (number % 50)),
            decode_image(data.getvalue(), "generic"),
            crop=True,
            region=None,
        )


if __name__ == "__main__":
    main()
