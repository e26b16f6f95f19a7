"""The job file's `compare` section: which images make the pairs, and what is made of their scores."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from batchsearch.config.sections.section import Settings
from batchsearch.config.shape import ONE_OR_MANY

PairsName = Literal["given", "groups", "reference"]

MOST_PAIRS: Final = 20_000_000
"""More pairs than this are never made: 23 days at ten calls a second."""


class CompareSettings(Settings):
    """How `batchsearch compare` makes pairs of images, and what it writes about their scores."""

    pairs: PairsName = Field(
        "given",
        description="Where pairs come from: two image columns of the manifest (`given`), every pair of "
        "images within a group of the manifest's rows (`groups`), or one image against every row "
        "(`reference`).",
    )
    image: str = Field(
        "image", min_length=1, description="Column with the images, for `groups` and `reference`."
    )
    group: str | None = Field(
        None,
        min_length=1,
        description="Column that says which group a row belongs to. For `groups` all rows are one group "
        "when absent; for `given` scores are also summed up by it. Rows without a value are in no group.",
    )
    reference: str | None = Field(
        None,
        min_length=1,
        description="For `reference`: the image that all are compared with, a path or an address as the "
        "manifest would give it.",
    )
    reference_key: str | None = Field(
        None,
        min_length=1,
        validate_default=True,
        description="For `reference`, instead of `reference`: the row key of that image's row.",
    )
    carry: Annotated[tuple[str, ...], ONE_OR_MANY] = Field(
        (),
        description="Columns of both images' rows that are carried into the results, each as "
        "`primary_NAME` and `secondary_NAME`, for `groups` and `reference`.",
    )
    max_pairs: int = Field(
        100_000,
        ge=1,
        le=MOST_PAIRS,
        description="Most pairs that may be made; more are refused before anything is written or called.",
    )
    bins: int = Field(20, ge=1, le=1000, description="Bars of the histogram of scores from 0 to 1.")
    matrix_images: int = Field(
        50,
        ge=0,
        le=2000,
        description="Groups of at most so many images get a matrix of their scores as well, for `groups`; "
        "0 for none.",
    )
    matrices: int = Field(
        200, ge=0, le=10_000, description="Most matrices: those of the first such groups of the manifest."
    )

    @property
    def makes_pairs(self) -> bool:
        """Whether pairs are made of a list; otherwise the manifest gives them, and any run can work on it."""
        return self.pairs != "given"

    @field_validator("group")
    @classmethod
    def _no_groups_for_one(cls, group: str | None, info: ValidationInfo) -> str | None:
        if group is not None and info.data.get("pairs") == "reference":
            raise ValueError("means nothing with `pairs: reference`: one image is compared with every row")
        return group

    @field_validator("reference")
    @classmethod
    def _reference_for_reference(cls, reference: str | None, info: ValidationInfo) -> str | None:
        if reference is not None and info.data.get("pairs") in ("given", "groups"):
            raise ValueError("needs `pairs: reference`")
        return reference

    @field_validator("reference_key")
    @classmethod
    def _one_reference(cls, reference_key: str | None, info: ValidationInfo) -> str | None:
        pairs, image = info.data.get("pairs"), info.data.get("reference")
        if reference_key is not None and pairs in ("given", "groups"):
            raise ValueError("needs `pairs: reference`")
        if reference_key is not None and image is not None:
            raise ValueError("says the same as `reference`; give one of them")
        if pairs == "reference" and reference_key is None and image is None and "reference" in info.data:
            raise ValueError("or `reference` is needed: which image are all others compared with?")
        return reference_key

    @field_validator("carry")
    @classmethod
    def _carry_where_pairs_are_made(cls, carry: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if carry and info.data.get("pairs") == "given":
            raise ValueError("is for pairs that are made; of given pairs all columns are carried")
        twice = next((name for name in carry if carry.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"names the column {twice!r} twice")
        return carry
