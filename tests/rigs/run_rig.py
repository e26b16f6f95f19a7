"""Instances that hold images, commands as people give them, and what runs have written."""

import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer

import pandas as pd
import pytest
import structlog
from click.testing import CliRunner

from batchsearch.cli import cli
from batchsearch.emulator.faults import FaultPlan, FaultRule
from batchsearch.emulator.instance_options import InstanceOptions
from batchsearch.emulator.search.image_reading import decode_image
from batchsearch.emulator.search.records import NewItem


def granting(name="demo", **options):
    """Options of an instance that grants whatever comes."""
    unlimited = dict.fromkeys(("add", "delete", "update", "other"), 1e9)
    return InstanceOptions(name=name, qps=1e9, rates=unlimited, **options)


def keys_of(emulator):
    """Its key pair, as the environment holds one."""
    return {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": emulator.access_key_id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": emulator.access_key_secret,
    }


def sign_in(monkeypatch, emulator):
    """Put its key pair into the environment."""
    for name, value in keys_of(emulator).items():
        monkeypatch.setenv(name, value)


def harm(emulator, *effects, of=None, **when):
    """From now on these happen to calls, one rule each: to those `of` an operation, and as `when` says."""
    operations = frozenset() if of is None else frozenset({of})
    emulator.set_faults(FaultPlan(tuple(FaultRule(effect, operations, **when) for effect in effects)))


def put(emulator, product, path, instance=None, pic_name="front", **attributes):
    """Put an image's file into an instance without any call; the emulator."""
    item = NewItem(product, pic_name, **attributes)
    image = decode_image(path.read_bytes(), "generic")
    emulator.catalogue(instance).add(item, image, crop=True, region=None)
    return emulator


def put_all(emulator, images, numbers, product="P{}"):
    """Put images of the shared folder into an instance, each as a product; the emulator."""
    for number in numbers:
        put(emulator, product.format(number), images / f"p{number:02}.jpg")
    return emulator


def program(*arguments, env=None, **options):
    """Python as a process of its own, `env` laid over this one's environment: what it said."""
    usual = {"capture_output": True, "text": True, "env": os.environ | (env or {})}
    return subprocess.run([sys.executable, *map(str, arguments)], check=False, **(usual | options))


def command(*arguments, env=None, **options):
    """`batchsearch` as a process of its own, `env` laid over this one's environment: what it said."""
    return program("-m", "batchsearch", *arguments, env=env, **options)


LOGGED = ("--log-format", "json", "--log-level", "debug")
"""Options of a command that tells of each row as one line of JSON."""


def started(*arguments, env=None, **options):
    """`batchsearch` as a process of its own that goes on, `env` laid over this one's environment."""
    pipe = subprocess.PIPE
    usual = {"stdout": pipe, "stderr": pipe, "text": True, "env": os.environ | (env or {})}
    return subprocess.Popen([sys.executable, "-m", "batchsearch", *map(str, arguments)], **(usual | options))


def drained(ours):
    """All that comes from the other end of a terminal, until it is closed."""
    written = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal, suppress(OSError):
        # An error is how Linux says that the other end is closed.
        while piece := terminal.read(65_536):
            written += piece
    return written


def until_at_work(process):
    """Read what it logs (see `LOGGED`) until a first row is finished."""
    next(line for line in process.stderr if "row_finished" in line)


def invoke(*arguments, **options):
    """A command in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], **options)


def said(*arguments):
    """A command in this process: its exit code, and all that it said."""
    ended = invoke(*arguments)
    return ended.exit_code, ended.output


def init(*arguments, code=0):
    """`batchsearch init`, which must end so."""
    ran = invoke("init", *arguments)
    assert ran.exit_code == code, ran.stderr
    return ran


def results_of(settings):
    """A run's results, by row key."""
    return pd.read_parquet(settings.output.dir + "/results").set_index("row_key").sort_index()


def hits_of(settings):
    """A run's hits, by row key and rank."""
    return pd.read_parquet(settings.output.dir + "/hits").sort_values(["row_key", "rank"])


@pytest.fixture
def unconfigured():
    """Structlog as a program finds it that has never heard of it; other tests may have set it up."""
    was, before = structlog.is_configured(), structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    if was:
        structlog.configure(**before)


@contextmanager
def served(handler):
    """A web server on loopback; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
