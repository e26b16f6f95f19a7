"""What a scheduler's settings become: arguments and an environment for the child. Pure.

Secrets travel in the environment only; arguments can be read by every user of the host.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.credential_names import ADVICE, names_a_credential
from batchsearch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KEY_ID: Final = "ALIBABA_CLOUD_ACCESS_KEY_ID"
KEY_SECRET: Final = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"  # noqa: S105 - a variable's name
SECURITY_TOKEN: Final = "ALIBABA_CLOUD_SECURITY_TOKEN"  # noqa: S105 - a variable's name
REDIS_URL: Final = "BATCHSEARCH_REDIS_URL"

_OF_CREDENTIALS: Final = "ALIBABA_CLOUD_"
_OF_THE_SCHEDULER: Final = ("AIRFLOW_", "_AIRFLOW_")

LOGGING: Final = ("--log-format", "json")
"""What makes every line of the child's stderr one event."""


def job_arguments(
    command: str,
    config: str,
    *,
    settings: Mapping[str, Any] | None = None,
    options: Mapping[str, object] | None = None,
    log_level: str = "info",
) -> tuple[str, ...]:
    """The arguments of a command that works through a job file.

    Args:
        command: `run`, `dedup` or `compare`.
        config: The job file.
        settings: Values by dotted name, each given as `--set`; None as a value is YAML's null.
        options: Values by option name without its dashes; what is None is left out.
        log_level: Events of this level and above.
    """
    given = [f"{name}={text_of(value)}" for name, value in (settings or {}).items()]
    arguments = [command, config]
    for text in given:
        arguments += ("--set", text)
    for name, value in (options or {}).items():
        if value is not None:
            arguments += (f"--{name}", str(value))
    return (*arguments, *LOGGING, "--log-level", log_level)


def text_of(value: object) -> str:
    """A setting's value as `--set` takes it: text as it stands, everything else as JSON, which YAML reads."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def settings_of(overrides: Mapping[str, Any] | Sequence[str] | None) -> dict[str, Any]:
    """Overrides by dotted name, from a mapping or from texts like `instance.qps=5`; later ones win.

    Raises:
        ConfigError: A text is not `name=value`; the whole is neither mapping nor list of texts; or a name
            is that of a credential, which would be seen in the child's arguments.
    """
    if overrides is None:
        return {}
    if isinstance(overrides, str) or not hasattr(overrides, "__iter__"):
        raise ConfigError(
            "overrides are a mapping {'instance.qps': 5} or a list of texts ['instance.qps=5'], "
            f"not {type(overrides).__name__}"
        )
    found: dict[str, Any] = {}
    for name, value in overrides.items() if isinstance(overrides, Mapping) else map(_split, overrides):
        parts = str(name).strip().split(".")
        if any(map(names_a_credential, parts)) and "types" not in parts:
            raise ConfigError(f"override {str(name)[:60]!r}: credentials are no setting of a job. {ADVICE}")
        found[".".join(parts)] = value
    return found


def _split(text: object) -> tuple[str, str]:
    name, equals, value = str(text).partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"override {str(text)[:60]!r} is not `setting=value`, such as `instance.qps=5`")
    return name, value


def environment_of(
    environ: Mapping[str, str], *, credentials: Mapping[str, str], more: Iterable[tuple[str, str]] = ()
) -> dict[str, str]:
    """The child's environment: the parent's without the scheduler's own secrets.

    Args:
        environ: The parent's.
        credentials: Variables that a connection gives. If it gives an access key, every other variable of
            the vendor's credentials goes: half of one and half of another would sign nothing.
        more: Variables laid over all that.
    """
    away = _OF_THE_SCHEDULER + ((_OF_CREDENTIALS,) if KEY_ID in credentials else ())
    kept = {name: value for name, value in environ.items() if not name.startswith(away)}
    return {**kept, **credentials, **dict(more)}
