"""Images from object stores, over the S3 protocol of a real server in a process of its own."""

import asyncio
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from object_stores_rig import S3_ACCOUNT
from pydantic import ValidationError
from web_rig import raw_server

from batchsearch.config.sections.image_settings import ImageSettings, StoreSettings, StoresSettings
from batchsearch.errors import MissingExtraError
from batchsearch.images.fetching.fetch import MAX_FILE_BYTES, Fetcher, Rejected, Unreachable
from batchsearch.manifest.rows import ImageReference
from batchsearch.storage.stores import kinds
from batchsearch.tasks.check.checking import check_job

BODY = bytes(range(256)) * 40

FILL = """
import sys
import boto3
s3 = boto3.client("s3", endpoint_url=sys.argv[1])
for bucket in ("shop", "private"):
    s3.create_bucket(Bucket=bucket)
body = bytes(range(256)) * 40
for key in ("a.jpg", "folder/b c+ü%20#1.jpg", "folderish.jpg"):
    s3.put_object(Bucket="shop", Key=key, Body=body)
s3.put_object(Bucket="shop", Key="empty.jpg", Body=b"")
s3.put_object(Bucket="shop", Key="large.jpg", Body=bytes(int(sys.argv[2]) + 1))
s3.put_object(Bucket="private", Key="a.jpg", Body=body)
"""


@pytest.fixture(scope="module")
def endpoint(s3_server):
    """An S3 server with two buckets; its address."""
    filling = [sys.executable, "-W", "ignore", "-c", FILL, s3_server, str(MAX_FILE_BYTES)]
    subprocess.run(filling, check=True, env={**os.environ, **S3_ACCOUNT})
    return s3_server


@pytest.fixture
def account(s3_account):
    return s3_account


def settings_for(endpoint, *buckets, scheme="s3", **more):
    store = StoreSettings(buckets=buckets, endpoint=endpoint, **more)
    return ImageSettings(stores=StoresSettings(**{scheme: store}), fetch_timeout=10)


@pytest.fixture
async def fetcher(endpoint, account, tmp_path):
    """Reads from one bucket."""
    async with Fetcher(tmp_path, settings_for(endpoint, "shop")) as fetcher:
        yield fetcher


async def get(fetcher, url):
    return await fetcher.fetch(ImageReference(url=url))


@pytest.mark.parametrize("key", ["a.jpg", "folder/b c+ü%20#1.jpg"])
async def test_an_object_comes_as_it_was_put(fetcher, key):
    """Keys are taken as they are written: nothing in them is decoded or cut off."""
    assert await get(fetcher, f"s3://shop/{key}") == BODY


async def test_an_empty_object_is_empty_bytes(fetcher):
    """No byte is in the range asked for, which is an answer and no failure."""
    assert await get(fetcher, "s3://shop/empty.jpg") == b""


async def test_a_missing_object_is_the_rows_outcome(fetcher):
    """Missing is for good."""
    found = await get(fetcher, "s3://shop/gone.jpg")
    assert isinstance(found, Rejected)
    assert found.code == "Local.ImageMissing"


async def test_an_object_over_the_bound_is_refused(fetcher):
    """No more than the bound and one byte is ever asked for."""
    assert (await get(fetcher, "s3://shop/large.jpg")).code == "Local.ImageFileTooLarge"


@pytest.mark.parametrize("url", ["s3://private/a.jpg", "oss://shop/a.jpg", "gs://shop/a.jpg", "S3://shop2/a"])
async def test_only_what_the_job_names_is_read(fetcher, url):
    """A manifest cannot use the job's credentials on other buckets or stores."""
    found = await get(fetcher, url)
    assert isinstance(found, Rejected)
    assert found.code == "Local.ImageAddressRefused"
    assert "images.stores" in found.message


async def test_a_folder_of_a_bucket_ends_at_its_slash(endpoint, account, tmp_path):
    """`shop/folder` allows what is in the folder, and nothing whose name only begins so."""
    async with Fetcher(tmp_path, settings_for(endpoint, "shop/folder")) as fetcher:
        assert await get(fetcher, "s3://shop/folder/b c+ü%20#1.jpg") == BODY
        for key in ("a.jpg", "folderish.jpg"):
            assert (await get(fetcher, f"s3://shop/{key}")).code == "Local.ImageAddressRefused"


@pytest.mark.parametrize(
    "url",
    ["s3://shop", "s3://shop/", "s3:///a.jpg", "s3:a", "s3://shop/folder/../a.jpg", "s3://shop//a.jpg",
     "s3://shop/folder/", "s3://shop/a\n.jpg", "s3://shop/a.jpg?versionId=1", "s3://u:p@shop/a.jpg"],
)  # fmt: skip
async def test_an_address_that_names_no_single_object_is_invalid(fetcher, url):
    """What a client might strip, split or walk up is refused before it is asked for."""
    assert (await get(fetcher, url)).code == "Local.ImageReferenceInvalid"


async def test_a_bucket_that_is_not_there_says_nothing_about_the_image(endpoint, account, tmp_path):
    """A wrong bucket is the job's mistake: its rows stay to be done, and waiting does not help."""
    async with Fetcher(tmp_path, settings_for(endpoint, "nowhere")) as fetcher:
        found = await get(fetcher, "s3://nowhere/a.jpg")
    assert isinstance(found, Unreachable)
    assert not found.transient
    assert "images.stores.s3" in found.message


async def test_no_credentials_say_nothing_about_the_image(endpoint, account, tmp_path):
    """What may not be read is not missing."""
    account.delenv("AWS_ACCESS_KEY_ID")
    async with Fetcher(tmp_path, settings_for(endpoint, "shop")) as fetcher:
        found = await get(fetcher, "s3://shop/a.jpg")
    assert isinstance(found, Unreachable)
    assert not found.transient


async def test_one_bounded_request_and_no_signature_for_a_public_bucket(account, tmp_path):
    """An image is one ranged GET; `anonymous` sends no credentials, though there are some."""
    heads = []

    async def answer(reader, writer):
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(b"HTTP/1.1 206 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody")
        await writer.drain()

    async with raw_server(answer) as host:
        for anonymous in (True, False):
            settings = settings_for(f"http://{host}", "shop", anonymous=anonymous)
            async with Fetcher(tmp_path, settings) as fetcher:
                assert await get(fetcher, "s3://shop/a.jpg") == b"body"
    assert len(heads) == 2
    assert all(f"range: bytes=0-{MAX_FILE_BYTES}\r\n" in head for head in heads)
    assert ["authorization:" in head for head in heads] == [False, True]


async def test_a_store_that_nobody_serves_may_be_tried_again(account, tmp_path):
    """A refused connection is transient."""
    async with Fetcher(tmp_path, settings_for("http://127.0.0.1:9", "shop")) as fetcher:
        found = await get(fetcher, "s3://shop/a.jpg")
    assert isinstance(found, Unreachable)
    assert found.transient


async def test_a_store_that_never_answers_is_left(account, tmp_path):
    """The time for one image is bounded, whatever the store's own patience."""
    release = asyncio.Event()

    async def silent(reader, writer):
        await release.wait()

    async with raw_server(silent) as host:
        settings = settings_for(f"http://{host}", "shop").model_copy(update={"fetch_timeout": 0.5})
        async with Fetcher(tmp_path, settings) as fetcher:
            found = await get(fetcher, "s3://shop/a.jpg")
        release.set()
    assert isinstance(found, Unreachable)
    assert found.code == "Transport.ImageTimeout"


async def test_oss_is_read_through_the_same_protocol(endpoint, account, tmp_path):
    """`oss:` signs with the OSS account's key pair, or with the Image Search account's."""
    account.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI-for-everything")
    account.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
    async with Fetcher(tmp_path, settings_for(endpoint, "shop", scheme="oss")) as fetcher:
        assert await get(fetcher, "oss://shop/a.jpg") == BODY
    own = {"OSS_ACCESS_KEY_ID": "LTAI-for-oss", "OSS_ACCESS_KEY_SECRET": "x"}
    assert kinds.oss_credentials({**os.environ, **own}) == ("LTAI-for-oss", "x", None)


async def test_a_check_reads_a_manifest_of_objects(endpoint, account, load):
    """Addresses of a store go through the same stages as files: each has its verdict."""
    rows = [{"id": key, "image": f"s3://shop/{key}"} for key in ("a.jpg", "empty.jpg", "gone.jpg")]
    rows.append({"id": "other", "image": "s3://private/a.jpg"})
    store = {"endpoint": endpoint, "buckets": "shop"}
    page = await check_job(load(rows, images__stores={"s3": store}))
    verdicts = pq.read_table(page.verdicts).to_pylist()
    assert [row["code"] for row in verdicts] == [
        "Local.NotAnImage",
        "Local.ImageEmpty",
        "Local.ImageMissing",
        "Local.ImageAddressRefused",
    ]
    assert verdicts[0]["reference"] == "s3://shop/a.jpg"


def test_a_store_whose_package_is_missing_ends_the_run_before_it_begins(tmp_path, monkeypatch):
    """It is the job that cannot run, not each row: the message names the extra."""
    monkeypatch.setattr(kinds, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"batchsearch\[gs\]"):
        Fetcher(tmp_path, settings_for(None, "shop", scheme="gs"))


@pytest.mark.parametrize(
    ("scheme", "store"),
    [
        ("s3", {"buckets": []}),
        ("s3", {"buckets": ["s3://shop"]}),
        ("s3", {"buckets": ["/"]}),
        ("s3", {"buckets": ["shop"], "endpoint": "https://user:secret@host"}),
        ("s3", {"buckets": ["shop"], "endpoint": "host"}),
        ("oss", {"buckets": ["shop"]}),
    ],
)
def test_a_store_is_named_properly(scheme, store):
    """A store without buckets, with an address for a bucket, or with a user in its endpoint is refused."""
    with pytest.raises(ValidationError):
        StoresSettings(**{scheme: store})


async def test_base64_text_is_a_image_where_the_job_says_so(tmp_path):
    """With `text: base64` a cell is the image itself, with or without line breaks, and never a path."""
    settings = ImageSettings(text="base64")
    (tmp_path / "AAAA").write_bytes(b"a file")
    async with Fetcher(tmp_path, settings) as fetcher:
        assert fetcher.read(ImageReference(path="/9j/\nAAAA")) == bytes.fromhex("ffd8ff000000")
        assert fetcher.read(ImageReference(path="AAAA")) == b"\0\0\0"
        found = fetcher.read(ImageReference(path="a.jpg"))
    assert (type(found), found.code) == (Rejected, "Local.ImageReferenceInvalid")
