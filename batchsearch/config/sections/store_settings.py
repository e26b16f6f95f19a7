"""The job file's `stores` section: how object stores are reached that hold the manifest or the output."""

from __future__ import annotations

from typing import Annotated, Final, Generic, TypeVar

from pydantic import Field, field_validator

from batchsearch.config.sections.section import Settings
from batchsearch.config.shape import IS_PATH

SHORTEST_LEASE: Final = 4.0
"""Stores tell times in whole seconds, so that two of them tell nothing, and a call takes its time."""


class StoreConnection(Settings):
    """How one object store is reached; its credentials come from the environment."""

    endpoint: str | None = Field(
        None, description="Address of the store, such as `https://host`; its provider's own when absent."
    )
    region: str | None = Field(
        None, description="Region of the buckets. For OSS it gives the endpoint when that is absent."
    )
    anonymous: bool = Field(default=False, description="Read public buckets, without credentials.")

    @field_validator("endpoint")
    @classmethod
    def _only_an_address(cls, endpoint: str | None) -> str | None:
        if endpoint is None:
            return None
        scheme, _, host = endpoint.rstrip("/").partition("://")
        if scheme not in ("http", "https") or not host or any(sign in host for sign in "/?#@\\ "):
            raise ValueError("must be `https://host` or `http://host:port`: no path, user or query")
        return endpoint


Connection = TypeVar("Connection", bound=StoreConnection)


class StoresByScheme(Settings, Generic[Connection]):
    """Object stores by the scheme of their addresses."""

    s3: Connection | None = Field(
        None, description="`s3://` addresses: Amazon S3, or what speaks its protocol. Needs the extra `s3`."
    )
    oss: Connection | None = Field(
        None,
        description="`oss://` addresses: Alibaba Cloud OSS through its S3-compatible endpoint. Needs the "
        "extra `s3`, and `region` or `endpoint`.",
    )
    gs: Connection | None = Field(
        None, description="`gs://` addresses: Google Cloud Storage. Needs the extra `gs`."
    )

    @field_validator("oss")
    @classmethod
    def _oss_is_somewhere(cls, oss: Connection | None) -> Connection | None:
        # OSS has no endpoint that serves all regions, so one must be told.
        if oss is not None and not (oss.region or oss.endpoint):
            raise ValueError("needs `region` or `endpoint`: every region of OSS has an endpoint of its own")
        return oss


class ConnectionsSettings(StoresByScheme[StoreConnection]):
    """Object stores that hold the manifest or the output, by the scheme of their addresses.

    A store that is not named is reached as its provider's own tools would. Which images may be read is
    said apart, in `images.stores`: manifests are untrusted, these addresses are not.
    """


class RemoteOutput(Settings):
    """What of the `output` section is for outputs in an object store."""

    work_dir: Annotated[str | None, IS_PATH] = Field(
        None,
        description="Local folder in which a run works whose `dir` is in an object store; one of the user's "
        "cache for each such output when absent.",
    )
    carry_seconds: float = Field(
        60.0,
        gt=0,
        description="Parts and ledger are carried to the object store about this often, seconds; a run that "
        "is resumed on another machine has lost no more than that.",
    )
    journal_seconds: float | None = Field(
        None,
        gt=0,
        description="Every answer is in the object store before it counts, gathered for so long, seconds: a "
        "run that is resumed on another machine repeats no more than the calls that were out. Takes some "
        "requests a second. When absent: 0.25 for the instances of a job on a Dask cluster, else not at all.",
    )
    lease_seconds: float = Field(
        180.0,
        ge=SHORTEST_LEASE,
        description="A run that has died keeps other machines from its output in an object store for so "
        "long, seconds. One that does not reach the store makes no call any more after two thirds of it.",
    )
