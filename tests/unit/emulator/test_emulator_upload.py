"""The object store behind the "Advance" upload."""

from __future__ import annotations

import base64
import json

import pytest

from batchsearch.emulator.http.error_table import RefusedError
from batchsearch.emulator.http.upload_place import (
    MAX_OBJECTS,
    Place,
    UploadRefusedError,
    UploadStore,
    place_of,
    read_form,
)
from batchsearch.service.facts import MAX_IMAGE_BYTES

BOUNDARY = "boundary-1"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def form(fields: dict[str, str], file: bytes | None = b"picture") -> bytes:
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode()
        for name, text in fields.items()
    ]
    if file is not None:
        head = b'Content-Disposition: form-data; name="file"; filename="x"\r\nContent-Type: \r\n\r\n'
        parts.append(head + file)
    joined = b"".join(f"--{BOUNDARY}\r\n".encode() + part + b"\r\n" for part in parts)
    return joined + f"--{BOUNDARY}--\r\n".encode()


def fields_of(given: dict) -> dict[str, str]:
    return {
        "OSSAccessKeyId": given["AccessKeyId"],
        "Signature": given["Signature"],
        "policy": given["EncodedPolicy"],
        "key": given["ObjectKey"],
        "success_action_status": "201",
    }


@pytest.fixture
def store() -> UploadStore:
    return UploadStore()


@pytest.fixture
def fields(store) -> dict[str, str]:
    return fields_of(store.authorize(Place("b", "e"), now=0.0))


def refusal(store, fields, *, now: float = 0.0, file: bytes | None = b"picture") -> str:
    with pytest.raises(UploadRefusedError) as caught:
        store.put(TYPE, form(fields, file), now=now)
    return caught.value.code


def test_a_posted_object_is_found_by_its_urls_last_part(store, fields):
    """The host of the URL does not matter: nothing is fetched, the object key decides."""
    data = b"\r\n--not the boundary\r\n\x00\xff"
    key = store.put(TYPE, form(fields, data), now=0.0)
    assert key == fields["key"]
    for host in ("http://b.e", "http://http://127.0.0.1:1", "https://x"):
        assert store.image_at(f"{host}/{key}") == data


@pytest.mark.parametrize("part", ["OSSAccessKeyId", "Signature", "policy", "key"])
def test_each_part_of_the_authorization_is_held_against_the_others(store, fields, part):
    """A changed key id, signature, policy or key is refused."""
    changed = {**fields, part: fields[part] + "A"}
    expected = {"OSSAccessKeyId": "InvalidAccessKeyId", "key": "AccessDenied"}
    assert refusal(store, changed) == expected.get(part, "SignatureDoesNotMatch")


def test_a_policy_of_ones_own_making_is_refused(store, fields):
    """Only policies that the emulator signed count, whatever they promise."""
    own = base64.b64encode(json.dumps({"expiration": "2099-01-01T00:00:00.000Z"}).encode()).decode()
    assert refusal(store, {**fields, "policy": own}) == "SignatureDoesNotMatch"


def test_a_policy_ends(store, fields):
    """An hour after it was given out the place is closed."""
    assert refusal(store, fields, now=3601.0) == "AccessDenied"


def test_size_and_presence_of_the_file_are_checked(store, fields):
    """No file, and one over 4 MiB, are refused."""
    assert refusal(store, fields, file=None) == "InvalidArgument"
    assert refusal(store, fields, file=b"x" * (MAX_IMAGE_BYTES + 1)) == "EntityTooLarge"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b""),
        (TYPE, b""),
        (TYPE, b"--boundary-1--"),
        (TYPE, b"--boundary-1\r\nno head\r\n--boundary-1--"),
        (TYPE, b'--boundary-1\r\nContent-Disposition: form-data; name="a"\r\n\r\nnever ends'),
        (TYPE, b"--boundary-1\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--boundary-1--"),
    ],
)
def test_a_form_that_is_none_is_refused(content_type, body):
    """Malformed multipart bodies have one code."""
    with pytest.raises(UploadRefusedError) as caught:
        read_form(content_type, body)
    assert caught.value.code == "MalformedPOSTRequest"


def test_urls_of_others_and_of_nothing_are_told_apart(store, fields):
    """An address never given out is a wrong URL; one where nothing was posted is a failed download."""
    for url, code in (
        ("http://example.com/cat.jpg", "InvalidPicUrl"),
        (f"http://b.e/{fields['key']}", "PictureError"),
    ):
        with pytest.raises(RefusedError) as caught:
            store.image_at(url)
        assert caught.value.code == code


def test_only_the_last_objects_are_kept(store):
    """Memory is bounded: the oldest object goes first."""
    keys = []
    for _ in range(MAX_OBJECTS + 1):
        given = fields_of(store.authorize(Place("b", "e"), now=0.0))
        keys.append(store.put(TYPE, form(given), now=0.0))
    with pytest.raises(RefusedError):
        store.image_at(f"http://b.e/{keys[0]}")
    assert store.image_at(f"http://b.e/{keys[1]}") == b"picture"


@pytest.mark.parametrize("tls", [False, True])
def test_the_place_spells_the_host_with_a_dot_between_bucket_and_endpoint(tls):
    """Clients join bucket and endpoint with a dot; the result is the listener's address."""
    place = place_of("127.0.0.1", 80, tls=tls)
    assert f"{place.bucket}.{place.endpoint}" == ("127.0.0.1:80" if tls else "http://127.0.0.1:80")
    with pytest.raises(ValueError, match="with a dot"):
        place_of("localhost", 80, tls=tls)
