"""What a run has written, as Arrow, pandas or batch by batch."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from batchsearch.disk_paths import arrow_dataset
from batchsearch.errors import BatchsearchError, ConfigError, ExitCode, OutputError
from batchsearch.nearest import did_you_mean
from batchsearch.storage.parts.parquet_table import checked_parquet, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from batchsearch.config.model import JobSettings
    from batchsearch.tasks.compare.comparison import Comparison
    from batchsearch.tasks.dedup.dedup_page import DedupSummary
    from batchsearch.tasks.load.load_page import LoadSummary
    from batchsearch.telemetry.summary import Summary

_ROWS: Final = 8_192
_RESULTS: Final = "results"
_HITS: Final = "hits"
_ROWS_IN_PAGE: Final = 8
_MOST_SHOWN: Final = 100
_MOST_COLUMNS: Final = 12
_WIDEST: Final = 40


class RunFailedError(BatchsearchError):
    """A run stopped before its end, or more rows failed than the job allows; its results are written.

    Attributes:
        exit_code: What the command line would have exited with.
    """

    def __init__(self, exit_code: int, message: str) -> None:
        self.exit_code = ExitCode(exit_code)
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Output:
    """The output folder of a job, of this run or an earlier one. Only read.

    Attributes:
        folder: Its path: `output.dir` of the job.
    """

    main_table: ClassVar[str] = _RESULTS
    """The table that `frame()` and `show()` mean when none is named."""

    folder: Path

    def results(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The table `results`: one row for each row of the manifest that has its outcome.

        Args:
            columns: These columns only, in this order; all when None.

        Raises:
            ConfigError: There is no such column.
            OutputDamagedError: Files are missing, or are not those that were sealed or written.
            OutputError: Nothing is written yet, or a file cannot be read.
        """
        return self.table(_RESULTS, columns)

    def hits(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The table `hits`: one row for each image that a search found; see `results`."""
        return self.table(_HITS, columns)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A table of the output as one Arrow table, all of it in memory; see `results`.

        Args:
            name: `results`, `hits`, `scores`, or another that the folder has.
            columns: These columns only; all when None.
        """
        found = self._dataset(name, columns)
        with reading(self.folder / name):
            return found.to_table(columns=None if columns is None else list(columns))

    def batches(
        self, name: str = _RESULTS, columns: Sequence[str] | None = None, *, rows: int = _ROWS
    ) -> Iterator[pa.RecordBatch]:
        """A table of the output a few thousand rows at a time, whatever its size; see `results`.

        Args:
            name: Which table.
            columns: These columns only; all when None.
            rows: Most rows of a batch.
        """
        found = self._dataset(name, columns)
        with reading(self.folder / name):
            yield from found.to_batches(
                columns=None if columns is None else list(columns), batch_size=rows, batch_readahead=1
            )

    def to_pandas(self, name: str = _RESULTS, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A table of the output as a pandas data frame; see `results`."""
        frame: pd.DataFrame = self.table(name, columns).to_pandas()
        return frame

    def frame(self, name: str | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A table as a pandas data frame: the main one, or another by its name.

        The main table of a search is `results`, of a comparison `scores`, of a dedup `clusters`; the same as
        Arrow is `table(name)`.
        """
        return self.to_pandas(name or self.main_table, columns)

    def hits_frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The table `hits` as a pandas data frame."""
        return self.to_pandas(_HITS, columns)

    def show(self, n: int = 10, name: str | None = None) -> None:
        """Show the first `n` rows of a table: in a notebook with their images, elsewhere as text.

        Args:
            n: How many, at most a hundred.
            name: Which table; the main one when None.
        """
        from batchsearch.python_api.bars import in_notebook, show_html

        table = name or self.main_table
        if in_notebook():
            from batchsearch.python_api.pages import rows_as_html

            show_html(rows_as_html(self, table, self._job(), min(n, _MOST_SHOWN)))
            return
        wanted = min(max(n, 1), _MOST_SHOWN)
        import pyarrow as pa

        batches: list[pa.RecordBatch] = []
        for batch in self.batches(table, rows=wanted):
            batches.append(batch)
            if sum(map(len, batches)) >= wanted:
                break
        if not sum(map(len, batches)):
            sys.stdout.write("no rows\n")
            return
        # What is null in all of them says nothing here.
        found = (
            pa.Table.from_batches(batches)
            .slice(0, wanted)
            .to_pandas()
            .dropna(axis="columns", how="all")
            .iloc[:, :_MOST_COLUMNS]
        )
        width = shutil.get_terminal_size().columns
        sys.stdout.write(f"{found.to_string(max_colwidth=_WIDEST, line_width=width)}\n")

    def _job(self) -> JobSettings | None:
        """The job, where it is known."""
        return None

    @property
    def unchecked(self) -> str | None:
        """Why the files could not be compared with what was sealed; None when they are.

        A folder that was copied without its `ledger/` can be read, but whether all its parts are there
        nobody knows.
        """
        from batchsearch.storage.sealed.sealed_reading import readable_output

        return readable_output(self.folder).warning or None

    def _files(self, name: str) -> Sequence[Path]:
        """The files of a table, once they are known to be what was sealed or delivered."""
        from batchsearch.storage.sealed.delivered import DELIVERED, delivered_files
        from batchsearch.storage.sealed.sealed_reading import readable_output

        if name in (_RESULTS, _HITS):
            return readable_output(self.folder).tables[name]
        one = self.folder / f"{name}.parquet"
        below = one.name if one.name in DELIVERED else name
        if below in DELIVERED:
            return delivered_files(self.folder, below)
        return [one] if one.is_file() else sorted((self.folder / name).glob("*.parquet"))

    def _dataset(self, name: str, columns: Sequence[str] | None) -> Any:

        files = self._files(name)
        if not files:
            raise OutputError(f"{self.folder}: has no table `{name}` yet; give the `output.dir` of a run")
        with reading(self.folder / name):
            found = arrow_dataset(files, checked_parquet())
        for column in columns or ():
            if column not in found.schema.names:
                hint = did_you_mean(column, found.schema.names)
                raise ConfigError(f"the table `{name}` has no column {column!r}{hint}")
        return found


@dataclass(frozen=True, slots=True)
class _Ended(Output):
    """How a job ended, and what it has written.

    Attributes:
        summary: Counts and figures, as the command line prints them.
        settings: The job that ran.
    """

    summary: Summary | DedupSummary | LoadSummary
    settings: JobSettings

    def _job(self) -> JobSettings | None:
        return self.settings

    def _repr_html_(self) -> str:
        title = f"{self.settings.operation} into {self.folder}"
        from batchsearch.python_api.pages import page_of

        return page_of(
            title, self._text(), self, table=self.main_table, settings=self.settings, rows=_ROWS_IN_PAGE
        )

    def _text(self) -> str:
        """How it ended, a page for people."""
        return self.summary.as_text().strip()

    @property
    def ok(self) -> bool:
        """Whether every row has its outcome and no more failed than the job allows."""
        return self.summary.exit_code == ExitCode.DONE

    def raise_if_failed(self) -> Self:
        """This result, if the job is done.

        Raises:
            RunFailedError: It stopped before the end, or more rows failed than the job allows; with the exit
                code of the command line.
        """
        if not self.ok:
            raise RunFailedError(self.summary.exit_code, self.summary.as_text().strip())
        return self


@dataclass(frozen=True, slots=True)
class RunResult(_Ended):
    """How a run ended, and what it has written.

    Attributes:
        summary: Counts and figures, as the command line prints them.
        settings: The job that ran.
    """

    summary: Summary


@dataclass(frozen=True, slots=True)
class CompareResult(RunResult):
    """How a comparison ended, and what it has written.

    Attributes:
        comparison: Statistics, histogram, and where things are.
    """

    main_table: ClassVar[str] = "scores"

    comparison: Comparison

    def _text(self) -> str:
        return self.comparison.as_text().strip()

    def scores(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The table `scores`: one row for each pair; see `results`."""
        return self.table("scores", columns)

    def scores_frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The table `scores` as a pandas data frame."""
        return self.to_pandas("scores", columns)


@dataclass(frozen=True, slots=True)
class LoadResult(_Ended):
    """How a load ended, and the outcome of each row.

    Attributes:
        summary: Counts and figures, as the command line prints them.
        settings: The job that was loaded.
    """

    summary: LoadSummary


@dataclass(frozen=True, slots=True)
class DedupResult(_Ended):
    """How a night of dedup ended, and what it has written. Its search is an output of its own.

    Attributes:
        summary: Counts and figures, as the command line prints them.
        settings: The job that ran.
    """

    main_table: ClassVar[str] = "clusters"

    summary: DedupSummary

    def pairs_frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The table `pairs` as a pandas data frame."""
        return self.to_pandas("pairs", columns)

    def clusters_frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The table `clusters` as a pandas data frame."""
        return self.to_pandas("clusters", columns)

    @property
    def search(self) -> Output:
        """The search's own output: its results and hits."""
        return Output(self.folder / "search")

    def pairs(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The table `pairs`: one row for each two products found alike; see `results`."""
        return self.table("pairs", columns)

    def clusters(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The table `clusters`: one row for each product found more than once; see `results`."""
        return self.table("clusters", columns)
