"""What a connection says: whose access key, and which instance. Imports nothing of Airflow's.

Two types are understood. `alibaba_cloud` is that of Airflow's own Alibaba provider, with everything in its
extras; `batchsearch` has a form of its own and may name the instance too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from batchsearch.child.command import KEY_ID, KEY_SECRET, REDIS_URL, SECURITY_TOKEN
from batchsearch.errors import ConfigError
from batchsearch.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN_TYPE: Final = "batchsearch"
ALIBABA_TYPE: Final = "alibaba_cloud"


@dataclass(frozen=True, slots=True)
class InstanceConnection:
    """A connection, read.

    Attributes:
        access_key_id: Names the key; None leaves the child to look where the command line does.
        access_key_secret: Signs.
        security_token: Proves a temporary key.
        redis_url: Server of a rate shared by several hosts.
        settings: What it says of the job file's settings, by dotted name.
    """

    access_key_id: str | None = None
    access_key_secret: str | None = field(default=None, repr=False)
    security_token: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The variables that give these credentials to a child."""
        values = {
            KEY_ID: self.access_key_id,
            KEY_SECRET: self.access_key_secret,
            SECURITY_TOKEN: self.security_token,
            REDIS_URL: self.redis_url,
        }
        return {name: value for name, value in values.items() if value}

    def secrets(self) -> tuple[str, ...]:
        """What no log may show."""
        return tuple(
            value for value in (self.access_key_secret, self.security_token, self.redis_url) if value
        )


_SETTINGS: Final = {
    "region": "instance.region",
    "endpoint": "instance.endpoint",
    "instance": "instance.name",
    "qps": "instance.qps",
}
_SECRETS: Final = ("access_key_id", "access_key_secret", "security_token", "redis_url")


def read_connection(
    conn_id: str,
    conn_type: str,
    *,
    login: str | None = None,
    password: str | None = None,
    host: str | None = None,
    port: int | None = None,
    extras: Mapping[str, Any] | None = None,
) -> InstanceConnection:
    """What a connection's fields mean. An extra wins over the field of the same meaning.

    Args:
        conn_id: Its name, for messages.
        conn_type: `batchsearch` or `alibaba_cloud`.
        login: The access key id.
        password: The access key secret.
        host: The endpoint, with `http://` or without.
        port: The endpoint's port.
        extras: `access_key_id`, `access_key_secret`, `security_token`, `redis_url`, and for the type
            `batchsearch` also `region`, `endpoint`, `instance`, `qps`: whatever else an `alibaba_cloud`
            connection says is about other services. Names may have the prefix `extra__TYPE__` of older forms.

    Raises:
        ConfigError: Another type, an unknown extra, half an access key, or none where one is needed.
    """
    where = f"connection {conn_id!r}"
    if conn_type not in (OWN_TYPE, ALIBABA_TYPE):
        raise ConfigError(f"{where} has the type {conn_type!r}; `{OWN_TYPE}` or `{ALIBABA_TYPE}` is needed")
    prefix = f"extra__{conn_type}__"
    given = {
        name.removeprefix(prefix): value for name, value in (extras or {}).items() if value not in (None, "")
    }
    if conn_type == OWN_TYPE:
        _refuse_unknown(where, given)
    secrets: dict[str, Any] = {name: given.get(name) for name in _SECRETS}
    secrets["access_key_id"] = secrets["access_key_id"] or login or None
    secrets["access_key_secret"] = secrets["access_key_secret"] or password or None
    _refuse_half(where, conn_type, secrets)
    if conn_type == ALIBABA_TYPE:
        return InstanceConnection(**secrets)
    if host:
        given.setdefault("endpoint", host if port is None else f"{host}:{port}")
    settings = {setting: given[name] for name, setting in _SETTINGS.items() if name in given}
    if "region" in given and "endpoint" not in given:
        settings[_SETTINGS["endpoint"]] = None  # the region's own, whatever the job file names
    return InstanceConnection(**secrets, settings=settings)


def _refuse_unknown(where: str, given: Mapping[str, Any]) -> None:
    known = (*_SETTINGS, *_SECRETS)
    for name in given:
        if name not in known:
            raise ConfigError(f"{where} has an unknown extra {name[:60]!r}{did_you_mean(name, known)}")


def _refuse_half(where: str, conn_type: str, secrets: Mapping[str, Any]) -> None:
    for name, value in secrets.items():
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{where}: {name} is text, not {type(value).__name__}")
    key_id, secret = secrets["access_key_id"], secrets["access_key_secret"]
    if bool(key_id) != bool(secret):
        missing = "access_key_secret" if key_id else "access_key_id"
        raise ConfigError(f"{where} has half an access key: {missing} is missing")
    if not key_id and (conn_type == ALIBABA_TYPE or secrets["security_token"]):
        raise ConfigError(f"{where} has no access key: set access_key_id and access_key_secret in its extras")
