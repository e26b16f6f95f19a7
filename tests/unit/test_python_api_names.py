"""What the package promises to programs: its names, and that asking for none of them costs nothing."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import batchsearch
from batchsearch import errors

PACKAGE = Path(batchsearch.__file__).parent

PROMISED = [
    "BatchsearchError", "CompareResult", "ConfigError", "DedupResult", "ExitCode", "JobSettings",
    "MachineError", "ManifestError", "MissingExtraError", "Output", "OutputDamagedError", "OutputError",
    "OutputInUseError", "Reading", "RunEndedError", "RunFailedError", "RunResult", "Stop",
    "StoppedEarlyError", "StoppedError", "__version__", "acheck", "aplan", "arun", "arun_compare",
    "arun_dedup", "ausage", "check", "load", "open_output", "plan", "run", "run_compare", "run_dedup",
    "usage",
]  # fmt: skip


def test_the_names_are_as_pinned():
    """A name appears or goes only with this list."""
    assert sorted(batchsearch.__all__) == sorted(PROMISED)


@pytest.mark.parametrize("name", PROMISED)
def test_every_name_is_there_and_documented(name):
    """Each is found when asked for, says what it is, and is listed by `dir`."""
    found = getattr(batchsearch, name)
    assert name in dir(batchsearch)
    if name != "__version__":
        assert found.__doc__
        assert found.__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    """A misspelt name fails as in any other package."""
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = batchsearch.runn


def test_what_type_checkers_see_is_what_there_is():
    """The imports for type checking name the same objects from the same places as the lazy ones."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert set(seen) | {"__version__"} == set(batchsearch.__all__)
    for name, module in seen.items():
        assert batchsearch._HOME_OF[name] == module.removeprefix("batchsearch.")
        assert getattr(importlib.import_module(module), name) is getattr(batchsearch, name)


def test_every_error_of_a_run_is_exported():
    """Whoever catches what `batchsearch.errors` draws finds it in the package."""
    drawn = [
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.BatchsearchError) and not name.startswith("_")
    ]
    assert set(drawn) <= set(batchsearch.__all__)


def test_the_package_is_typed():
    """Type checkers read it: the marker file is there."""
    assert (PACKAGE / "py.typed").exists()


def test_importing_the_package_imports_nothing_else():
    """`import batchsearch` brings none of its own parts and no package from elsewhere."""
    script = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import batchsearch\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - sys.stdlib_module_names))\n"
        "print(sorted(name for name in sys.modules if name.startswith('batchsearch.')))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["['batchsearch']", "[]"]
