"""A question as something to take away: a job file, a program, a shell script, a row of a manifest (pure).

None of them holds a secret or a signature: what has to be signed reads the environment when it is run.
"""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
from functools import cache
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Any, Final

from batchsearch.console.wording import say
from batchsearch.pages.html_templates import html_environment
from batchsearch.service.facts import API_VERSION
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jinja2

    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.console.asked import Asked

_MANIFEST: Final = "query.csv"
_SHOWN: Final = {
    "hits": '"hits", ["rank", "score", "product_id", "pic_name"]',
    "results": '"results", ["row_key", "score", "error_code"]',
}


def manifest_row(asked: Asked, region: str | None) -> str:
    """The question as a manifest of one row: CSV with its heading.

    Args:
        asked: The question.
        region: Its region in the pixels of the file, as manifests give them; None for none.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    cells = _cells(asked, region)
    writer.writerow(cells)
    writer.writerow(cells.values())
    return text.getvalue()


def _cells(asked: Asked, region: str | None) -> dict[str, str]:
    roles = [role.role for role in OPERATIONS[asked.operation].images]
    cells = {"id": "query"}
    cells |= {role: image.name for role, image in zip(roles, asked.images, strict=False)}
    values = dict(asked.values)
    if "region" in values:
        values["region"] = region if region is not None else values["region"]
    return cells | {name: _cell(value) for name, value in values.items()}


def _cell(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def job_file(asked: Asked, instance: InstanceSettings, region: str | None) -> str:
    """The question as a job file over the one row of `manifest_row`, YAML."""
    lines = [
        f"# One question as a job: put the row of the manifest beside this file as {_MANIFEST}.",
        f"operation: {asked.operation}",
        "instance:",
        *(f"  {name}: {_yaml(value)}" for name, value in _instance(instance).items()),
        "manifest:",
        f"  path: {_MANIFEST}",
        "  key: id",
        "  columns:",
        *(f"    {name}: {name}" for name in _cells(asked, region) if name != "id"),
        "output:",
        "  dir: query-output",
    ]
    return "\n".join(lines) + "\n"


def _instance(instance: InstanceSettings) -> dict[str, Any]:
    told: dict[str, Any] = {"name": instance.name, "service_type": instance.service_type}
    told |= {"endpoint": instance.endpoint} if instance.endpoint else {"region": instance.region}
    told["qps"] = "unlimited" if math.isinf(instance.qps) else instance.qps
    if instance.custom_qps:
        told["custom_qps"] = True
    return told


def _yaml(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def python_program(asked: Asked, instance: InstanceSettings, region: str | None) -> str:
    """The question as a program."""
    cells = _cells(asked, region)
    columns = {name: name for name in cells if name != "id"}
    job = {
        "operation": asked.operation,
        "instance": {
            name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in _instance(instance).items()
        },
        "manifest": {"path": "given", "key": "id", "columns": columns},
        "output": {"dir": "query-output"},
    }
    wanted = _SHOWN["hits" if OPERATIONS[asked.operation].paged else "results"]
    return (
        "import batchsearch\nimport pandas as pd\n\n"
        f"job = {_literal(job)}\n"
        f"query = pd.DataFrame([{_literal(cells)}])\n"
        "result = batchsearch.run(job, manifest=query)\n"
        f"print(result.to_pandas({wanted}))\n"
    )


def _literal(value: Any, indent: str = "") -> str:
    if isinstance(value, dict):
        inner = indent + "    "
        lines = [f"{inner}{name!r}: {_literal(each, inner)},\n" for name, each in value.items()]
        return "{\n" + "".join(lines) + indent + "}"
    return repr(value)


def shell_script(asked: Asked, address: str) -> str:
    """The question as a script of curl and openssl, which signs with the keys of the environment.

    Args:
        asked: The question.
        address: `https://host` that is called.
    """
    scheme, _, host = address.rpartition("://")
    operation = OPERATIONS[asked.operation]
    query: list[tuple[str, str]] = []
    form = [("InstanceName", shlex.quote(asked.instance))]
    for parameter in operation.parameters:
        if parameter.key in asked.values:
            value = shlex.quote(_cell(asked.values[parameter.key]))
            (form if parameter.place == "form" else query).append((parameter.wire, value))
    script: str = _script().render(
        operation=asked.operation,
        version=API_VERSION,
        host=shlex.quote(host),
        scheme=scheme or "https",
        form=form,
        query=sorted(query),
        images=[
            (role.wire, shlex.quote(image.name))
            for role, image in zip(operation.images, asked.images, strict=False)
        ],
        was_changed=any(image.transforms for image in asked.images),
        plain=[(f"{ord(sign):02X}", sign) for sign in ascii_letters + digits],
    )
    return script


@cache
def _script() -> jinja2.Template:
    # A shell script, whose values are quoted for the shell: nothing in it is markup.
    return html_environment("batchsearch.console", is_markup=False).get_template("query.sh.j2")


def all_texts(
    asked: Asked, instance: InstanceSettings, address: str, region: str | None
) -> Mapping[str, tuple[str, str]]:
    """Every text by a short name: its title, and itself."""
    return {
        "job": (say("copies.job"), job_file(asked, instance, region)),
        "csv": (say("copies.csv"), manifest_row(asked, region)),
        "python": (say("copies.python"), python_program(asked, instance, region)),
        "curl": (say("copies.curl"), shell_script(asked, address)),
    }
