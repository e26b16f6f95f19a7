"""A console beside embedded instances that are served by themselves, in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from batchsearch.config.model import JobSettings
from batchsearch.console.console_options import ConsoleOptions
from batchsearch.console.console_server import open_console
from batchsearch.console.opening_console import user_folder
from batchsearch.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchsearch.emulator.server import Emulator

_START_SECONDS: Final = 30.0


@contextmanager
def console_beside(emulator: Emulator, told: Callable[[str], object]) -> Iterator[None]:
    """A console about a running emulator's instances, while the block lasts.

    Args:
        emulator: The emulator, started.
        told: Told the console's address, and each new one.

    Where there cannot be one, that is told in place of an address: the instances are served all the same.
    """
    ready = threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        ended = asyncio.Event()
        loops.append((asyncio.get_running_loop(), ended))
        options = ConsoleOptions(history=user_folder() / "history")

        def led(address: str) -> None:
            emulator.lead_to(address.partition("?")[0])
            told(address)

        async with open_console(settings_of(emulator), options, emulator=emulator, told=led):
            ready.set()
            await ended.wait()
            emulator.lead_to(None)

    def run() -> None:
        try:
            asyncio.run(serve())
        except Exception as error:  # noqa: BLE001 - the instances are what was asked for
            told(f"nowhere: {redacted(str(error))}")
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="batchsearch-console", daemon=True)
    thread.start()
    ready.wait(_START_SECONDS)
    try:
        yield
    finally:
        for loop, ended in loops:
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended.set)
        thread.join()


def settings_of(emulator: Emulator) -> JobSettings:
    """A job about an emulator's instances: no rows, and each instance's own rate."""
    instances = [
        {
            "endpoint": emulator.endpoint,
            "name": each.name,
            "qps": each.qps,
            "custom_qps": True,
            "service_type": each.service_type,
            "longest_id": each.longest_id,
        }
        for each in emulator.options.instances
    ]
    folder = str(user_folder() / "emulator")
    return JobSettings.model_validate(
        {
            "operation": "SearchImageByPic",
            "instance": instances[0],
            "instances": instances[1:],
            "manifest": {
                "path": f"{folder}/none.csv",
                "key": "id",
                "columns": {"image": "image", "instance": "instance"},
            },
            "output": {"dir": f"{folder}/output"},
        }
    )
