"""Answers of other output folders (`reuse.from`): which of them may serve a job; they are only read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchsearch.engine.job.changes import same_instance
from batchsearch.engine.job.held import FINGERPRINT, told_settings
from batchsearch.engine.job.identity import fingerprint
from batchsearch.engine.job.instance_worker import workers_of
from batchsearch.errors import ConfigError, Problem
from batchsearch.service.operations import ASKING, OPERATIONS
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.output_layout import LEDGER, runs_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AsyncExitStack, ExitStack

    from batchsearch.config.model import JobSettings
    from batchsearch.engine.rows.answer_cache import AnswerCache

_SETTING = "reuse.from"
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class OtherFolder:
    """An output folder whose answers serve.

    Attributes:
        folder: It, or the run of it that asks what the job asks.
        max_age: How old its answers may be, seconds.
    """

    folder: Path
    max_age: float

    @property
    def ledger(self) -> Path:
        """Its ledger's file."""
        return self.folder / LEDGER


def other_folders(settings: JobSettings) -> list[OtherFolder]:
    """The output folders whose answers serve a job, as `reuse.from` names them.

    Of a dedup's folder it is the run that makes the same calls. Changes to an instance are never reused.

    Raises:
        ConfigError: No job has run in one of them, or its answers cannot serve this job.
        OutputError: A ledger cannot be read.
    """
    if OPERATIONS[settings.operation].response not in ASKING:
        return []
    hours = settings.reuse.renew_after_hours
    now: dict[str, Any] = json.loads(json.dumps(fingerprint(settings)))
    found, problems = [], []
    for name in settings.reuse.folders:
        places = [place for place in runs_in(Path(name)) if not _is_same(place, settings.output.dir)]
        told = list(_told(places))
        fitting = [place for place, why in _judged(told, now, settings) if not why]
        if fitting:
            found += [OtherFolder(place, math.inf if hours is None else hours * _HOUR) for place in fitting]
        elif not places and not _is_same(Path(name), settings.output.dir):
            problems.append(Problem(_SETTING, f"{name}: no job has run here: {LEDGER} is not there"))
        elif places:
            why = next(iter(_judged(told, now, settings)))[1]
            what = f"{name}: its answers are those of another job: {'; '.join(why)}"
            problems.append(Problem(_SETTING, what))
    if problems:
        raise ConfigError(problems)
    return found


def answers_of(others: list[OtherFolder], stack: ExitStack | AsyncExitStack) -> list[AnswerCache]:
    """What finds their answers, open until the stack is left.

    Raises:
        OutputError: A ledger cannot be read.
    """
    from batchsearch.engine.rows.answer_cache import AnswerCache

    return [
        AnswerCache(
            stack.enter_context(LedgerReader(other.ledger)),
            other.folder,
            round_began=math.inf,
            max_age=other.max_age,
        )
        for other in others
    ]


def _told(places: list[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for place in places:
        with LedgerReader(place / LEDGER) as reader:
            yield place, told_settings(reader, FINGERPRINT)


def _judged(
    told: list[tuple[Path, dict[str, Any]]], now: dict[str, Any], settings: JobSettings
) -> Iterator[tuple[Path, list[str]]]:
    """Each place, with what keeps its answers from serving; those that make the same calls first."""
    names = [worker.instance.name for worker in workers_of(settings)]
    same = sorted(told, key=lambda each: each[1].get("operation") != now["operation"])
    for place, before in same:
        yield place, same_instance(before, now, names) if before else []


def _is_same(folder: Path, output: str) -> bool:
    return folder.resolve() == Path(output).resolve()
