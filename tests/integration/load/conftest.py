"""An embedded instance that reads a local folder as its bucket, and jobs that are loaded into it."""

import pytest
from run_rig import granting, sign_in


@pytest.fixture
def bucket(tmp_path):
    """The folder that stands for the bucket."""
    return tmp_path / "bucket"


@pytest.fixture
def loaded_instance(bucket):
    """An emulator whose instance reads that folder, and grants whatever comes."""
    from batchsearch.emulator.instance_options import EmulatorOptions
    from batchsearch.emulator.server import Emulator

    instances = (granting(buckets={"bucket": str(bucket)}),)
    with Emulator(EmulatorOptions(instances=instances)) as running:
        yield running


@pytest.fixture
def signed(loaded_instance, monkeypatch):
    """The same, its key pair in the environment."""
    sign_in(monkeypatch, loaded_instance)
    return loaded_instance


ROWS = [
    {
        "id": str(n),
        "product": f"P{n:02}",
        "name": f"p{n:02}.jpg",
        "image": f"p{n:02}.jpg",
        "price": n,
        "words": f"größe {n}",
    }
    for n in range(12)
]


@pytest.fixture
def load_settings(signed, bucket, load):
    """Settings of a load over rows, by dotted names laid over what these tests share."""

    def made(rows=ROWS, **settings):
        columns = {
            "image": "image",
            "product_id": "product",
            "pic_name": "name",
            "int_attr": "price",
            "custom_content": "words",
        }
        common = {
            "operation": "AddImage",
            "instance__endpoint": signed.endpoint,
            "manifest__columns": columns,
            "manifest__csv": {"types": {"price": "int64"}},
            "load__to": str(bucket),
            "load__poll_seconds": 1,
        }
        return load(rows, **(common | settings))

    return made
