"""The Airflow provider where there is no Airflow."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import batchsearch

ROOT = Path(batchsearch.__file__).parent.parent


def test_without_airflow_the_import_says_what_to_install():
    """`import batchsearch.airflow` names the extra, not some module deep inside."""
    script = "import sys; sys.modules['airflow'] = None; import batchsearch.airflow"
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert ran.returncode == 1
    assert "ImportError: batchsearch.airflow needs Apache Airflow" in ran.stderr
    assert "batchsearch[airflow]" in ran.stderr


def test_a_folder_called_airflow_is_not_airflow(tmp_path):
    """A folder of DAGs beside the program is no installation."""
    (tmp_path / "airflow").mkdir()
    script = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]; import batchsearch.airflow"
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert "needs Apache Airflow" in ran.stderr


def test_the_entry_point_names_what_there_is():
    """Airflow finds the provider's description where pyproject.toml says it is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (target,) = project["entry-points"]["apache_airflow_provider"].values()
    module, function = target.split(":")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_public_name_has_its_place():
    """What `batchsearch.airflow` offers is defined in the module that it is fetched from."""
    package = ROOT / "batchsearch" / "airflow"
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    values = {
        (node.targets[0] if isinstance(node, ast.Assign) else node.target).id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
    }
    places = ast.literal_eval(values["_PLACES"])
    assert set(ast.literal_eval(values["__all__"])) == set(places)
    for name, module in places.items():
        text = (package / f"{module}.py").read_text(encoding="utf-8")
        assert f"class {name}(" in text or f"{name}: Final" in text
