"""Operators that spend call slots: `run`, `dedup` and `compare` as tasks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from batchsearch.airflow.hook import BatchSearchHook
from batchsearch.airflow.night import check_output_dir
from batchsearch.airflow.sdk import AirflowException, AirflowFailException, BaseOperator
from batchsearch.child.command import environment_of, job_arguments, settings_of
from batchsearch.child.ending import ACCEPTABLE, Ended, describe, meaning_of, small
from batchsearch.child.event_lines import event_of
from batchsearch.child.process import STOP_SECONDS, Child
from batchsearch.config.relative_paths import absolute
from batchsearch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SUMMARY: Final = "summary"
"""XCom key of the summary of a task that failed; of one that succeeded it is the return value."""


class ChildOperator(BaseOperator):
    """A task whose work is done by a `batchsearch` process.

    Its log lines go to the task's log as they come, the last line of its stdout becomes the task's result.
    Being killed, timing out or losing the worker stops the process in good order.

    Args:
        env: Variables for the process, laid over those of the worker.
        python: Interpreter that has batchsearch, if it is not Airflow's own.
        stop_seconds: How long a stopped process may take for what is in flight.
        kwargs: As every operator takes them.
    """

    ui_color: ClassVar[str] = "#e6f2ee"

    def __init__(
        self,
        *,
        env: Mapping[str, str] | None = None,
        python: str | None = None,
        stop_seconds: float = STOP_SECONDS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.env = env
        self.python = python
        self.stop_seconds = stop_seconds
        self._child: Child | None = None

    def on_kill(self) -> None:
        """Stop the process in good order and wait for its end: what is in flight is finished and kept."""
        if self._child is not None:
            self._child.stop()

    def _run_child(self, arguments: Sequence[str], credentials: Mapping[str, str]) -> Ended:
        environment = environment_of(
            os.environ, credentials=credentials, more=[(name, str(v)) for name, v in (self.env or {}).items()]
        )
        self._child = Child(
            arguments,
            environment=environment,
            on_line=self._forward,
            folder=self._folder(),
            python=self.python,
            stop_seconds=self.stop_seconds,
        )
        try:
            return self._child.run()
        except (FileNotFoundError, PermissionError) as error:
            raise AirflowFailException(
                f"batchsearch cannot be started: {error.strerror}: {error.filename}"
            ) from None

    def _forward(self, line: str) -> bool:
        event = event_of(line)
        if event is None:
            self.log.info("%s", line)
            return False
        self.log.log(event.level, "%s", event.text)
        return True

    def _folder(self) -> Path:
        """Where relative paths start: the folder of the DAG's file."""
        dag = self.get_dag()
        return Path(dag.fileloc).absolute().parent if dag is not None and dag.fileloc else Path.cwd()

    def _absolute(self, path: str) -> str:
        return absolute(path, self._folder())


class JobOperator(ChildOperator):
    """A task that works through a job file, and resumes when it is tried again.

    Paths start from the folder of the DAG's file, unless they are absolute or URLs.

    Args:
        config: The job file.
        overrides: Settings for this task, `{"instance.qps": 5}` or `["instance.qps=5"]`. They win over what
            the connection says, that over the job file.
        manifest: `manifest.path` of the job; the job file's when absent.
        output_dir: `output.dir` of the job; the job file's when absent. What is answered is kept there, so it
            must be the same for every try: derive it from the DAG run's date (`NIGHT`), or give one folder
            for all nights. It never comes from XCom.
        conn_id: Connection of the type `batchsearch` or `alibaba_cloud`. Without one, credentials are looked
            for where the command line looks: environment, profile files, roles.
        until: Stop at this local time of the worker, `06:00`, or `2026-11-22T06:00`.
        max_calls: Stop after so many calls.
        dask: Have images made ready by a Dask cluster: its scheduler's address, `tcp://scheduler:8786`,
            or `local:4` for four processes beside the task's. The job file's `workers.dask` when absent. The
            task and the workers need the same batchsearch, with the extra `dask`.
        accept: Exit codes that count as success beside 0: 3, more rows failed than the job allows; 4, the
            work is not done yet, as for a catalogue that takes several nights in one folder.
        log_level: Events of this level and above go to the task's log.
        kwargs: As `ChildOperator` takes them.
    """

    template_fields: ClassVar[Sequence[str]] = (
        "config",
        "overrides",
        "manifest",
        "output_dir",
        "conn_id",
        "until",
        "max_calls",
        "dask",
        "env",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"overrides": "json", "env": "json"}
    command: ClassVar[str]

    def __init__(
        self,
        *,
        config: str,
        overrides: Mapping[str, Any] | Sequence[str] | None = None,
        manifest: str | None = None,
        output_dir: str | None = None,
        conn_id: str | None = None,
        until: str | None = None,
        max_calls: int | str | None = None,
        dask: str | None = None,
        accept: Sequence[int] = (),
        log_level: str = "info",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_output_dir(output_dir)
        unknown = [code for code in accept if code not in ACCEPTABLE]
        if unknown:
            raise ConfigError(f"accept may hold the exit codes 3 and 4, not {unknown[0]}")
        self.config = config
        self.overrides = overrides
        self.manifest = manifest
        self.output_dir = output_dir
        self.conn_id = conn_id
        self.until = until
        self.max_calls = max_calls
        self.dask = dask
        self.accept = tuple(accept)
        self.log_level = log_level
        self._summary: Mapping[str, Any] = {}

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Work until the job is done; its summary, which names the folders of its tables.

        Raises:
            AirflowFailException: Another try would end the same way: configuration, manifest, credentials,
                too many failed rows.
            AirflowException: Another try resumes: stopped, killed, out of time, output in use or not
                writable.
        """
        try:
            arguments, credentials = self._plan()
        except ConfigError as error:
            raise AirflowFailException(str(error)) from None
        ended = self._run_child(arguments, credentials)
        self._summary = summary = {**small(ended.result or {}), **self._places()}
        meaning = meaning_of(ended, accepted=self.accept)
        if meaning == "done":
            self._tell_assets(context, summary)
            return summary
        context["ti"].xcom_push(key=SUMMARY, value=summary)
        message = describe(ended, self.command)
        raise (AirflowFailException if meaning == "final" else AirflowException)(message)

    def get_openlineage_facets_on_complete(self, _task_instance: object) -> Any:
        """What was read and written, for OpenLineage's provider."""
        from batchsearch.airflow.lineage import operator_lineage

        manifest = None if self.manifest is None else self._absolute(self.manifest)
        return operator_lineage((manifest,), self._summary)

    def _plan(self) -> tuple[tuple[str, ...], dict[str, str]]:
        check_output_dir(self.output_dir)
        settings: dict[str, Any] = {}
        credentials: dict[str, str] = {}
        if self.conn_id:
            connection = BatchSearchHook(self.conn_id).get_conn()
            settings.update(connection.settings)
            credentials = connection.environment()
        if self.manifest is not None:
            settings["manifest.path"] = self._absolute(self.manifest)
        if self.output_dir is not None:
            settings["output.dir"] = self._absolute(self.output_dir)
        settings.update(settings_of(self.overrides))
        arguments = job_arguments(
            self.command,
            self._absolute(self.config),
            settings=settings,
            options={"until": self.until, "max-calls": self.max_calls, "dask": self.dask},
            log_level=self.log_level,
        )
        return arguments, credentials

    def _places(self) -> dict[str, str]:
        return {} if self.output_dir is None else {"output_dir": self._absolute(self.output_dir)}

    def _tell_assets(self, context: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
        """Where tonight's tables are, for DAGs that wait for an asset of this task."""
        facts = {
            name: value
            for name, value in summary.items()
            if isinstance(value, str | int | float) and name != "message"
        }
        for asset in self.outlets:
            if getattr(asset, "uri", None):
                context["outlet_events"][asset].extra = facts


class BatchSearchOperator(JobOperator):
    """`batchsearch run`: every row of a manifest gets its outcome."""

    command = "run"


class DedupOperator(JobOperator):
    """`batchsearch dedup`: which products of a catalogue are the same.

    Give it one `output_dir` for all nights: each pays for new and changed products only.
    """

    command = "dedup"


class CompareOperator(JobOperator):
    """`batchsearch compare`: how alike pairs of images are."""

    command = "compare"
