"""What Airflow 2.11 and 3 both have, from where each of them has it."""

from __future__ import annotations

try:
    from airflow.sdk import BaseOperator
except ImportError:  # Airflow 2
    from airflow.models.baseoperator import BaseOperator

try:
    from airflow.sdk import BaseHook
except ImportError:  # before Airflow 3.1
    from airflow.hooks.base import BaseHook

try:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ImportError:  # before Airflow 3.2
    from airflow.exceptions import AirflowException, AirflowFailException

try:
    from airflow.sdk.log import mask_secret
except ImportError:  # before Airflow 3.1
    try:
        from airflow.sdk.execution_time.secrets_masker import mask_secret
    except ImportError:  # Airflow 2
        from airflow.utils.log.secrets_masker import mask_secret

__all__ = ["AirflowException", "AirflowFailException", "BaseHook", "BaseOperator", "mask_secret"]
