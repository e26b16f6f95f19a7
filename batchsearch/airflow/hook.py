"""Connections to an Image Search instance."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from batchsearch.airflow.connection import OWN_TYPE, InstanceConnection, read_connection
from batchsearch.airflow.provider import FIELD_BEHAVIOUR, FIELDS, HOOK_NAME
from batchsearch.airflow.sdk import BaseHook, mask_secret
from batchsearch.errors import BatchsearchError, ConfigError


class BatchSearchHook(BaseHook):
    """Reads a connection of the type `batchsearch` or `alibaba_cloud`.

    Args:
        conn_id: The connection.
    """

    conn_name_attr = "conn_id"
    default_conn_name = "batchsearch_default"
    conn_type = OWN_TYPE
    hook_name = HOOK_NAME

    _widgets: ClassVar = {"password": "BS3PasswordFieldWidget", None: "BS3TextFieldWidget"}

    def __init__(self, conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    def get_conn(self) -> InstanceConnection:
        """What the connection says; its secrets are masked in all that Airflow logs from now on.

        Raises:
            ConfigError: It is of another type, or its fields make no sense.
        """
        connection = self.get_connection(self.conn_id)
        read = read_connection(
            self.conn_id,
            connection.conn_type,
            login=connection.login,
            password=connection.password,
            host=connection.host,
            port=connection.port,
            extras=connection.extra_dejson,
        )
        for secret in read.secrets():
            mask_secret(secret)
        return read

    def test_connection(self) -> tuple[bool, str]:
        """Ask the instance for its details: whether they came, and what to say about it.

        One call of the operation `Detail`, which takes no slot of the searches.
        """
        try:
            return asyncio.run(_ask_for_details(self.get_conn()))
        except BatchsearchError as error:
            return False, str(error)

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The form's own fields, for an Airflow that does not read them from the provider's description."""
        from flask_appbuilder import fieldwidgets
        from wtforms import PasswordField, StringField

        return {
            name: (StringField if form is None else PasswordField)(
                label, description=what, widget=getattr(fieldwidgets, cls._widgets[form])()
            )
            for name, (label, form, what) in FIELDS.items()
        }

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """How the form shows the common fields, for such an Airflow."""
        return dict(FIELD_BEHAVIOUR)


async def _ask_for_details(connection: InstanceConnection) -> tuple[bool, str]:
    from batchsearch.service.client import Client
    from batchsearch.service.credentials import Credentials, StaticCredentials
    from batchsearch.service.endpoint import parse_endpoint
    from batchsearch.service.facts import endpoint_of
    from batchsearch.service.form import Call, build_call
    from batchsearch.service.http_exchange import new_session

    settings = connection.settings
    name, region = settings.get("instance.name"), settings.get("instance.region")
    if not name or not (region or settings.get("instance.endpoint")):
        raise ConfigError("name the instance and its region in the connection, then it can be asked")
    if not connection.access_key_id or not connection.access_key_secret:
        raise ConfigError("the connection has no access key; the worker's own credentials are not tried here")
    credentials = Credentials(
        connection.access_key_id,
        connection.access_key_secret,
        connection.security_token,
        source="the connection",
    )
    call = build_call("Detail", str(name), {}, ())
    if not isinstance(call, Call):
        raise ConfigError(call.message)
    endpoint = parse_endpoint(settings.get("instance.endpoint") or endpoint_of(str(region)))
    async with new_session(connections=1) as session:
        answer = await Client(session, endpoint, StaticCredentials(credentials)).send(call)
    if answer.code is not None:
        return False, f"{endpoint} answered {answer.code}: {answer.message}"
    return True, f"{endpoint} knows the instance {name!r}"
