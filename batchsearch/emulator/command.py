"""`batchsearch emulator`: an instance for this machine, until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsearch.emulator.installed import check_installed
from batchsearch.errors import ConfigError
from batchsearch.reporting.logs import logger

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.emulator.faults import FaultPlan
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
    faults: Path | None = None,
) -> None:
    """Serve one instance until SIGTERM or SIGINT; `faults` is a YAML file of what goes wrong.

    Raises:
        ConfigError: A value is out of range, or the address cannot be listened on.
        MissingExtraError: The extra `emulator` is not installed.
    """
    check_installed()
    from batchsearch.emulator.faults import FaultPlan
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
            faults=FaultPlan() if faults is None else _read_faults(faults),
        )
        serve_forever(options, ready=ready)
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
