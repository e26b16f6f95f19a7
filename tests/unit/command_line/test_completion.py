"""Words proposed while somebody types."""

import os
import shutil
import subprocess
import sys
from contextlib import chdir

import pytest
from click.testing import CliRunner

from batchsearch.cli import COMMANDS, cli
from batchsearch.commands.knowing.completion import PROPOSALS, error_codes, job_files, register, settings

SHELLS = ("bash", "zsh", "fish")


def script_of(shell):
    ran = CliRunner().invoke(cli, ["completion", shell])
    assert ran.exit_code == 0, ran.stderr
    return ran.stdout


def typed(words, shell="bash"):
    """What a shell says of a line whose last word is being typed."""
    return {
        "_BATCHSEARCH_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(["batchsearch", *words]),
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words)),
    }


def proposed(words, folder):
    """What the command answers to bash, in this process."""
    register()
    with chdir(folder):
        ran = CliRunner().invoke(cli, [], prog_name="batchsearch", env=typed(words))
    assert ran.stderr == ""
    return [line.partition(",")[2] for line in ran.stdout.splitlines()]


def proposed_by_the_program(words, folder, shell):
    """What the program answers to a shell."""
    ran = subprocess.run(
        [sys.executable, "-m", "batchsearch"],
        env=os.environ | typed(words, shell),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    if shell == "zsh":
        return ran.stdout.splitlines()[1::3]
    return [line.partition(",")[2].partition("\t")[0] for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("shell", SHELLS)
def test_there_is_a_script_for_each_shell(shell):
    """It names the program and the variable that the program listens to."""
    script = script_of(shell)
    assert "_BATCHSEARCH_COMPLETE" in script
    assert "batchsearch" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True, capture_output=True)


def test_another_shell_is_told_which_there_are():
    """A shell without a script is wrong use."""
    ran = CliRunner().invoke(cli, ["completion", "csh"])
    assert ran.exit_code != 0
    assert "fish" in ran.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_are_completed_in_every_shell(shell, tmp_path):
    """The beginning of a command becomes its name."""
    found = proposed_by_the_program(["co"], tmp_path, shell)
    assert set(found) == {name for name in COMMANDS if name.startswith("co")}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["run", "--set", "instance.qp"], ["instance.qps="]),
        (["plan", "--sam"], ["--sample"]),
        (["codes", "Denied"], ["DeniedRequest"]),
        (["schema", "hi"], ["hits"]),
        (["config", "sch"], ["schema"]),
        (["run", "--log-format", "js"], ["json"]),
        (["run", "--set", "calls.signing", "=", "v"], ["v3", "v1"]),
        (["run", "--set", "calls.signing", "="], ["v3", "v1"]),
        (["run", "--set", "images.snap", "=", "t"], ["true"]),
        (["run", "--set", "parameters"], ["parameters."]),
        (["run", "--set", "compare.pairs", "=", "g"], ["given", "groups"]),
    ],
)
def test_what_is_typed_in_bash_is_completed(words, wanted, tmp_path):
    """Settings, options, codes, tables; bash takes `a=b` apart and gets the value alone."""
    assert proposed(words, tmp_path) == wanted


def test_job_files_are_proposed_and_folders_that_may_hold_some(tmp_path):
    """Other files are not; hidden ones only when asked for."""
    for name in ("a.yaml", "b.yml", "c.csv", ".hidden.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "night.yaml").touch()
    assert proposed(["run", ""], tmp_path) == ["a.yaml", "b.yml", "jobs/"]
    assert proposed(["check", "jobs/"], tmp_path) == ["jobs/night.yaml"]
    assert list(job_files(f"{tmp_path}/.h")) == [f"{tmp_path}/.hidden.yaml"]
    assert list(job_files(f"{tmp_path}/nowhere/")) == []


def test_a_real_bash_completes(tmp_path):
    """The script, sourced by bash, fills COMPREPLY; a folder is followed by no space."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    (tmp_path / "jobs").mkdir()
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    program = bin_folder / "batchsearch"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m batchsearch "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = script_of("bash") + (
        "COMP_WORDS=(batchsearch run jo); COMP_CWORD=2\n"
        "_batchsearch_completion_going_on batchsearch jo run\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
        "complete -p batchsearch\n"
    )
    ran = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines()[0] == "jobs/"
    assert "_batchsearch_completion_going_on batchsearch" in ran.stdout.splitlines()[1]


def test_every_setting_is_proposed_once():
    """The names are those that `--set` takes, sections taken apart."""
    names = list(settings(""))
    assert len(names) == len(set(names)) > 80
    assert {"instance.qps=", "output.dir=", "manifest.csv.delimiter=", "codes."} <= set(names)
    assert not list(settings("no.such"))


def test_families_of_codes_are_no_code():
    """`Throttling*` explains many codes and is not proposed as one."""
    codes = list(error_codes(""))
    assert {"DeniedRequest", "Local.ImageBroken", "Transport.ImageTimeout"} <= set(codes)
    assert not [code for code in codes if "*" in code]


def test_what_is_proposed_for_is_what_commands_call_it():
    """Each name in the table of proposals is an argument or option of some command."""
    context = cli.make_context("batchsearch", ["--help"], resilient_parsing=True)
    found = set()
    for name in COMMANDS:
        command = cli.get_command(context, name)
        commands = [command, *getattr(command, "commands", {}).values()]
        found |= {parameter.name for each in commands for parameter in each.params}
    assert set(PROPOSALS) <= found
