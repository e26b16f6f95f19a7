"""What is said of a pair of images, why, and how sure that is (pure).

The thresholds are those of the numbers that the tables show. They were set on one half of the designs of a
set of 473 product photographs, with changes of 36 kinds; so was `confidence`: of the pairs that pass, so many
were right. What decides nothing under them is not measured: with other thresholds, what is kept of pairs is
measured anew (`feature_store.MEASURES_VERSION`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.off_memory import Room

VERDICTS: Final = ("identical", "same_photo", "recoloured", "alike", "different")
IDENTICAL, SAME_PHOTO, RECOLOURED, ALIKE, DIFFERS = range(5)

FEWEST_INLIERS: Final = 10
"""Places at which two images of one photograph agree, at least."""
LEAST_OVERLAP: Final = 0.4
"""Share of each image's features that lies on the other one, at least: less is a detail."""
MOST_REPEATED: Final = 7
"""More places than these agreeing once more make a pack of several."""
LEAST_AGREEMENT: Final = 0.72
"""Share of the structure that agrees, at least: less is another thing with a part in common, such as another
print on the same shirt, worn by the same model."""
MOST_COLOUR: Final = 8.0
"""Difference of colour in CIELAB from which a photograph is recoloured."""
MOST_LIGHT: Final = 11.0
"""Difference of lightness from which it is."""

_CLEAR: Final = 0.75
"""Share of a threshold by which a difference may be below it and still count."""
SURELY_COLOUR: Final = (1 - _CLEAR) * MOST_COLOUR
"""Less difference of colour makes nothing surer."""
SURELY_LIGHT: Final = (1 - _CLEAR) * MOST_LIGHT
"""Less difference of lightness makes nothing surer."""

ONE_VARIANT: Final = 2.0
"""So many times as much may colour and light differ where the catalogue says that both are one variant."""

NOT_MEASURED: Final = -1

REASONS: Final = (
    "the same file",
    "the same pixels",
    "one photograph: shape, light and colour agree",
    "one photograph in other colours",
    "one image shows the other several times",
    "one image shows a part of the other",
    "the score alone: the images do not agree in shape",
    "the images do not agree in shape",
    "the score alone: an image could not be compared",
    "the score alone: not among a product's best pairs",
    "the score alone: images are not verified",
    "the score is too low",
    "colours differ",
    "a person has said so",
)
(
    SAME_FILE,
    SAME_PIXELS,
    ONE_PHOTOGRAPH,
    OTHER_COLOURS,
    SEVERAL,
    A_PART,
    ONLY_SCORE,
    NO_SHAPE,
    NOT_COMPARED,
    NOT_AMONG_BEST,
    NOT_VERIFIED,
    LOW_SCORE,
    COLOURS_DIFFER,
    JUDGED_BY_A_PERSON,
) = range(len(REASONS))

_MARGINS: Final = (0.0, 0.2, 0.5, 1.0)
_RIGHT: Final = (0.94, 0.96, 0.985, 0.995)
"""Of pairs found the same photograph, how many were, by how far the nearest threshold is away."""
_RECOLOURED_RIGHT: Final = 0.07
_ALIKE_RIGHT: Final = 0.02


class Measure(NamedTuple):
    """What was measured of two images.

    Attributes:
        inliers: Places at which they agree under one map; `NOT_MEASURED` where they could not be compared.
        repeated: Places at which one shows the other once more.
        overlap: The smaller of the shares of their features that lie on the other one.
        agreement: Share of the structure that agrees.
        colour: Difference of colour once one light is taken from both; NaN where it decides nothing: where
            the structure does not agree, in a detail, and in a pack of several.
        light: Difference of lightness likewise.
        mirrored: 1 where one is mirrored.
    """

    inliers: int
    repeated: int
    overlap: float
    agreement: float
    colour: float
    light: float
    mirrored: float


NOTHING_AGREES: Final = Measure(0, 0, np.nan, np.nan, np.nan, np.nan, 0.0)


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured of pairs; arrays of one length, by the attributes of `Measure`."""

    inliers: NDArray[np.int32]
    repeated: NDArray[np.int32]
    overlap: NDArray[np.float64]
    agreement: NDArray[np.float64]
    colour: NDArray[np.float64]
    light: NDArray[np.float64]
    mirrored: NDArray[np.float64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which pairs were measured."""
        return np.asarray(self.inliers != NOT_MEASURED)

    @property
    def margin(self) -> NDArray[np.float64]:
        """How far the nearest threshold is away, 0 to 1, for pairs that pass all of them."""
        slack = np.stack(
            (
                (self.inliers - FEWEST_INLIERS + 1) / 20,
                (self.overlap - LEAST_OVERLAP) / 0.2,
                (self.agreement - LEAST_AGREEMENT) / 0.2,
                (MOST_COLOUR - self.colour) / (_CLEAR * MOST_COLOUR),
                (MOST_LIGHT - self.light) / (_CLEAR * MOST_LIGHT),
            )
        )
        return np.asarray(np.clip(slack.min(axis=0), 0, 1))

    def part(self, some: slice) -> Measures:
        """Those of some pairs."""
        return Measures(*(getattr(self, name)[some] for name in Measure._fields))

    def put(self, at: NDArray[np.integer[Any]] | slice, found: Measures) -> None:
        """Take over what was measured of some pairs."""
        for name in Measure._fields:
            getattr(self, name)[at] = getattr(found, name)


def nothing_measured(count: int) -> Measures:
    """Of so many pairs none was measured; not to be written to."""
    missing, none = np.broadcast_to(np.int32(NOT_MEASURED), count), np.broadcast_to(np.int32(0), count)
    real = np.broadcast_to(np.float64(np.nan), count)
    return Measures(missing, none, real, real, real, real, real)


def to_be_measured(count: int, room: Room) -> Measures:
    """Of so many pairs none was measured yet.

    Raises:
        OutputError: The disk refuses.
    """
    return Measures(
        room.array(count, np.int32, NOT_MEASURED),
        room.array(count, np.int32, 0),
        *(room.array(count, np.float64, np.nan) for _ in Measure._fields[2:]),
    )


def measured(found: Sequence[Measure] | NDArray[np.float64]) -> Measures:
    """Measures of single pairs as arrays; of each a `Measure`, or a row with its numbers."""
    table = np.asarray(found, np.float64).reshape(-1, len(Measure._fields))
    inliers, repeated, *reals = table.T
    return Measures(inliers.astype(np.int32), repeated.astype(np.int32), *reals)


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of pairs; arrays of one length.

    Attributes:
        verdict: Place in `VERDICTS`.
        reason: Place in `REASONS`.
        confidence: How sure it is that they are the same, 0 to 1.
    """

    verdict: NDArray[np.int8]
    reason: NDArray[np.int8]
    confidence: NDArray[np.float64]


def said_of(
    measures: Measures,
    reaches: NDArray[np.bool_],
    score: NDArray[np.float64],
    one_variant: NDArray[np.bool_] | None = None,
) -> Said:
    """What images say of pairs that were measured; of the others only what their score says.

    Args:
        measures: What was measured.
        reaches: Whether the pair's score reaches its threshold.
        score: 0 to 1.
        one_variant: Whether the catalogue says that the two are no variants of each other; None for never.
    """
    count = len(reaches)
    allowed = np.ones(count) if one_variant is None else np.where(one_variant, ONE_VARIANT, 1.0)
    verdict = np.where(reaches, ALIKE, DIFFERS).astype(np.int8)
    reason = np.where(reaches, NOT_COMPARED, LOW_SCORE).astype(np.int8)
    known = measures.known
    shaped = known & (measures.inliers >= FEWEST_INLIERS) & (measures.agreement >= LEAST_AGREEMENT)
    reason[known & ~shaped] = np.where(reaches[known & ~shaped], ONLY_SCORE, NO_SHAPE)
    several = shaped & (measures.repeated > MOST_REPEATED)
    part = shaped & ~several & (measures.overlap < LEAST_OVERLAP)
    whole = shaped & ~several & ~part
    same = whole & (measures.colour < MOST_COLOUR * allowed) & (measures.light < MOST_LIGHT * allowed)
    for which, what, why in (
        (several, ALIKE, SEVERAL),
        (part, ALIKE, A_PART),
        (whole & ~same, RECOLOURED, OTHER_COLOURS),
        (same, SAME_PHOTO, ONE_PHOTOGRAPH),
    ):
        verdict[which], reason[which] = what, why
    confidence = np.zeros(count)
    # The nearer the score is to 1, the more a pair is worth a look.
    shown = np.clip(score, 0, 1)
    confidence[verdict == ALIKE] = (_ALIKE_RIGHT * (1 + shown))[verdict == ALIKE]
    confidence[verdict == RECOLOURED] = (_RECOLOURED_RIGHT * (1 + shown))[verdict == RECOLOURED]
    confidence[same] = np.interp(measures.margin[same], _MARGINS, _RIGHT)
    return Said(verdict, reason, confidence)
