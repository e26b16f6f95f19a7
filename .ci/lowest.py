"""Prints a pip constraint for every requirement of pyproject.toml: the lowest version that it names."""

import re
import tomllib
from itertools import chain
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
# Not installed for the tests: Airflow has an environment of its own, and linters need no floor.
left_out = {"airflow", "dev", "gs"}
extras = (listed for name, listed in project["optional-dependencies"].items() if name not in left_out)

for requirement in chain(project["dependencies"], *extras):
    if requirement.startswith(f"{project['name']}["):
        continue
    found = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?>=([0-9.]+)(?:,<[0-9.]+)?", requirement)
    if found is None:
        raise SystemExit(
            f"pyproject.toml: {requirement!r} has to be of the form name>=version[,<version], its lowest one"
        )
    print(f"{found[1]}=={found[2]}")
