"""What every section of a job file has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from batchsearch.config.shape import takes_switch


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
