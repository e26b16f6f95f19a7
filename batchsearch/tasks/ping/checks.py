"""What is checked of an instance, and what each answer means for it (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from batchsearch.exit_codes import ExitCode
from batchsearch.service.codes.lookup import code_for
from batchsearch.service.facts import CAPACITY_UNIT, SERVICE_TYPES
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.service.client import Answer
    from batchsearch.service.credentials import Credentials
    from batchsearch.service.responses import InstanceFacts

State = Literal["ok", "warn", "fail", "unknown"]

NAMES: Final = ("credentials", "endpoint", "clock", "instance", "rate")
"""The checks, in the order in which they are made: what fails leaves those after it unknown."""

_OF_CREDENTIALS: Final = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "InvalidSecurityToken",
    "MissingSecurityToken",
    "MissingAccessKeyId",
)
_OF_CLOCK: Final = "InvalidTimeStamp"
_DENIED: Final = ("NoPermission", "Console.NoPermission", "Forbidden")
_REFUSED_FROM: Final = 15 * 60.0
"""The service refuses a request that is further from its clock, seconds (pages on signatures)."""
_APART: Final = 60.0
"""A clock this far off is worth mending, seconds."""
_NEARLY_FULL: Final = 0.95
_SOON: Final = timedelta(days=30)
_ADDS: Final = "AddImage"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: One of `NAMES`.
        state: `ok`; `warn`: it works, but look at it; `fail`: a job would not work, or not as it says;
            `unknown`: could not be found out.
        said: What was found, one sentence.
        advice: What to do about it; empty when there is nothing to do.
        exit_code: What the command ends with because of it.
    """

    name: str
    state: State
    said: str
    advice: str = ""
    exit_code: ExitCode = ExitCode.DONE

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {"check": self.name, "state": self.state, "said": self.said, "advice": self.advice}


def passed(name: str, said: str) -> Check:
    """A check that found what it should."""
    return Check(name, "ok", said)


def unknown(name: str, why: str) -> Check:
    """A check that could not be made."""
    return Check(name, "unknown", f"not checked: {why}")


def of_credentials(credentials: Credentials) -> Check:
    """What was found to sign with; only the id is shown."""
    kind = "a temporary key" if credentials.security_token is not None else "an access key"
    return passed("credentials", f"{kind}, {credentials.access_key_id}, from {credentials.source}")


def without_credentials(why: str) -> Check:
    """There is nothing to sign with."""
    first, _, rest = why.partition("\n")
    advice = "set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET"
    looked = " | ".join(line.strip() for line in rest.splitlines())
    return Check("credentials", "fail", f"{first} {looked}".strip(), advice, ExitCode.BAD_CONFIG)


def failed_by(answer: Answer) -> Check | None:
    """What an unsuccessful answer to `Detail` is about; None for a successful one."""
    if answer.code is None:
        return None
    entry = code_for(answer.code, answer.http_status)
    said = f"{answer.code}: {answer.message or entry.meaning}"
    if answer.request_id:
        said += f" (request id {answer.request_id})"
    if answer.origin == "transport":
        return Check("endpoint", "fail", said, entry.advice, ExitCode.INCOMPLETE)
    if answer.code.startswith(_OF_CREDENTIALS):
        return Check("credentials", "fail", said, entry.advice, ExitCode.ENDED)
    if answer.code.startswith(_OF_CLOCK):
        return Check("clock", "fail", said, entry.advice, ExitCode.ENDED)
    advice = entry.advice
    if answer.code.startswith(_DENIED):
        advice = (
            "allow this key the operation Detail (`imagesearch:Detail`); the job's own operation may be "
            f"allowed all the same. {entry.advice}"
        )
    passes = entry.owner == "service"
    return Check("instance", "fail", said, advice, ExitCode.INCOMPLETE if passes else ExitCode.ENDED)


def of_clock(apart: float | None) -> Check:
    """How far this machine's clock is from the service's.

    Args:
        apart: Seconds that the service's clock is ahead, to a second or so; None where it did not say.
    """
    if apart is None:
        return unknown("clock", "the answer has no date")
    off = f"this machine's clock is {abs(apart):,.0f} s {'behind' if apart > 0 else 'ahead of'} the service's"
    mend = "set this machine's clock (NTP); signatures are dated by it"
    if abs(apart) > _REFUSED_FROM:
        return Check(
            "clock", "fail", f"{off}; the service refuses requests that far off", mend, ExitCode.ENDED
        )
    if abs(apart) > _APART:
        return Check("clock", "warn", off, mend)
    return passed("clock", f"within {max(2, round(abs(apart)) + 1)} s of the service's")


def of_instance(job: InstanceSettings, facts: InstanceFacts | None, operation: str, now: datetime) -> Check:
    """Whether the instance is what the job takes it for, and can do what it is to do.

    Args:
        job: The job's instance.
        facts: What the service says of it.
        operation: What the job calls.
        now: Wall clock, UTC.
    """
    if facts is None:
        return unknown("instance", "the answer describes no instance")
    wrong = _wrong_kind(job, facts)
    if wrong is not None:
        return wrong
    held, capacity = facts.total_count, None if facts.capacity is None else facts.capacity * CAPACITY_UNIT
    said = [facts.name or job.name, job.service_type]
    if held is not None:
        said.append(f"{held:,} images" + (f" of {capacity:,}" if capacity else ""))
    ends = moment_of(facts.utc_expire_time)
    if ends is not None:
        said.append(f"until {ends:%Y-%m-%d}")
    return _fit(", ".join(said), held, capacity, ends, operation, now)


def _fit(  # noqa: PLR0917 - what is known of an instance, and what it is wanted for
    text: str, held: int | None, capacity: int | None, ends: datetime | None, operation: str, now: datetime
) -> Check:
    """Whether an instance of the right kind can do what it is to do."""
    renew = "renew it in the console"
    if ends is not None and ends <= now:
        return Check("instance", "fail", f"{text}: it has ended", renew, ExitCode.ENDED)
    if held is not None and capacity and held >= capacity * _NEARLY_FULL:
        full = "it is full" if held >= capacity else "it is nearly full"
        advice = "buy capacity, or delete images; AddImage fails once it is full"
        is_fatal = held >= capacity and operation == _ADDS
        code = ExitCode.ENDED if is_fatal else ExitCode.DONE
        return Check("instance", "fail" if is_fatal else "warn", f"{text}: {full}", advice, code)
    if held == 0 and OPERATIONS[operation].paged:
        return Check("instance", "warn", f"{text}: it is empty, so nothing is found", "add images first")
    if ends is not None and ends - now < _SOON:
        return Check("instance", "warn", f"{text}: it ends soon", renew)
    return passed("instance", text)


def _wrong_kind(job: InstanceSettings, facts: InstanceFacts) -> Check | None:
    """What of the job's instance is not what the service says; None when nothing is."""
    kinds = {number: kind.name for kind in SERVICE_TYPES.values() for number in kind.numbers}
    number = facts.service_type
    if number is not None and number not in kinds:
        return Check(
            "instance",
            "warn",
            f"the service calls its kind {number}, which no page lists; the job says `{job.service_type}`",
            "the image rules of the job's kind are applied; compare them with the console's",
        )
    if number is not None and kinds[number] != job.service_type:
        return Check(
            "instance",
            "fail",
            f"it is of the kind `{kinds[number]}`, the job says `{job.service_type}`: images would be judged "
            "by other rules",
            f"set `instance.service_type: {kinds[number]}`",
            ExitCode.BAD_CONFIG,
        )
    if job.region is not None and facts.region is not None and facts.region != job.region:
        return Check(
            "instance",
            "fail",
            f"it is in {facts.region}, the job says {job.region}",
            f"set `instance.region: {facts.region}`",
            ExitCode.BAD_CONFIG,
        )
    return None


def of_rate(job: InstanceSettings, facts: InstanceFacts | None, wanted: float) -> Check:
    """Whether the job's rate is the one that was bought.

    Args:
        job: The job's instance.
        facts: What the service says of it.
        wanted: Queries per second by the job.
    """
    if job.unlimited:
        return passed("rate", "unlimited: as fast as this machine's cores allow")
    if facts is None or facts.qps is None:
        return unknown("rate", "the answer does not say how many queries per second were bought")
    bought = facts.qps
    share = "" if job.share >= 1 else f", of which the job takes {job.share:.0%}"
    if wanted > bought:
        return Check(
            "rate",
            "fail",
            f"the job asks for {wanted:g} queries per second, {bought} are bought: flow control would deny "
            "the rest",
            f"set `instance.qps: {bought}`, or buy more",
            ExitCode.BAD_CONFIG,
        )
    if wanted < bought:
        return Check(
            "rate",
            "warn",
            f"the job uses {wanted:g} of {bought} queries per second that are bought{share}",
            f"set `instance.qps: {bought}`; `instance.share` leaves a part to others",
        )
    return passed("rate", f"{bought} queries per second, as bought{share}")


def moment_of(text: str | None) -> datetime | None:
    """A moment that the service gives as milliseconds since 1970."""
    try:
        return datetime.fromtimestamp(int(text or "") / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
