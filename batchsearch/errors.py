"""What can end a command. A row's problem is never one of these: it is a value in the output.

::

    BatchsearchError                 any of the below; `exit_code` is what the command line exits with
    ├── ConfigError            64    the job file, an override or the environment
    │   └── MissingExtraError  64    an optional dependency is not installed
    ├── ManifestError          65    the manifest cannot be read or is not what the job file says
    ├── OutputInUseError       75    another run holds the output folder
    ├── OutputError            74    the output or the ledger cannot be read or written: try again
    │   └── OutputDamagedError  6    files, ledger and manifest do not agree; nothing was deleted
    ├── SlotBoardError          4    processes cannot share the rate (in `pacing.shared`)
    ├── StoppedError            4    a signal came; what the command was to make is not made
    │   └── StoppedEarlyError   4    before the first call of a run
    ├── MachineError            4    no file descriptors were left, or the images' folder went away, for long
    └── RunEndedError           5    an answer that no row can survive (credentials, instance, permission)

Whatever else ends a command is a defect of this program, exit code 70 (`cli.main`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from batchsearch.exit_codes import ExitCode
from batchsearch.first_moments import STOPPED_EARLY
from batchsearch.redaction import redacted

__all__ = [
    "BatchsearchError",
    "ConfigError",
    "ExitCode",
    "ManifestError",
    "MissingExtraError",
    "OutputDamagedError",
    "OutputError",
    "OutputInUseError",
    "Problem",
    "RunEndedError",
    "StoppedEarlyError",
    "StoppedError",
]

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_LINES_IN_NOTEBOOK: Final = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input, and where.

    Attributes:
        where: File and line, row, or setting; what a person opens to mend it.
        what: What is wrong and what to do, one sentence.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class BatchsearchError(Exception):
    """Something ended the command; the message says what and what to do."""

    exit_code: ExitCode = ExitCode.DEFECT

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message in a few lines, not the way through this package."""
        name, *lines = f"{type(self).__name__}: {redacted(str(self))}".split("\n")
        more = len(lines) - (_LINES_IN_NOTEBOOK - 1)
        if more <= 0:
            return [name, *lines]
        return [name, *lines[: _LINES_IN_NOTEBOOK - 2], f"  and {more + 1} more; `str(error)` has them all"]


class _ProblemsError(BatchsearchError):
    """Carries every problem found, not only the first."""

    summary = "the input is not usable"

    def __init__(self, problems: Sequence[Problem] | str, *, summary: str | None = None) -> None:
        self.problems: tuple[Problem, ...] = () if isinstance(problems, str) else tuple(problems)
        if isinstance(problems, str):
            message = problems
        else:
            lines = [summary or self.summary, *(f"  {problem}" for problem in self.problems)]
            message = "\n".join(lines)
        super().__init__(message)

    @classmethod
    def at(cls, where: object, what: str) -> Self:
        """One problem and nothing more; as for `Problem`."""
        return cls([Problem(str(where), what)])


class ConfigError(_ProblemsError):
    """The job file, a `--set` override or an environment variable is not usable."""

    exit_code = ExitCode.BAD_CONFIG
    summary = "the job file is not usable:"


class MissingExtraError(ConfigError):
    """An optional part was asked for whose packages are not installed."""

    def __init__(self, extra: str, wanted_for: str) -> None:
        self.extra = extra
        super().__init__(
            f"{wanted_for} needs an optional part: pip install 'batchsearch[{extra}]', "
            f"or pip install '.[{extra}]' in a checkout"
        )


class ManifestError(_ProblemsError):
    """The manifest cannot be read, or its columns and keys are not what the job file says."""

    exit_code = ExitCode.BAD_MANIFEST
    summary = "the manifest is not usable:"


class OutputInUseError(BatchsearchError):
    """Another run holds the lock of the output folder."""

    exit_code = ExitCode.OUTPUT_IN_USE


class OutputError(BatchsearchError):
    """The output folder or its ledger cannot be read or written; what was answered is kept.

    The run can go on where it was as soon as it can be: make room, wait for the disk, run it again.
    """

    exit_code = ExitCode.OUTPUT_FAILED


class OutputDamagedError(OutputError):
    """The output's files, its ledger and its manifest do not agree; nothing was deleted."""

    exit_code = ExitCode.DAMAGED


class StoppedError(BatchsearchError):
    """The command was stopped before it was done; what it was to make is not made."""

    exit_code = ExitCode.INCOMPLETE

    def __init__(self, message: str = "stopped: run the same command again") -> None:
        super().__init__(message)


class StoppedEarlyError(StoppedError):
    """The run was stopped before it had begun to call; nothing was spent."""

    def __init__(self) -> None:
        super().__init__(STOPPED_EARLY)


class MachineError(BatchsearchError):
    """This machine lacked for long what every row needs; running again resumes."""

    exit_code = ExitCode.INCOMPLETE


class RunEndedError(BatchsearchError):
    """The service gave an answer that no row can survive; running again resumes.

    Attributes:
        code: The answer's code.
        request_id: The service's id of the answer, for its support.
        denial: Why access was denied, by the service's names in snake_case.
    """

    exit_code = ExitCode.ENDED

    def __init__(
        self,
        code: str,
        message: str,
        *,
        request_id: str | None = None,
        denial: Mapping[str, str | None] | None = None,
    ) -> None:
        self.code = code
        self.request_id = request_id
        self.denial = denial
        super().__init__(message)
