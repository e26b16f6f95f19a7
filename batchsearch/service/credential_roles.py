"""Credentials that a role gives, through the vendor's `alibabacloud-credentials` (the extra `credentials`).

The library's providers are used one by one instead of its default chain: so each place can say why it has
nothing, variables are read when asked and not at import, and no background thread is started. What its
errors quote of answers and of commands' output is cut off: it may hold a secret.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from batchsearch.service.credentials import Absent, Credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_PREFIX: Final = "ALIBABA_CLOUD_"
_NEEDS: Final = "needs an optional part: pip install 'batchsearch[credentials]'"
_QUOTED: Final = re.compile(r"(?:,?\s*(?:result|stderr|message)\s*[:=]|\n).*", re.DOTALL | re.IGNORECASE)
_REASON_LENGTH: Final = 200


class RoleSource:
    """One provider of the vendor's library as a place; temporary, since roles give what ends.

    Args:
        place: What it is called in messages.
        build: Makes the provider, given the library's `provider` module.
        unset: Says what is not set up for it, or None when it may be asked.
    """

    temporary = True

    def __init__(
        self, place: str, build: Callable[[Any], Any], unset: Callable[[], str | None] = lambda: None
    ) -> None:
        self.place = place
        self._build = build
        self._unset = unset
        self._provider: Any = None

    def fetch(self, *, renewed: bool = False) -> Credentials | Absent:
        """The role's credentials; the library asks the network when its own are about to end."""
        reason = self._unset()
        if reason is not None:
            return Absent(reason)
        if find_spec("alibabacloud_credentials") is None:
            return Absent(_NEEDS)
        try:
            if self._provider is None or renewed:
                self._provider = self._build(_library())
            given = self._provider.get_credentials()
            key, secret = given.get_access_key_id(), given.get_access_key_secret()
            token = given.get_security_token()
        except Exception as error:  # noqa: BLE001 - the library raises whatever its parts raise
            self._provider = None
            return Absent(_reason(error))
        if not key or not secret:
            return Absent("it gave an empty access key")
        return Credentials(key, secret, token or None, self.place)


@dataclass(frozen=True, slots=True)
class RoleSources:
    """The places that need the library.

    Attributes:
        oidc: A role by an OIDC token, as in Kubernetes.
        cli_profile: Modes of the CLI's profile that are roles, a single sign-on or an external command.
        credentials_file: Types of the credentials file that are roles.
        ecs: The role of the ECS instance that this runs on.
        uri: An address that answers credentials.
    """

    oidc: RoleSource
    cli_profile: RoleSource
    credentials_file: RoleSource
    ecs: RoleSource
    uri: RoleSource


def role_sources(environ: Mapping[str, str], home: Path) -> RoleSources:
    """The places that need the library; none is asked before `fetch`."""

    def value(name: str) -> str | None:
        return environ.get(f"{_PREFIX}{name}") or None

    def wants(*names: str) -> Callable[[], str | None]:
        def unset() -> str | None:
            absent = [f"{_PREFIX}{name}" for name in names if value(name) is None]
            return f"{', '.join(absent)} not set" if absent else None

        return unset

    def ecs_unset() -> str | None:
        disabled = (value("ECS_METADATA_DISABLED") or "").lower() == "true"
        return f"{_PREFIX}ECS_METADATA_DISABLED is true" if disabled else None

    return RoleSources(
        oidc=RoleSource(
            "OIDC role",
            lambda library: library.OIDCRoleArnCredentialsProvider(
                role_arn=value("ROLE_ARN"),
                oidc_provider_arn=value("OIDC_PROVIDER_ARN"),
                oidc_token_file_path=value("OIDC_TOKEN_FILE"),
                role_session_name=value("ROLE_SESSION_NAME"),
            ),
            wants("ROLE_ARN", "OIDC_PROVIDER_ARN", "OIDC_TOKEN_FILE"),
        ),
        cli_profile=RoleSource(
            "CLI profile",
            lambda library: library.CLIProfileCredentialsProvider(
                profile_name=value("PROFILE"), profile_file=str(home / ".aliyun" / "config.json")
            ),
        ),
        credentials_file=RoleSource(
            "credentials file",
            lambda library: library.ProfileCredentialsProvider(
                profile_name=value("PROFILE") or "default",
                profile_file=value("CREDENTIALS_FILE") or str(home / ".alibabacloud" / "credentials.ini"),
            ),
        ),
        ecs=RoleSource(
            "ECS instance role",
            lambda library: library.EcsRamRoleCredentialsProvider(
                role_name=value("ECS_METADATA"),
                disable_imds_v1=(value("IMDSV1_DISABLED") or "").lower() == "true",
                async_update_enabled=False,
            ),
            ecs_unset,
        ),
        uri=RoleSource(
            "credentials URI",
            lambda library: library.URLCredentialsProvider(uri=value("CREDENTIALS_URI")),
            wants("CREDENTIALS_URI"),
        ),
    )


def _library() -> Any:
    """The library's providers, without the log handlers that importing it attaches.

    What it has to say comes back as the reason why a place has no credentials; a traceback of its own on
    stderr would only hide that.
    """
    from alibabacloud_credentials import provider

    for name in ("credentials", "darabonba-core"):
        # Not none at all: then the last resort of logging writes its warnings.
        logging.getLogger(name).handlers[:] = [logging.NullHandler()]
    return provider


def _reason(error: Exception) -> str:
    text = _QUOTED.sub("", str(error)).strip() or type(error).__name__
    return text if len(text) <= _REASON_LENGTH else f"{text[: _REASON_LENGTH - 1]}…"
