"""What configs/production/ gives to schedulers agrees with the program: codes, times, metrics, places."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from batchsearch.child.ending import Ended, meaning_of
from batchsearch.config.load import load_job, load_text
from batchsearch.errors import ExitCode
from batchsearch.telemetry.metrics.metric_catalogue import METRICS

ROOT = Path(__file__).parent.parent.parent
FILES = ROOT / "configs" / "production"
SERVICE = FILES / "batchsearch@.service"
TIMER = FILES / "batchsearch@.timer"
NIGHT = FILES / "night.sh"
ALERTS = FILES / "alerts.yaml"
FINAL = {int(code) for code in ExitCode if meaning_of(Ended(int(code))) == "final"}
AGAIN = {int(code) for code in ExitCode if meaning_of(Ended(int(code))) == "again"}
STOPPED = int(ExitCode.INCOMPLETE)
SERIES = {name: metric for metric in METRICS for name in metric.series}


def text_of(name):
    return (FILES / name).read_text(encoding="utf-8")


def unit_of(path):
    """A unit's settings by section, each a list in the order of the file."""
    sections = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\[(\w+)\]", line):
            section = sections.setdefault(found[1], {})
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            section.setdefault(name, []).append(value)
    return sections


def numbers(text):
    return {int(each) for each in re.findall(r"\d+", text)}


def cron_job():
    return next(each for each in yaml.safe_load_all(text_of("cronjob.yaml")) if each["kind"] == "CronJob")


def pods_job():
    """The job file that the pod gets."""
    shown = next(each for each in yaml.safe_load_all(text_of("cronjob.yaml")) if each["kind"] == "ConfigMap")
    return load_text(
        shown["data"]["nightly.yaml"], Path("/etc/batchsearch/nightly.yaml"), environ={}
    ).settings


def nightly():
    return load_job(FILES / "nightly.yaml", environ={}).settings


def pod():
    return cron_job()["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def container():
    (only,) = pod()["containers"]
    return only


def dockerfile():
    """Its instructions, each with its arguments."""
    text = re.sub(r"(?m)^#.*\n", "", text_of("Dockerfile")).replace("\\\n", " ")
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line.strip()]


def test_the_jobs_are_accepted_and_guarded():
    """Both job files load, stop by their window, refuse a shrunken export and show numbers."""
    for job in (nightly(), pods_job()):
        assert job.window is not None
        assert job.manifest.max_shrink is not None
        assert job.calls.max_outage_seconds > 3600
        assert job.metrics.textfile or job.metrics.port
        assert job.notify.when == ("failed",)


def test_systemd_follows_the_exit_codes():
    """A night that its window ended is fine, what passes is tried again, what does not is left."""
    service = unit_of(SERVICE)["Service"]
    assert numbers(*service["SuccessExitStatus"]) == {STOPPED}
    assert numbers(*service["RestartPreventExitStatus"]) == FINAL
    assert service["Restart"] == ["on-failure"]


def test_kubernetes_follows_the_exit_codes():
    """The same in a pod, where a window that has closed ends the Job as well."""
    disrupted, ended = cron_job()["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert (disrupted["action"], disrupted["onPodConditions"]) == ("Ignore", [{"type": "DisruptionTarget"}])
    assert (ended["action"], ended["onExitCodes"]["operator"]) == ("FailJob", "In")
    assert set(ended["onExitCodes"]["values"]) == FINAL | {STOPPED}
    assert ended["onExitCodes"]["containerName"] == container()["name"]
    assert pod()["restartPolicy"] == "Never"  # podFailurePolicy wants it.


def test_the_airflow_example_follows_the_exit_codes():
    """The example with the command line ends the task where another try would end the same way."""
    script = (ROOT / "configs" / "airflow" / "by_command_line.py").read_text(encoding="utf-8")
    assert numbers(re.search(r"case \$code in ([\d |]+)\) exit 0", script)[1]) == FINAL


def test_the_page_has_the_same_table():
    """docs/production.md says of each code what the files do."""
    page = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d[^|]*) \| ([^|]*) \|", page, re.MULTILINE))
    told = {code: what for codes, what in rows.items() for code in numbers(codes)}
    assert told.keys() == {int(code) for code in ExitCode}
    assert {code for code, what in told.items() if "not tried again" in what} == FINAL
    assert {code for code, what in told.items() if what.startswith("tried again")} == AGAIN - {STOPPED}


@pytest.fixture
def stand_in(tmp_path):
    """A program that ends with the codes of a list, one a start, and notes what it was given."""
    program = tmp_path / "batchsearch"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$ALIBABA_CLOUD_ACCESS_KEY_ID $*" >>{tmp_path}/starts\n'
        f"code=$(head -n 1 {tmp_path}/codes); sed -i 1d {tmp_path}/codes; exit $code\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    (tmp_path / "env").write_text("ALIBABA_CLOUD_ACCESS_KEY_ID=key\n", encoding="utf-8")
    return tmp_path


def night_of(folder, codes, tries=3):
    """Runs the cron script over a stand-in; how it ended, and how often it started the program."""
    (folder / "codes").write_text("".join(f"{code}\n" for code in codes), encoding="utf-8")
    (folder / "starts").write_text("", encoding="utf-8")
    ended = subprocess.run(
        [shutil.which("sh"), NIGHT, "run", "job.yaml", folder / "log"],
        env={
            "PATH": os.environ["PATH"],
            "BATCHSEARCH": str(folder / "batchsearch"),
            "CREDENTIALS": str(folder / "env"),
            "PAUSE": "0",
            "TRIES": str(tries),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return ended, (folder / "starts").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("code", [int(code) for code in ExitCode])
def test_cron_follows_the_exit_codes(stand_in, code):
    """The script is silent when all is well, tries again what passes, and else says one line and the code."""
    ended, starts = night_of(stand_in, [code] * 3)
    fine = code in (0, STOPPED)
    assert ended.returncode == (0 if fine else code)
    assert (ended.stdout == "") is fine
    assert len(starts) == (3 if code in AGAIN - {STOPPED} else 1)
    assert starts[0] == "key run job.yaml --no-progress --log-format json"
    assert ended.stderr == ""


def test_cron_says_nothing_of_what_passed(stand_in):
    """A night that succeeds at the second start mails nobody."""
    ended, starts = night_of(stand_in, [74, 0])
    assert (ended.returncode, ended.stdout, len(starts)) == (0, "", 2)


def test_cron_goes_on_after_a_run_that_was_killed(tmp_path):
    """Out of memory, for one: it is tried again, and somebody is told."""
    fake = tmp_path / "batchsearch"
    fake.write_text('#!/bin/sh\necho tried >>"$0.log"\nkill -KILL $$\n')
    fake.chmod(0o755)
    done = subprocess.run(
        ["sh", str(NIGHT), "run", "job.yaml", str(tmp_path / "log")],
        env={**os.environ, "BATCHSEARCH": str(fake), "TRIES": "2", "PAUSE": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 137
    assert "ended with exit code 137" in done.stdout
    assert (tmp_path / "batchsearch.log").read_text() == "tried\n" * 2


@pytest.mark.parametrize("again", range(12))
def test_cron_hands_on_the_signal(tmp_path, again):
    """SIGTERM to the script ends the run in good order, and the script with it: no further start.

    Each time: the run may end before the script waits for it once more.
    """
    program = tmp_path / "batchsearch"
    program.write_text(
        f"#!{sys.executable} -S\nimport os, signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\nos.write(1, b'started\\n')\n"
        "signal.sigwait({signal.SIGTERM})\nos.write(1, b'stopped\\n')\nos._exit(4)\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    os.mkfifo(tmp_path / "log")
    with subprocess.Popen(
        [shutil.which("sh"), NIGHT, "run", "job.yaml", tmp_path / "log"],
        env={"PATH": os.environ["PATH"], "BATCHSEARCH": str(program), "CREDENTIALS": "/nonexistent"},
        stdout=subprocess.PIPE,
    ) as script:
        try:
            with (tmp_path / "log").open(encoding="utf-8") as log:
                assert log.readline() == "started\n"
                script.send_signal(signal.SIGTERM)
                assert log.read() == "stopped\n"
            said, _ = script.communicate()
        finally:
            script.kill()
    assert (script.returncode, said) == (0, b"")


def test_all_start_when_the_window_opens():
    """Timer, cron line, CronJob and the jobs' windows name the same time."""
    for job in (nightly(), pods_job()):
        assert (job.window.start, job.window.tz) == ("22:00", "UTC")
    assert unit_of(TIMER)["Timer"]["OnCalendar"] == ["*-*-* 22:00:00 UTC"]
    assert re.search(r"^CRON_TZ=UTC\n0 22 \* \* \* batchsearch ", text_of("crontab"), re.MULTILINE)
    spec = cron_job()["spec"]
    assert (spec["schedule"], spec["timeZone"]) == ("0 22 * * *", "Etc/UTC")
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] > 8 * 3600


def test_the_pod_keeps_nothing_and_can_write_where_it_works():
    """The output is remote, and every place that is written to is a volume; all else is read-only."""
    job, mounts = pods_job(), {each["mountPath"]: each for each in container()["volumeMounts"]}
    assert re.match(r"(oss|s3|gs)://", job.output.dir)
    volumes = {each["name"]: each for each in pod()["volumes"]}
    for place in (job.output.work_dir, "/tmp", dict_of_env()["HOME"]):
        mount = next(each for path, each in mounts.items() if Path(place).is_relative_to(path))
        assert "emptyDir" in volumes[mount["name"]]
        assert not mount.get("readOnly")
    assert container()["args"][1] == "/etc/batchsearch/nightly.yaml"
    assert mounts["/etc/batchsearch"]["readOnly"]
    assert container()["securityContext"]["readOnlyRootFilesystem"]


def dict_of_env():
    return {each["name"]: each["value"] for each in container()["env"]}


def test_the_pod_is_bounded_and_alone():
    """One at a time, with resources, a secret, no root, and time to stop in good order."""
    assert cron_job()["spec"]["concurrencyPolicy"] == "Forbid"
    assert {"cpu", "memory"} <= container()["resources"]["requests"].keys()
    assert "memory" in container()["resources"]["limits"]
    assert container()["envFrom"] == [{"secretRef": {"name": "batchsearch-credentials"}}]
    assert pod()["securityContext"]["runAsNonRoot"]
    assert pod()["terminationGracePeriodSeconds"] >= 90
    assert container()["ports"][0]["containerPort"] == pods_job().metrics.port


def test_the_image_is_built_offline_pinned_and_not_as_root():
    """The Dockerfile installs from the folder alone, by hashes, for the user that the pod names."""
    steps = dockerfile()
    assert all(re.search(r":\d[\w.-]+", value) for name, value in steps if name == "ARG"), "no tag"
    (install,) = [value for name, value in steps if name == "RUN" and "pip install" in value]
    assert {"--no-index", "--require-hashes", "--find-links"} <= set(install.split())
    (user,) = [value for name, value in steps if name == "USER"]
    assert user == f"{pod()['securityContext']['runAsUser']}:{pod()['securityContext']['runAsGroup']}"
    assert user != "0:0"
    order = [name for name, _ in steps]
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert not [value for name, value in steps if name == "RUN" and re.search(r"apt|curl|wget", value)]
    assert json.loads(dict(steps)["ENTRYPOINT"]) == ["batchsearch"]


def test_the_image_has_the_extras_that_the_jobs_need():
    """What wheelhouse.sh collects unless told otherwise serves both job files."""
    extras = set(re.search(r"extras=\$\{1:-([\w,]+)\}", text_of("wheelhouse.sh"))[1].split(","))
    assert {"metrics", "s3"} <= extras


def test_credentials_are_named_as_they_are_read_and_hold_nothing():
    """The example of the environment file has the right names, and no key."""
    given = dict(re.findall(r"^(\w+)=(.*)$", text_of("credentials.env"), re.MULTILINE))
    assert given == {"ALIBABA_CLOUD_ACCESS_KEY_ID": "CHANGE", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "CHANGE"}


def rules():
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return group["rules"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_alerts_ask_for_metrics_and_labels_that_exist(rule):
    """Each name is a series of the catalogue, each label one that it has, each code one there is."""
    found = re.findall(r"\b(batchsearch_[a-z_]+)(?:\{([^}]*)\})?", rule["expr"])
    assert found
    for name, selector in found:
        assert name in SERIES
        assert set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selector)) <= set(SERIES[name].labels)
    for name in re.findall(r"(?:rate|increase)\((batchsearch_[a-z_]+)", rule["expr"]):
        assert SERIES[name].kind == "counter"
    codes = re.findall(r"batchsearch_run_exit_code != (\d+)", rule["expr"])
    assert {int(code) for code in codes} <= {0, STOPPED}
    shown = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
    assert shown <= set(SERIES[found[0][0]].labels)
    assert {"severity"} == rule["labels"].keys()
    assert {"summary", "description"} == rule["annotations"].keys()


def test_the_page_lists_the_alerts():
    """docs/production.md has a line for each alert, and no other."""
    page = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(Batchsearch\w+)` \|", page, re.MULTILINE) == [rule["alert"] for rule in rules()]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_alerts_fire_when_they_should_and_only_then(tmp_path):
    """Prometheus' own tool takes the rules, and each fires on the night that it is meant for."""
    subprocess.run(["promtool", "check", "rules", ALERTS], check=True, capture_output=True)
    bare = [{name: value for name, value in rule.items() if name != "annotations"} for rule in rules()]
    named = tmp_path / "alerts.yaml"
    named.write_text(yaml.safe_dump({"groups": [{"name": "batchsearch", "rules": bare}]}), encoding="utf-8")
    nights = (Path(__file__).parent / "data" / "alerts_tests.yaml").read_text(encoding="utf-8")
    (tmp_path / "nights.yaml").write_text(nights.replace("ALERTS", str(named)), encoding="utf-8")
    tried = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "nights.yaml"], capture_output=True, text=True, check=False
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_units(tmp_path):
    """`systemd-analyze verify` has nothing to say of them, and rates the service as little exposed."""
    program = Path(sys.executable).parent / "batchsearch"
    for unit in (SERVICE, TIMER):
        text = unit.read_text(encoding="utf-8").replace("/opt/batchsearch/bin/batchsearch", str(program))
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    surroundings = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:", "LC_ALL": "C"}
    for name in ("batchsearch@nightly.service", "batchsearch@nightly.timer"):
        checked = subprocess.run(
            ["systemd-analyze", "verify", name], env=surroundings, capture_output=True, text=True, check=False
        )
        about = [line for line in checked.stderr.splitlines() if "batchsearch" in line]
        assert (checked.returncode, about) == (0, []), checked.stderr
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", tmp_path / SERVICE.name],
        env=surroundings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert rated.returncode == 0, rated.stdout[-300:]


def test_the_unit_runs_what_the_command_line_has():
    """The unit's command parses, with the files and the user that the page sets up."""
    service = unit_of(SERVICE)["Service"]
    (command,) = service["ExecStart"]
    words = shlex.split(command.replace("$COMMAND", "run").replace("%i", "nightly"))
    assert words == [
        "/opt/batchsearch/bin/batchsearch", "run", "/etc/batchsearch/nightly.yaml", "--no-progress",
        "--log-format", "json",
    ]  # fmt: skip
    assert service["EnvironmentFile"][0] == "/etc/batchsearch/credentials.env"
    assert nightly().output.dir.startswith(f"/var/lib/{service['StateDirectory'][0]}/")
