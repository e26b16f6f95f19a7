"""The house: who may import whom, and what the command line may not pay for."""

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import batchsearch

PACKAGE = Path(batchsearch.__file__).parent

DOCS = PACKAGE.parent / "docs"
PAGE = (DOCS / "ARCHITECTURE.md").read_text(encoding="utf-8")

FLOORS = {name: int(floor) for floor, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, re.MULTILINE)}
"""The table of the page: what is not in it is floor 0, or the front door."""

USED_TASKS = {
    (user, used)
    for user, names in re.findall(r"`(\w+)`\s+uses\s+((?:`\w+`(?:\s+and\s+)?)+)", PAGE)
    for used in re.findall(r"\w+", names.replace(" and ", " "))
}
"""Which task may use another one's work, by the page."""

FRONT = ("__init__", "cli", "__main__")
"""The front door, from its lowest floor to its highest."""

MOST_MODULES = 25

# Decisions: plain functions and records, given clock and randomness.
PURE = (
    "backoff.py",
    "child/command.py",
    "child/ending.py",
    "child/event_lines.py",
    "config/renamed.py",
    "console/answer_view.py",
    "console/asked.py",
    "console/form_fields.py",
    "console/gate.py",
    "console/tonight.py",
    "console/wording.py",
    "emulator/batch/meta_lines.py",
    "emulator/batch/signed_address.py",
    "emulator/search/own_words.py",
    "engine/job/identity.py",
    "engine/job/instance_worker.py",
    "engine/job/lanes.py",
    "engine/renewal/renewal_rules.py",
    "engine/renewal/row_selector.py",
    "engine/retry/health.py",
    "engine/retry/policy.py",
    "engine/rows/bloom_filter.py",
    "engine/rows/coalesce.py",
    "engine/rows/outcome_columns.py",
    "engine/rows/page_plan.py",
    "engine/job/window.py",
    "images/image_identity.py",
    "images/regions.py",
    "images/verdict.py",
    "manifest/instance_rows.py",
    "pacing/adaptive.py",
    "pacing/curves.py",
    "pacing/in_flight.py",
    "pacing/times.py",
    "pages/durations.py",
    "pages/spreadsheet_cells.py",
    "service/answer_records.py",
    "service/codes/lookup.py",
    "service/codes/page.py",
    "service/expressions.py",
    "service/facts.py",
    "service/fields.py",
    "service/filter.py",
    "service/operations.py",
    "service/parameter_values.py",
    "service/parameters.py",
    "service/signing.py",
    "storage/ledger/crowd.py",
    "storage/parts/former_columns.py",
    "storage/remote/output_index.py",
    "storage/stores/address.py",
    "storage/stores/store_failures.py",
    "storage/tables.py",
    "tasks/compare/pairing.py",
    "tasks/compare/statistics.py",
    "tasks/dedup/candidates/alike.py",
    "tasks/dedup/candidates/matches.py",
    "tasks/dedup/candidates/own_image.py",
    "tasks/dedup/candidates/shared_images.py",
    "tasks/dedup/candidates/spoken.py",
    "tasks/dedup/clusters/chains.py",
    "tasks/dedup/clusters/components.py",
    "tasks/dedup/clusters/decide.py",
    "tasks/dedup/clusters/names.py",
    "tasks/dedup/clusters/verdicts.py",
    "tasks/dedup/verifying/lighting.py",
    "tasks/init/column_values.py",
    "tasks/init/guess_records.py",
    "tasks/init/guesses.py",
    "tasks/init/image_guesses.py",
    "tasks/init/job_text.py",
    "tasks/init/several_images.py",
    "tasks/init/sheets.py",
    "tasks/init/shops.py",
    "tasks/init/template.py",
    "tasks/plan/batch_way.py",
    "tasks/plan/estimate.py",
    "tasks/plan/measured_figures.py",
    "tasks/plan/merged_plan.py",
    "tasks/lanes/lane_order.py",
    "tasks/lanes/lanes_together.py",
    "tasks/lanes/lane_places.py",
    "tasks/plan/seen_images.py",
    "tasks/plan/worker_plan.py",
    "tasks/plan/workloads.py",
    "tasks/plan/worker_sizes.py",
    "tasks/status/status_page.py",
    "tasks/verify/findings.py",
    "tasks/verify/row_comparison.py",
    "telemetry/histogram.py",
    "telemetry/metrics/metric_catalogue.py",
    "telemetry/metrics/samples.py",
    "telemetry/notify/message.py",
    "telemetry/reading.py",
    "telemetry/sliding_count.py",
    "telemetry/stats.py",
    "telemetry/status_words.py",
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


@cache
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


def modules():
    """Every module's path, with the names of batchsearch's modules that it imports."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, {name for name in imported(path) if name.split(".")[0] == "batchsearch"}


def floor_of(room):
    return 100 + FRONT.index(room) if room in FRONT else FLOORS.get(room, 0)


def test_the_page_names_every_room():
    """Each folder of the package has its floor in docs/ARCHITECTURE.md, and none is there that is gone."""
    assert set(FLOORS) == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def test_arrows_only_go_down():
    """A room imports rooms of lower floors, never one of its own floor or above: so there are no circles."""
    upwards = []
    for path, names in modules():
        here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for name in names:
            there = room_of(name)
            if there is None or there == here or there.startswith("__"):
                continue
            known = (PACKAGE / there).is_dir() or (PACKAGE / f"{there}.py").exists()
            if known and floor_of(there) >= max(floor_of(here), 1):
                upwards.append((str(path.relative_to(PACKAGE)), name))
    assert not upwards


def test_tasks_use_each_other_as_the_page_says():
    """One command's work uses another's only where docs/ARCHITECTURE.md names it."""
    used = set()
    for path, names in modules():
        parts = path.relative_to(PACKAGE).parts
        if parts[0] == "tasks" and len(parts) > 2:
            others = {name.split(".")[2] for name in names if name.startswith("batchsearch.tasks.")}
            used |= {(parts[1], other) for other in others - {parts[1]}}
    assert used == USED_TASKS


def test_no_folder_is_a_crowd():
    """At most 25 modules a folder, of code and of tests."""
    for root in (PACKAGE, PACKAGE.parent / "tests"):
        for folder in {path.parent for path in root.rglob("*.py")}:
            found = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
            assert len(found) <= MOST_MODULES, folder


def test_modules_are_known_by_their_names():
    """No two modules of the package have one name, but for those that are named after the outside world."""
    names = Counter(path.stem for path in PACKAGE.rglob("*.py"))
    assert {name for name, count in names.items() if count > 1} <= {
        "__init__",
        "__main__",
        "night",
        "operations",
        "codes",
    }


def test_what_the_pages_for_developers_name_is_there():
    """Every path that docs/ARCHITECTURE.md and docs/CONTRIBUTING.md name exists."""
    for page in ("ARCHITECTURE.md", "CONTRIBUTING.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        for name in set(re.findall(r"`((?:batchsearch|tests|docs|\.ci)/[\w./-]*)`", text)):
            assert (PACKAGE.parent / name).exists(), name


def test_the_emulator_shares_only_the_filter_grammar_with_the_client():
    """Client and emulator are written apart, so that a misunderstanding shows; one parser serves both."""
    for path in (PACKAGE / "emulator").rglob("*.py"):
        shared = {name for name in imported(path) if room_of(name) == "service"}
        assert all(
            name.startswith(tuple(f"batchsearch.service.{one}" for one in ("filter", "expressions", "facts")))
            for name in shared
        ), path


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
    """`--help` imports neither tables nor images nor network nor the embedded instance."""
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


def test_one_module_says_where_the_ledger_is():
    """The names of an output folder's files are spelled once: the ledger's stood in seven modules."""
    texts = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    spelled = [
        path.relative_to(PACKAGE).as_posix()
        for path, text in texts.items()
        if re.search(r"ledger\.sqlite3|summary\.json", text)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant)
        and node.value in {"ledger.sqlite3", "summary.json", "ledger/ledger.sqlite3"}
    ]
    assert spelled == ["storage/output_layout.py"] * 2


def test_what_a_packages_page_names_is_in_it():
    """A docstring that leads through a package names modules that are there: `fetching.fetch` is a path."""
    packages = {path.parent for path in PACKAGE.rglob("__init__.py")}
    known = {path.stem for path in PACKAGE.rglob("*.py")} | {folder.name for folder in packages}
    for folder in packages:
        page = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
        for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", page):
            first, *_, last = name.split(".")
            if last in known and (folder / first).is_dir() | (PACKAGE / first).is_dir():
                place = name.replace(".", "/")
                there = [(root / place).with_suffix(".py").exists() for root in (folder, PACKAGE)]
                assert any(there), (folder.name, name)


LED_THROUGH = ("images", "storage/ledger", "storage/sealed", "tasks/recover", "tasks/report", "tasks/verify")
NO_MODULES = frozenset({"compact", "verify", "ledger", "parts", "history"})


@pytest.mark.parametrize("name", LED_THROUGH)
def test_a_page_that_leads_through_a_package_knows_its_modules(name):
    """These name modules by one word each: every such word is a module or a folder of the package."""
    folder = PACKAGE / name
    page = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    named = set(re.findall(r"`([a-z_]+)`", page)) - NO_MODULES
    assert named <= {path.stem for path in folder.iterdir()}


def test_commands_that_messages_name_are_spelled_for_a_shell():
    """A blank or a quote in a path must not break the line that somebody copies at night."""
    plain = re.compile(r"`batchsearch [a-z -]+ \{(?!in_shell\()")
    found = [str(path) for path in PACKAGE.rglob("*.py") if plain.search(path.read_text(encoding="utf-8"))]
    assert found == []
