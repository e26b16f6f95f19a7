"""One question that was asked, with its answer as it came: what pages show and the history keeps (pure)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from batchsearch.console.wording import say
from batchsearch.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class AskedImage:
    """An image that a question was about.

    Attributes:
        sha256: Of the file as it came.
        name: What it is called, for people.
        width: Of the image sent, pixels.
        height: Likewise.
        bytes: Of the image sent.
        format: Of the image sent.
        transforms: What was done to it before.
        sent_sha256: Of the file as it went.
    """

    sha256: str
    name: str
    width: int
    height: int
    bytes: int
    format: str
    transforms: tuple[str, ...]
    sent_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question and its answer.

    Attributes:
        id: Names it in addresses and files.
        at: When it was asked, UTC.
        instance: Name of the instance.
        operation: The operation.
        values: Its parameters as they were sent.
        entered: The same as they were entered.
        images: What it was about.
        calls: How many calls it took.
        latency: Seconds of the last of them.
        waited: Seconds from asking to the end of the answer.
        status: HTTP status; None where no answer came.
        code: Error code; None for success.
        origin: Who gives the code: `api`, `transport` or `local`.
        message: The refusal's own words.
        request_id: The service's id of the answer.
        body: The answer as it came.
        title: What somebody has named it.
        pinned: Somebody wants to keep it.
    """

    id: str
    at: datetime
    instance: str
    operation: str
    values: Mapping[str, Any] = field(default_factory=dict)
    entered: Mapping[str, str] = field(default_factory=dict)
    images: tuple[AskedImage, ...] = ()
    calls: int = 0
    latency: float = 0.0
    waited: float = 0.0
    status: int | None = None
    code: str | None = None
    origin: str | None = None
    message: str | None = None
    request_id: str | None = None
    body: str = ""
    title: str = ""
    pinned: bool = False

    @property
    def digest(self) -> str:
        """The same for equal questions."""
        return digest_of_question(
            self.instance, self.operation, self.values, [image.sent_sha256 for image in self.images]
        )

    @property
    def content(self) -> dict[str, Any] | None:
        """The answer as a JSON object; None where it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    @property
    def about(self) -> str:
        """What it was about, for people."""
        if self.title:
            return self.title
        if self.images:
            return say("history.and").join(image.name for image in self.images)
        named = [str(self.values[key]) for key in ("product_id", "pic_name") if key in self.values]
        asked = [str(self.values[key]) for key in ("text", "filter") if key in self.values]
        return " / ".join(named or asked) or self.operation

    def to_json(self) -> str:
        """As the history keeps it; without what might be a secret."""
        told = {**asdict(self), "at": self.at.isoformat()}
        return redacted(json.dumps(told, ensure_ascii=False))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote; raises ValueError for anything else."""
        try:
            told = json.loads(text)
            names = {each.name for each in fields(cls)}
            known = {name: value for name, value in told.items() if name in names}
            known["at"] = datetime.fromisoformat(known["at"]).astimezone(UTC)
            known["images"] = tuple(
                AskedImage(**{**image, "transforms": tuple(image["transforms"])}) for image in known["images"]
            )
            return cls(**known)
        except (TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError("is no entry of the history") from error


def digest_of_question(
    instance: str, operation: str, values: Mapping[str, Any], images: Sequence[str]
) -> str:
    """Names a question: the same for equal ones."""
    told = json.dumps([instance, operation, dict(sorted(values.items())), list(images)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def titled(text: str) -> str:
    """A name that somebody has given, on one line and not too long."""
    return " ".join(text.split())[:_LONGEST_NAME]
