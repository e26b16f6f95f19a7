"""An export as the truth about what an instance holds: what is there is not added again."""

from batchsearch.engine.run.job import run_job
from batchsearch.tasks.instance.instance_export import export_instance
from batchsearch.tasks.load.loading import load_job as load_all
from batchsearch.tasks.plan.planning import plan_job

from .conftest import ROWS


async def test_what_the_export_has_is_not_added_again(load_settings, signed, tmp_path):
    """By calls, by batch task and in a plan: only rows that the export lacks, or has otherwise, are left."""
    fast = {"instance__add_qps": 1000.0}
    assert (await run_job(load_settings(ROWS[:6], output__dir="before", **fast))).calls == 6
    held = tmp_path / "held.parquet"
    await export_instance(load_settings(), held, poll=0.1)
    rows = [row | ({"price": 99} if row["id"] == "2" else {}) for row in ROWS]
    by_calls = load_settings(rows, reuse__held=str(held), **fast)
    plan = await plan_job(by_calls)
    assert (plan.reused, plan.calls) == (5, 7)
    summary = await run_job(by_calls)
    assert (summary.ok, summary.calls, summary.reused) == (12, 7, 5)

    changed = [*rows[:11], ROWS[11] | {"price": 5}]
    loaded = await load_all(load_settings(changed))
    # Over the output in which calls have worked: the one row that has changed since goes by task.
    assert (loaded.outcomes.ok, loaded.put, [task.lines for task in loaded.tasks]) == (12, 1, [1])
    await export_instance(load_settings(), held, poll=0.1)
    again = await load_all(load_settings(rows, reuse__held=str(held), output__dir="fresh"))
    assert (again.outcomes.ok, [task.lines for task in again.tasks]) == (12, [1])
    assert signed.catalogue().get("P11", "p11.jpg").int_attr == 11
    assert signed.catalogue().count() == 12
