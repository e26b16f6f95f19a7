"""What many tests start from: real small images, a running emulator, a job over it."""

import os
import random
import signal
import sys
from functools import partial
from pathlib import Path

import hypothesis
import pytest
import yaml
from PIL import Image, ImageDraw

from batchsearch.config.load import load_job
from batchsearch.interrupts import STOPPING

# What tests are made with is imported by its name, from every folder.
sys.path.insert(0, str(Path(__file__).parent / "rigs"))

# Machines are shared: how long one example takes says nothing.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Two workers more than cores: many tests wait for a server or for a process that they have started."""
    return (os.cpu_count() or 1) + 2


QUICK = Path(__file__).parent / "unit"
NOT_QUICK = frozenset(
    {
        "test_adaptive.py",
        "test_airflow_child.py",
        "test_architecture.py",
        "test_catalogue_images.py",
        "test_catalogue_search.py",
        "test_catalogue_subject.py",
        "test_catalogue_upkeep.py",
        "test_compare_statistics.py",
        "test_completion.py",
        "test_config_load.py",
        "test_config_meaning.py",
        "test_crash_points.py",
        "test_csv_oddities.py",
        "test_damaged_footers.py",
        "test_dedup_verifying.py",
        "test_export_cells.py",
        "test_image_blank.py",
        "test_image_bounds.py",
        "test_image_copies.py",
        "test_image_folder.py",
        "test_image_prepare.py",
        "test_image_rows.py",
        "test_image_second_decoder.py",
        "test_image_traps.py",
        "test_index.py",
        "test_ledger_store.py",
        "test_manifest_formats.py",
        "test_manifest_keys.py",
        "test_manifest_source.py",
        "test_metrics_samples.py",
        "test_off_memory.py",
        "test_pacer.py",
        "test_parts.py",
        "test_publish.py",
        "test_report_figures.py",
        "test_report_page.py",
        "test_row_vectors.py",
        "test_sample_data.py",
        "test_scripts.py",
        "test_sealed.py",
        "test_sealer.py",
        "test_seen.py",
        "test_shared_pacer.py",
        "test_tables_past_memory.py",
        "test_truth.py",
        "test_word_index.py",
        "test_wording.py",
    }
)
"""Modules of unit tests that take a while: they start processes, make large files, look at many images, try
thousands of cases or play hours in virtual time."""


def pytest_ignore_collect(collection_path, config):
    """With `-m quick` nothing else is imported: collecting all takes longer than the quick ones."""
    if config.option.markexpr.strip() != "quick":
        return None
    above = collection_path in (QUICK, *QUICK.parents)
    below = QUICK in collection_path.parents and collection_path.name not in NOT_QUICK
    return None if above or below else True


def pytest_collection_modifyitems(items):
    """Marks the quick tests."""
    quick = {
        path: QUICK in path.parents and path.name not in NOT_QUICK for path in {item.path for item in items}
    }
    for item in items:
        if quick[item.path]:
            item.add_marker(pytest.mark.quick)


def pytest_make_parametrize_id(val, argname):
    """Bytes that are made anew (packed ones hold the time) would name a test differently in each process."""
    return argname if isinstance(val, bytes) and len(val) > 8 else None


AT_FIRST = {number: signal.getsignal(number) for number in STOPPING}


@pytest.fixture(autouse=True)
def as_at_first():
    """The signals are handled as at first: commands that end in a test or a fixture leave them ignored."""
    for number, handler in AT_FIRST.items():
        signal.signal(number, handler)
    yield
    for number, handler in AT_FIRST.items():
        signal.signal(number, handler)


def draw(seed, size=(160, 120)):
    """An image unlike any of another seed."""
    rng = random.Random(seed)

    def colour():
        return tuple(rng.randrange(256) for _ in range(3))

    image = Image.new("RGB", size, colour())
    pen = ImageDraw.Draw(image)
    for _ in range(8):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        pen.ellipse((x, y, x + rng.randrange(10, 80), y + rng.randrange(10, 80)), fill=colour())
    return image


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder of forty different JPEG files, `p00.jpg` to `p39.jpg`."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(40):
        draw(number).save(folder / f"p{number:02}.jpg", quality=90)
    return folder


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate of one's own for 127.0.0.1, and its key: official clients upload over TLS only."""
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def emulator():
    """An emulator in memory that grants whatever comes."""
    from run_rig import granting

    from batchsearch.emulator.instance_options import EmulatorOptions
    from batchsearch.emulator.server import Emulator

    with Emulator(EmulatorOptions(instances=(granting(),))) as running:
        yield running


@pytest.fixture
def signed_in(emulator, monkeypatch):
    """The emulator, its key pair in the environment."""
    from run_rig import sign_in

    sign_in(monkeypatch, emulator)
    return emulator


@pytest.fixture
def make_job(tmp_path, images):
    """Writes a manifest and a job file; returns the job file's path.

    Rows are dictionaries; settings are laid over the defaults, by dotted name.
    """
    from csv_rows import write_rows

    def make(rows, **settings):
        manifest = tmp_path / "manifest.csv"
        write_rows(manifest, rows)
        job = {
            "operation": "SearchImageByPic",
            # No rate makes a test wait that does not say so.
            "instance": {
                "endpoint": "http://127.0.0.1:9",
                "name": "demo",
                "custom_qps": True,
                **dict.fromkeys(("qps", "add_qps", "update_qps", "delete_qps"), 1000),
            },
            "manifest": {"path": "manifest.csv", "key": ["id"]},
            "images": {"root": str(images)},
            "output": {"dir": "out"},
            "max_failed": "100%",
        }
        for name, value in settings.items():
            section = job
            *path, last = name.split("__")
            for part in path:
                section = section.setdefault(part, {})
            section[last] = value
        file = tmp_path / "job.yaml"
        file.write_text(yaml.safe_dump(job), encoding="utf-8")
        return file

    return make


@pytest.fixture
def load(make_job):
    """Like `make_job`, but returns the loaded settings."""

    def made(rows, **settings):
        return load_job(make_job(rows, **settings), environ={}).settings

    return made


@pytest.fixture
def make_job_here(signed_in, make_job):
    """Like `make_job`, for a job against the emulator that is signed in to."""
    return partial(make_job, instance__endpoint=signed_in.endpoint)


@pytest.fixture
def load_here(signed_in, load):
    """Like `load`, for a job against the emulator that is signed in to."""
    return partial(load, instance__endpoint=signed_in.endpoint)


@pytest.fixture
def run_here(load_here):
    """Runs a job over rows against that emulator; its settings and its summary."""
    from batchsearch.engine.run.job import run_job

    async def ran(rows, **settings):
        loaded = load_here(rows, **settings)
        return loaded, await run_job(loaded)

    return ran


@pytest.fixture
def sample_data():
    """The project's own sample data."""
    return Path(__file__).parent.parent / "sample_data"
