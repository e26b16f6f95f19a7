"""Emulator search over synthetic vectors, beside a plain numpy product of the same size in the same run.

    python tests/benchmarks/emulator_search.py [--items 100000] [--json]

Every answer's top 10 is compared with the plain product's. Prints a table; `--json` adds one JSON object as
the last line, times in milliseconds. The index's memory is that of a process of its own, which is given the
vectors piece by piece and searches.
"""

from __future__ import annotations

import resource
import sys
import threading
import time

import numpy as np
from measuring.apart import called_apart
from measuring.command_line import command_line, tell

from batchsearch.emulator.search.embedding import DIMENSIONS
from batchsearch.emulator.search.records import Item
from batchsearch.emulator.search.vector_index import VectorIndex, Wanted
from batchsearch.service.filter import parse_filter

TOP = 10
CALLERS = 8
FILLED_TOGETHER = 4_096
CLUSTERS = 500
"""Groups of similar vectors, as a catalogue has."""


def make_vectors(items: int, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors in clusters, shape (items, 256), float32."""
    centres = rng.standard_normal((CLUSTERS, DIMENSIONS), dtype=np.float32)
    vectors = rng.standard_normal((items, DIMENSIONS), dtype=np.float32)
    vectors += centres[rng.integers(0, CLUSTERS, items)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def plain_top(vectors: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The reference: one product, one partial sort."""
    scores = vectors @ query
    best = np.argpartition(scores, -TOP)[-TOP:]
    order = np.argsort(-scores[best], kind="stable")
    return best[order], scores[best[order]]


def timed(call) -> tuple[float, object]:
    """Milliseconds that a call took, and what it returned."""
    start = time.perf_counter()
    result = call()
    return (time.perf_counter() - start) * 1e3, result


def summary(times: list[float], wall: float) -> dict[str, float]:
    """Median, 99th percentile and throughput of calls that took `wall` milliseconds together."""
    return {
        "median_ms": round(float(np.median(times)), 2),
        "p99_ms": round(float(np.percentile(times, 99)), 2),
        "queries_per_second": round(1e3 * len(times) / wall, 1),
    }


def measure_alone(search, queries) -> tuple[dict[str, float], list]:
    """One caller, one query after the other."""
    wall, results = timed(lambda: [timed(lambda q=query: search(q)) for query in queries])
    return summary([spent for spent, _ in results], wall), [found for _, found in results]


def measure_together(search, queries) -> dict[str, float]:
    """`CALLERS` threads, each with its share of the queries."""
    times: list[float] = []
    start = threading.Barrier(CALLERS + 1)

    def work(share) -> None:
        start.wait()
        times.extend([timed(lambda q=query: search(q))[0] for query in share])

    shares = [queries[number::CALLERS] for number in range(CALLERS)]
    threads = [threading.Thread(target=work, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    start.wait()
    wall, _ = timed(lambda: [thread.join() for thread in threads])
    return summary(times, wall)


def wrong_answers(vectors, queries, answers) -> int:
    """Answers whose ten scores are not the plain product's, or whose items do not have those scores."""
    wrong = 0
    for query, found in zip(queries, answers, strict=True):
        _, scores = plain_top(vectors, query)
        own = vectors[np.array(found.ids) - 1] @ query
        same = np.allclose(found.scores, np.maximum(scores, 0), atol=5e-6) and np.allclose(
            np.maximum(own, 0), found.scores, atol=5e-6
        )
        wrong += not same
    return wrong


def memory_alone(items: int) -> float:
    """The most memory, MB, of a process that fills an index and searches it; for a process of its own."""
    rng = np.random.default_rng(7)
    index = VectorIndex(DIMENSIONS)
    for start in range(0, items, FILLED_TOGETHER):
        part = range(start, min(start + FILLED_TOGETHER, items))
        added = [Item(f"p{n // 3}", "a.jpg", n % 14, int_attr=n % 1_000) for n in part]
        index.append([n + 1 for n in part], make_vectors(len(part), rng), added)
    for query in make_vectors(20, rng):
        index.search(Wanted(query, TOP))
        index.search(Wanted(query, TOP, distinct=True))
    index.close()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    options = command_line(__doc__, items=100_000, queries=400).parse_args()
    # First of all: a process's peak counts that of the one that started it.
    index_mb = called_apart(memory_alone, options.items)
    rng = np.random.default_rng(7)
    vectors = make_vectors(options.items, rng)
    noise = rng.standard_normal((options.queries, DIMENSIONS), dtype=np.float32)
    queries = vectors[rng.integers(0, options.items, options.queries)] + 0.05 * noise
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)

    index = VectorIndex(DIMENSIONS)
    load_ms = 0.0
    for start in range(0, options.items, FILLED_TOGETHER):
        part = range(start, min(start + FILLED_TOGETHER, options.items))
        items = [Item(f"p{n // 3}", "a.jpg", n % 14, int_attr=n % 1_000) for n in part]
        ids = [n + 1 for n in part]
        load_ms += timed(lambda i=ids, v=vectors[part[0] : part[-1] + 1], t=items: index.append(i, v, t))[0]

    sifted = parse_filter("int_attr < 100 AND int_attr2 not in (1,2) OR int_attr in (500,501)")
    plain, _ = measure_alone(lambda query: plain_top(vectors, query), queries)
    alone, answers = measure_alone(lambda query: index.search(Wanted(query, TOP)), queries)
    filtered, _ = measure_alone(lambda query: index.search(Wanted(query, TOP, filter=sifted)), queries)
    distinct, _ = measure_alone(lambda query: index.search(Wanted(query, TOP, distinct=True)), queries)
    rows = {
        "plain numpy, alone": plain,
        "index, alone": alone,
        "index, alone, filter": filtered,
        "index, alone, distinct": distinct,
        f"plain numpy, {CALLERS} callers": measure_together(lambda query: plain_top(vectors, query), queries),
        f"index, {CALLERS} callers": measure_together(
            lambda query: index.search(Wanted(query, TOP)), queries
        ),
    }
    index.close()
    wrong = wrong_answers(vectors, queries, answers)

    print(f"{options.items:,} items of {DIMENSIONS} dimensions, top {TOP}, {options.queries} queries")
    print(f"{'':26}{'median ms':>10}{'p99 ms':>10}{'queries/s':>11}")
    for name, row in rows.items():
        print(f"{name:26}{row['median_ms']:10.2f}{row['p99_ms']:10.2f}{row['queries_per_second']:11.1f}")
    print(f"wrong answers: {wrong}; filling the index {load_ms / 1e3:.2f} s; peak memory {index_mb:,.0f} MB")
    sizes = {"load_ms": round(load_ms), "index_mb": round(index_mb)}
    tell(options, {"items": options.items, "wrong": wrong, **sizes, "rows": rows})
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
