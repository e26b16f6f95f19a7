"""A job on the nodes of a SLURM cluster: `python slurm.py nightly.yaml`, on a login node or in a SLURM job.

Needs `pip install 'batchsearch[dask]' dask-jobqueue` in an environment that every node sees. Workers are
SLURM jobs: they are asked for when images wait and given back when none do. One that ends by its time limit
costs the images that it had in work, which another one makes ready again.

What is started here is the run itself: it makes the calls and keeps the output, so it has to live as long as
they take. If it is killed, the same command goes on. CHANGE what is marked.
"""

import sys

from dask_jobqueue import SLURMCluster

import batchsearch

# CHANGE: partition, account, and what a node has. One process and one thread for each core.
CLUSTER = {
    "queue": "compute",
    "account": "shop",
    "cores": 8,
    "processes": 8,
    "memory": "16GB",
    "walltime": "08:00:00",
    # The network that nodes reach each other by.
    "interface": "eth0",
    # Scratch space of the node.
    "local_directory": "/tmp",
    # Variables of the store's access key, if images come from one: a file that only you can read.
    "job_script_prologue": ["set -a; . ~/.config/batchsearch/store.env; set +a"],
    # Shortly before the time limit no new images are taken.
    "worker_extra_args": ["--lifetime", "7h50m", "--lifetime-stagger", "5m"],
}
# CHANGE: how many SLURM jobs at most. `batchsearch plan JOB.yaml --sample 2000 --workers` says how many cores
# are worth having.
MOST_JOBS = 10


def main(job: str) -> int:
    """Run the job file; the exit code that the command would have."""
    with SLURMCluster(**CLUSTER) as cluster:
        cluster.adapt(minimum_jobs=1, maximum_jobs=MOST_JOBS)
        result = batchsearch.run(job, dask=cluster.scheduler_address)
    print(result.summary.as_text())
    return int(result.summary.exit_code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
