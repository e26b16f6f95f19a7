"""Faults on demand: which request is harmed, and how, decided from a plan and a seed.

A plan is a list of rules, tried in order for every request that flow control granted. Each rule that fits and
fires either delays the answer (delays add up) or harms it (the first one wins). Every rule draws from its own
seeded random numbers, so one rule's luck does not depend on another's.

Nothing here does I/O: `delivery` carries the decision out.
"""

from __future__ import annotations

import dataclasses
import math
import random
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Latency:
    """The answer is held back.

    Attributes:
        kind: `constant` (`seconds`), `uniform` (`seconds` to `high`), `exponential` (mean `seconds`) or
            `lognormal` (median `seconds`, shape `sigma`).
        seconds: See `kind`.
        high: Upper end of `uniform`, seconds.
        sigma: Shape of `lognormal`.
        cap: No delay is longer, seconds.
    """

    kind: Literal["constant", "uniform", "exponential", "lognormal"] = "constant"
    seconds: float = 0.1
    high: float = 1.0
    sigma: float = 0.5
    cap: float = 60.0

    def draw(self, chance: random.Random) -> float:
        """One delay, seconds."""
        match self.kind:
            case "constant":
                delay = self.seconds
            case "uniform":
                delay = chance.uniform(self.seconds, self.high)
            case "exponential":
                delay = chance.expovariate(1.0 / self.seconds) if self.seconds > 0 else 0.0
            case "lognormal":
                delay = self.seconds * math.exp(chance.gauss(0.0, self.sigma))
        return min(max(delay, 0.0), self.cap)


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """The answer is an error.

    Attributes:
        code: The vendor's code; status and message follow from it.
        status: Another HTTP status than the documented one.
        retry_after: Seconds to announce in `x-acs-retry-after`.
        handled: The operation is carried out all the same, and only its answer is lost.
    """

    code: str = "UnknownException"
    status: int | None = None
    retry_after: float | None = None
    handled: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset instead of an answer; `handled`: after the operation was carried out."""

    handled: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """No answer for `seconds`, then the connection ends; `handled`: the operation was carried out."""

    seconds: float = 60.0
    handled: bool = False


@dataclass(frozen=True, slots=True)
class Truncate:
    """The announced length is right, but the body ends after `share` of it, and so does the connection."""

    share: float = 0.5
    handled: Literal[True] = True


@dataclass(frozen=True, slots=True)
class NotJson:
    """A page of some proxy instead of an answer.

    Attributes:
        status: HTTP status.
        body: Its text.
        content_type: Its type.
        handled: The operation is carried out all the same.
    """

    status: int = 502
    body: str = "<html><body><h1>502 Bad Gateway</h1></body></html>"
    content_type: str = "text/html"
    handled: bool = False


@dataclass(frozen=True, slots=True)
class WrongTypes:
    """Fields of a success are replaced.

    Attributes:
        fields: New values by dotted path; `*` stands for every entry of a list. The value `"<absent>"`
            removes the field.
    """

    fields: Mapping[str, Any] = dataclasses.field(
        default_factory=lambda: MappingProxyType(
            {
                "Auctions.*.Score": "0.5",
                "Auctions.*.IntAttr": "12",
                "Head.DocsFound": "many",
                "PicInfo.Region": None,
                "PicInfo.MultiRegion": None,
                "Score": "0.5",
                "Unexpected": {"Field": [1, 2]},
            }
        )
    )
    handled: Literal[True] = True


@dataclass(frozen=True, slots=True)
class InBodyFailure:
    """HTTP 200 with `Success: false`, a non-zero `Code` and no result."""

    number: int = 1
    message: str = "The request failed."
    handled: bool = False


Harm = ErrorAnswer | Reset | Stall | Truncate | NotJson | WrongTypes | InBodyFailure
KINDS: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {
        "latency": Latency,
        "error": ErrorAnswer,
        "reset": Reset,
        "stall": Stall,
        "truncate": Truncate,
        "not_json": NotJson,
        "wrong_types": WrongTypes,
        "in_body_failure": InBodyFailure,
    }
)
_KIND_OF: Final = MappingProxyType({kind: name for name, kind in KINDS.items()})
ABSENT: Final = "<absent>"


@dataclass(frozen=True, slots=True)
class FaultRule:
    """When a fault happens.

    Attributes:
        effect: What happens.
        operations: Only these operations; empty for all. The object upload is called `PostObject`,
            the download of what a task left behind `GetObject`.
        instances: Only these instances; empty for all.
        probability: Chance of each fitting request, 0 to 1.
        skip: The first so many fitting requests are spared.
        times: It fires at most so often; None for no limit.
        calls: Only these fitting requests, counted from 1; empty for all.
    """

    effect: Latency | Harm
    operations: frozenset[str] = frozenset()
    instances: frozenset[str] = frozenset()
    probability: float = 1.0
    skip: int = 0
    times: int | None = None
    calls: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """All rules, and the seed of their luck."""

    rules: tuple[FaultRule, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one request.

    Attributes:
        delay: Seconds that the answer is held back.
        harm: What is done to it, or None.
    """

    delay: float = 0.0
    harm: Harm | None = None

    @property
    def name(self) -> str | None:
        """For the request log: the kind of harm, `latency`, or None."""
        if self.harm is not None:
            return _KIND_OF[type(self.harm)]
        return "latency" if self.delay else None


class Faults:
    """Applies a plan to one request after another."""

    def __init__(self, plan: FaultPlan) -> None:
        self._rules = [
            (rule, random.Random(f"{plan.seed}/{index}"))  # noqa: S311 - repeatable, not secret
            for index, rule in enumerate(plan.rules)
        ]
        self._fitted = [0] * len(plan.rules)
        self._fired = [0] * len(plan.rules)

    def decide(self, operation: str, instance: str | None) -> Decision:
        """What happens to the next request of `operation` on `instance`."""
        delay, harm = 0.0, None
        for index, (rule, chance) in enumerate(self._rules):
            if rule.operations and operation not in rule.operations:
                continue
            if rule.instances and instance not in rule.instances:
                continue
            self._fitted[index] += 1
            # The number is drawn in any case: a limit must not shift the luck of later requests.
            lucky = chance.random() < rule.probability
            if not lucky or not self._due(index, rule):
                continue
            if isinstance(rule.effect, Latency):
                delay += rule.effect.draw(chance)
            elif harm is None:
                harm = rule.effect
            else:
                continue
            self._fired[index] += 1
        return Decision(delay, harm)

    def _due(self, index: int, rule: FaultRule) -> bool:
        number = self._fitted[index]
        if rule.calls and number not in rule.calls:
            return False
        return number > rule.skip and (rule.times is None or self._fired[index] < rule.times)


def parse_plan(value: Mapping[str, Any]) -> FaultPlan:
    """A plan from plain data, as a YAML or JSON file gives it.

    Shape: `{seed: 7, rules: [{error: {code: DeniedRequest}, operations: [SearchImageByPic], probability:
        0.1},
    {latency: {kind: lognormal, seconds: 0.2}}]}`; each rule has exactly one effect, named as in `KINDS`.

    Raises:
        ValueError: names the rule and what is wrong with it.
    """
    unknown = value.keys() - {"seed", "rules"}
    if unknown:
        raise ValueError(f"faults: unknown {min(unknown)!r}; known are seed and rules")
    rules = value.get("rules") or ()
    if not isinstance(rules, list | tuple):
        raise ValueError("faults: rules must be a list")  # noqa: TRY004 - one kind of error for one file
    return FaultPlan(
        tuple(_parse_rule(number, rule) for number, rule in enumerate(rules, start=1)),
        int(value.get("seed", 0)),
    )


def _parse_rule(number: int, value: Any) -> FaultRule:
    where = f"faults: rule {number}"
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a mapping")  # noqa: TRY004 - as above
    effects = sorted(value.keys() & KINDS.keys())
    if len(effects) != 1:
        raise ValueError(f"{where} needs exactly one of {', '.join(KINDS)}")
    settings = {name: entry for name, entry in value.items() if name not in KINDS}
    for name in ("operations", "instances", "calls"):
        if name in settings:
            settings[name] = frozenset(settings[name])
    effect = _build(f"{where}, {effects[0]}", KINDS[effects[0]], value[effects[0]] or {})
    rule: FaultRule = _build(where, FaultRule, {"effect": effect, **settings})
    if not 0 <= rule.probability <= 1:
        raise ValueError(f"{where}: probability must be from 0 to 1, not {rule.probability}")
    return rule


def _build(where: str, kind: type[Any], settings: Any) -> Any:
    known = {entry.name for entry in dataclasses.fields(kind)}
    if not isinstance(settings, dict):
        raise ValueError(f"{where} must be a mapping of {', '.join(sorted(known))}")  # noqa: TRY004 - as above
    unknown = settings.keys() - known
    if unknown:
        raise ValueError(f"{where}: unknown {min(unknown)!r}; known are {', '.join(sorted(known))}")
    return kind(**settings)


def with_wrong_types(value: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an answer with fields replaced; paths that lead nowhere in a nested part are passed over.

    A path of one name is set even where the answer has no such field: unexpected fields are made this way.
    """
    changed: dict[str, Any] = _copy(value)
    for path, replacement in fields.items():
        _replace(changed, path.split("."), replacement)
    return changed


def _copy(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_copy(entry) for entry in value]
    if isinstance(value, dict) or hasattr(value, "items"):
        return {name: _copy(entry) for name, entry in value.items()}
    return value


def _replace(value: Any, path: list[str], replacement: Any) -> None:
    name, *rest = path
    if name == "*" and isinstance(value, list):
        for entry in value:
            if rest:
                _replace(entry, rest, replacement)
    elif isinstance(value, dict):
        if rest:
            _replace(value.get(name), rest, replacement)
        elif replacement == ABSENT:
            value.pop(name, None)
        else:
            value[name] = replacement
