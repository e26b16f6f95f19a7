"""From the command line to a console that answers, and to its end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import webbrowser
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.config.load import load_job
from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.console.console_options import ConsoleOptions
from batchsearch.console.console_server import LOOPBACK, open_console
from batchsearch.emulator.installed import check_installed
from batchsearch.engine.job.instance_worker import workers_of
from batchsearch.engine.run.remote_output import localised
from batchsearch.errors import ConfigError
from batchsearch.interrupts import STOPPING
from batchsearch.tasks.init.demo_files import JOB_FILE, demo_source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchsearch.config.load import LoadedJob
    from batchsearch.config.model import JobSettings

_IDLE: Final = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")
_SECONDS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedConsole(ConsoleOptions):
    """What the command line asks for; see its help."""

    port: int = 0
    open_: bool = True
    no_history: bool = False
    idle: str = "8h"
    host: str = LOOPBACK
    i_know: bool = False


def user_folder() -> Path:
    """Where the console keeps what is the user's own."""
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "batchsearch" / "console"


def demo_job(overrides: tuple[str, ...]) -> LoadedJob:
    """The demonstration's job where it is installed, writing into the user's own folder.

    Raises:
        MissingExtraError: The extra `emulator` is not installed.
        OutputError: The installation lacks the demonstration.
    """
    check_installed()
    place = user_folder() / "demo"
    own = (f"output.dir={place / 'output'}", f"emulator.data={place / 'instance'}")
    return load_job(demo_source() / JOB_FILE, overrides=(*own, *overrides))


def has_screen(environ: Mapping[str, str], platform: str) -> bool:
    """Whether a browser would be a window: in a bare terminal one would take the terminal over."""
    return platform == "darwin" or any(
        environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )


def seconds_of(text: str) -> float:
    """`30m`, `8h`, `90` in seconds; raises ConfigError for anything else."""
    found = _IDLE.fullmatch(text.strip().lower())
    if found is None:
        raise ConfigError(f"--idle {text[:20]!r}: is no length of time, such as `30m` or `8h`")
    return float(found[1]) * _SECONDS[found[2]]


def check_host(wanted: WantedConsole, settings: JobSettings) -> None:
    """Refuses to listen where others can reach it, unless that is meant, and safe.

    Raises:
        ConfigError: It is not.
    """
    if wanted.host in {LOOPBACK, "localhost", "::1"}:
        return
    if not wanted.i_know:
        raise ConfigError(
            f"--host {wanted.host}: others could reach the console there; listen on {LOOPBACK} and use "
            "`ssh -L`, or add --i-know"
        )
    bought = [each.instance.name for each in workers_of(settings) if each.instance.endpoint != EMULATOR]
    if bought:
        raise ConfigError(
            f"--host {wanted.host}: without TLS in front a purchased instance ({', '.join(bought)}) is "
            f"served to this machine alone; on yours: ssh -L 8090:{LOOPBACK}:8090 HOST, and --port 8090 there"
        )


def serve(job: LoadedJob, wanted: WantedConsole, told: Callable[[str], object]) -> None:
    """Serve the console until it is interrupted, or nobody has used it for long.

    Args:
        job: The job whose instances it is about.
        wanted: What the command line asks for.
        told: Told the address, and each new one.

    Raises:
        ConfigError: Something that is asked for cannot be had; the message names it.
    """
    settings = localised(job.settings)
    check_host(wanted, settings)
    idle = seconds_of(wanted.idle)
    wanted = replace(
        wanted,
        history=None if wanted.no_history else user_folder() / "history",
        outputs=None if wanted.outputs is None else wanted.outputs.absolute(),
    )
    asyncio.run(_serve(settings, wanted, idle, told))


async def _serve(
    settings: JobSettings, wanted: WantedConsole, idle: float, told: Callable[[str], object]
) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, ended.set)
    async with open_console(settings, wanted, host=wanted.host, port=wanted.port, told=told) as console:
        if wanted.open_ and has_screen(os.environ, sys.platform):
            await asyncio.to_thread(webbrowser.open, console.address)
        waits: list[asyncio.Task[object]] = [asyncio.create_task(ended.wait())]
        if idle:
            waits.append(asyncio.create_task(console.wait_until_idle(idle)))
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
