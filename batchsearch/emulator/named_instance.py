"""An instance as one text: `NAME`, or `NAME:qps=5,service_type=product,add_qps=1`."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from batchsearch.emulator.instance_options import InstanceOptions
from batchsearch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchsearch.emulator.flow import Budget


def _yes_or_no(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("is neither true nor false")
    return text.lower() == "true"


# Read as; texts are checked by `InstanceOptions` itself.
READ_AS: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "qps": float,
        "service_type": str,
        "capacity": int,
        "counting": str,
        "add_qps": float,
        "update_qps": float,
        "delete_qps": float,
        "other_qps": float,
        "subject": str,
        "predicted_category_limits": _yes_or_no,
    }
)
"""What can be said of an instance, and how it is read."""

_RATES: Final[Mapping[str, Budget]] = MappingProxyType(
    {"add_qps": "add", "update_qps": "update", "delete_qps": "delete", "other_qps": "other"}
)


def read_instance(text: str, **defaults: Any) -> InstanceOptions:
    """The instance that `NAME[:KEY=VALUE,...]` describes.

    Args:
        text: Its description.
        defaults: What it is where that says nothing else, by the keys of `READ_AS`; None for what
            `InstanceOptions` says.

    Raises:
        ConfigError: A key is not known, or a value is not usable; the message names instance and key.
    """
    name, colon, settings = text.partition(":")
    given = dict(defaults)
    for setting in settings.split(",") if colon else ():
        key, equals, value = setting.partition("=")
        key = key.strip().replace("-", "_")
        if key not in READ_AS or not equals:
            raise ConfigError(
                f"--instance {text}: {setting!r} is no setting: write NAME:KEY=VALUE,KEY=VALUE; "
                f"keys are {', '.join(READ_AS)}"
            )
        try:
            given[key] = READ_AS[key](value.strip())
        except ValueError as error:
            raise ConfigError(f"--instance {text}: {key}: {value!r} cannot be used: {error}") from error
    rates = {budget: given.pop(key, None) for key, budget in _RATES.items()}
    known = {key: value for key, value in given.items() if value is not None}
    try:
        return replace(
            InstanceOptions(name=name),
            rates=MappingProxyType({budget: rate for budget, rate in rates.items() if rate is not None}),
            **known,
        )
    except ValueError as error:
        raise ConfigError(f"--instance {text}: {error}") from error
