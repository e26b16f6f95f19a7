"""What workers are worth on paper: by hand, and by its page."""

import ast
import json
import math
from pathlib import Path

import pytest

from batchsearch.errors import ConfigError
from batchsearch.storage.remote.rhythm import Rhythm
from batchsearch.tasks.plan.batch_way import ENCODED
from batchsearch.tasks.plan.measured_figures import FIGURES, figures_with
from batchsearch.tasks.plan.seen_images import SeenImages
from batchsearch.tasks.plan.worker_page import worker_page
from batchsearch.tasks.plan.worker_plan import HEADROOM, plan_workers
from batchsearch.tasks.plan.worker_sizes import loads_of_sizes, plans_of
from batchsearch.tasks.plan.workloads import Lane, loads_of

LIGHT = ("image_mb=0.1", "repaired=0", "latency_ms=0")


def planned(load, figures, *workers, **changes):
    options = {"rows_per_part": 5_000, "rhythm": Rhythm()} | changes
    return plan_workers(load, figures, workers, **options)


def check_and_run(images=10_000, rates=(10.0,), assume=(), **options):
    figures = figures_with(assume)
    return (*loads_of(images, rates, figures, dedup=False, **options), figures)


def hours_of(plan, workers):
    return next(each for each in plan.timings if each.workers == workers).hours


def test_calls_limit_a_run_and_more_workers_change_nothing():
    """10,000 calls at ten a second take as long with one core as with a hundred."""
    _, run, figures = check_and_run()
    plan = planned(run, figures, 1, 100)
    assert (plan.limit, plan.worth_having, plan.owners) == ("calls", 1, 1)
    seconds = 10_000 / (10 * figures["granted_share"])
    for workers in (1, 100):
        assert hours_of(plan, workers) * 3600 == pytest.approx(seconds, rel=1e-3)


def test_the_slowest_instance_decides():
    """Instances of other tiers call their own rows: the one that takes longest is waited for."""
    figures = figures_with(())
    _, run = loads_of(1_100, (1.0, 10.0), figures, calls=(100, 1_000), dedup=False)
    assert run.lanes == (Lane(100, 1.0), Lane(1_000, 10.0))
    assert hours_of(planned(run, figures, 8), 8) * 3600 == pytest.approx(100 / 0.997, rel=1e-2)
    _, uneven = loads_of(1_100, (1.0, 10.0), figures, calls=(550, 550), dedup=False)
    assert hours_of(planned(uneven, figures, 8), 8) * 3600 == pytest.approx(550 / 0.997, rel=1e-2)


def test_cores_that_are_worth_having_follow_from_rate_and_cost():
    """A thousand calls a second, an image of 26.5 ms of CPU without waiting: 26.5 cores and some on top."""
    assume = ("image_ms=0.9", "image_mb_ms=1.2", "repair_ms=25", "latency_ms=0", "line_mbps=1e6")
    _, run, figures = check_and_run(1_000_000, (10.0,) * 100, assume)
    assert run.worker_ms == pytest.approx(26.5)
    plan = planned(run, figures, 4)
    assert plan.worth_having == math.ceil(HEADROOM * 26.5 * 0.997)
    assert plan.machines == 4
    assert hours_of(plan, 4) == pytest.approx(1_000_000 * 26.5e-3 / 4 / 3600, rel=0.02)
    assert next(each for each in plan.timings if each.workers == 4).limit == "images"
    assert hours_of(plan, plan.worth_having) == pytest.approx(1_000 / 0.997 / 3600, rel=0.01)


def test_the_store_and_the_lines_limit_a_check():
    """Without calls it is the requests that a store answers, or what the machines' lines carry."""
    check, _, figures = check_and_run(1_000_000, assume=(*LIGHT, "store_per_second=500"))
    plan = planned(check, figures, 100)
    assert plan.limit == "store"
    assert hours_of(plan, 100) * 3600 == pytest.approx(2_000, rel=0.01)
    check, _, figures = check_and_run(1_000_000, assume=(*LIGHT, "line_mbps=100", "store_per_second=1e9"))
    plan = planned(check, figures, 8, 16)
    assert [each.limit for each in plan.timings if each.workers in {8, 16}] == ["network", "network"]
    assert hours_of(plan, 8) * 3600 == pytest.approx(1_000_000 * 0.1 * 8 / 100, rel=0.01)
    assert hours_of(plan, 16) == pytest.approx(hours_of(plan, 8) / 2, rel=0.01)


def test_images_of_a_folder_ask_no_store():
    """Files are read where the workers have the folder: no request, no line, no wait."""
    check, run, figures = check_and_run(remote=False)
    plan = planned(check, figures, 1)
    assert (plan.traffic.reads, plan.limit) == (0, "images")
    assert hours_of(plan, 1) * 3600 == pytest.approx(10_000 * check.worker_ms / 1000, rel=0.01)
    assert planned(run, figures, 1).limit == "calls"


def test_more_workers_are_never_slower():
    """Hours fall or stay as cores are added, and stay from the number on that is worth having."""
    figures = figures_with(())
    for load in loads_of_sizes([1_000, 1_000_000], [1, 100], 10.0, figures):
        plan = planned(load, figures, *(2**power for power in range(14)))
        hours = [each.hours for each in plan.timings]
        assert hours == sorted(hours, reverse=True)
        if load.lanes and load.images > 1_000:
            assert hours_of(plan, plan.worth_having) == pytest.approx(hours[-1], rel=0.01)


def test_what_is_done_in_a_minute_is_worth_no_cluster():
    """A few images of a folder need one core; of many so many that it takes a minute, not one for each."""
    figures = figures_with(())
    few, many = (loads_of(count, (10.0,), figures, remote=False)[0] for count in (2_000, 1_000_000))
    assert planned(few, figures).worth_having == 1
    plan = planned(many, figures)
    assert (plan.limit, plan.worth_having) == ("images", math.ceil(HEADROOM * many.core_hours * 60))
    assert hours_of(plan, plan.worth_having) * 3600 == pytest.approx(60 / HEADROOM, rel=0.01)


def test_what_is_moved_is_counted():
    """Bytes and requests of a run, by hand: images, requests, parts, copies of the ledger."""
    assume = ("image_mb=0.4", "sent_mb=0.1", "hits=10", "latency_ms=0", "line_mbps=1e9")
    _, run, figures = check_and_run(36_000, (10.0,), assume)
    traffic = planned(run, figures, rhythm=Rhythm(beat=20, carry=60, rest=10)).traffic
    assert (traffic.fetched, traffic.moved) == (14_400_000_000, 3_600_000_000)
    assert traffic.sent == round(3_600_000_000 * ENCODED)
    assert traffic.reads == 36_000
    row = figures["part_row_bytes"] + 10 * figures["part_hit_bytes"]
    assert traffic.parts == round(36_000 * row)
    assert traffic.ledger == round(36_000 * figures["ledger_row_bytes"])
    seconds = 3_600 / figures["granted_share"]
    copies = math.ceil(seconds / 60)
    parts = 2 * math.ceil(36_000 / 5_000)
    beats = round(seconds / 20 * figures["beat_requests"])
    assert traffic.writes == parts + copies * figures["carry_requests"] + beats
    assert traffic.carried == pytest.approx(traffic.parts + copies * traffic.ledger / 2, rel=1e-6)


def test_many_instances_need_several_owners():
    """One process that calls is enough until its core is: then lanes go to others."""
    figures = figures_with(())
    owners = []
    for count in (1, 10, 30, 100, 300):
        _, run = loads_of(1_000_000, (10.0,) * count, figures, dedup=False)
        owners.append(planned(run, figures).owners)
        assert owners[-1] == max(1, math.ceil(10 * count * run.owner_ms / 1000 / 0.8))
    assert owners[0] == 1 < owners[-1]


def test_a_jobs_own_images_say_what_one_costs():
    """What was seen wins over the figures; a few images tell all but the CPU."""
    figures = figures_with(())
    seen = SeenImages(40, 20, 40, 80_000_000, 8_000_000, 1.6)
    check, run, compare = loads_of(1_000, (10.0,), figures, seen=seen)
    assert (check.work, run.work, compare.work) == ("check", "run", "compare images")
    assert (run.image_mb, run.sent_mb, run.worker_ms) == pytest.approx((2.0, 0.2, 40.0))
    few = SeenImages(10, 5, 10, 20_000_000, 2_000_000, 0.4)
    of_figures, *_ = loads_of(1_000, (10.0,), figures, seen=few)
    whole = figures["image_ms"] + 2 * figures["image_mb_ms"] + 0.5 * figures["repair_ms"]
    assert of_figures.worker_ms == pytest.approx(whole)
    assert seen.plus(seen) == SeenImages(80, 40, 80, 160_000_000, 16_000_000, 3.2)
    assert seen.plus(SeenImages(cpu_seconds=None)).cpu_ms is None


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("image_mb", "write NAME=VALUE"),
        ("imagemb=1", "did you mean `image_mb`"),
        ("image_mb=large", "a number above 0"),
        ("image_mb=0", "a number above 0"),
        ("image_mb=nan", "a number above 0"),
        ("repaired=2", "a number from 0 to 1"),
        ("latency_ms=-1", "a number from 0"),
    ],
)
def test_an_assumption_that_makes_no_sense_is_named(said, message):
    """The message quotes what was written and says what is needed."""
    with pytest.raises(ConfigError, match=message):
        figures_with([said])


def test_the_benchmark_measures_what_the_table_has():
    """Each measured figure names the part of the benchmark that prints it, and the benchmark no other."""
    benchmark = Path(__file__).parents[2] / "benchmarks" / "worker_figures.py"
    script = ast.parse(benchmark.read_text(encoding="utf-8"))
    measured = {}
    for function in script.body:
        if isinstance(function, ast.FunctionDef) and ast.unparse(function.returns) == "dict[str, float]":
            for node in ast.walk(function):
                if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
                    measured |= {ast.literal_eval(key): function.name for key in node.value.keys}
                for inner in ast.walk(node) if isinstance(node, ast.AsyncFunctionDef) else ():
                    if isinstance(inner, ast.Return) and isinstance(inner.value, ast.Dict):
                        measured |= {ast.literal_eval(key): function.name for key in inner.value.keys}
    command = "python tests/benchmarks/worker_figures.py --only "
    assert measured == {
        name: figure.command.removeprefix(command) for name, figure in FIGURES.items() if figure.command
    }


def test_the_page_says_what_limits_and_how_many_cores_are_worth_it():
    """A line for each kind of work and number of instances, with stars where more is faster."""
    figures = figures_with(["image_mb=0.25"])
    loads = loads_of_sizes([1_000_000], [1, 100], 10.0, figures)
    plans = plans_of(loads, figures, (1, 16), rows_per_part=5_000, rhythm=Rhythm())
    page = worker_page(plans, figures, (1, 16), rates={10.0})
    lines = page.splitlines()
    assert "0.25 MB" in lines[2]
    assert "said: image_mb=0.25" in lines[3]
    one = next(line for line in lines if "run, 1 instance " in line)
    many = next(line for line in lines if "run, 100 instances" in line)
    assert "*" not in one
    assert one.endswith("1 core: 27.9 h, calls")
    assert many.count("*") == 2
    assert "cores, " in many
    assert "owners" in many
    shown = [line.strip().split("  ")[0].split(",")[0] for line in lines if line.startswith("    ")]
    assert [word for word in shown if word in {"check", "run", "compare images"}] == [
        "check",
        "run",
        "run",
        "compare images",
    ]
    assert "1,000,000 reads" in page
    values = json.loads(json.dumps([plan.as_dict() for plan in plans]))
    assert [each["work"] for each in values] == ["check", "run", "run", "compare images"]
    assert values[1]["workers"][0] == {
        "workers": 1,
        "hours": pytest.approx(27.86, rel=1e-3),
        "limit": "calls",
    }
