"""What the vendor's pages say about the service itself: one definition of every such fact.

Nothing here decides anything. The client's rules, the emulator and the documentation all derive from
these tables. Sources are the API pages of version 2020-12-14 (SearchImageByPic 2023-08 and 2025-05,
SearchImageByName 2023-09, CompareSimilarByImage 2026-01, Image query 2026-01) and the parameter
documentation inside the official SDKs.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

API_VERSION: Final = "2020-12-14"

ServiceTypeName = Literal[
    "product", "generic", "fabric", "trademark", "copyright", "furniture", "hardware", "multimodal"
]


@dataclass(frozen=True, slots=True)
class ServiceType:
    """One kind of instance.

    Attributes:
        name: The name used in job files.
        numbers: What `Detail` reports as `ServiceType`; trademark has two, and of multimodal no page says it.
        min_side: Smallest accepted width and height, pixels.
        max_side: Largest accepted width and height, pixels, inclusive.
        category: The only category of this kind, or None where categories are given or predicted.
        subject: Whether `Crop` and `Region` have a meaning; fabric ignores both (SearchImageByPic, `Crop`).
    """

    name: ServiceTypeName
    numbers: tuple[int, ...]
    min_side: int
    max_side: int
    category: int | None
    subject: bool = True


OTHER_CATEGORY: Final = 88888888

# Sides: SearchImageByPic 2023-08. Trademark's upper bound is exclusive there ("200 <= side < 4096").
# Copyright's sides are on no page; the widest documented range is used. "Product multimodal search" is named
# by SearchImageByText alone: its number is found on no page, and its images are held to product's rules here.
SERVICE_TYPES: Final[Mapping[str, ServiceType]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            ServiceType("product", (0,), 100, 4096, None),
            ServiceType("generic", (1,), 100, 4096, OTHER_CATEGORY),
            ServiceType("fabric", (2,), 448, 4096, OTHER_CATEGORY, subject=False),
            ServiceType("trademark", (3, 7), 200, 4095, OTHER_CATEGORY),
            ServiceType("copyright", (4,), 100, 4096, OTHER_CATEGORY),
            ServiceType("furniture", (5,), 100, 4096, OTHER_CATEGORY),
            ServiceType("hardware", (6,), 100, 4096, OTHER_CATEGORY),
            ServiceType("multimodal", (), 100, 4096, None),
        )
    }
)

# SearchImageByPic 2025-05, sample response (`AllCategories`).
CATEGORIES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "Tops",
        1: "Dress",
        2: "Bottoms",
        3: "Bag",
        4: "Shoes",
        5: "Accessories",
        6: "Snack",
        7: "Makeup",
        8: "Bottle",
        9: "Furniture",
        20: "Toy",
        21: "Underwear",
        22: "Digital device",
        OTHER_CATEGORY: "Other",
    }
)

TIERS: Final = (1, 5, 10)
"""Queries per second that can be bought for an instance (SearchImageByPic 2025-05, "QPS limits")."""

REGIONS: Final = (
    "cn-hangzhou",
    "cn-shanghai",
    "cn-beijing",
    "cn-shenzhen",
    "cn-hongkong",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "ap-south-1",
    "eu-central-1",
)

# Limits of one call. Bytes are raw bytes of the image, not of its base64 text.
MAX_IMAGE_BYTES: Final = 4 * 1024 * 1024
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
TRANSFER_SECONDS: Final = 5.0
IMAGE_FORMATS: Final = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")

SEARCHED_BY_TEXT: Final[ServiceTypeName] = "multimodal"
"""The kind of instance that SearchImageByText is for: "product multimodal search"."""

MAX_INSTANCE_NAME: Final = 20
MAX_ID: Final = 256
"""Longest ProductId and PicName, characters: the newest SDK says 256, older metadata 512."""
MAX_LONG_ID: Final = 512
"""What the older metadata says: a job's `instance.longest_id` may go so far."""
MAX_CUSTOM_CONTENT: Final = 4096
MAX_STR_ATTR: Final = 128
STR_ATTR_FORBIDDEN: Final = "\\¥$&%"
INT32_MIN: Final = -(2**31)
INT32_MAX: Final = 2**31 - 1
MAX_FILTER: Final = 4096
MAX_TEXT: Final = 512
"""Characters of a text that is searched for (SearchImageByText)."""
MAX_TASKS_A_PAGE: Final = 30
"""Exports that a page of `DumpMetaList` has at most (2023-09)."""
MIN_NUM: Final = 1
MAX_NUM: Final = 100
DEFAULT_NUM: Final = 10
MAX_START: Final = 499
MAX_RESULTS: Final = 500
"""Start + Num may not exceed this (`OverflowMaxResultNum`)."""


CAPACITY_UNIT: Final = 10_000
"""`Detail` tells the capacity in units of so many images."""

TASK_PROCESSING: Final = "PROCESSING"
TASK_SUCCESS: Final = "SUCCESS"
TASK_FAIL: Final = "FAIL"
"""How a batch task stands (IncreaseList, DumpMetaList)."""


def endpoint_of(region: str, *, vpc: bool = False) -> str:
    """Host name of the service in a region, public or for callers inside the region's VPC."""
    return f"imagesearch{'-vpc' if vpc else ''}.{region}.aliyuncs.com"
