"""Options that every command that makes calls has."""

import json

import pytest
from run_rig import invoke


@pytest.mark.parametrize("command", ["run", "compare", "dedup", "retry"])
def test_a_time_that_is_none_is_a_mistake_of_the_command_line(command):
    """`--until` with another text ends as a misspelt option does: exit 2, and nothing is called a defect."""
    ran = invoke(command, "job.yaml", "--until", "6 o'clock")
    assert ran.exit_code == 2
    assert "is no time like 06:00" in ran.output
    assert "defect" not in ran.output


def test_a_time_of_day_is_the_coming_one(make_job):
    """What is over for today is meant for tomorrow: the run works to its end."""
    job = make_job([{"id": "1", "image": "p00.jpg"}], instance__endpoint="emulator")
    ran = invoke("run", job, "--until", "00:00", "--no-progress", "--json")
    assert json.loads(ran.stdout.splitlines()[-1])["status"] == "done", ran.output
