"""A process that has imported everything and forks Dask workers, one for each line that it reads."""

import asyncio
import json
import os
import signal
import sys

import distributed
import pyarrow.dataset  # noqa: F401 - what a lane needs is there before the fork
import s3fs  # noqa: F401

import batchsearch.engine.run.assembly
import batchsearch.storage.remote.store_output
import batchsearch.tasks.lanes.lane_worker  # noqa: F401


async def work(scheduler, name, folder):
    async with distributed.Worker(
        scheduler, nthreads=1, name=name, local_directory=folder, dashboard=False, memory_limit=0
    ) as worker:
        await worker.finished()


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child:
            sys.stdout.write(f"{child}\n")
            sys.stdout.flush()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.update(order["environ"])
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in (0, 1, 2):
            os.dup2(log if number else os.open(os.devnull, os.O_RDONLY), number)
        asyncio.run(work(order["scheduler"], str(os.getpid()), order["folder"]))
        os._exit(0)


if __name__ == "__main__":
    main()
