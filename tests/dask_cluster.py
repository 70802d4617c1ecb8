"""A real dask scheduler and its worker processes, on loopback."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 60
needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="dask is not installed")


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskCluster:
    """A scheduler that runs.

    Attributes:
        address: Of the scheduler.
        scheduler: Its process.
        workers: Its worker processes, without nannies: what is killed stays dead.
        variables: Environment of the workers, beside our own.
    """

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def alive(self) -> list[subprocess.Popen[bytes]]:
        """Workers that have not been killed."""
        return [worker for worker in self.workers if worker.poll() is None]

    def lose_workers(self) -> None:
        """Kill all workers."""
        for worker in self.workers:
            kill(worker)

    def add_workers(self, n: int) -> None:
        """Start workers, and wait until the scheduler knows them."""
        options = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1")
        self.workers.extend(_start("dask_worker", self.address, *options, **self.variables) for _ in range(n))
        from dask.distributed import Client

        with Client(self.address, timeout=PATIENCE_SECONDS, set_as_default=False) as client:
            client.wait_for_workers(len(self.alive), timeout=PATIENCE_SECONDS)


@contextmanager
def dask_cluster(n_workers: int = 2, **variables: str) -> Iterator[DaskCluster]:
    """Start a scheduler and workers, and kill them at the end."""
    address = f"tcp://127.0.0.1:{free_port()}"
    scheduler = _start("dask_scheduler", "--host", address, "--no-dashboard", "--no-show")
    cluster = DaskCluster(address=address, scheduler=scheduler, variables=variables)
    try:
        cluster.add_workers(n_workers)
        yield cluster
    finally:
        for process in (*cluster.workers, scheduler):
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """As ``kill -9`` does."""
    process.kill()
    process.wait()


def free_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def _start(program: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    command = [sys.executable, "-m", f"distributed.cli.{program}", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
