"""What the crash tests start from: one world and one fork server for all of them."""

import pytest

from . import disk_log
from .campaign import Campaign
from .fork_server import ForkServer
from .world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """An emulator that outlives every kill, its images and jobs."""
    with World(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="session")
def runs(world):
    """Starts runs quickly."""
    with ForkServer(world.environ()) as server:
        yield server


@pytest.fixture(scope="module")
def recorder(world, tmp_path_factory):
    """Starts runs that are recorded: whoever asks for it needs a C compiler."""
    library = disk_log.build(tmp_path_factory.mktemp("recorder"))
    with ForkServer(world.environ(), preload=library) as server:
        yield server


@pytest.fixture(scope="session")
def jobs(world, runs):
    """Three jobs, each run once and left alone."""
    described = (world.images_job(), world.names_job(), world.paged_job())
    return [world.left_alone(runs, one) for one in described]


@pytest.fixture
def campaign(world, runs):
    """Kills and compares."""
    return Campaign(world, runs)
