"""What must not change between runs over one output, and how a change is told (pure).

It is what decides which answer a row gets, and nothing else. Where the manifest lies and how its file is
written may change from night to night, and its columns too: a row is known by its key, and a row whose image
or parameters have changed is noticed by itself. Both are noted all the same, for those who look for the
manifest later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.sections.manifest_settings import MAKING_ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.config.model import JobSettings

_ABSENT: Final = "(not set)"

COLUMNS_ONCE: Final = "manifest's columns"
"""Under this name version 0.1.0 noted the manifest's columns, each as `name: type`."""

QUOTED: Final = "key columns in quotes"
"""Under this name it is noted which key columns were text when rows were first named."""

_NOTED_ONLY: Final = frozenset(
    {
        "manifest.path",
        "manifest.format",
        COLUMNS_ONCE,
        QUOTED,
        *(f"manifest.{name}" for name in MAKING_ROWS),
    }
)
_NOTED_ONLY_BELOW: Final = ("manifest.csv.", "manifest.xlsx.")
_IN_QUOTES: Final = ("string", "large_string", "date", "extension<arrow.uuid")

# How fast and where images are read says nothing about what is sent for them.
_IMAGE_SETTINGS_FREE: Final = frozenset(
    {
        "root",
        "base_url",
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


def fingerprint(settings: JobSettings) -> dict[str, Any]:
    """Everything that decides what a row's outcome means, by setting, and how the manifest is found."""
    values = settings.model_dump(mode="json")
    found: dict[str, Any] = {
        "operation": values["operation"],
        "results_per_row": values["results_per_row"],
        "manifest.path": values["manifest"]["path"],
        "manifest.format": values["manifest"]["format"],
        "manifest.key": values["manifest"]["key"],
    }
    for name, value in values["manifest"]["csv"].items():
        found[f"manifest.csv.{name}"] = value
    for name, value in values["manifest"]["xlsx"].items():
        found[f"manifest.xlsx.{name}"] = value
    # Which rows there are is no part of what a row is: a row that is known by its key may come and go.
    found |= {f"manifest.{name}": value for name, value in settings.manifest.rows_as_said().items()}
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


def quoted_before(known: Mapping[str, Any], key: Sequence[str]) -> tuple[bool, ...] | None:
    """Which of several key columns were text when rows were first named; None where that is not known.

    A row's key is then a JSON array, in which text stands in quotes and numbers do not.
    """
    if QUOTED in known:
        return tuple(known[QUOTED])
    kinds = dict(text.split(": ", 1) for text in known.get(COLUMNS_ONCE, ()) if ": " in text)
    if not all(name in kinds for name in key):
        return None
    return tuple(kinds[name].startswith(_IN_QUOTES) for name in key)


def changed_names(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The settings that are others now and are not only noted, in alphabetical order."""
    return [
        name
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
        and not (name in _NOTED_ONLY or name.startswith(_NOTED_ONLY_BELOW))
    ]


def shown(values: Mapping[str, Any], name: str) -> str:
    """A setting's value, for people."""
    return _ABSENT if values.get(name) is None else repr(values[name])
