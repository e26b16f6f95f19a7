"""`batchsearch emulator`: instances for this machine, until it is told to stop."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from batchsearch.emulator.installed import check_installed
from batchsearch.errors import ConfigError
from batchsearch.storage.stores.address import shown_url
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from batchsearch.config.sections.store_settings import ConnectionsSettings
    from batchsearch.emulator.faults import FaultPlan
    from batchsearch.emulator.server import Emulator


def serve(
    *,
    host: str,
    port: int,
    data: Path | None,
    instances: Sequence[str],
    access_key_id: str,
    access_key_secret: str,
    security_token: str | None = None,
    faults: Path | None = None,
    tls: tuple[Path, Path] | None = None,
    tls_port: int = 0,
    announce_retry: bool = False,
    image_copies_mb: int = 0,
    buckets: Sequence[str] = (),
    bucket_region: str | None = None,
    bucket_endpoint: str | None = None,
    beside: Callable[[Emulator], AbstractContextManager[object]] | None = None,
    **defaults: Any,
) -> None:
    """Serve instances until SIGTERM or SIGINT.

    Args:
        host: Address to listen on.
        port: Port, or 0 for a free one.
        data: Folder that keeps the items, or None.
        instances: Each `NAME` or `NAME:KEY=VALUE,...` (see `named_instance`).
        access_key_id: Key that requests must be signed with.
        access_key_secret: Its secret.
        security_token: Token that must come with it, as with a temporary (STS) key.
        faults: YAML file of what goes wrong.
        tls: Certificate and key file of a second listener, over TLS.
        tls_port: Its port, or 0 for a free one.
        announce_retry: Tell a denied caller how long to wait.
        image_copies_mb: Megabytes of small copies of images that are kept for the console.
        buckets: Each `NAME=PLACE`, for every instance: a folder, or an address in an object store.
        bucket_region: Region of those in an object store.
        bucket_endpoint: Where those are reached.
        beside: What else is there while it listens.
        defaults: What instances are that say nothing else: keys of `named_instance.READ_AS`.

    Raises:
        ConfigError: A value is out of range, or the address cannot be listened on.
        MissingExtraError: The extra `emulator` is not installed.
    """
    check_installed()
    from batchsearch.emulator.faults import FaultPlan
    from batchsearch.emulator.http.connections import tls_context
    from batchsearch.emulator.http.signatures import AccessKey
    from batchsearch.emulator.instance_options import EmulatorOptions
    from batchsearch.emulator.named_instance import read_instance
    from batchsearch.emulator.server import serve_forever
    from batchsearch.storage.stores.store_bucket import bucket_opener

    def ready(emulator: Emulator) -> None:
        also = {} if emulator.tls_endpoint is None else {"tls_endpoint": emulator.tls_endpoint}
        for instance in emulator.options.instances:
            logger().info(
                "emulator_listening",
                endpoint=emulator.endpoint,
                **also,
                instance=instance.name,
                service_type=instance.service_type,
                qps=instance.qps,
                counting=instance.counting,
            )

    if tls is not None:
        # Read before anything listens: the message names the files.
        tls_context(*tls)
    places = _places(buckets)
    if not (bucket_region or bucket_endpoint) and any(one.startswith("oss://") for one in places.values()):
        raise ConfigError("--bucket: OSS is reached in one region: give --bucket-region or --bucket-endpoint")
    try:
        options = EmulatorOptions(
            host=host,
            port=port,
            data=data,
            copies_bytes=image_copies_mb * 1_000_000,
            instances=tuple(replace(read_instance(text, **defaults), buckets=places) for text in instances),
            open_bucket=bucket_opener(_connections(bucket_region, bucket_endpoint)),
            keys=(AccessKey(access_key_id, access_key_secret, security_token=security_token or None),),
            faults=FaultPlan() if faults is None else _read_faults(faults),
            tls=tls,
            tls_port=tls_port,
            announce_retry=announce_retry,
        )
        serve_forever(options, ready=ready, beside=beside)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    logger().info("emulator_stopped")


def _places(buckets: Sequence[str]) -> Mapping[str, str]:
    """Where each bucket is, by its name."""
    places: dict[str, str] = {}
    for text in buckets:
        name, equals, place = text.partition("=")
        if not (name and equals and place):
            raise ConfigError(
                f"--bucket {shown_url(text)}: write NAME=FOLDER, or NAME=s3://BUCKET for an object store"
            )
        if name in places:
            raise ConfigError(f"--bucket {name}: is given twice; give each bucket one place")
        places[name] = place
    return MappingProxyType(places)


def _connections(region: str | None, endpoint: str | None) -> ConnectionsSettings | None:
    """How object stores are reached; None for what the environment says."""
    from pydantic import ValidationError

    from batchsearch.config.sections.store_settings import ConnectionsSettings, StoreConnection

    if region is None and endpoint is None:
        return None
    try:
        reached = StoreConnection(region=region, endpoint=endpoint)
    except ValidationError as error:
        told = "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())
        raise ConfigError(f"--bucket-endpoint, --bucket-region: {told}") from None
    return ConnectionsSettings(s3=reached, oss=reached)


def _read_faults(path: Path) -> FaultPlan:
    import yaml

    from batchsearch.emulator.faults import parse_plan

    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise ConfigError(f"{path}: holds no mapping of `seed` and `rules`")
        return parse_plan(value)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML: {error}") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error
