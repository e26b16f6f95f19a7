"""The speeds that people feel, each beside its reference and its target, in one command.

    python tests/benchmarks/summary.py [--full] [--only NAME] [--json]

Every row runs its own benchmark, one after the other. Without `--full` sizes are small: targets that are
times or memory at a certain size are then not judged. With it the night over ten million rows runs as well,
which takes a quarter of an hour and 10 GB of disk. Exits with 1 where a target is judged and missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: What was measured.
        figure: What was found.
        unit: Of figure, reference and target, unless the target is a ratio.
        reference: What was measured beside it in the same run; None where there is nothing to do less.
        target: No more than this.
        of_ratio: The target is figure by reference.
        judged: The target is of this size.
    """

    what: str
    figure: float
    unit: str
    reference: float | None
    target: float
    of_ratio: bool = False
    judged: bool = True

    @property
    def ratio(self) -> float | None:
        """Figure by reference."""
        return self.figure / self.reference if self.reference else None

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None where it is of another size."""
        if not self.judged:
            return None
        return (self.ratio or 0.0) <= self.target if self.of_ratio else self.figure <= self.target

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"ratio": self.ratio, "holds": self.holds}


def found_by(script: str, *options: str) -> dict[str, Any]:
    """What a benchmark says in its last line; ends the program where it fails."""
    command = [sys.executable, str(HERE / script), *options, "--json"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{script} ended with {ran.returncode}:\n{ran.stdout}")
    return json.loads(ran.stdout.splitlines()[-1])


def start(full: bool) -> Iterator[Row]:
    """A run with nothing to do."""
    del full
    least, nothing, *_ = found_by("nights.py", "--rows", "2000", "--new", "5")["nights"].values()
    yield Row("a run over 2,000 rows, nothing to do", nothing["cpu"], "s CPU", least["cpu"], 0.7)


def nights(full: bool) -> Iterator[Row]:
    """Nights over finished rows."""
    rows = 1_000_000 if full else 50_000
    least, nothing, anew, new = found_by("nights.py", "--rows", str(rows))["nights"].values()
    named = f"a night over {rows:,} finished rows"
    for what, took, target in (
        ("nothing left", nothing, 2.5),
        ("exported anew", anew, 4.0),
        ("100 new rows", new, 4.0),
    ):
        yield Row(f"{named}, {what}", took["cpu"], "s CPU", least["cpu"], target, judged=full)
    if full:
        least, nothing, _, new = found_by("nights.py", "--rows", "10000000")["nights"].values()
        yield Row("the same over 10,000,000 rows, 100 new ones", new["cpu"], "s CPU", least["cpu"], 30.0)
        yield Row("its memory", new["memory_mb"], "MB", least["memory_mb"], 300.0)


def dedup(full: bool) -> Iterator[Row]:
    """Dedup on the embedded instance, from files to clusters."""
    found = found_by("local_dedup.py", "--products", "770" if full else "20")
    reference = found["reference_ms"]
    named = f"dedup on the embedded instance, {found['images']:,.0f} small images"
    yield Row(named, found["cpu_ms_an_image"], "ms CPU an image", reference, 25.0, judged=full)
    yield Row("the same, wall", found["wall"], "s", None, 90.0, judged=full)
    found = found_by("local_dedup.py", "--photographs", "--products", "40" if full else "6")
    yield Row(
        "dedup of photographs of 0.9 MB, one more",
        found["cpu_ms_one_more"],
        "ms CPU an image",
        found["reference_ms"],
        60.0,
        judged=full,
    )


def tables(full: bool) -> Iterator[Row]:
    """A night's pairs and clusters."""
    products = 1_000_000 if full else 100_000
    (line,) = found_by("cluster_scale.py", "--products", str(products))["lines"]
    ours, reference = line["ours"], line["reference"]
    named = f"pairs and clusters of {products:,} products, by pandas'"
    yield Row(named, ours["cpu"], "s CPU", reference["cpu"], 1.0, of_ratio=True, judged=full)
    yield Row(f"{named} memory", ours["mb"], "MB", reference["mb"], 1.0, of_ratio=True, judged=full)


def report(full: bool) -> Iterator[Row]:
    """A report's page."""
    clusters = 10_000 if full else 1_000
    found = found_by("report_pages.py", "--clusters", str(clusters), "--rows", "1000")["dedup"]
    yield Row(f"a report of {clusters:,} clusters", found["seconds"], "s", None, 4.0, judged=full)
    if "opened" in found:
        yield Row("its page, until it can be used in Chromium", found["opened"], "s", None, 1.0, judged=full)


def calls(full: bool) -> Iterator[Row]:
    """Calls with an image."""
    found = found_by("calls.py", *([] if full else ["--calls", "100", "--rounds", "1"]))
    took, reference = found["pipeline_cpu_ms"], found["sdk_cpu_ms"]
    yield Row(
        "a call with an image, by the SDK's", took, "ms CPU", reference, 0.2, of_ratio=True, judged=full
    )


def search(full: bool) -> Iterator[Row]:
    """Search in the embedded instance."""
    items = 1_000_000 if full else 100_000
    found = found_by("emulator_search.py", "--items", str(items), "--queries", "60")
    alone = found["rows"]["index, alone"]["median_ms"]
    plain = found["rows"]["plain numpy, alone"]["median_ms"]
    distinct = found["rows"]["index, alone, distinct"]["median_ms"]
    named = f"embedded search, {items:,} items"
    yield Row(named, alone, "ms", plain, 80.0, judged=full)
    yield Row(f"{named}, one image a product", distinct, "ms", alone, 1.3, of_ratio=True)
    yield Row(f"{named}, memory", found["index_mb"], "MB", items * 1_024 / 2**20, 700.0, judged=full)


def memory(full: bool) -> Iterator[Row]:
    """Memory of the embedded instance under large images."""
    found = found_by("emulator_memory.py", "--images", "48" if full else "24")
    before = found["before_mb"]
    yield Row("embedded instance under 16 clients, 4096² images", found["peak_mb"], "MB", before, 512.0)
    yield Row("the same, afterwards", found["after_mb"], "MB", before, 1.5, of_ratio=True)


BENCHMARKS: dict[str, Callable[[bool], Iterator[Row]]] = {
    "start": start,
    "nights": nights,
    "dedup": dedup,
    "tables": tables,
    "report": report,
    "calls": calls,
    "search": search,
    "memory": memory,
}


def as_line(row: Row) -> str:
    """A row for people."""
    reference = "" if row.reference is None else f"{row.reference:,.2f}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    target = f"≤ {row.target:g}{' x' if row.of_ratio else ''}"
    holds = {True: "holds", False: "missed", None: "not judged"}[row.holds]
    return f"{row.what:62}{row.figure:10,.2f} {row.unit:16}{reference:>10}{ratio:>8}  {target:10}{holds}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the sizes that targets are of")
    parser.add_argument("--only", action="append", choices=[*BENCHMARKS], help="may be repeated")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    print(f"{'':62}{'figure':>10} {'':16}{'reference':>10}{'ratio':>8}  target")
    rows = []
    for name in options.only or BENCHMARKS:
        for row in BENCHMARKS[name](options.full):
            rows.append(row)
            print(as_line(row), flush=True)
    if options.json:
        print(json.dumps({"full": options.full, "rows": [row.as_dict() for row in rows]}))
    sys.exit(any(row.holds is False for row in rows))


if __name__ == "__main__":
    main()
