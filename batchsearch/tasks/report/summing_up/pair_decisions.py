"""Why a pair of products was accepted or not, in words with the numbers behind it and their limits (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from batchsearch.tasks.dedup.clusters.verdicts import (
    FEWEST_INLIERS,
    LEAST_AGREEMENT,
    LEAST_OVERLAP,
    MOST_COLOUR,
    MOST_LIGHT,
    ONE_VARIANT,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

FOR_PEOPLE: Final = ("recoloured", "alike")
"""Verdicts that leave the decision to people."""

_HIGH, _LOW, _NOT_MUTUAL, _NO_SCORE = (
    "the score is high enough",
    "the score is too low",
    "not among each other's best",
    "found without a score",
)


@dataclass(frozen=True, slots=True)
class DecisionLimits:
    """Limits that hold for all pairs of a night.

    Attributes:
        colours: How far apart colours may be, 0 to 1; None where colours do not decide.
    """

    colours: float | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> DecisionLimits:
        """Those that a night's record names."""
        settings = record.get("settings")
        colours = settings.get("colours") if isinstance(settings, dict) else None
        return cls(float(colours) if isinstance(colours, int | float) else None)


def is_open(pair: Mapping[str, Any]) -> bool:
    """Whether a pair is left to people and nobody has decided it."""
    return pair["verdict"] in FOR_PEOPLE and not pair["accepted"] and pair["judged"] is None


def reason_of(pair: Mapping[str, Any]) -> str:
    """Why a pair was decided as it was: the night's own words, or by its score where it wrote none."""
    if pair["judged"] is not None:
        return "a person has said so"
    if pair["reason"]:
        return str(pair["reason"])
    if pair["score"] is None or pair["threshold"] is None:
        return _NO_SCORE
    if pair["score"] < pair["threshold"] and not pair["accepted"]:
        return _LOW
    return _HIGH if pair["accepted"] else _NOT_MUTUAL


def decision_of(pair: Mapping[str, Any], limits: DecisionLimits) -> str:
    """What was decided, why, and by which numbers: `not accepted: recoloured, distance 0.71, limit 0.55`."""
    decided = "accepted" if pair["accepted"] else "not accepted"
    reason = reason_of(pair)
    if pair["judged"] is not None:
        return f"{decided}: a person has said {pair['judged']}"
    verdict = str(pair["verdict"]).replace("_", " ") if pair["verdict"] else ""
    why = f"{verdict}, {reason}" if verdict and verdict not in reason else reason
    return "; ".join((f"{decided}: {why}", *numbers_of(pair, limits)))


def numbers_of(pair: Mapping[str, Any], limits: DecisionLimits) -> list[str]:
    """The numbers behind a decision, each with the limit that it is held against."""
    said = []
    score, needed = _number(pair, "score"), _number(pair, "threshold")
    if score is not None and needed is not None:
        said.append(f"score {score:.3f}, needed {needed:.3f}")
    apart = _number(pair, "colour_distance")
    if apart is not None:
        limit = "" if limits.colours is None else f", limit {limits.colours:.2f}"
        said.append(f"colours: distance {apart:.2f}{limit}")
    inliers = _number(pair, "inliers")
    if inliers is not None and inliers >= 0:
        said.append(f"{inliers:.0f} places agree in shape, at least {FEWEST_INLIERS} needed")
    for name, what, least in (
        ("overlap", "in common", LEAST_OVERLAP),
        ("agreement", "of the structure agrees", LEAST_AGREEMENT),
    ):
        value = _number(pair, name)
        if value is not None:
            said.append(f"{value:.0%} {what}, at least {least:.0%} needed")
    for name, what, most in (("colour_shift", "colour", MOST_COLOUR), ("light_shift", "light", MOST_LIGHT)):
        value = _number(pair, name)
        if value is not None:
            allowed = most * ONE_VARIANT if value > most and pair["accepted"] else most
            said.append(f"{what} differs by {value:.1f}, limit {allowed:g}")
    if pair.get("mirrored"):
        said.append("one is the other's mirror image")
    confidence = _number(pair, "confidence")
    if confidence is not None and pair["verdict"] is not None:
        said.append(f"confidence {confidence:.2f}")
    return said


def _number(pair: Mapping[str, Any], name: str) -> float | None:
    value = pair.get(name)
    return float(value) if isinstance(value, int | float) and value == value else None  # noqa: PLR0124 - NaN
