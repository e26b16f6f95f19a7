"""What one search asks for, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import ConfigError
from batchsearch.exit_codes import ExitCode
from batchsearch.service.codes.lookup import advice_on
from batchsearch.service.facts import DEFAULT_NUM, MAX_NUM, MAX_RESULTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.engine.rows.pending_row import Failure
    from batchsearch.images.outcome import ImageFacts

BY_IMAGE: Final = "SearchImageByPic"
BY_NAME: Final = "SearchImageByName"
BY_TEXT: Final = "SearchImageByText"
BY_FILTER: Final = "SearchImageByFilter"

_EXIT_CODES: Final[Mapping[str, ExitCode]] = {
    "image": ExitCode.TOO_MANY_FAILED,
    "row": ExitCode.BAD_CONFIG,
    "job": ExitCode.BAD_CONFIG,
    "account": ExitCode.ENDED,
    "service": ExitCode.INCOMPLETE,
    "network": ExitCode.INCOMPLETE,
}
"""What the command ends with, by who can mend the failure."""
_ANSWERED: Final[Mapping[str, ExitCode]] = {
    # What was asked for could be asked, and was answered with no.
    "row": ExitCode.TOO_MANY_FAILED,
    # No search of this job can be answered, as a run would say.
    "job": ExitCode.ENDED,
}
"""The same, where it was the service that said so."""


@dataclass(frozen=True, slots=True)
class Query:
    """One search.

    Attributes:
        image: A path, an address, or `-` for stdin. Without image, name and text the filter alone is asked.
        name: Product id and name of an image that the instance has.
        text: Words that say what is looked for.
        num: Hits wanted; what the job says, or as many as the service gives unasked, when None.
        start: Hits left out before them.
        parameters: Other parameters of the operation, by snake_case name; they win over the job's.
        instance: Which of the job's instances; the first one when None.
    """

    image: str | None = None
    name: tuple[str, str] | None = None
    text: str | None = None
    num: int | None = None
    start: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    instance: str | None = None

    @property
    def operation(self) -> str:
        """The operation that answers it."""
        if self.image is not None:
            return BY_IMAGE
        if self.name is not None:
            return BY_NAME
        return BY_FILTER if self.text is None else BY_TEXT

    def wanted(self, of_job: Mapping[str, Any]) -> tuple[int | None, dict[str, Any]]:
        """Results over several pages (None for one), and the parameters that say which.

        Args:
            of_job: The job's own parameters.

        Raises:
            ConfigError: More is asked for than one search can bring.
        """
        start = of_job.get("start", 0) if self.start is None else self.start
        num = of_job.get("num", DEFAULT_NUM) if self.num is None else self.num
        if self.num is None and self.start is None:
            return None, {"num": num, "start": start}
        if isinstance(num, int) and isinstance(start, int):
            if num + start > MAX_RESULTS:
                raise ConfigError(
                    f"--num {num} and --start {start} ask for more than the first {MAX_RESULTS} hits, and "
                    "the service gives no more"
                )
            if num > MAX_NUM and start:
                raise ConfigError(
                    f"--num {num} takes several calls, which begin at the first hit: leave out --start"
                )
            if num > MAX_NUM:
                return num, {}
        return None, {"num": num, "start": start}


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one search.

    Attributes:
        query: What was asked.
        instance: The instance's name.
        shown: What the image is called, for people; nothing secret.
        source: The image as it came; None where it was not looked at.
        sent: The image as it went.
        transforms: What was done to it, in order.
        fields: What the answer says beside its hits, by column of `results`.
        hits: By column of `hits`, the best first.
        failure: Why there is no answer; None when there is one.
        calls: How many calls were made.
        seconds: From the first to the last of them.
        request_id: The service's id of the last answer.
    """

    query: Query
    instance: str
    shown: str
    source: ImageFacts | None = None
    sent: ImageFacts | None = None
    transforms: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    hits: Sequence[Mapping[str, Any]] = ()
    failure: Failure | None = None
    calls: int = 0
    seconds: float = 0.0
    request_id: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with: by who can mend a failure; without hits, too, it was answered."""
        if self.failure is None:
            return ExitCode.DONE
        if self.failure.origin == "api" and self.failure.owner in _ANSWERED:
            return _ANSWERED[self.failure.owner]
        return _EXIT_CODES.get(self.failure.owner, ExitCode.TOO_MANY_FAILED)

    @property
    def advice(self) -> str:
        """What to do about a failure; empty without one."""
        return "" if self.failure is None else advice_on(self.failure.code)

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        told: dict[str, Any] = {
            "exit_code": int(self.exit_code),
            "operation": self.query.operation,
            "instance": self.instance,
            "query": self.shown,
            "image": self._image(),
            "category_id": self.fields.get("pic_category_id"),
            "region": self.fields.get("pic_region"),
            "regions": self.fields.get("multi_region") or [],
            "hits": [dict(hit) for hit in self.hits],
            "calls": self.calls,
            "seconds": round(self.seconds, 3),
            "request_id": self.request_id,
            "error": None,
        }
        if self.failure is not None:
            told["error"] = {
                "code": self.failure.code,
                "origin": self.failure.origin,
                "owner": self.failure.owner,
                "message": self.failure.message,
                "advice": self.advice,
            }
        return told

    def _image(self) -> dict[str, Any] | None:
        if self.source is None:
            return None
        facts = {name: asdict(each) for name, each in (("source", self.source), ("sent", self.sent)) if each}
        return {**facts, "transforms": list(self.transforms)}
