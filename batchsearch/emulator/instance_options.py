"""How an emulator is set up: instances, keys, limits, faults; all with defaults that work."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from batchsearch.emulator.batch.source_bucket import open_folder
from batchsearch.emulator.faults import FaultPlan
from batchsearch.emulator.flow import BUDGETS, COUNTINGS, Budget, Counting, documented_rates
from batchsearch.emulator.http.request_log import DEFAULT_SIZE
from batchsearch.emulator.http.signatures import AccessKey
from batchsearch.service.facts import (
    MAX_BODY_BYTES,
    MAX_ID,
    MAX_INSTANCE_NAME,
    SERVICE_TYPES,
    TRANSFER_SECONDS,
    ServiceTypeName,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from batchsearch.emulator.batch.source_bucket import BucketOpener

# Names become folder names; what else the real service allows in them is not documented.
_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_INSTANCE_NAME - 1}}}")


@dataclass(frozen=True, slots=True)
class InstanceOptions:
    """One instance.

    Attributes:
        name: 1 to 20 letters, digits, `_` and `-`.
        service_type: Its kind; decides image rules and categories.
        qps: Queries granted per second; `math.inf` for no limit.
        capacity: Most images it holds.
        rates: Calls per second of single budgets, instead of the documented ones.
        counting: How a second is counted (see `flow`).
        subject: How an image's subject is found: `border` colours, or the `u2netp` model.
        region: Region that `Detail` reports.
        available: False: it answers `InstanceStatusError`.
        predicted_category_limits: On product instances, a search without a category finds only items of the
            category that is predicted, as the service's pages say.
        longest_id: Most characters of a product id and of an image name.
        buckets: Buckets that `IncreaseInstance` reads from, by name: each the path of a folder that stands
            for it, or what `EmulatorOptions.open_bucket` opens besides, such as `s3://name`.
    """

    name: str = "demo"
    service_type: ServiceTypeName = "generic"
    qps: float = 10.0
    capacity: int = 1_000_000
    rates: Mapping[Budget, float] = field(default_factory=lambda: MappingProxyType({}))
    counting: Counting = "token_bucket"
    subject: Literal["border", "u2netp"] = "border"
    region: str = "ap-southeast-1"
    available: bool = True
    predicted_category_limits: bool = True
    longest_id: int = MAX_ID
    buckets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"instance name {self.name!r}: use 1 to {MAX_INSTANCE_NAME} letters, digits, _ and -"
            )
        if self.service_type not in SERVICE_TYPES:
            raise ValueError(f"service type {self.service_type!r}: choose one of {', '.join(SERVICE_TYPES)}")
        if self.counting not in COUNTINGS:
            raise ValueError(f"counting {self.counting!r}: choose one of {', '.join(COUNTINGS)}")
        if self.capacity < 1:
            raise ValueError(f"capacity {self.capacity} holds nothing: give 1 or more images")
        for budget, rate in self.all_rates().items():
            if budget not in BUDGETS:
                raise ValueError(f"budget {budget!r}: choose one of {', '.join(BUDGETS)}")
            if not rate > 0:
                raise ValueError(f"budget {budget}: {rate:g} calls per second grants nothing")

    def all_rates(self) -> dict[Budget, float]:
        """Calls per second of every budget: the documented ones, with `rates` over them."""
        return {**documented_rates(self.qps, self.capacity), **self.rates}


def random_key() -> AccessKey:
    """A new random key pair that may use every instance."""
    return AccessKey(f"LTAI5t{secrets.token_hex(9)}", secrets.token_hex(15))


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """One emulator.

    Attributes:
        host: Address to listen on; loopback unless said otherwise.
        port: Port, or 0 for a free one.
        data: Folder that keeps each instance's items, or None to keep them in memory only.
        copies_bytes: Bytes of small copies of images that each instance keeps at most, for pages; 0 for none.
        instances: The instances, at least one, with different names.
        keys: Key pairs; empty for one random pair.
        faults: What goes wrong, and when.
        log_path: File that the request log is appended to, or None.
        log_size: Most requests remembered.
        announce_retry: Put `x-acs-retry-after` on denied requests. Whether the real service does is not
            known.
        transfer_seconds: A request whose body takes longer is refused (`TimeoutForTransferImage`).
        idle_seconds: A connection that sends no whole request head for so long is closed.
        max_body: Largest body, bytes.
        threads: Threads that decode and search.
        tls: Certificate and key file (PEM): a second listener, which the object upload is sent to, since
            official clients only do that over TLS; None to spell the place as plain HTTP.
        tls_port: Port of that listener, or 0 for a free one.
        clock_offset: Seconds that the emulator's wall clock is ahead of the machine's.
        clock: The machine's wall clock, seconds since 1970.
        open_bucket: Opens the bucket at a place; only local folders unless something else is given, such as
            `batchsearch.storage.stores.store_bucket.bucket_opener`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    data: Path | None = None
    copies_bytes: int = 0
    instances: tuple[InstanceOptions, ...] = (InstanceOptions(),)
    keys: tuple[AccessKey, ...] = ()
    faults: FaultPlan = field(default_factory=FaultPlan)
    log_path: Path | None = None
    log_size: int = DEFAULT_SIZE
    announce_retry: bool = False
    transfer_seconds: float = TRANSFER_SECONDS
    idle_seconds: float = 75.0
    max_body: int = MAX_BODY_BYTES
    threads: int = 4
    tls: tuple[Path, Path] | None = None
    tls_port: int = 0
    clock_offset: float = 0.0
    clock: Callable[[], float] = time.time
    open_bucket: BucketOpener = open_folder

    def __post_init__(self) -> None:
        names = [instance.name for instance in self.instances]
        if not names:
            raise ValueError("an emulator needs at least one instance")
        if len(set(names)) < len(names):
            raise ValueError(f"instances must have different names, not {', '.join(names)}")
