"""What commands import: nobody waits for a library that a command does not use."""

import re
import subprocess
import sys

import pytest
import yaml
from PIL import Image
from run_rig import granting, keys_of, program, put

NEVER = {"pandas.core", "rich.console", "scipy", "cv2", "jinja2", "prometheus_client"}
"""What no command of the table below needs, unless it says so."""
OF_CALLS = {"aiohttp", "onnxruntime", "PIL.Image", "batchsearch.emulator.server"}
"""What only those need that call, or look at images."""
COMMANDS = {
    ("run", "job.yaml"): NEVER | OF_CALLS,
    ("status", "out"): NEVER | OF_CALLS | {"pyarrow", "numpy", "pydantic"},
    ("verify", "out"): NEVER | OF_CALLS,
    ("plan", "job.yaml"): NEVER | OF_CALLS - {"PIL.Image"},
    ("check", "job.yaml", "--no-progress"): NEVER | OF_CALLS - {"PIL.Image"},
    ("report", "out"): NEVER - {"jinja2"} | OF_CALLS - {"PIL.Image"},
    ("export", "out"): NEVER | OF_CALLS,
    ("compact", "out"): NEVER | OF_CALLS,
    ("usage", "out"): NEVER | OF_CALLS | {"pydantic"},
    ("diff", "out", "out"): NEVER - {"pandas.core"} | OF_CALLS,
    ("config", "check", "job.yaml"): NEVER | OF_CALLS | {"pyarrow", "numpy", "asyncio"},
    ("retry", "out", "--failed"): NEVER | {"onnxruntime", "PIL.Image", "batchsearch.emulator.server"},
    ("dedup", "job.yaml", "--no-progress"): {"pandas.core", "rich.console", "onnxruntime", "jinja2"},
}
"""Commands in a folder whose job is done, and what they may not import."""


def ran(folder, *arguments, environ=None):
    """A command that ends well; the modules that it has asked for."""
    words = ("-X", "importtime", "-m", "batchsearch", *arguments)
    ended = program(*words, cwd=folder, env=environ)
    assert ended.returncode == 0, ended.stderr[-2_000:]
    return set(re.findall(r"^import time: .*\| +(\S+)$", ended.stderr, re.MULTILINE))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with a job that is done, and its instance."""
    from batchsearch.emulator.instance_options import EmulatorOptions
    from batchsearch.emulator.server import Emulator

    folder = tmp_path_factory.mktemp("start")
    with Emulator(EmulatorOptions(instances=(granting(),))) as emulator:
        lines = ["product_id,pic_name,image"]
        for number in range(4):
            path = folder / f"i{number}.jpg"
            Image.effect_mandelbrot((240, 240), (-2 + number / 9, -1.5, 1, 1.5), 20).save(path)
            lines.append(f"P{number},front,{path.name}")
            put(emulator, f"P{number}", path)
        (folder / "m.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        job = {
            "operation": "SearchImageByPic",
            "instance": {"endpoint": emulator.endpoint, "name": "demo", "qps": 1000, "custom_qps": True},
            "manifest": {"path": "m.csv", "key": ["product_id", "pic_name"]},
            "output": {"dir": "out"},
        }
        (folder / "job.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
        signed = keys_of(emulator)
        assert "aiohttp" in ran(folder, "run", "job.yaml", environ=signed)
        yield folder, signed


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_command_imports_what_it_works_with(command, done):
    """A command in a folder whose job is done imports nothing that it could do without."""
    folder, signed = done
    arguments = list(command)
    if command[0] == "dedup":
        arguments += ["--set", "output.dir=dedup", "--set", "dedup={}"]
    asked = ran(folder, *arguments, environ=signed)
    assert "batchsearch.cli" in asked
    assert COMMANDS[command] & asked == set()


def test_diff_works_with_pandas(done):
    """The one command that compares tables with pandas gets it."""
    folder, signed = done
    assert "pandas.core" in ran(folder, "diff", "out", "out", environ=signed)


def test_moments_in_nanoseconds_need_no_pandas():
    """Where pandas is kept out, values are read to the microsecond, and kept ones to the nanosecond."""
    script = """
from batchsearch.kept_out import keep_out
keep_out()
import pyarrow as pa
from batchsearch.arrow_values import python_rows, python_values, storable_values
fine = pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns", "UTC"))
print(python_values(fine)[0], python_values(fine)[1])
print(python_values(pa.array([1_001], pa.duration("ns"))))
nested = pa.array([{"at": [1_001, None]}], pa.struct([("at", pa.list_(pa.timestamp("ns")))]))
print(python_values(nested))
print(python_rows(pa.record_batch({"a": fine, "b": pa.array([1, 2])}))[1])
assert pa.array(storable_values(fine), fine.type).equals(fine)
try:
    import pandas
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "2023-11-14 22:13:20.123456+00:00 None",
        "[datetime.timedelta(microseconds=1)]",
        "[{'at': [datetime.datetime(1970, 1, 1, 0, 0, 0, 1), None]}]",
        "{'a': None, 'b': 2}",
        "No module named 'pandas'",
    ]


def test_the_consoles_first_page_waits_for_no_tables():
    """What serves the console's pages is imported without tables, networks and what calls an instance."""
    script = (
        "import sys\n"
        "import batchsearch.console.console_server, batchsearch.console.opening_console\n"
        "heavy = {'numpy', 'pyarrow', 'pandas', 'onnxruntime', 'batchsearch.engine.run.assembly'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
