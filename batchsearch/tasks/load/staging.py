"""The staging of a load: each image checked and repaired as by a run, put into the bucket, its line noted."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl
from zlib import crc32

from batchsearch.images.inspect import inspect
from batchsearch.service.client import Answer
from batchsearch.service.responses import BatchOutcome
from batchsearch.tasks.load.journal_records import StagedLine
from batchsearch.tasks.load.lines import ObjectNameError, add_line, delete_line, object_name

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from batchsearch.service.form import Call
    from batchsearch.tasks.load.bucket import Bucket
    from batchsearch.tasks.load.journal import Journal
    from batchsearch.tasks.load.lines import Names

NAME_TAKEN: Final = "Local.ObjectNameTaken"
HELD: Final = (("held", "true"),)
"""The query of a call for an image that the instance has already: nothing is put for it."""
_STRIPES: Final = 64
"""Locks for names; different names seldom share one."""


class Refusal(Exception):  # noqa: N818 - how a row ends, no fault
    """A row that no line can be made of."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BucketClient:
    """Stands in for an instance: an image that is to be added is put into the bucket, and its line noted.

    Args:
        bucket: Where it goes.
        journal: Where the line is noted.
        names: How images are named there.
        place: The bucket's address, for people.
        threads: Where images are put.

    Attributes:
        sent: Images put into the bucket.
        sent_bytes: Their bytes.
    """

    def __init__(self, bucket: Bucket, journal: Journal, names: Names, place: str, threads: Executor) -> None:
        self._bucket = bucket
        self._journal = journal
        self._names = names
        self._place = place
        self._threads = threads
        self._counting = threading.Lock()
        self._of_names = tuple(threading.Lock() for _ in range(_STRIPES))
        self.sent = 0
        self.sent_bytes = 0

    @property
    def address(self) -> str:
        """The bucket."""
        return self._place

    async def send(self, call: Call) -> Answer:
        """Put the image of a call into the bucket.

        Raises:
            OutputError: The bucket or the journal cannot be written.
        """
        sent_at, began = datetime.now(UTC), time.perf_counter()
        code = message = None
        name: str | None = None
        try:
            if call.query != HELD:
                name = await asyncio.get_running_loop().run_in_executor(self._threads, self._stage, call)
        except Refusal as refusal:
            code, message = refusal.code, str(refusal)
        return Answer(
            http_status=None,
            code=code,
            origin=None if code is None else "local",
            message=message,
            request_id=None,
            retry_after=None,
            response=BatchOutcome(None, None, None, None, None, name) if code is None else None,
            sent_at=sent_at,
            latency=time.perf_counter() - began,
        )

    async def refresh_credentials(self) -> None:
        """Nothing is signed here."""

    def _stage(self, call: Call) -> str:
        values = dict(parse_qsl(call.body.decode(), keep_blank_values=True))
        product, pic_name = values["ProductId"], values.get("PicName")
        if not pic_name:
            raise Refusal("Local.MissingParameter", "a line of a batch task names its image: give `pic_name`")
        if values.get("Crop") == "false":
            what = "crop: a batch task cannot leave out the identification of the subject; give a `region`"
            raise Refusal("Local.ContradictoryParameters", what)
        data = call.handed[0][1] if call.handed else None
        try:
            kind = None if data is None else inspect(data).format
            name = object_name(self._names, product, pic_name, kind)
        except ObjectNameError as error:
            raise Refusal("Local.InvalidPicName", f"{pic_name!r} {error}") from None
        if data is None:
            self._journal.stage(StagedLine(product, pic_name, name, None, delete_line(product, name)))
            return name
        sha256 = hashlib.sha256(data).hexdigest()
        staged = StagedLine(product, pic_name, name, sha256, add_line(values, name))
        # Rows of one name are staged one after another, so that the second one sees the first.
        with self._of_names[crc32(name.encode("utf-8", "replace")) % len(self._of_names)]:
            self._stage_image(staged, data, sha256)
        return name

    def _stage_image(self, staged: StagedLine, data: bytes, sha256: str) -> None:
        owner = self._journal.owner_of(staged)
        if owner is not None:
            what = (
                f"the product {owner!r} has another image of the name {staged.name!r}, and a bucket has one; "
                "set `load.names: product_id/pic_name`"
            )
            raise Refusal(NAME_TAKEN, what)
        if not self._journal.holds(staged.name, sha256, lambda: _md5(data)):
            self._bucket.put(staged.name, data)
            with self._counting:
                self.sent += 1
                self.sent_bytes += len(data)
        self._journal.stage(staged, size=len(data))


def _md5(data: bytes) -> str:
    """What stores tell of an object that was put in one piece."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
