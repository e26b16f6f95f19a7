"""The job file's `instance` section, and an entry of `instances`: which instance is called, and how fast."""

from __future__ import annotations

import math
from typing import Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from batchsearch.config.sections.rate_setting import UNLIMITED, Rate
from batchsearch.config.sections.section import Settings
from batchsearch.service.facts import (
    MAX_ID,
    MAX_INSTANCE_NAME,
    MAX_LONG_ID,
    REGIONS,
    TIERS,
    ServiceTypeName,
)

OTHER_QPS: Final = 1.0
"""Calls a second on the instance itself: Detail, batch imports, exports (the pages on each)."""

EMULATOR: Final = "emulator"
"""The `instance.endpoint` that means the embedded instance."""


class InstanceSettings(Settings):
    """Which Image Search instance is called, and how fast."""

    endpoint: str | None = Field(
        None,
        description="Host of the service, `http://host:port` for a local one, or `emulator` for the "
        "embedded instance. Derived from `region` when absent.",
    )
    region: str | None = Field(
        None, validate_default=True, description="Region of the instance, such as `ap-southeast-1`."
    )
    vpc: bool = Field(default=False, description="Use the region's VPC endpoint.")
    custom_qps: bool = Field(default=False, description="Allow a `qps` that is not a purchasable tier.")
    name: str = Field(
        min_length=1, max_length=MAX_INSTANCE_NAME, description="Instance name (not the instance id)."
    )
    qps: Rate = Field(
        description="Purchased queries per second: 1, 5 or 10. Another rate needs `custom_qps: true`. "
        "`unlimited`, for the embedded instance only: as fast as the cores allow."
    )
    add_qps: float = Field(
        5.0, gt=0, description="Images added per second, a budget of its own: 1 for instances of 100,000."
    )
    update_qps: float = Field(20.0, gt=0, description="Updates per second, a budget of its own.")
    delete_qps: float = Field(20.0, gt=0, description="Deletions per second, a budget of its own.")
    share: float = Field(1.0, gt=0, le=1, description="Part of each rate that this job may use.")
    monthly_price: float | None = Field(
        None, ge=0, description="What the instance costs a month, for `batchsearch plan`."
    )
    currency: str = Field("", max_length=8, description="Of that price, such as `USD`.")
    shared: Literal["auto", "none", "host", "redis"] = Field(
        "auto",
        description="Who shares this instance's rate: nobody else (`none`), processes of this host (`host`), "
        "or of several hosts through a Redis server (`redis`). `auto` is `host` for a purchased instance.",
    )
    redis: str | None = Field(
        None,
        description="The Redis server, `redis://host:6379/0`; one with a password belongs into the "
        "environment, BATCHSEARCH_REDIS_URL.",
    )
    service_type: ServiceTypeName = Field("generic", description="Kind of instance; decides the image rules.")
    longest_id: int = Field(
        MAX_ID,
        ge=1,
        le=MAX_LONG_ID,
        description="Most characters of a product id and of an image name: the vendor's documents say 256, "
        "older ones 512.",
    )

    @property
    def unlimited(self) -> bool:
        """Whether calls are made as fast as the cores allow, by any budget."""
        return math.isinf(self.qps)

    def qps_of(self, budget: str) -> float:
        """Calls per second granted to a budget (`service.operations.Budget`); infinite where unlimited."""
        if self.unlimited:
            return math.inf
        granted = {
            "add": self.add_qps,
            "update": self.update_qps,
            "delete": self.delete_qps,
            "other": OTHER_QPS,
        }
        return granted.get(budget, self.qps)

    @field_validator("endpoint")
    @classmethod
    def _only_a_host(cls, endpoint: str | None) -> str | None:
        if endpoint is None:
            return None
        scheme, has_scheme, host = endpoint.rpartition("://")
        if has_scheme and scheme not in ("http", "https"):
            raise ValueError("takes `http://` or `https://` before the host, or neither")
        if (
            not host
            or any(character in host for character in "/?#@\\")
            or not host.isprintable()
            or " " in host
        ):
            raise ValueError("must be a host, `http://host:port` or `emulator`: no path, user or query")
        return endpoint

    @field_validator("region")
    @classmethod
    def _known_region(cls, region: str | None, info: ValidationInfo) -> str | None:
        # With an endpoint of its own an unlisted region may be right: the vendor adds some.
        if region is not None and region not in REGIONS and info.data.get("endpoint") is None:
            regions = ", ".join(REGIONS)
            raise ValueError(f"{region!r} is not a known region ({regions}); give `endpoint` if it is right")
        return region

    @field_validator("region", mode="before")
    @classmethod
    def _endpoint_or_region(cls, region: object, info: ValidationInfo) -> object:
        if region is None and "endpoint" in info.data and info.data["endpoint"] is None:
            raise ValueError("is needed to find the service, unless `endpoint` is given")
        return region

    @field_validator("qps")
    @classmethod
    def _known_tier(cls, qps: float, info: ValidationInfo) -> float:
        if math.isinf(qps):
            if info.data.get("endpoint", EMULATOR) == EMULATOR:
                return qps
            tiers = ", ".join(str(tier) for tier in TIERS)
            raise ValueError(
                f"`{UNLIMITED}` is for the embedded instance (`endpoint: {EMULATOR}`) only; write the rate "
                f"that was bought for this one ({tiers})"
            )
        if qps not in TIERS and info.data.get("custom_qps") is False:
            tiers = ", ".join(str(tier) for tier in TIERS)
            raise ValueError(
                f"{qps:g} is not a tier that can be bought ({tiers}); "
                "set `custom_qps: true` if another rate is meant"
            )
        return qps
