"""What must not change between runs over one output, and how a change is told (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from batchsearch.config.model import JobSettings

_ABSENT: Final = "(not set)"

# How fast and where pictures are read says nothing about what is sent for them.
_IMAGE_SETTINGS_FREE: Final = frozenset(
    {
        "root",
        "threads",
        "allow_hosts",
        "allow_links",
        "scheme",
        "headers",
        "proxy",
        "fetch_timeout",
        "fetch_per_host",
        "decode_timeout",
        "isolate",
        "stores",
        "store_options",
    }
)


def fingerprint(settings: JobSettings, carried: pa.Schema) -> dict[str, Any]:
    """Everything that decides what a row's outcome means, by setting."""
    values = settings.model_dump(mode="json")
    found: dict[str, Any] = {
        "operation": values["operation"],
        "results_per_row": values["results_per_row"],
        "manifest.path": values["manifest"]["path"],
        "manifest.format": values["manifest"]["format"],
        "manifest.key": values["manifest"]["key"],
        "manifest's columns": [f"{field.name}: {field.type}" for field in carried],
    }
    for name, value in values["manifest"]["csv"].items():
        found[f"manifest.csv.{name}"] = value
    for name in ("endpoint", "region", "name", "service_type"):
        found[f"instance.{name}"] = values["instance"][name]
        for other in values["instances"]:
            found[f"instances: {other['name']}.{name}"] = other[name]
    for name, value in values["parameters"].items():
        found[f"parameters.{name}"] = value
    for name, value in values["manifest"]["columns"].items():
        found[f"manifest.columns.{name}"] = value
    for name, value in values["images"].items():
        if name not in _IMAGE_SETTINGS_FREE:
            found[f"images.{name}"] = value
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed, one line a setting: `name: was X, is Y`."""
    return [
        f"{name}: was {_shown(before, name)}, is {_shown(now, name)}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def _shown(values: Mapping[str, Any], name: str) -> str:
    return _ABSENT if values.get(name) is None else repr(values[name])
