"""`batchsearch emulator`: instances for this machine, until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchsearch.emulator.installed import check_installed
from batchsearch.errors import ConfigError
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

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
        beside: What else is there while it listens.
        defaults: What instances are that say nothing else: fields of `InstanceDefaults`.

    Raises:
        ConfigError: A value is out of range, or the address cannot be listened on.
        MissingExtraError: The extra `emulator` is not installed.
    """
    check_installed()
    from batchsearch.emulator.faults import FaultPlan
    from batchsearch.emulator.http.connections import tls_context
    from batchsearch.emulator.http.signatures import AccessKey
    from batchsearch.emulator.instance_options import EmulatorOptions
    from batchsearch.emulator.named_instance import InstanceDefaults, read_instance
    from batchsearch.emulator.server import serve_forever

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
    try:
        options = EmulatorOptions(
            host=host,
            port=port,
            data=data,
            instances=tuple(read_instance(text, InstanceDefaults(**defaults)) for text in instances),
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
