"""One connection of this process to a Dask cluster, shared by everything that uses it.

A command has several steps, some with an event loop of their own; starting workers takes seconds. So the
first who asks opens the connection, the last who lets go closes it.
"""

from __future__ import annotations

import logging
import os
import platform
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from batchsearch._version import __version__
from batchsearch.config.sections.worker_settings import local_workers
from batchsearch.errors import ConfigError, MissingExtraError
from batchsearch.images.cluster import local_worker
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from distributed import Client

CONNECT_SECONDS: Final = 10.0
"""How long a scheduler is waited for."""
WORKER_SECONDS: Final = 120.0
"""How long a first worker is waited for: clusters that grow by demand start them only now."""
_MOST_NAMED: Final = 3
_SECURED: Final = ("tls://", "wss://")
_CERTIFICATE: Final = ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that this process is connected to.

    Attributes:
        client: Dask's own, with a thread and an event loop of its own: usable from any thread.
        address: The scheduler's.
    """

    client: Client
    address: str

    def threads(self) -> dict[str, int]:
        """How many threads each worker has, by its address; asks the scheduler."""
        found: dict[str, int] = self.client.nthreads()
        return found


@dataclass(slots=True)
class _Held:
    """A connection and how many use it."""

    cluster: Cluster
    closing: ExitStack = field(repr=False)
    users: int = 0


_held: dict[str, _Held] = {}
_gate = threading.RLock()


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """The cluster at an address; opened if nobody in this process has it open. Blocks while it is.

    Args:
        address: As `workers.dask` takes it.

    Raises:
        MissingExtraError: Dask is not installed.
        ConfigError: No scheduler answers there, no worker comes, or a worker has another batchsearch.
    """
    with _used(address, lambda: _opened(address)) as held:
        yield held.cluster


@contextmanager
def given(client: Client) -> Iterator[str]:
    """Use a client that a program has; it stays the program's to close.

    Yields:
        The address under which `connected` finds it meanwhile.

    Raises:
        ConfigError: It is an asynchronous one, or a worker has another batchsearch.
    """
    if client.asynchronous:
        raise ConfigError("workers: give a client without `asynchronous=True`: it is used from other threads")
    address = str(client.scheduler.address)

    def taken() -> _Held:
        _look_at_workers(client, address)
        return _Held(Cluster(client, address), ExitStack())

    with _used(address, taken):
        yield address


@contextmanager
def _used(address: str, opened: Callable[[], _Held]) -> Iterator[_Held]:
    """What is held of an address, closed when its last user leaves it."""
    with _gate:
        held = _held.get(address)
        if held is None:
            held = _held[address] = opened()
        held.users += 1
    try:
        yield held
    finally:
        with _gate:
            held.users -= 1
            if not held.users and _held.get(address) is held:
                del _held[address]
                held.closing.close()


def _opened(address: str) -> _Held:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingExtraError("dask", "workers on a Dask cluster") from error
    workers = local_workers(address)
    with ExitStack() as undo:
        if workers is None:
            _look_at_certificate(address)
            try:
                client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
            except (OSError, TimeoutError, ValueError) as error:
                raise ConfigError(
                    f"workers.dask: no scheduler answers at {address} ({_brief(error)}); is it running, and "
                    "does it listen there?"
                ) from error
        else:
            cluster = LocalCluster(
                n_workers=workers or os.cpu_count() or 1,
                threads_per_worker=1,
                processes=True,
                dashboard_address=":0",
                silence_logs=logging.ERROR,
                preload=[local_worker.__name__],
            )
            undo.callback(cluster.close)
            client = Client(cluster, set_as_default=False)
        undo.callback(_closed, client)
        where = str(client.scheduler.address)
        _look_at_workers(client, where)
        logger().info("cluster_joined", address=where, dashboard=_shown_dashboard(client))
        return _Held(Cluster(client, where), undo.pop_all())
    raise AssertionError("unreachable")  # for mypy: an ExitStack might swallow


def _here() -> dict[str, str | None]:
    return versions_here()


def _look_at_certificate(address: str) -> None:
    """See that there is a certificate where an address asks for one: Dask says so late and at length."""
    from distributed.security import Security

    if not address.startswith(_SECURED):
        return
    try:
        found = Security().get_connection_args("client")["ssl_context"]
    except OSError as error:
        raise ConfigError(
            f"workers.dask: the certificate for {address} cannot be read ({_brief(error)}); see Dask's "
            "settings `distributed.comm.tls`"
        ) from error
    if found is None:
        raise ConfigError(
            f"workers.dask: {address} needs a certificate; name its files by "
            + ", ".join(f"DASK_DISTRIBUTED__COMM__TLS__{name}" for name in _CERTIFICATE)
        )


def _closed(client: Client) -> None:
    with suppress(OSError, TimeoutError):  # a scheduler that is gone has nothing to be told
        client.close(timeout=5)


def _shown_dashboard(client: Client) -> str:
    """Where Dask draws what its workers do; nowhere without the package that draws it."""
    if find_spec("bokeh") is None:
        return ""
    with suppress(Exception):  # without one there is no address
        return str(client.dashboard_link)
    return ""


def _look_at_workers(client: Client, address: str) -> None:
    """Wait for a first worker, and compare what the workers have with what is here."""
    from distributed import TimeoutError as NoAnswerError

    first = client.submit(versions_here, pure=False)
    try:
        first.result(timeout=WORKER_SECONDS)
        # A worker that is lost meanwhile says nothing; its successor is looked at with its first images.
        said: Mapping[str, Any] = client.run(versions_here, on_error="return")
        found = {worker: each for worker, each in said.items() if isinstance(each, dict)}
    except (TimeoutError, NoAnswerError):
        raise ConfigError(
            f"workers.dask: the scheduler at {address} has no worker that answers after "
            f"{WORKER_SECONDS:.0f} s; start one (`dask worker {address}`)"
        ) from None
    except ImportError as error:
        raise ConfigError(
            f"workers.dask: a worker of {address} has no batchsearch ({error}); install the same version "
            "there"
        ) from error
    finally:
        first.release()
    here = _here()
    others = {worker: differences(here, there) for worker, there in found.items()}
    another = [worker for worker, differing in others.items() if "batchsearch" in differing]
    if another:
        named = ", ".join(
            f"{worker} has {found[worker]['batchsearch']}" for worker in sorted(another)[:_MOST_NAMED]
        )
        raise ConfigError(
            f"workers.dask: this is batchsearch {here['batchsearch']}, and {named}; images come out the same "
            "only by the same version: install it on all workers"
        )
    for worker, differing in sorted(others.items()):
        if differing:
            logger().warning(
                "cluster_differs",
                worker=worker,
                here={name: here[name] for name in differing},
                there={name: found[worker].get(name) for name in differing},
            )


def _brief(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


_PACKAGES: Final = ("pillow", "numpy", "pillow-heif", "opencv-python-headless", "distributed")
"""Packages that decode, resize and compare images, and the one that carries them."""


def versions_here() -> dict[str, str | None]:
    """Versions of batchsearch, Python and those packages in this process; None for what is not installed."""
    found: dict[str, str | None] = {
        "batchsearch": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def differences(here: Mapping[str, str | None], there: Mapping[str, str | None]) -> tuple[str, ...]:
    """Names of what is not the same in two processes, in the order of `versions_here`."""
    return tuple(name for name in here if here[name] != there.get(name))
