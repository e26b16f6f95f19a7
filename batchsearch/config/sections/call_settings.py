"""The job file's `calls` section: how calls are made and repeated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from batchsearch.config.sections.section import Proxy, Settings
from batchsearch.proxies import ENVIRONMENT as PROXIES_OF_ENVIRONMENT


class CallSettings(Settings):
    """How calls are made and repeated."""

    connect_timeout: float = Field(5.0, gt=0, description="Seconds to connect.")
    timeout: float = Field(30.0, gt=0, description="Seconds for a whole call.")
    max_attempts: int = Field(8, ge=1, description="Most calls made for one answer.")
    max_retry_seconds: float = Field(600.0, gt=0, description="A row older than this is not retried.")
    max_in_flight: int | None = Field(
        None, ge=1, description="Most calls waiting for answers; follows rate and latency when absent."
    )
    max_outage_seconds: float = Field(
        900.0,
        gt=0,
        description="A dead service or network is waited for so long, seconds; then the run ends, resumable.",
    )
    end_after: int = Field(
        3, ge=1, description="Run-ending codes in a row (no permission, no such instance …) that end the run."
    )
    signing: Literal["v3", "v1"] = Field(
        "v3", description="How requests are signed: ACS3-HMAC-SHA256 (`v3`) or RPC HMAC-SHA1 (`v1`)."
    )
    upload: Literal["body", "url"] = Field(
        "body",
        description="How images travel: base64 in the request (`body`), or uploaded to the vendor's object "
        "store first (`url`), which takes two more requests for each image but no call slot. Needs "
        "`instance.region`.",
    )
    open_platform: str | None = Field(
        None, description="Where permissions to upload are given; the vendor's own place when absent."
    )
    proxy: Proxy = Field(
        PROXIES_OF_ENVIRONMENT,
        description="Proxy for calls: `environment` (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), `none`, or "
        "`http://host:port`. One with a password belongs into the environment. This machine itself is "
        "always asked directly.",
    )
