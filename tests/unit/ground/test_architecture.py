"""The house: who may import whom, and what the command line may not pay for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import batchsearch

PACKAGE = Path(batchsearch.__file__).parent

# Rooms that know nothing of each other; only the engine joins them.
APART = ("api", "images", "pacing", "ledger", "output", "remote")

# Decisions: plain functions and records, given clock and randomness.
PURE = (
    "service/codes/lookup.py",
    "service/fields.py",
    "service/filter.py",
    "service/operations.py",
    "service/parameters.py",
    "service/signing.py",
    "child/command.py",
    "child/ending.py",
    "child/event_lines.py",
    "tasks/compare/pairing.py",
    "tasks/compare/statistics.py",
    "tasks/dedup/candidates/alike.py",
    "tasks/dedup/clusters/chains.py",
    "tasks/dedup/clusters/components.py",
    "tasks/dedup/clusters/decide.py",
    "tasks/dedup/verifying/lighting.py",
    "tasks/dedup/candidates/matches.py",
    "tasks/dedup/clusters/names.py",
    "tasks/dedup/candidates/spoken.py",
    "tasks/dedup/clusters/verdicts.py",
    "tasks/dedup/candidates/own_image.py",
    "tasks/dedup/candidates/shared_images.py",
    "engine/rows/coalesce.py",
    "tasks/plan/estimate.py",
    "engine/job/identity.py",
    "engine/retry/health.py",
    "telemetry/histogram.py",
    "engine/rows/page_plan.py",
    "engine/retry/policy.py",
    "telemetry/sliding_count.py",
    "engine/rows/outcome_columns.py",
    "engine/renewal/renewal_rules.py",
    "engine/rows/bloom_filter.py",
    "tasks/plan/merged_plan.py",
    "engine/renewal/row_selector.py",
    "engine/job/instance_worker.py",
    "telemetry/stats.py",
    "engine/run/window.py",
    "images/regions.py",
    "images/verdict.py",
    "telemetry/metrics/metric_catalogue.py",
    "telemetry/metrics/samples.py",
    "telemetry/notify/message.py",
    "pacing/adaptive.py",
    "pacing/curves.py",
    "pacing/times.py",
    "pacing/in_flight.py",
    "storage/remote/output_index.py",
    "pages/durations.py",
    "telemetry/reading.py",
    "telemetry/status_words.py",
    "tasks/status/status_page.py",
    "service/facts.py",
    "storage/stores/address.py",
    "storage/stores/store_failures.py",
    "tasks/init/column_values.py",
    "tasks/init/guesses.py",
    "tasks/init/job_text.py",
    "tasks/init/several_images.py",
    "tasks/init/sheets.py",
    "tasks/init/shops.py",
    "tasks/init/template.py",
    "storage/tables.py",
    "tasks/verify/row_comparison.py",
    "tasks/verify/findings.py",
)
NOT_PURE = {
    "aiohttp",
    "asyncio",
    "io",
    "os",
    "pathlib",
    "socket",
    "sqlite3",
    "subprocess",
    "threading",
    "time",
}


def imported(path, *, at_run_time=False):
    """Dotted names that a module imports; without those for type checking only, when `at_run_time`."""
    names = set()

    def visit(node):
        if at_run_time and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return names


def room_of(name):
    parts = name.split(".")
    return parts[1] if parts[0] == "batchsearch" and len(parts) > 1 else None


@pytest.mark.parametrize("room", APART)
def test_rooms_do_not_know_each_other(room):
    """api, images, pacing, ledger and output never import one another, nor the engine."""
    forbidden = {*APART, "engine", "cli"} - {room}
    for path in (PACKAGE / room).rglob("*.py"):
        assert not {room_of(name) for name in imported(path)} & forbidden, path


def test_the_emulator_shares_only_the_filter_grammar_with_the_client():
    """Client and emulator are written apart, so that a misunderstanding shows; one parser serves both."""
    for path in (PACKAGE / "emulator").rglob("*.py"):
        shared = {name for name in imported(path) if room_of(name) == "api"}
        assert all(name.startswith("batchsearch.service.filter") for name in shared), path
        assert not {room_of(name) for name in imported(path)} & {"engine", "ledger", "output", "pacing"}, path


@pytest.mark.parametrize("name", PURE)
def test_decisions_do_no_input_or_output(name):
    """What decides is given clock, randomness and data: it can be tested with values alone."""
    roots = {imported_name.split(".")[0] for imported_name in imported(PACKAGE / name, at_run_time=True)}
    assert not roots & NOT_PURE


def test_windows_is_told_in_one_sentence():
    """Where neither locks nor signals are what they must be, importing says so and what to do instead."""
    script = "import sys; sys.platform = 'win32'; import batchsearch"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("ImportError: batchsearch needs Linux or macOS: ")


def test_help_pays_for_nothing_heavy():
    """`--help` imports neither tables nor pictures nor network nor the embedded instance."""
    heavy = ["aiohttp", "numpy", "onnxruntime", "pandas", "PIL", "pyarrow", "pydantic", "rich", "structlog"]
    script = (
        "import sys\n"
        "from batchsearch.cli import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        f"print([name for name in {[*heavy, 'batchsearch.emulator']!r} if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_loading_a_job_file_pays_for_no_tables():
    """Configuration is checked without importing pandas, pyarrow or aiohttp."""
    script = (
        "import sys\n"
        "import batchsearch.config.load\n"
        "print([n for n in ('aiohttp', 'pandas', 'pyarrow', 'PIL') if n in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
