"""The kinds of object stores: which package reads each, and how its file system is made.

`oss:` goes through OSS's S3-compatible endpoint (virtual-hosted addresses and the older S3 signature, as its
page on the AWS SDKs has it), since no fsspec package for OSS itself is kept up.

Credentials come from where each provider's own tools look: the AWS chain, Google's default credentials,
and for OSS the variables of `OSS_VARIABLES`, which need not be those of the Image Search account.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchsearch.config.sections.store_settings import StoreConnection

OSS_VARIABLES: Final = (
    ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"),
    ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"),
)
"""Variables with OSS credentials, key id, secret and token; the first pair that is set counts."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of store is opened.

    Attributes:
        extra: The optional part of this package that it needs.
        module: The package that speaks to it.
        speaks_s3: Whether its file system is that of S3.
        make: Makes the file system: how it is reached, seconds to wait for an answer, whether it is to be
            written to, options of every fsspec file system.
    """

    extra: str
    module: str
    speaks_s3: bool
    make: Callable[[StoreConnection, float, bool, Mapping[str, bool]], Any]


def need(scheme: str, wanted_for: str) -> None:
    """Make sure that the package of a known kind is there.

    Raises:
        MissingExtraError: It is not installed.
    """
    kind = KINDS[scheme]
    if find_spec(kind.module) is None:
        raise MissingExtraError(kind.extra, wanted_for)


def _s3(connection: StoreConnection, timeout: float, writes: bool, options: Mapping[str, bool]) -> Any:  # noqa: ARG001 - what a key may do is said where it was made
    from s3fs import S3FileSystem

    return S3FileSystem(
        anon=connection.anonymous,
        endpoint_url=connection.endpoint,
        client_kwargs={"region_name": connection.region} if connection.region else {},
        config_kwargs=_waits(timeout),
        **options,
    )


def _oss(connection: StoreConnection, timeout: float, writes: bool, options: Mapping[str, bool]) -> Any:  # noqa: ARG001 - what a key may do is said where it was made
    from s3fs import S3FileSystem

    key, secret, token = oss_credentials(os.environ)
    return S3FileSystem(
        # Without a key of its own s3fs would send the AWS account's.
        anon=connection.anonymous or key is None,
        key=key,
        secret=secret,
        token=token,
        endpoint_url=connection.endpoint or f"https://s3.oss-{connection.region}.aliyuncs.com",
        client_kwargs={"region_name": connection.region or "oss"},
        config_kwargs={
            **_waits(timeout),
            "signature_version": "s3",
            "s3": {"addressing_style": "virtual"},
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
        **options,
    )


def _gs(connection: StoreConnection, timeout: float, writes: bool, options: Mapping[str, bool]) -> Any:
    from gcsfs import GCSFileSystem

    return GCSFileSystem(
        access="read_write" if writes else "read_only",
        token="anon" if connection.anonymous else None,
        endpoint_url=connection.endpoint,
        requests_timeout=timeout,
        **options,
    )


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "s3": Kind("s3", "s3fs", True, _s3),
        "oss": Kind("s3", "s3fs", True, _oss),
        "gs": Kind("gs", "gcsfs", False, _gs),
    }
)
"""The stores that the settings know, by the scheme of their addresses."""


def _waits(timeout: float) -> dict[str, Any]:
    """Few repeats: what failed is asked for again with a wait of its own."""
    return {
        "connect_timeout": timeout,
        "read_timeout": timeout,
        "retries": {"mode": "standard", "total_max_attempts": 2},
    }


def oss_credentials(environ: Mapping[str, str]) -> tuple[str | None, str | None, str | None]:
    """Key id, secret and token for OSS; None where there are none."""
    for key, secret, token in OSS_VARIABLES:
        if environ.get(key) and environ.get(secret):
            return environ[key], environ[secret], environ.get(token) or None
    return None, None, None
