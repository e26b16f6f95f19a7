"""Settings that once had other names: they are read under these still, and shown under neither (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

RENAMED: Final = {
    ("compare", "matrix_pictures"): "matrix_images",
    ("dedup", "picture_column"): "pic_name_column",
}
"""The last name of each setting's path, by the path that it had up to 0.1.0."""

_RENAMED_VALUES: Final = {("dedup", "representative"): {"most_pictures": "most_images"}}


def name_now(path: tuple[str, ...]) -> tuple[str, ...]:
    """What a setting's path is today."""
    return (*path[:-1], RENAMED[path]) if path in RENAMED else path


def take_names_of_today(values: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Give settings the names and values that they have today, in place; one that is given twice stays.

    Args:
        values: Settings, section by section.

    Yields:
        The earlier and the present path of each setting that was renamed.
    """
    for path, name in RENAMED.items():
        section = values.get(path[0])
        if isinstance(section, dict) and path[1] in section and name not in section:
            section[name] = section.pop(path[1])
            yield path, name_now(path)
    for path, known in _RENAMED_VALUES.items():
        section = values.get(path[0])
        if isinstance(section, dict) and isinstance(given := section.get(path[1]), str):
            section[path[1]] = known.get(given, given)
