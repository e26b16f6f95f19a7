"""Loading through a bucket in a real object store, which the instance reads."""

from pathlib import Path

import pandas as pd
import pytest

from batchsearch.config.load import load_text
from batchsearch.config.sections.store_settings import ConnectionsSettings, StoreConnection
from batchsearch.errors import ExitCode
from batchsearch.storage.stores.address import parse_address
from batchsearch.storage.stores.object_store import ObjectStore
from batchsearch.tasks.load.loading import load_job

SAMPLE = Path(__file__).parents[3] / "sample_data"


@pytest.fixture
def job(s3_server, bucket, tmp_path):
    """Settings of a load of the sample catalogue through the bucket, into an output."""

    def made(output):
        text = f"""
operation: AddImage
instance: {{endpoint: emulator, name: shop, qps: unlimited}}
manifest:
  path: {SAMPLE}/catalogue.csv
  key: pic_name
  columns: {{custom_content: name, str_attr: category}}
stores: {{s3: {{endpoint: "{s3_server}"}}}}
load: {{to: "s3://{bucket}/shop/images", poll_seconds: 1}}
emulator: {{data: instance}}
output: {{dir: {output}}}
"""
        return load_text(text, tmp_path / f"{output}.yaml", environ={}).settings

    return made


async def test_a_catalogue_goes_through_a_bucket_once(job, s3_server, bucket):
    """Images and list are in the bucket, the instance has read them; a new output finds them there."""
    first = await load_job(job("first"))
    assert (first.exit_code, first.put, first.outcomes.ok) == (ExitCode.DONE, 45, 45)
    assert first.place == f"s3://{bucket}/shop/images"
    connections = ConnectionsSettings(s3=StoreConnection(endpoint=s3_server))
    store = ObjectStore("s3", connections, wanted_for="tests")
    listed = store.listing(parse_address(first.place))
    assert len(listed) == 46
    assert listed[0].address.path.startswith(f"{bucket}/shop/images/")
    results = pd.read_parquet(job("first").output.dir + "/results")
    assert set(results["task_id"]) == {first.tasks[0].task_id}

    again = await load_job(job("again"))
    # The store tells the MD5 of each, so that none is put twice; the lines of this output are its own.
    assert (again.put, again.outcomes.ok, again.tasks[0].lines) == (0, 45, 45)
