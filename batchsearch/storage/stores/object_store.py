"""One object store, asked in a few ways, each of which is repeated while its failure may pass.

An object appears whole when its one upload ends, or not at all: nothing here opens an object for writing,
since leaving such a file by an exception would publish what was written so far. Synchronous and safe to use
from any thread: a caller on an event loop calls it in a worker thread.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from batchsearch.config.sections.store_settings import ConnectionsSettings, StoreConnection
from batchsearch.errors import ConfigError
from batchsearch.storage.stores.address import StoreAddress, parse_address
from batchsearch.storage.stores.kinds import KINDS, need
from batchsearch.storage.stores.store_failures import Failure, failure_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from batchsearch.storage.stores.kinds import Kind

Found = TypeVar("Found")

_OPTIONS: Final[Mapping[str, bool]] = {"skip_instance_cache": True, "use_listings_cache": False}
_TAGS: Final = ("ETag", "etag", "generation", "md5Hash")
_TIMES: Final = ("LastModified", "updated", "created", "mtime")
_FORBID_OVERWRITE: Final = "x-oss-forbid-overwrite"
"""OSS's own word for `If-None-Match: *` (its page "PutObject"); sent beside it, in case that is not known."""


class StoreError(OSError):
    """A store did not do what it was asked, also when asked again.

    Attributes:
        failure: Why.
        place: The address that was asked for.
    """

    def __init__(self, failure: Failure, place: str, detail: str = "") -> None:
        self.failure = failure
        self.place = place
        words = f"{failure.value} ({detail})" if detail else failure.value
        super().__init__(f"{place}: {words}")
        self.strerror = words


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a store is waited for.

    Attributes:
        timeout: Seconds for one answer.
        pauses: Seconds before each further try; there is one try more than pauses.
    """

    timeout: float = 30.0
    pauses: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What a store says of an object.

    Attributes:
        address: Where it is.
        size: Bytes.
        tag: What changes with its content: its ETag or generation, or its time where there is neither.
        modified: When it was last written, by the store's clock, UTC; None where the store does not say.
    """

    address: StoreAddress
    size: int
    tag: str
    modified: datetime | None


class ObjectStore:
    """A store, by the scheme of its addresses.

    Args:
        scheme: `s3`, `oss`, `gs`, or another that fsspec knows.
        connections: How stores are reached; those not named, as their providers' own tools would.
        wanted_for: What it is opened for, for messages: `manifest.path`.
        writes: Whether it is written to.
        patience: How long it is waited for.
        pause: Waits so many seconds; until `close` when absent.

    Raises:
        MissingExtraError: The package for it is not installed.
        ConfigError: No package reads such addresses, or `oss:` is used without a region.
    """

    def __init__(
        self,
        scheme: str,
        connections: ConnectionsSettings | None = None,
        *,
        wanted_for: str,
        writes: bool = False,
        patience: Patience | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.scheme = scheme
        self._closed = threading.Event()
        self._patience = patience or Patience()
        self._pause = pause or self._closed.wait
        self._kind: Kind | None = KINDS.get(scheme)
        self._files = self._opened(connections or ConnectionsSettings(), wanted_for, writes=writes)

    def _opened(self, connections: ConnectionsSettings, wanted_for: str, *, writes: bool) -> Any:
        if self._kind is None:
            return _other(self.scheme, wanted_for)
        need(self.scheme, f"reading and writing {self.scheme}:// addresses ({wanted_for})")
        connection: StoreConnection | None = getattr(connections, self.scheme)
        if connection is None and self.scheme == "oss":
            raise ConfigError(
                f"{wanted_for}: an oss:// address needs `stores.oss.region` or `stores.oss.endpoint`"
            )
        files = self._kind.make(connection or StoreConnection(), self._patience.timeout, writes, _OPTIONS)
        if self._kind.speaks_s3:
            files.retries = 1  # s3fs repeats by itself, with waits that nobody here would know of
        if self.scheme == "oss" and writes:
            files.connect()
            files.s3.meta.events.register("before-call.s3.PutObject", _forbid_overwrite)
        return files

    def close(self) -> None:
        """Ask for nothing more, from any thread: what is under way is not repeated, the rest fails."""
        self._closed.set()

    def facts(self, address: StoreAddress) -> ObjectFacts | None:
        """What the store says of an object; None where there is none.

        Raises:
            StoreError: It cannot be asked.
        """
        try:
            found = self._asked(address, lambda: self._files.info(address.path))
        except StoreError as error:
            if error.failure is Failure.ABSENT:
                return None
            raise
        return None if found.get("type") == "directory" else self._facts(found)

    def listing(self, folder: StoreAddress) -> list[ObjectFacts]:
        """All objects in a folder and below it, by name; empty where there are none.

        Raises:
            StoreError: It cannot be listed; a bucket that is not there among the reasons.
        """
        try:
            found = self._asked(folder, lambda: self._files.find(folder.path, detail=True, withdirs=False))
        except StoreError as error:
            if error.failure is Failure.ABSENT:
                return []
            raise
        facts = [self._facts(each) for each in found.values() if each.get("type") != "directory"]
        return sorted(facts, key=lambda each: each.address.path.split("/"))

    def folders(self, folder: StoreAddress) -> list[str]:
        """The names of the folders right below a folder; empty where there are none.

        Raises:
            StoreError: It cannot be listed.
        """
        try:
            found = self._asked(folder, lambda: self._files.ls(folder.path, detail=True))
        except StoreError as error:
            if error.failure is Failure.ABSENT:
                return []
            raise
        names = (str(each["name"]) for each in found if each.get("type") == "directory")
        return sorted(name.rstrip("/").rpartition("/")[2] for name in names)

    def matching(self, pattern: StoreAddress) -> list[ObjectFacts]:
        """All objects that a glob matches, by name.

        Raises:
            StoreError: It cannot be listed.
        """
        found = self._asked(pattern, lambda: self._files.glob(pattern.path, detail=True))
        facts = [self._facts(each) for each in found.values() if each.get("type") != "directory"]
        return sorted(facts, key=lambda each: each.address.path.split("/"))

    def read(self, facts: ObjectFacts, start: int = 0, stop: int | None = None) -> bytes:
        """Bytes `start` to `stop` (its end when absent) of an object that is still as it was.

        Raises:
            StoreError: It cannot be read, or has been replaced since its facts were told.
        """
        stop = facts.size if stop is None else min(stop, facts.size)
        if stop <= start:
            return b""
        data = self._asked(facts.address, lambda: self._range(facts, start, stop))
        if len(data) != stop - start:
            raise StoreError(Failure.CHANGED, str(facts.address), "it has become shorter")
        return data

    def _range(self, facts: ObjectFacts, start: int, stop: int) -> bytes:
        if self._kind is not None and self._kind.speaks_s3:
            found: bytes = _sync(self._files, _s3_range(self._files, facts, start, stop))
            return found
        data: bytes = self._files.cat_file(facts.address.path, start=start, end=stop)
        if self._facts(self._files.info(facts.address.path)).tag != facts.tag:
            raise StoreError(Failure.CHANGED, str(facts.address))
        return data

    def fetch(self, facts: ObjectFacts, file: Path) -> None:
        """Write an object to a local file, a piece at a time; the file's durability is the caller's.

        Raises:
            StoreError: It cannot be read.
            OSError: The file cannot be written.
        """
        with file.open("wb") as local:
            for start in range(0, facts.size, _PIECE):
                local.write(self.read(facts, start, start + _PIECE))

    def put(self, address: StoreAddress, data: bytes) -> None:
        """Write an object, replacing one that is there.

        Raises:
            StoreError: It cannot be written; an earlier one stays as it was.
        """
        self._asked(address, lambda: self._files.pipe_file(address.path, data))

    def put_file(self, address: StoreAddress, file: Path) -> None:
        """Write a whole local file as one object, replacing one that is there.

        Raises:
            FileNotFoundError: The local file is not there.
            StoreError: It cannot be written.
        """
        file.stat()
        self._asked(address, lambda: self._files.put_file(str(file), address.path))

    def create(self, address: StoreAddress, data: bytes) -> bool:
        """Write an object unless there is one of its name; whether this call's is there now.

        Where an answer was lost, the object is looked at: `data` should differ from every other writer's.

        Raises:
            StoreError: It cannot be written.
        """
        try:
            self._asked(address, lambda: self._files.pipe_file(address.path, data, mode="create"))
        except StoreError as error:
            if error.failure is not Failure.CHANGED:
                raise
        # Read back in any case: a store that does not know the condition lets the last writer win.
        facts = self.facts(address)
        return facts is not None and facts.size == len(data) and self.read(facts) == data

    def move(self, source: StoreAddress, target: StoreAddress) -> None:
        """Give an object another name; killed on the way, it has both.

        Raises:
            StoreError: It cannot be copied or removed.
        """
        self._asked(source, lambda: self._files.cp_file(source.path, target.path))
        self.delete([source])

    def delete(self, addresses: Iterable[StoreAddress]) -> None:
        """Remove objects; those that are not there are no problem.

        Raises:
            StoreError: One cannot be removed.
        """
        for address in addresses:
            try:
                self._asked(address, lambda path=address.path: self._files.rm_file(path))  # type: ignore[misc]  # a default keeps this turn's path
            except StoreError as error:
                if error.failure is not Failure.ABSENT:
                    raise

    def _asked(self, address: StoreAddress, ask: Callable[[], Found]) -> Found:
        """An answer of the store; what may pass is asked again after a pause."""
        for pause in (*self._patience.pauses, None):
            if self._closed.is_set():
                raise StoreError(Failure.PASSING, str(address), "the store was closed")
            try:
                return ask()
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - each store's packages have errors of their own
                failure = failure_of(error)
                if failure is not Failure.PASSING or pause is None:
                    detail = type(error).__name__ if failure is Failure.PASSING else ""
                    raise StoreError(failure, str(address), detail) from None
                self._pause(pause)
        raise AssertionError("the last try has returned or raised")

    def _facts(self, info: Mapping[str, Any]) -> ObjectFacts:
        path = str(info["name"])
        if "://" in path:
            path = path.partition("://")[2]
        modified = next((_time(info[name]) for name in _TIMES if info.get(name)), None)
        tag = next((str(info[name]) for name in _TAGS if info.get(name)), str(modified))
        return ObjectFacts(
            StoreAddress(self.scheme, path.strip("/")), int(info.get("size") or 0), tag, modified
        )


_PIECE: Final = 8 * 1024 * 1024


def open_store(
    text: str, connections: ConnectionsSettings | None, *, wanted_for: str, writes: bool = False
) -> tuple[ObjectStore, StoreAddress]:
    """The store of an address in a job file, and the place that it names.

    Raises:
        AddressError: The address names no place.
        ConfigError: As `ObjectStore` raises.
    """
    address = parse_address(text)
    return ObjectStore(address.scheme, connections, wanted_for=wanted_for, writes=writes), address


def _other(scheme: str, wanted_for: str) -> Any:
    """A file system that is none of the known kinds, with the defaults of its package."""
    import fsspec

    try:
        return fsspec.filesystem(scheme, skip_instance_cache=True)
    except ImportError as error:
        raise ConfigError(f"{wanted_for}: {scheme}:// addresses need a package: {error}") from None
    except (ValueError, TypeError):
        known = ", ".join(f"{name}://" for name in KINDS)
        raise ConfigError(
            f"{wanted_for}: nothing reads {scheme}:// addresses; {known} and what fsspec knows are read"
        ) from None


def _sync(files: Any, waiting: Any) -> Any:
    """The result of a coroutine on the file system's own event loop."""
    from fsspec.asyn import sync

    async def waited() -> Any:
        return await waiting

    return sync(files.loop, waited)


async def _s3_range(files: Any, facts: ObjectFacts, start: int, stop: int) -> bytes:
    bucket, key, _ = files.split_path(facts.address.path)
    answer = await files._call_s3(  # noqa: SLF001 - fsspec's documented name for asynchronous use
        "get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{stop - 1}", IfMatch=facts.tag
    )
    async with answer["Body"] as body:
        return bytes(await body.read())


def _forbid_overwrite(params: dict[str, Any], **_: Any) -> None:
    if params.get("headers", {}).get("If-None-Match") == "*":
        params["headers"][_FORBID_OVERWRITE] = "true"


def _time(value: Any) -> datetime | None:
    """A time as stores tell it: a datetime, ISO text, or seconds since 1970."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, int | float):
            value = datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError):
        return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
