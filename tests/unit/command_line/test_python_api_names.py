"""What the package promises to programs: its names, and that asking for none of them costs nothing."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import batchsearch
from batchsearch import errors

PACKAGE = Path(batchsearch.__file__).parent

PROMISED = [
    "ArrowStream", "Bar", "BatchWay",
    "BatchsearchError", "CheckPage", "CheckTally", "CompareResult", "Comparison",
    "ConfigError", "DaskLike", "DedupResult", "DedupSummary",
    "EndedTask", "ExitCode", "Extreme", "GroupScores", "JobLike",
    "JobSettings",
    "LoadResult",
    "LoadSummary", "MachineError", "MadeOf", "ManifestError", "ManifestLike", "Matrix", "MissingExtraError",
    "Needed", "NextStep", "Output", "OutputDamagedError", "OutputError", "OutputInUseError", "Overrides",
    "Pace", "Plan", "Price", "Problem", "Reading", "Refused", "RunEndedError", "RunFailedError",
    "RunResult", "SeenImages", "Stop", "StoppedEarlyError", "StoppedError", "Summary", "Truth", "UsageLine",
    "__version__", "acheck", "aplan", "arun", "arun_compare", "arun_dedup",
    "arun_load", "ausage", "check", "load",
    "open_output", "plan", "run", "run_compare", "run_dedup", "run_load", "usage",
]  # fmt: skip

ALIASES = {"DaskLike", "JobLike", "ManifestLike", "Overrides"}
"""Names of several types, texts while a program runs; each is described where it is defined."""


def test_the_names_are_as_pinned():
    """A name appears or goes only with this list."""
    assert sorted(batchsearch.__all__) == sorted(PROMISED)


@pytest.mark.parametrize("name", PROMISED)
def test_every_name_is_there_and_documented(name):
    """Each is found when asked for, says what it is, and is listed by `dir`."""
    found = getattr(batchsearch, name)
    assert name in dir(batchsearch)
    if name != "__version__" and name not in ALIASES:
        assert found.__doc__
        assert found.__name__ == name


@pytest.mark.parametrize("name", ["run", "run_compare", "run_dedup"])
def test_a_plain_form_is_its_async_form_without_a_loop(name):
    """Both take the same arguments, return the same, and a misspelt one is told as the caller's."""
    plain, other = getattr(batchsearch, name), getattr(batchsearch, f"a{name}")
    assert inspect.signature(plain) == inspect.signature(other)
    assert (inspect.iscoroutinefunction(plain), inspect.iscoroutinefunction(other)) == (False, True)
    with pytest.raises(TypeError, match=r"^got an unexpected keyword argument 'max_call'$"):
        plain({}, max_call=1)


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
    """`import batchsearch` brings its version, none of its other parts, and no package from elsewhere."""
    script = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import batchsearch\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - sys.stdlib_module_names))\n"
        "print(sorted(name for name in sys.modules if name.startswith('batchsearch.')))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["['batchsearch']", "['batchsearch._version']"]


def imports_of(module):
    """Where each name that a module imports, for type checking as well, comes from."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def annotations_of(found):
    """Every annotation of a function, or of a class's public fields, methods and properties."""
    if inspect.isfunction(found):
        yield from inspect.get_annotations(found).values()
        return
    for kind in found.__mro__:
        if not kind.__module__.startswith("batchsearch."):
            continue
        yield from (text for name, text in inspect.get_annotations(kind).items() if not name.startswith("_"))
        for name, member in vars(kind).items():
            if name.startswith("_"):
                continue
            made = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if inspect.isfunction(made):
                yield from inspect.get_annotations(made).values()


def unexported(found):
    """Own types that its annotations name and the package does not export."""
    module = sys.modules[found.__module__]
    imports = imports_of(module)
    for text in annotations_of(found):
        for node in ast.walk(ast.parse(str(text))):
            if not isinstance(node, ast.Name) or node.id in batchsearch.__all__:
                continue
            home = imports.get(node.id, module.__name__ if hasattr(module, node.id) else "")
            if home.startswith("batchsearch"):
                yield node.id


@pytest.mark.parametrize(
    "name", [name for name in PROMISED if name not in {"__version__", "JobSettings", *ALIASES}]
)
def test_every_type_that_is_given_or_taken_is_exported(name):
    """Whoever writes down what a public function takes or returns finds each type in the package."""
    found = getattr(batchsearch, name)
    if inspect.isfunction(found) or inspect.isclass(found):
        assert sorted(set(unexported(found))) == []
