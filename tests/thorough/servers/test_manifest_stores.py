"""Manifests in object stores, over the S3 protocol of a real server."""

import gzip
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.config.sections.store_settings import ConnectionsSettings, StoreConnection
from batchsearch.errors import ConfigError, ManifestError
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.storage.stores.address import parse_address
from batchsearch.storage.stores.object_store import ObjectStore, Patience

ROWS = 20_000
KEYS = [f"p{number:05}" for number in range(ROWS)]
CSV = "sku,note\n" + "".join(f"{key},{'x' * 1_000}\n" for key in KEYS)  # more than Arrow reads ahead


def connections(endpoint):
    if endpoint is None:
        return None
    reached = StoreConnection(endpoint=endpoint)
    return ConnectionsSettings(s3=reached, oss=reached)


def written(name):
    """The same rows in a file of another format; None for Parquet."""
    made = io.BytesIO()
    rows = [{"sku": key, "note": "x"} for key in KEYS]
    if name == "m.csv.zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(CSV.encode())
        return sink.getvalue().to_pybytes()
    if name == "m.zip":
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("export/m.csv", CSV)
    elif name == "m.jsonl":
        made.write("".join(json.dumps(row) + "\n" for row in rows).encode())
    elif name == "m.arrow":
        table = pa.Table.from_pylist(rows)
        with pa.ipc.new_file(made, table.schema) as writer:
            writer.write_table(table)
    elif name == "m.xlsx":
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("x")
        for row in (["sku", "note"], *(list(row.values()) for row in rows)):
            sheet.append(row)
        book.save(made)
    elif name == "m.xml":
        items = "".join(f"<item><g:sku>{key}</g:sku><g:note>x</g:note></item>" for key in KEYS)
        made.write(f"<rss><channel>{items}</channel></rss>".encode())
    else:
        return {"m.csv": CSV.encode(), "m.csv.gz": gzip.compress(CSV.encode())}.get(name)
    return made.getvalue()


def parquet(folder, keys=KEYS):
    file = folder / "made.parquet"
    pq.write_table(pa.table({"sku": keys, "note": ["x"] * len(keys)}), file, row_group_size=3_000)
    return file.read_bytes()


@pytest.fixture
def put(s3_server, bucket):
    """Puts an object; returns its address."""
    store = ObjectStore("s3", connections(s3_server), wanted_for="tests", writes=True)

    def put(name, data):
        address = parse_address(f"s3://{bucket}/{name}")
        store.put(address, data if isinstance(data, bytes) else data.encode())
        return str(address)

    return put


def opened(path, endpoint, **settings):
    settings = ManifestSettings(path=path, key="sku", **settings)
    return Manifest.open(settings, base=Path("/"), wanted=Wanted(), stores=connections(endpoint))


def keys_of(manifest):
    return [key for batch in manifest.key_batches() for key in batch.keys()]  # noqa: SIM118 - no dictionary


@pytest.mark.parametrize(
    "name", ["m.csv", "m.csv.gz", "m.csv.zst", "m.zip", "m.jsonl", "m.arrow", "m.xlsx", "m.xml", "m.parquet"]
)
def test_a_manifest_is_read_where_it_is(put, s3_server, tmp_path, name):
    """Every format, packed or not, gives the rows that a local file would."""
    data = written(name) or parquet(tmp_path)
    local = tmp_path / name
    local.write_bytes(data)
    manifest = opened(put(f"in/{name}", data), s3_server)
    assert manifest.check() == ROWS
    assert keys_of(manifest) == KEYS
    here = opened(str(local), None)
    # Where batches end may differ: a store is not asked for the header of every page.
    there, near = list(manifest.batches(3_000)), list(here.batches(3_000))
    for one, other in zip(_rows(there), _rows(near), strict=True):
        assert (one.key, one.number, one.images) == (other.key, other.number, other.images)
    assert pa.Table.from_batches(each.carried for each in there).equals(
        pa.Table.from_batches(each.carried for each in near)
    )


def _rows(batches):
    return [row for batch in batches for row in batch.rows]


def test_a_folder_and_a_glob_name_their_files_in_order(put, s3_server, bucket):
    """A folder is read by name and below it, without hidden files; `folderish` is another folder."""
    for name in ("in/b/1.csv", "in/a.csv", "in/c.csv", "in/_tmp.csv", "in/_x/1.csv", "inside/z.csv"):
        put(name, f"sku\n{name}\n")
    assert keys_of(opened(f"s3://{bucket}/in", s3_server)) == ["in/a.csv", "in/b/1.csv", "in/c.csv"]
    assert keys_of(opened(f"s3://{bucket}/in/*.csv", s3_server)) == ["in/a.csv", "in/c.csv"]


def test_oss_addresses_are_read_through_the_same_protocol(put, s3_server, s3_account):
    """`oss:` signs with the OSS account's key pair and reads what `s3:` reads."""
    s3_account.setenv("OSS_ACCESS_KEY_ID", "LTAI")
    s3_account.setenv("OSS_ACCESS_KEY_SECRET", "x")
    address = put("m.csv", CSV)
    assert keys_of(opened(address.replace("s3://", "oss://"), s3_server)) == KEYS


def test_any_file_system_that_fsspec_knows_is_read():
    """A scheme without settings of its own works with its package's defaults."""
    store = ObjectStore("memory", wanted_for="tests", writes=True)
    store.put(parse_address("memory://shelf/m.csv"), b"sku\na\nb\n")
    assert keys_of(opened("memory://shelf/m.csv", None)) == ["a", "b"]


def test_the_identity_says_what_was_read(put, s3_server):
    """Runs can tell that a manifest is the one from before: by size and tag."""
    address = put("m.csv", "sku\na\n")
    before = opened(address, s3_server).identity()["files"]
    assert [(file["path"], file["bytes"]) for file in before] == [(address, 6)]
    put("m.csv", "sku\nb\n")
    assert opened(address, s3_server).identity()["files"][0]["tag"] != before[0]["tag"]


def what_is_wrong(path, endpoint):
    with pytest.raises(ManifestError) as caught:
        opened(path, endpoint)
    return str(caught.value.problems[0])


def test_what_cannot_be_found_is_said_plainly(put, s3_server, s3_account, bucket):
    """No such object, no such bucket, nothing that matches, no credentials: each in its own words."""
    put("in/m.txt.bak", "x")
    assert "there is no such object or folder" in what_is_wrong(f"s3://{bucket}/gone.csv", s3_server)
    assert "no such bucket" in what_is_wrong("s3://nowhere-at-all/m.csv", s3_server)
    assert "without any table" in what_is_wrong(f"s3://{bucket}/in", s3_server)
    assert "matches no object" in what_is_wrong(f"s3://{bucket}/*.csv", s3_server)
    s3_account.delenv("AWS_ACCESS_KEY_ID")
    assert "credentials" in what_is_wrong(f"s3://{bucket}/m.csv", s3_server)


def test_an_address_with_a_secret_in_it_is_refused_unseen():
    """Neither a user part nor a query is taken, and the message repeats neither."""
    for address in ("s3://key:secret@bucket/m.csv", "s3://bucket/m.csv?X-Amz-Signature=secret"):
        said = what_is_wrong(address, None)
        assert said.startswith("s3://bucket/m.csv: has a ")
        assert "secret@" not in said
        assert "=secret" not in said


def test_a_scheme_that_nothing_reads_is_the_jobs_mistake():
    """The message says what is read."""
    with pytest.raises(ConfigError, match="s3://, oss://, gs://"):
        opened("s4://bucket/m.csv", None)


def test_oss_needs_to_know_where():
    """OSS has no address for all regions."""
    with pytest.raises(ConfigError, match=r"stores\.oss\.region"):
        Manifest.open(ManifestSettings(path="oss://b/m.csv"), base=Path("/"), wanted=Wanted())


@pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
def test_a_line_that_drops_is_taken_up_again(put, s3_server, line, tmp_path, name):
    """A range that did not come is asked for again; nothing of it is lost or read twice."""
    address = put(name, CSV if name == "m.csv" else parquet(tmp_path))
    manifest = opened(address, line.address)
    waited = []
    for file in manifest.files:
        file.store._pause = waited.append
    found = []
    for keys in manifest.keys(1_000):
        if not waited:
            line.drop = 4
            line.hang_up()
        found += keys
    assert found == KEYS
    assert waited


def test_a_command_ends_while_a_store_is_silent(put, line, tmp_path):
    """What Arrow reads ahead in a thread of its own keeps no process from ending."""
    address = put("m.csv", CSV * 3)
    script = f"""
import sys
from pathlib import Path
from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.config.sections.store_settings import ConnectionsSettings, StoreConnection
from batchsearch.manifest.source import Manifest, Wanted
stores = ConnectionsSettings(s3=StoreConnection(endpoint={line.address!r}))
settings = ManifestSettings(path={address!r}, key="sku")
keys = Manifest.open(settings, base=Path("/"), wanted=Wanted(), stores=stores).keys(1_000)
print(len(next(keys)), flush=True)
sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout.readline() == "130\n"
        line.sever()
        command.stdin.write("\n")
        command.stdin.flush()
        assert command.wait(30) == 0


@pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
def test_a_store_that_is_lost_in_the_middle_is_named(put, line, s3_server, tmp_path, name):
    """The message names the file and says that running again resumes."""
    address = put(name, CSV if name == "m.csv" else parquet(tmp_path))
    manifest = opened(address, line.address)
    for file in manifest.files:
        file.store._pause = lambda _: None
    keys = manifest.keys(1_000)
    next(keys)
    line.sever()
    with pytest.raises(ManifestError) as caught:
        list(keys)
    assert str(caught.value.problems[0]).startswith(f"{address}: row ")
    assert "Running again resumes" in str(caught.value)


@pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
def test_a_file_that_is_replaced_while_it_is_read_is_refused(put, s3_server, tmp_path, name):
    """Half of one table and half of another is never taken for one."""
    other = [f"q{number:05}" for number in range(ROWS)]
    address = put(name, CSV if name == "m.csv" else parquet(tmp_path))
    manifest = opened(address, s3_server)
    keys = manifest.keys(1_000)
    next(keys)
    put(name, CSV.replace("p", "q") if name == "m.csv" else parquet(tmp_path, other))
    with pytest.raises(ManifestError, match="was replaced while it was being read"):
        list(keys)


def test_patience_is_bounded(line, bucket):
    """A store is asked so often, with the pauses that were said, and then given up."""
    line.sever()
    paused = []
    store = ObjectStore(
        "s3",
        connections(line.address),
        wanted_for="tests",
        patience=Patience(1, (0.25, 0.5)),
        pause=paused.append,
    )
    with pytest.raises(OSError, match="the request failed"):
        store.facts(parse_address(f"s3://{bucket}/x"))
    assert paused == [0.25, 0.5]
