"""`batchsearch emulator`: an instance for this machine, until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsearch.emulator.installed import check_installed
from batchsearch.errors import ConfigError
from batchsearch.reporting.logs import logger

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.emulator.server import Emulator
    from batchsearch.service import ServiceTypeName


def serve(
    *,
    host: str,
    port: int,
    data: Path | None,
    name: str,
    qps: float,
    service_type: ServiceTypeName,
    capacity: int,
    access_key_id: str,
    access_key_secret: str,
) -> None:
    """Serve one instance until SIGTERM or SIGINT.

    Raises:
        ConfigError: A value is out of range, or the address cannot be listened on.
        MissingExtraError: The extra `emulator` is not installed.
    """
    check_installed()
    from batchsearch.emulator.options import EmulatorOptions, InstanceOptions
    from batchsearch.emulator.server import serve_forever
    from batchsearch.emulator.signatures import AccessKey

    def ready(emulator: Emulator) -> None:
        logger().info("emulator_listening", endpoint=emulator.endpoint, instance=name, qps=qps)

    try:
        options = EmulatorOptions(
            host=host,
            port=port,
            data=data,
            instances=(InstanceOptions(name, service_type, qps, capacity),),
            keys=(AccessKey(access_key_id, access_key_secret),),
        )
        serve_forever(options, ready=ready)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    logger().info("emulator_stopped")
