"""The speeds that people feel, each beside its reference and its target, in one command.

    python tests/benchmarks/summary.py [--full] [--only NAME] [--json] [--write]

Every row runs its own benchmark, one after the other. Without `--full` sizes are small: targets that are
times or memory at a certain size are then not judged. With it the night over ten million rows runs as well,
at the end, which takes some minutes and 10 GB of disk. Exits with 1 where a target is judged and missed.

`--write`, with `--full`, keeps what was measured in `docs/speed.json` (with `--only`, what the others found
before stays) and writes the tables of README.md and docs/measurements.md anew.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measuring.apart import found_by
from measuring.command_line import command_line, tell

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
        beside: What that is.
        target: No more than this.
        of_ratio: The target is figure by reference.
        judged: The target is of this size.
    """

    what: str
    figure: float
    unit: str
    reference: float | None
    beside: str
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


KEYS = "reading, hashing and joining the keys"
"""What a night is measured beside."""


def start(full: bool) -> Iterator[Row]:
    """A run with nothing to do."""
    del full
    least, nothing, *_ = found_by("nights.py", "--rows", "2000", "--new", "5")["nights"].values()
    yield Row("run with nothing to do, 2,000 rows", nothing["cpu"], "s CPU", least["cpu"], KEYS, 0.7)


def nights(full: bool) -> Iterator[Row]:
    """Nights over finished rows."""
    rows = 1_000_000 if full else 50_000
    least, nothing, anew, new = found_by("nights.py", "--rows", str(rows))["nights"].values()
    for what, took, target in (
        ("nothing left", nothing, 2.5),
        ("exported anew", anew, 4.0),
        ("100 new", new, 4.0),
    ):
        named = f"{rows:,} finished rows, {what}"
        yield Row(named, took["cpu"], "s CPU", least["cpu"], KEYS, target, judged=full)


def large_nights(full: bool) -> Iterator[Row]:
    """A night over ten million rows; of that size only."""
    if full:
        least, _, _, new = found_by("nights.py", "--rows", "10000000")["nights"].values()
        named = "10,000,000 finished rows, 100 new"
        yield Row(named, new["cpu"], "s CPU", least["cpu"], KEYS, 30.0)
        yield Row(f"{named}, memory", new["memory_mb"], "MB", least["memory_mb"], KEYS, 300.0)


def dedup(full: bool) -> Iterator[Row]:
    """Dedup on the embedded instance, from files to clusters."""
    found = found_by("local_dedup.py", "--products", "770" if full else "20")
    must = "every image decoded and embedded once"
    named = f"embedded dedup, {found['images']:,.0f} images"
    yield Row(
        f"{named}, each", found["cpu_ms_an_image"], "ms CPU", found["reference_ms"], must, 25.0, judged=full
    )
    yield Row(f"{named}, all", found["wall"], "s", None, "", 90.0, judged=full)
    found = found_by("local_dedup.py", "--photographs", "--products", "40" if full else "6")
    took, reference = found["cpu_ms_one_more"], found["reference_ms"]
    yield Row("embedded dedup, photographs of 0.9 MB", took, "ms CPU", reference, must, 60.0, judged=full)


def tables(full: bool) -> Iterator[Row]:
    """A night's pairs and clusters."""
    products = 1_000_000 if full else 100_000
    (line,) = found_by("cluster_scale.py", "--products", str(products))["lines"]
    named, pandas = f"clusters of {products:,} products", "pandas and a union-find, nothing written"
    for what, unit, figure in ((named, "s CPU", "cpu"), (f"{named}, memory", "MB", "mb")):
        ours, reference = line["ours"][figure], line["reference"][figure]
        yield Row(what, ours, unit, reference, pandas, 1.0, of_ratio=True, judged=full)


def report(full: bool) -> Iterator[Row]:
    """A report's page."""
    clusters = 10_000 if full else 1_000
    found = found_by("report_pages.py", "--clusters", str(clusters), "--rows", "1000")["dedup"]
    yield Row(f"report of {clusters:,} clusters", found["seconds"], "s", None, "", 4.0, judged=full)
    if "opened" in found:
        yield Row("its page, opened in Chromium", found["opened"], "s", None, "", 1.0, judged=full)


def calls(full: bool) -> Iterator[Row]:
    """Calls, by name and with an image."""
    found = found_by("memory.py", "--rows", "30000" if full else "3000")
    took, bare = found["sizes"][0]["run"], found["bare"]
    ours, reference = 1000 * took["cpu"] / took["calls"], 1000 * bare["cpu"] / bare["calls"]
    yield Row(
        "call by name, all stages",
        ours,
        "ms CPU",
        reference,
        "a bare aiohttp loop",
        3.0,
        of_ratio=True,
        judged=full,
    )
    # So many that what a run takes to begin and to end, 0.05 s, is nothing of a call.
    sizes = ["--calls", "2000", "--rounds", "3"] if full else ["--calls", "100", "--rounds", "1"]
    found = found_by("calls.py", *sizes)
    took, reference = found["pipeline_cpu_ms"], found["sdk_cpu_ms"]
    sdk = "the official SDK's bare call"
    named = "call with a 140 KB image, all stages"
    yield Row(named, took, "ms CPU", reference, sdk, 0.2, of_ratio=True, judged=full)


def fetching(full: bool) -> Iterator[Row]:
    """A check of images over HTTP."""
    sizes = [] if full else ["--images", "100", "--rounds", "1"]
    found = found_by("images/check_over_http.py", *sizes)
    yield Row(
        "check over HTTP, 140 KB images",
        found["check"],
        "ms CPU",
        found["bare"],
        "a bare loop that fetches and scans",
        1.5,
        of_ratio=True,
        judged=full,
    )


def search(full: bool) -> Iterator[Row]:
    """Search in the embedded instance."""
    items = 1_000_000 if full else 100_000
    found = found_by("emulator_search.py", "--items", str(items), "--queries", "60")
    alone = found["rows"]["index, alone"]["median_ms"]
    plain = found["rows"]["plain numpy, alone"]["median_ms"]
    distinct = found["rows"]["index, alone, distinct"]["median_ms"]
    named = f"embedded search, {items:,} items"
    yield Row(named, alone, "ms", plain, "plain numpy", 80.0, judged=full)
    yield Row(f"{named}, apart", distinct, "ms", alone, "the same, not distinct", 1.3, of_ratio=True)
    floats = items * 1_024 / 2**20
    yield Row(
        f"{named}, memory", found["index_mb"], "MB", floats, "its vectors as floats", 700.0, judged=full
    )


def memory(full: bool) -> Iterator[Row]:
    """Memory of the embedded instance under large images."""
    found = found_by("emulator_memory.py", "--images", "48" if full else "24")
    before, named, beside = found["before_mb"], "embedded, 16 clients, 4096² images", "before the first image"
    yield Row(named, found["peak_mb"], "MB", before, beside, 512.0)
    yield Row("the same, afterwards", found["after_mb"], "MB", before, beside, 1.5, of_ratio=True)


BENCHMARKS: dict[str, Callable[[bool], Iterator[Row]]] = {
    "start": start,
    "calls": calls,
    "fetching": fetching,
    "nights": nights,
    "dedup": dedup,
    "tables": tables,
    "report": report,
    "search": search,
    "memory": memory,
    "large_nights": large_nights,
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
    parser = command_line(__doc__)
    parser.add_argument("--full", action="store_true", help="the sizes that targets are of")
    parser.add_argument("--only", action="append", choices=[*BENCHMARKS], help="may be repeated")
    parser.add_argument("--write", action="store_true", help="keep it, and write the tables of the documents")
    options = parser.parse_args()
    if options.write and not options.full:
        parser.error("--write keeps figures of the sizes that targets are of: give --full as well")
    print(f"{'':62}{'figure':>10} {'':16}{'reference':>10}{'ratio':>8}  target")
    found: dict[str, list[dict[str, Any]]] = {}
    for name in options.only or BENCHMARKS:
        found[name] = []
        for row in BENCHMARKS[name](options.full):
            found[name].append(row.as_dict())
            print(as_line(row), flush=True)
        if options.write:
            keep(name, found[name])
    rows = [row for each in found.values() for row in each]
    tell(options, {"full": options.full, "rows": rows})
    sys.exit(any(row["holds"] is False for row in rows))


def kept() -> dict[str, list[dict[str, Any]]]:
    """What was measured last, by benchmark, in their order."""
    found = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    return {name: found[name] for name in BENCHMARKS if name in found}


def keep(name: str, rows: list[dict[str, Any]]) -> None:
    """Keep what a benchmark found, and write the tables anew."""
    KEPT.write_text(json.dumps(kept() | {name: rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for document, table in DOCUMENTS.items():
        document.write_text(with_table(document.read_text(encoding="utf-8"), table()), encoding="utf-8")


def with_table(text: str, table: str) -> str:
    """A document with its table in place of the one that it has."""
    return MARKED.sub(lambda found: f"{found[1]}{table}{found[3]}", text)


def short_table() -> str:
    """The table for README.md."""
    return _table(
        ("what", "measured", "ratio", "target", "held"),
        [(row["what"], _figure(row, "figure"), _ratio(row), _target(row), _held(row)) for row in _rows()],
    )


def long_table() -> str:
    """The table for docs/measurements.md."""
    found = []
    for row in _rows():
        beside = f"{row['beside']}: {_figure(row, 'reference')}" if row["beside"] else ""
        found.append((row["what"], _figure(row, "figure"), beside, _ratio(row), _target(row), _held(row)))
    return _table(("what", "measured", "beside", "ratio", "target", "held"), found)


def _rows() -> list[dict[str, Any]]:
    return [row for rows in kept().values() for row in rows]


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    rules = tuple("---:" if head in {"measured", "ratio", "target"} else "---" for head in heads)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, rules, *rows))


def _figure(row: dict[str, Any], name: str) -> str:
    return f"{_number(row[name])} {row['unit']}"


def _held(row: dict[str, Any]) -> str:
    return {True: "yes", False: "no", None: ""}[row["holds"]]


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _ratio(row: dict[str, Any]) -> str:
    return "" if row["ratio"] is None else f"{row['ratio']:.2f}"


def _target(row: dict[str, Any]) -> str:
    return f"ratio {row['target']:g}" if row["of_ratio"] else f"{row['target']:g} {row['unit']}"


MARKED = re.compile(r"(<!-- speed: begin -->\n)(.*?)(<!-- speed: end -->)", re.DOTALL)
KEPT = HERE.parent.parent / "docs" / "speed.json"
DOCUMENTS: dict[Path, Callable[[], str]] = {
    HERE.parent.parent / "README.md": short_table,
    HERE.parent.parent / "docs" / "measurements.md": long_table,
}


if __name__ == "__main__":
    main()
