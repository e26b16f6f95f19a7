"""The job file's `notify` section: who is told how a run ended."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from batchsearch.config.sections.section import Settings
from batchsearch.config.shape import ONE_OR_MANY
from batchsearch.nearest import did_you_mean
from batchsearch.proxies import is_web_address

NotifyKind = Literal["done", "incomplete", "failed"]
"""How a run ended: all done; stopped before the end, resumable; or failed in any way."""

KINDS: Final[tuple[str, ...]] = get_args(NotifyKind)

NOTIFY_VARIABLE: Final = "BATCHSEARCH_NOTIFY_URL"
"""Variable with the webhook's address, where that is a secret; it wins over the job file."""

_LONGEST_PLAIN: Final = 20


class NotifySettings(Settings):
    """Who is told how a run ended: a webhook, by one POST of JSON."""

    webhook: str | None = Field(
        None,
        description="Address to POST the summary to, `https://host/path`. One that holds a secret, as those "
        "of chats do, belongs into the environment: BATCHSEARCH_NOTIFY_URL.",
    )
    when: Annotated[tuple[str, ...], ONE_OR_MANY] = Field(
        KINDS,
        min_length=1,
        description="Which endings are told: `done` (exit code 0), `incomplete` (4), `failed` (any other).",
    )
    timeout: float = Field(10.0, gt=0, le=60, description="Seconds for one attempt.")
    attempts: int = Field(3, ge=1, le=10, description="Most attempts; the run's outcome stands either way.")

    @field_validator("when")
    @classmethod
    def _known_kinds(cls, when: tuple[str, ...]) -> tuple[str, ...]:
        for kind in when:
            if kind not in KINDS:
                listed = ", ".join(KINDS)
                raise ValueError(f"{kind[:40]!r} is no way to end ({listed}){did_you_mean(kind, KINDS)}")
        return when

    @field_validator("webhook")
    @classmethod
    def _no_secret_in_it(cls, webhook: str | None) -> str | None:
        if webhook is None:
            return None
        check_webhook(webhook)
        parts = urlsplit(webhook)
        if parts.query or parts.fragment or "@" in parts.netloc or _looks_secret(parts.path):
            raise ValueError(
                f"seems to hold a secret; give this address in the environment, {NOTIFY_VARIABLE}"
            )
        return webhook


def check_webhook(address: str) -> None:
    """Raises ValueError, without quoting it, if this is no `http` or `https` address."""
    if not is_web_address(address):
        raise ValueError("must be an address, `https://host/path`")


def _looks_secret(path: str) -> bool:
    """Whether a part of a path is long and mixed as only keys are."""
    return any(
        len(part) >= _LONGEST_PLAIN and any(sign.isdigit() for sign in part) for part in path.split("/")
    )
