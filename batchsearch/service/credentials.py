"""Who asks: access keys, where they are looked for, and how they are kept fresh.

The places and their order are those of the vendor's own tools: environment, OIDC role, the CLI's profile,
the credentials file, the ECS instance's role, a credentials URI. The first, and the plain forms of the two
files, need nothing else installed; the rest needs the extra `credentials`.

::

    CredentialChain     cache, one fetch at a time, in a thread     what the client asks
    └── Source          one place; says `Absent` and why            environment, files, roles
"""

from __future__ import annotations

import asyncio
import configparser
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from batchsearch.errors import ConfigError, Problem
from batchsearch.redaction import keep_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

REREAD_SECONDS: Final = 60.0
"""Temporary credentials are asked for again this often; their source renews them before they end, fifteen
minutes ahead in the vendor's library, and answers from its own cache until then."""

_PREFIX: Final = "ALIBABA_CLOUD_"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, with a security token if it is a temporary one. Only the id is ever shown.

    Attributes:
        access_key_id: Names the key.
        access_key_secret: Signs.
        security_token: Proves a temporary key.
        source: The place that it came from.
    """

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)
    source: str = "given"

    def __post_init__(self) -> None:
        """Refuse what cannot stand in a header.

        Raises:
            ConfigError: A part has spaces, control or non-ASCII characters; says which, not what it is.
        """
        for name, value in (
            ("access key id", self.access_key_id),
            ("access key secret", self.access_key_secret),
            ("security token", self.security_token or ""),
        ):
            if not (value.isascii() and value.isprintable()) or " " in value:
                raise ConfigError(
                    f"the {name} from {self.source} has characters that none has; copy it again"
                )
        keep_secret(self.access_key_secret)
        keep_secret(self.security_token)


@dataclass(frozen=True, slots=True)
class Absent:
    """A place that has no credentials, and why; `reason` never quotes a secret."""

    reason: str


class CredentialsProvider(Protocol):
    """What the client asks for credentials."""

    async def get(self) -> Credentials:
        """Credentials to sign with now; raises ConfigError if there are none."""
        ...

    def refuse(self, credentials: Credentials) -> None:
        """Note that the service refused these."""
        ...

    async def refresh(self) -> Credentials:
        """Credentials that the service has not refused: fetched anew if the last ones were."""
        ...


class Source(Protocol):
    """One place where credentials may be. `fetch` may block: it runs in a thread."""

    @property
    def place(self) -> str:
        """What the place is called in messages: a variable, a file, a role."""
        ...

    @property
    def temporary(self) -> bool:
        """Whether what it gives ends some day, so that it must be asked again."""
        ...

    def fetch(self, *, renewed: bool) -> Credentials | Absent:
        """The credentials there; `renewed` forgets what the place itself remembers."""
        ...


class StaticCredentials:
    """Always the same credentials: for the embedded instance and for tests."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def get(self) -> Credentials:
        """The credentials."""
        return self._credentials

    def refuse(self, credentials: Credentials) -> None:
        """Nothing: there are no others."""

    async def refresh(self) -> Credentials:
        """The credentials: there are no others."""
        return self._credentials


class CredentialChain:
    """The first place that has credentials, kept and renewed.

    One fetch runs at a time, in a thread, however many calls wait for it; while temporary credentials are
    renewed ahead of time the old ones serve on.

    Args:
        sources: Places in the order in which they are asked.
        clock: Steady seconds.
    """

    def __init__(self, sources: Sequence[Source], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._sources = tuple(sources)
        self._clock = clock
        self._held: Credentials | None = None
        self._stale_at = float("inf")
        self._fetching: asyncio.Task[Credentials] | None = None
        self._renewing = False
        self._refused = False

    async def get(self) -> Credentials:
        """Credentials to sign with now; waits only where none were found yet.

        Raises:
            ConfigError: No place has any; names each place and why.
        """
        if self._held is None:
            return await self._fetched(renewed=False)
        if self._clock() >= self._stale_at:
            self._stale_at = self._clock() + REREAD_SECONDS
            self._start(renewed=False)
        return self._held

    def refuse(self, credentials: Credentials) -> None:
        """Note that the service refused these; of credentials that were replaced since, nothing is noted."""
        self._refused = self._refused or credentials == self._held

    async def refresh(self) -> Credentials:
        """Credentials that the service has not refused: fetched anew if those held were, else those held.

        Callers that ask while a fetch runs share its result.

        Raises:
            ConfigError: No place has any; names each place and why.
        """
        if not self._refused:
            return await self.get()
        if self._fetching is not None and not self._renewing:
            # What is on its way may be what was refused.
            await asyncio.wait([self._fetching])
        return await self._unrefused()

    async def _unrefused(self) -> Credentials:
        """What another caller's renewal has brought in the meantime, or the result of one."""
        if self._held is not None and not self._refused:
            return self._held
        return await self._fetched(renewed=True)

    async def _fetched(self, *, renewed: bool) -> Credentials:
        # Shielded: one caller that is cancelled must not take the fetch from the others.
        return await asyncio.shield(self._start(renewed=renewed))

    def _start(self, *, renewed: bool) -> asyncio.Task[Credentials]:
        if self._fetching is None or self._fetching.done():
            self._renewing = renewed
            self._fetching = asyncio.create_task(self._fetch(renewed=renewed))
            self._fetching.add_done_callback(self._fetch_ended)
        return self._fetching

    def _fetch_ended(self, task: asyncio.Task[Credentials]) -> None:
        if self._fetching is task:
            self._fetching = None
        if not task.cancelled():
            task.exception()  # a renewal ahead of time that failed is nobody's: the old ones serve on

    async def _fetch(self, *, renewed: bool) -> Credentials:
        credentials, temporary = await asyncio.to_thread(self._look, renewed=renewed)
        self._held = credentials
        self._refused = self._refused and not renewed
        self._stale_at = self._clock() + REREAD_SECONDS if temporary else float("inf")
        return credentials

    def _look(self, *, renewed: bool) -> tuple[Credentials, bool]:
        problems = []
        for source in self._sources:
            found = source.fetch(renewed=renewed)
            if isinstance(found, Credentials):
                return found, source.temporary
            problems.append(Problem(source.place, found.reason))
        raise ConfigError(problems, summary="no credentials were found; looked in:")


@dataclass(frozen=True, slots=True)
class EnvironmentSource:
    """`ALIBABA_CLOUD_ACCESS_KEY_ID`, `…_ACCESS_KEY_SECRET`, `…_SECURITY_TOKEN`, as they are when asked."""

    environ: Mapping[str, str] = field(repr=False)
    place: str = "environment"
    temporary: bool = False

    def fetch(self, *, renewed: bool = False) -> Credentials | Absent:  # noqa: ARG002 - nothing is remembered
        """The variables' values."""
        names = (f"{_PREFIX}ACCESS_KEY_ID", f"{_PREFIX}ACCESS_KEY_SECRET")
        key, secret = (self.environ.get(name, "").strip() for name in names)
        unset = [name for name, value in zip(names, (key, secret), strict=True) if not value]
        if unset:
            return Absent(f"{' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set")
        token = self.environ.get(f"{_PREFIX}SECURITY_TOKEN", "").strip()
        return Credentials(key, secret, token or None, self.place)


class _KeysOrRole:
    """A file that has keys, or tells which role has some."""

    def __init__(self, roles: Source, place: str) -> None:
        self._roles = roles
        self._by_role = False
        self.place = place

    @property
    def temporary(self) -> bool:
        """True for roles: the keys in the file itself are its owner's to change."""
        return self._by_role


class CliProfileSource(_KeysOrRole):
    """The command line tool's profile: `~/.aliyun/config.json`, modes AK and StsToken; others by `roles`.

    Args:
        environ: `ALIBABA_CLOUD_PROFILE` chooses the profile, `ALIBABA_CLOUD_CLI_PROFILE_DISABLED` skips it.
        home: The user's home folder.
        roles: Who knows the modes that are roles.
    """

    def __init__(self, environ: Mapping[str, str], home: Path, roles: Source) -> None:
        self._environ = environ
        self._path = home / ".aliyun" / "config.json"
        super().__init__(roles, f"CLI profile {self._path}")

    def fetch(self, *, renewed: bool = False) -> Credentials | Absent:
        """The chosen profile's key."""
        self._by_role = False
        if self._environ.get(f"{_PREFIX}CLI_PROFILE_DISABLED", "").lower() == "true":
            return Absent(f"{_PREFIX}CLI_PROFILE_DISABLED is true")
        text = _read(self._path)
        if isinstance(text, Absent):
            return text
        profile = self._profile(text)
        if isinstance(profile, Absent):
            return profile
        mode = profile.get("mode")
        if mode in ("AK", "StsToken"):
            names = ["access_key_id", "access_key_secret", *(["sts_token"] if mode == "StsToken" else [])]
            values = {name: profile.get(name) for name in names}
            lacking = [name for name, value in values.items() if not isinstance(value, str) or not value]
            if lacking:
                return Absent(f"profile {profile['name']!r} lacks {' and '.join(lacking)}")
            return Credentials(
                str(values["access_key_id"]),
                str(values["access_key_secret"]),
                str(values["sts_token"]) if "sts_token" in values else None,
                self.place,
            )
        self._by_role = True
        return self._roles.fetch(renewed=renewed)

    def _profile(self, text: str) -> dict[str, Any] | Absent:
        try:
            config = json.loads(text)
        except (ValueError, RecursionError):
            return Absent("the file is not JSON")
        profiles = config.get("profiles") if isinstance(config, dict) else None
        if not isinstance(profiles, list):
            return Absent("the file has no profiles")
        wanted = self._environ.get(f"{_PREFIX}PROFILE") or config.get("current")
        for profile in profiles:
            if isinstance(profile, dict) and wanted and profile.get("name") == wanted:
                return profile
        return Absent(f"there is no profile {wanted!r}" if wanted else "no profile is current")


class CredentialsFileSource(_KeysOrRole):
    """The credentials file: `~/.alibabacloud/credentials.ini`, type `access_key`; others by `roles`.

    Args:
        environ: `ALIBABA_CLOUD_CREDENTIALS_FILE` names another file, `ALIBABA_CLOUD_PROFILE` the section.
        home: The user's home folder.
        roles: Who knows the types that are roles.
    """

    def __init__(self, environ: Mapping[str, str], home: Path, roles: Source) -> None:
        given = environ.get(f"{_PREFIX}CREDENTIALS_FILE")
        self._path = Path(given) if given else home / ".alibabacloud" / "credentials.ini"
        self._section = environ.get(f"{_PREFIX}PROFILE") or "default"
        super().__init__(roles, f"credentials file {self._path}")

    def fetch(self, *, renewed: bool = False) -> Credentials | Absent:
        """The chosen section's key."""
        self._by_role = False
        text = _read(self._path)
        if isinstance(text, Absent):
            return text
        # No interpolation: a secret may hold a per cent sign.
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(text)
        except configparser.Error:
            return Absent("the file is not in INI form")
        if not parser.has_section(self._section):
            return Absent(f"there is no section [{self._section}]")
        section = {name: value.split("#")[0].strip() for name, value in parser.items(self._section)}
        if section.get("type") == "access_key":
            key, secret = section.get("access_key_id"), section.get("access_key_secret")
            if not key or not secret:
                return Absent(f"section [{self._section}] lacks access_key_id or access_key_secret")
            return Credentials(key, secret, None, self.place)
        self._by_role = True
        return self._roles.fetch(renewed=renewed)


def default_chain(environ: Mapping[str, str] | None = None, home: Path | None = None) -> CredentialChain:
    """The vendor's usual places, in the vendor's order.

    Args:
        environ: The environment; this process's when None, read when credentials are asked for.
        home: The user's home folder; this user's when None.
    """
    from batchsearch.service.credential_roles import role_sources

    environ = os.environ if environ is None else environ
    home = Path.home() if home is None else home
    roles = role_sources(environ, home)
    return CredentialChain(
        (
            EnvironmentSource(environ),
            roles.oidc,
            CliProfileSource(environ, home, roles.cli_profile),
            CredentialsFileSource(environ, home, roles.credentials_file),
            roles.ecs,
            roles.uri,
        )
    )


def _read(path: Path) -> str | Absent:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Absent("there is no such file")
    except OSError as error:
        return Absent(f"the file cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return Absent("the file is not UTF-8 text")
