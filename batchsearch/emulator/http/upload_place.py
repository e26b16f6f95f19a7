"""The "Advance" way of sending an image: ask for a place, post the object there, name its URL in the call.

The emulator never fetches a URL. It gives out object keys of its own, keeps what is posted under them for a
while, and matches a URL's object key when a call names one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from batchsearch.emulator.http.error_table import RefusedError
from batchsearch.service.facts import MAX_IMAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_OBJECTS: Final = 64
"""Objects kept; the oldest is dropped first."""
POLICY_SECONDS: Final = 3600.0

_OBJECT_KEY: Final = re.compile(r"/(upload-[0-9a-f]{32})$")
_BOUNDARY: Final = re.compile(r'boundary="?([^";,\s]{1,200})"?', re.IGNORECASE)
_FIELD_NAME: Final = re.compile(r'[; ]name="?([^";\r\n]*)"?')


class UploadRefusedError(Exception):
    """The object store refuses a post or a download; `code`, `message` and `status` are what it answers."""

    def __init__(self, code: str, message: str, status: int) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object store is reached, as the authorization spells it.

    Clients join the two with a dot: `https://{bucket}.{endpoint}/`. Any host can be cut at a dot.

    Attributes:
        bucket: Text before the first dot of the host, or with a scheme for clients that keep it.
        endpoint: The rest, with the port.
    """

    bucket: str
    endpoint: str


def place_of(host: str, port: int, *, tls: bool) -> Place:
    """The place that leads a client to `host:port`.

    Official clients post to `https://` whatever they are told, so a TLS listener is what all of them reach.
    Without one the bucket carries `http://` itself, which the official Python client and this package's
    understand.
    """
    head, dot, tail = host.partition(".") if tls else host.rpartition(".")
    if not dot:
        raise ValueError(f"the object upload needs a host with a dot in it, such as 127.0.0.1, not {host!r}")
    return Place(head if tls else f"http://{head}", f"{tail}:{port}")


class UploadStore:
    """Gives out places for objects and keeps what is posted there; bounded, safe from any thread."""

    def __init__(self) -> None:
        self._access_key_id = f"UPLOAD.{secrets.token_hex(8)}"
        self._secret = secrets.token_bytes(32)
        self._objects: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def authorize(self, place: Place, *, now: float) -> dict[str, Any]:
        """What `AuthorizeFileUpload` answers, less the request id.

        Args:
            place: Where the object is to be posted.
            now: Seconds since 1970.
        """
        object_key = f"upload-{secrets.token_hex(16)}"
        expires = datetime.fromtimestamp(now + POLICY_SECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        conditions = [["eq", "$key", object_key], ["content-length-range", 0, MAX_IMAGE_BYTES]]
        policy = json.dumps({"expiration": expires, "conditions": conditions})
        encoded = base64.b64encode(policy.encode()).decode()
        return {
            "AccessKeyId": self._access_key_id,
            "EncodedPolicy": encoded,
            "Signature": self._sign(encoded),
            "Bucket": place.bucket,
            "Endpoint": place.endpoint,
            "ObjectKey": object_key,
            "UseAccelerate": False,
        }

    def _sign(self, encoded_policy: str) -> str:
        digest = hmac.new(
            self._secret, encoded_policy.encode("utf-8", errors="replace"), hashlib.sha1
        ).digest()
        return base64.b64encode(digest).decode()

    def put(self, content_type: str, body: bytes, *, now: float) -> str:
        """Keep a posted object; returns its key.

        Args:
            content_type: The request's type, with the boundary.
            body: The whole form.
            now: Seconds since 1970.

        Raises:
            UploadRefusedError: the form, its signature, its policy or its size is not in order.
        """
        parts = read_form(content_type, body)
        text = {
            name: data.decode("utf-8", errors="replace") for name, data in parts.items() if name != "file"
        }
        if "file" not in parts:
            raise UploadRefusedError("InvalidArgument", "The form has no part named file.", 400)
        if text.get("OSSAccessKeyId") != self._access_key_id:
            raise UploadRefusedError("InvalidAccessKeyId", "The OSS Access Key Id does not exist.", 403)
        policy = text.get("policy", "")
        given = text.get("Signature", "").encode("utf-8", errors="replace")
        if not hmac.compare_digest(self._sign(policy).encode(), given):
            raise UploadRefusedError("SignatureDoesNotMatch", "The signature does not match the policy.", 403)
        # The signature held, so the policy is one of ours.
        promised = json.loads(base64.b64decode(policy))
        key = text.get("key", "")
        if promised["conditions"][0][2] != key:
            raise UploadRefusedError("AccessDenied", "The key is not the policy's.", 403)
        end = datetime.strptime(promised["expiration"], "%Y-%m-%dT%H:%M:%S.000Z").replace(tzinfo=UTC)
        if now > end.timestamp():
            raise UploadRefusedError("AccessDenied", "The policy has expired.", 403)
        if len(parts["file"]) > MAX_IMAGE_BYTES:
            raise UploadRefusedError("EntityTooLarge", "The object is larger than the policy allows.", 400)
        with self._lock:
            self._objects[key] = parts["file"]
            self._objects.move_to_end(key)
            while len(self._objects) > MAX_OBJECTS:
                self._objects.popitem(last=False)
        return key

    def image_at(self, url: str) -> bytes:
        """The object that a URL names; the host does not matter.

        Raises:
            RefusedError: `InvalidPicUrl`: not an address that was given out. `PictureError`: it was, but
                nothing is kept there.
        """
        match = _OBJECT_KEY.search(url)
        if match is None:
            raise RefusedError("InvalidPicUrl")
        with self._lock:
            data = self._objects.get(match.group(1))
        if data is None:
            raise RefusedError("PictureError")
        return data


def read_form(content_type: str, body: bytes) -> dict[str, bytes]:
    """Parts of a multipart form by name; the last of equal names wins.

    Raises:
        UploadRefusedError: it is no well-formed multipart form.
    """
    malformed = UploadRefusedError("MalformedPOSTRequest", "The body is no well-formed multipart form.", 400)
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise malformed
    delimiter = b"--" + match.group(1).encode("utf-8", errors="replace")
    # The first delimiter has no line break before it; giving it one makes all alike.
    pieces = (b"\r\n" + body).split(b"\r\n" + delimiter)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):  # noqa: PLR2004 - before, one part, after
        raise malformed
    parts: dict[str, bytes] = {}
    for piece in pieces[1:-1]:
        head, gap, data = piece.partition(b"\r\n\r\n")
        name = _FIELD_NAME.search(head.decode("utf-8", errors="replace"))
        if not gap or name is None:
            raise malformed
        parts[name.group(1)] = data
    return parts


def post_answer(place: Mapping[str, str]) -> bytes:
    """The object store's XML for a kept object: `PostResponse` with the given fields."""
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in place.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{fields}</PostResponse>'.encode()


def post_error(error: UploadRefusedError, *, request_id: str) -> bytes:
    """The object store's XML for a refused post."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{error.code}</Code><Message>{error.message}</Message>"
        f"<RequestId>{request_id}</RequestId><HostId>127.0.0.1</HostId></Error>"
    ).encode()
