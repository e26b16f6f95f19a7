"""What every section of a job file has in common, and the kinds of settings that several of them have."""

from __future__ import annotations

import math
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo, field_validator

from batchsearch.config.shape import takes_switch
from batchsearch.proxies import ENVIRONMENT, NONE, check_proxy

_HUNDRED_PERCENT: Final = 100.0


class Settings(BaseModel):
    """Base of every section: unknown keys are refused, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        # Python counts true as 1; a job file that says `qps: true` means something else.
        if isinstance(value, bool) and not takes_switch(cls.model_fields[info.field_name or ""]):
            raise ValueError(
                f"is {str(value).lower()}, which is a switch's value and no setting of this kind"
            )
        return value


def _checked_share(setting: str | float) -> str | float:
    """The setting as it is.

    Raises:
        ValueError: It is neither a share from 0 to 100 % nor a number from 0.
    """
    number, of_rows = _number_of(setting)
    if not math.isfinite(number) or number < 0 or (of_rows and number > _HUNDRED_PERCENT):
        raise ValueError(f"{str(setting)[:40]!r} is neither a share like `5%` nor a number of rows")
    return setting


Share: TypeAlias = Annotated[str | float, AfterValidator(_checked_share)]
"""A share from 0 to 100 %, or a number from 0."""


def allowed_of(setting: str | float, rows: int) -> float:
    """How many of `rows` a checked setting allows."""
    number, of_rows = _number_of(setting)
    return number / 100 * rows if of_rows else number


def _number_of(setting: str | float) -> tuple[float, bool]:
    """The number, NaN for what is none, and whether it is per cent."""
    text = str(setting).strip()
    try:
        return float(text.removesuffix("%")), text.endswith("%")
    except ValueError:
        return math.nan, False


def _checked_proxy(proxy: str) -> str:
    """The setting as it is kept.

    Raises:
        ValueError: It names no proxy, or holds a password.
    """
    if proxy in (ENVIRONMENT, NONE):
        return proxy
    try:
        check_proxy(proxy)
    except ValueError:
        raise ValueError("must be `environment`, `none`, or `http://host:port`") from None
    parts = urlsplit(proxy)
    if "@" in parts.netloc:
        raise ValueError("holds a user; give this proxy in the environment, HTTPS_PROXY and HTTP_PROXY")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must end after the port: `http://host:port`")
    return proxy


Proxy: TypeAlias = Annotated[str, AfterValidator(_checked_proxy)]
"""The name of a proxy, as a setting has it."""
