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
    from collections.abc import Iterable, Iterator, Mapping

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


@dataclass(frozen=True, slots=True)
class DecisionNumber:
    """A number behind a decision.

    Attributes:
        words: The number and its limit.
        misses: It is on the wrong side of its limit.
    """

    words: str
    misses: bool


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


def decision_of(
    pair: Mapping[str, Any], limits: DecisionLimits, found: Iterable[DecisionNumber] | None = None
) -> str:
    """What was decided, why, by which numbers: `not accepted: recoloured, distance 0.71, limit 0.55`.

    Of a pair that was not accepted those are the numbers that miss their limits; the score where none does.

    Args:
        pair: The pair.
        limits: What its numbers are held against.
        found: They, where they are made already.
    """
    decided = "accepted" if pair["accepted"] else "not accepted"
    if pair["judged"] is not None:
        return f"{decided}: a person has said {pair['judged']}"
    reason = reason_of(pair)
    verdict = str(pair["verdict"]).replace("_", " ") if pair["verdict"] else ""
    why = f"{verdict}, {reason}" if verdict and verdict not in reason else reason
    first: str | None = None
    missing: list[str] = []
    for number in _numbers(pair, limits) if found is None else found:
        first = first or number.words
        if pair["accepted"]:
            break
        if number.misses:
            missing.append(number.words)
    told = missing or ([] if first is None else [first])
    return "; ".join((f"{decided}: {why}", *told))


def numbers_of(pair: Mapping[str, Any], limits: DecisionLimits) -> list[DecisionNumber]:
    """The numbers behind a decision, the score first."""
    return [*_numbers(pair, limits)]


def _numbers(pair: Mapping[str, Any], limits: DecisionLimits) -> Iterator[DecisionNumber]:
    score, needed = _number(pair, "score"), _number(pair, "threshold")
    if score is not None and needed is not None:
        yield DecisionNumber(f"score {score:.3f}, needed {needed:.3f}", misses=score < needed)
    yield from _at_most(pair, "colour_distance", "colours: distance {:.2f}", limits.colours, ".2f")
    yield from _least(pair, "inliers", "{:.0f} places agree in shape", FEWEST_INLIERS, ".0f")
    yield from _least(pair, "overlap", "{:.0%} in common", LEAST_OVERLAP, ".0%")
    yield from _least(pair, "agreement", "{:.0%} of the structure agrees", LEAST_AGREEMENT, ".0%")
    for name, words, most in (
        ("colour_shift", "colour differs by {:.1f}", MOST_COLOUR),
        ("light_shift", "light differs by {:.1f}", MOST_LIGHT),
    ):
        yield from _at_most(pair, name, words, _allowed(pair, name, most), "g")
    if pair.get("mirrored"):
        yield DecisionNumber("one is the other's mirror image", misses=False)
    confidence = _number(pair, "confidence")
    if confidence is not None and pair["verdict"] is not None:
        yield DecisionNumber(f"confidence {confidence:.2f}", misses=False)


def _least(
    pair: Mapping[str, Any], name: str, words: str, least: float, how: str
) -> Iterator[DecisionNumber]:
    value = _number(pair, name)
    if value is not None and value >= 0:
        yield DecisionNumber(f"{words.format(value)}, at least {least:{how}} needed", misses=value < least)


def _at_most(
    pair: Mapping[str, Any], name: str, words: str, most: float | None, how: str
) -> Iterator[DecisionNumber]:
    value = _number(pair, name)
    if value is not None:
        limit = "" if most is None else f", limit {most:{how}}"
        yield DecisionNumber(f"{words.format(value)}{limit}", misses=most is not None and value > most)


def _allowed(pair: Mapping[str, Any], name: str, most: float) -> float:
    """The limit that held: twice as much where the catalogue says that both are one variant."""
    value = _number(pair, name)
    return most * ONE_VARIANT if value is not None and value > most and pair["accepted"] else most


def _number(pair: Mapping[str, Any], name: str) -> float | None:
    value = pair.get(name)
    return float(value) if isinstance(value, int | float) and value == value else None  # noqa: PLR0124 - NaN
