"""An operator that looks whether an output is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from batchsearch.airflow.night import check_output_dir
from batchsearch.airflow.operators import SUMMARY, ChildOperator
from batchsearch.airflow.sdk import AirflowException, AirflowFailException
from batchsearch.child.ending import describe, meaning_of, small
from batchsearch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COMMAND: Final = "verify"


class BatchSearchCheckOperator(ChildOperator):
    """`batchsearch verify`: fails unless the output is whole; makes no call, needs no connection.

    Put it between the task that writes and those that read.

    Args:
        output_dir: The output folder, given as to the task that writes it.
        kwargs: As `ChildOperator` takes them.
    """

    template_fields: ClassVar[Sequence[str]] = ("output_dir", "env")
    template_fields_renderers: ClassVar[dict[str, str]] = {"env": "json"}

    def __init__(self, *, output_dir: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_output_dir(output_dir)
        self.output_dir = output_dir

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Look; what was found, when all is well.

        Raises:
            AirflowFailException: Something is wrong with the output; looking again would find the same.
            AirflowException: It is not finished yet, or could not be looked at: another try may find more.
        """
        try:
            check_output_dir(self.output_dir)
        except ConfigError as error:
            raise AirflowFailException(str(error)) from None
        ended = self._run_child((_COMMAND, self._absolute(self.output_dir)), {})
        found = small(ended.result or {})
        if meaning_of(ended) == "done":
            return found
        context["ti"].xcom_push(key=SUMMARY, value=found)
        message = describe(ended, _COMMAND)
        raise (AirflowFailException if meaning_of(ended) == "final" else AirflowException)(message)
