"""What is guessed of a manifest, each guess with its reason (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["search", "compare", "dedup"]


@dataclass(frozen=True, slots=True)
class Guess:
    """One guess.

    Attributes:
        what: What was guessed, such as `image`.
        found: What it was taken to be.
        why: The reason, for a person.
    """

    what: str
    found: str
    why: str


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that has to be set before a job can work.

    Attributes:
        what: What is missing and what to do, for a person.
        mended_by: Settings of which one mends it.
    """

    what: str
    mended_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guesses:
    """What a manifest's columns are taken to be.

    Attributes:
        kind: Which job fits.
        image: Column with the images; None when none was found.
        pair: Columns with both images of a pair; None when there are none.
        key: Columns that name a row.
        product: Column with the product id.
        image_name: Column with the image's name.
        group: Column by which rows belong together.
        category_id: Column with the service's category of each row.
        category: Column with a category of the catalogue's own.
        region: Column with the subject's box.
        priority: Column that says which rows go first.
        oldest: Column with a product's age.
        root: Folder that image paths start from, from the manifest's folder; None for that folder itself.
        base64: Images are base64 text.
        images: Columns with a product's images, each of which becomes a row; empty where `image` has one.
        shop: The kind of export that it is.
        rows_of: `manifest.group`: rows that are equal in it belong together.
        parent: As the setting, and so are the next three.
        without_image: Likewise.
        fill: Likewise.
        where: Likewise.
        title: Column with the product's title.
        different_when: Columns whose values speak against a pair.
        same_when: Columns whose values speak for one.
        row_number: Name of a column to number rows by, where nothing names them.
        lacking: What has to be set before the job can work.
        told: Every guess with its reason, in order.
    """

    kind: Kind
    image: str | None = None
    pair: tuple[str, str] | None = None
    key: tuple[str, ...] = ()
    product: str | None = None
    image_name: str | None = None
    group: str | None = None
    category_id: str | None = None
    category: str | None = None
    region: str | None = None
    priority: str | None = None
    oldest: str | None = None
    root: str | None = None
    base64: bool = False
    images: tuple[str, ...] = ()
    shop: str | None = None
    rows_of: str | None = None
    parent: str | None = None
    without_image: str | None = None
    fill: tuple[str, ...] = ()
    where: str | None = None
    title: str | None = None
    different_when: tuple[str, ...] = ()
    same_when: tuple[str, ...] = ()
    row_number: str | None = None
    lacking: tuple[Lack, ...] = ()
    told: tuple[Guess, ...] = ()
