"""Settings given by environment variables and `--set`, laid over those of the file.

`BATCHSEARCH__INSTANCE__QPS=5` and `--set instance.qps=5` set `instance.qps`; the file gives way to the
environment, the environment to `--set`, and of two `--set` the later one wins. Values are written as in the
file. A setting that is text takes the text as it stands, unless it is quoted. Below `parameters`, `codes`,
`manifest.columns` and the like the rest of the name is one name, dots included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.credential_names import ADVICE, names_a_credential
from batchsearch.config.document import Source, parse_value, plain_scalar
from batchsearch.config.renamed import name_now
from batchsearch.errors import Problem
from batchsearch.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from batchsearch.config.document import Document
    from batchsearch.config.shape import SettingPath, Shape

PREFIX: Final = "BATCHSEARCH__"


@dataclass(frozen=True, slots=True)
class Override:
    """One value from outside the file.

    Attributes:
        names: The setting's path as given.
        text: The value as given.
        source: The variable or `--set`.
    """

    names: tuple[str, ...]
    text: str
    source: Source


def from_environment(environ: Mapping[str, str]) -> Iterator[Override]:
    """The variables that begin with `BATCHSEARCH__`, by name; a part all in upper case is in lower case."""
    for variable in sorted(environ):
        if variable.startswith(PREFIX):
            parts = variable.removeprefix(PREFIX).split("__")
            names = tuple(part.lower() if part.upper() == part else part for part in parts)
            yield Override(names, environ[variable], Source("environment", variable))


def variable_of(path: SettingPath) -> str:
    """The variable that sets a setting."""
    return PREFIX + "__".join(str(name).upper() for name in path)


def from_command_line(given: Iterable[str]) -> Iterator[Override | Problem]:
    """What each `--set` says, in order."""
    for text in given:
        name, equals, value = text.partition("=")
        source = Source("override", name.strip()[:80])
        if not name.strip():
            what = "has no setting's name before its `=`; it is written like `--set instance.qps=5`"
            yield Problem("--set", what if equals else "is empty; it is written like `--set instance.qps=5`")
        elif not equals:
            yield Problem(str(source), "is not `--set setting=value`, such as `--set instance.qps=5`")
        else:
            yield Override(tuple(name.strip().split(".")), value, source)


def apply(document: Document, overrides: Sequence[Override], shape: Shape) -> list[Problem]:
    """Lays overrides over a document, changing it.

    Args:
        document: The file's values.
        overrides: In the order in which they win.
        shape: The shape of the whole.

    Returns:
        What could not be set.
    """
    problems = []
    for override in overrides:
        # Names of columns and of headers are the user's own; headers' values are looked at afterwards.
        own = "types" in override.names or override.names[:2] == ("images", "headers")
        if not own and any(names_a_credential(name) for name in override.names):
            problems.append(Problem(str(override.source), f"credentials are no setting of a job. {ADVICE}"))
            continue
        found = _place(name_now(override.names), shape)
        if isinstance(found, str):
            problems.append(Problem(str(override.source), found))
            continue
        path, target = found
        try:
            value = _read(override.text, target)
        except ValueError as error:
            problems.append(Problem(str(override.source), f"is not a value as YAML writes it: {error}"))
            continue
        _set(document, path, value, override.source)
    return problems


def _place(names: tuple[str, ...], shape: Shape) -> tuple[SettingPath, Shape] | str:
    """The setting that an override's name means, or what is wrong with the name."""
    path: tuple[str, ...] = ()
    here = shape
    for step, name in enumerate(names):
        if here.values is not None:
            rest = ".".join(names[step:])
            return ((*path, rest), here.values) if rest else "ends before the setting's name"
        if not here.names:
            return f"`{'.'.join(path)}` is one value and has no settings below it"
        below = here.child(name)
        if below is None:
            section = f" in `{'.'.join(path)}`" if path else ""
            return f"there is no setting `{name[:60]}`{section}{did_you_mean(name, here.names)}"
        path, here = (*path, name), below
    return path, here


def _read(text: str, target: Shape) -> Any:
    if target.text:
        if target.optional and plain_scalar(text.strip()) is None:
            return None
        return _unquoted(text)
    if text.strip() in target.choices:
        return text.strip()
    if target.is_list and not text.lstrip().startswith("["):
        return [_unquoted(text)]
    return parse_value(text)


def _unquoted(text: str) -> str:
    """Text as it stands; what stands whole in quotes is read as YAML reads it."""
    if text[:1] in ("'", '"') and text[-1:] == text[:1]:
        try:
            value = parse_value(text)
        except ValueError:
            return text
        return value if isinstance(value, str) else text
    return text


def _set(document: Document, path: SettingPath, value: Any, source: Source) -> None:
    here: dict[Any, Any] = document.root
    for step, name in enumerate(path[:-1], start=1):
        below = here.get(name)
        if below is None:
            below = here[name] = {}
            document.sources[path[:step]] = source
        if not isinstance(below, dict):
            return  # The file has a value where a section belongs, and is told so.
        here = below
    here[path[-1]] = value
    for place in [place for place in document.sources if place[: len(path)] == path]:
        del document.sources[place]
    document.sources[path] = source
