"""Where blocks are computed: in this process, in several, or on a dask cluster."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing import resource_tracker
from typing import Any

from acqplan.errors import AcqplanError, MissingError
from acqplan.evaluate.benchmark.block import BlockResult, run_block
from acqplan.evaluate.benchmark.design import Block, Design
from acqplan.evaluate.benchmark.material import Material
from acqplan.features.extract_dask import connected

FRUITLESS_AT_MOST = 3
"""How often what was lost with its workers is sent anew without a single block coming back."""

RETURN_SECONDS = 15
"""A cluster that has lost all its workers is given so long until nannies have started new ones."""

WATCH_SECONDS = 0.5
"""How often a process of the benchmark looks whether the one that started it still lives."""


def here(material: Material, design: Design, blocks: Sequence[Block], *, device: str) -> Iterator[BlockResult]:
    """One block after the other in this process; heads use all its cores."""
    for block in blocks:
        yield run_block(material, design, block, device=device)


def in_processes(
    material: Material, design: Design, blocks: Sequence[Block], *, device: str, workers: int
) -> Iterator[BlockResult]:
    """Blocks side by side in processes of one core each; features are shared, not copied.

    Raises:
        AcqplanError: If a process dies.
    """
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    work = joblib.delayed(partial(run_block, material, design, device=device, cores=1))
    with joblib.parallel_config(
        backend="loky", inner_max_num_threads=1, initializer=_begin_process, initargs=(os.getpid(),)
    ):
        parallel = joblib.Parallel(
            n_jobs=workers, return_as="generator_unordered", pre_dispatch=workers + 1, batch_size=1
        )
        with _interrupts_blocked():
            results: Generator[BlockResult, None, None] = parallel(work(block) for block in blocks)
        with closing(results):
            try:
                yield from results
            except TerminatedWorkerError as error:
                raise AcqplanError(
                    "a process of the benchmark was killed; memory may have run out",
                    "run the same command again: what was finished is kept; fewer --workers take less memory",
                ) from error


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """What starts with Ctrl-C blocked does not print a traceback when it comes; ours comes after the block."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # whoever starts it unblocks Ctrl-C, and the first process would
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_process(parent: int) -> None:
    """Leave Ctrl-C to the process that started this one, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Whoever is killed cannot tell: an orphan would finish its block and then wait for minutes."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def on_cluster(
    material: Material, design: Design, blocks: Sequence[Block], *, device: str, address: str
) -> Iterator[BlockResult]:
    """Blocks on a dask cluster that runs already; what a dead worker had in hand goes to another.

    Raises:
        MissingError: If dask is not installed, or no scheduler with workers is at the address.
        AcqplanError: If workers keep dying.
    """
    with _cluster(address) as client:
        left, fruitless = {block.name: block for block in blocks}, 0
        while left:
            before = len(left)
            for result in _sent(client, material, design, list(left.values()), device):
                del left[result.block.name]
                yield result
            fruitless = fruitless + 1 if len(left) == before else 0
            if fruitless == FRUITLESS_AT_MOST:
                raise AcqplanError(
                    f"the dask cluster lost {before} blocks {fruitless} times", "look after its workers and run again"
                )
            if left:
                _wait_for_workers(client, address)


def check_cluster(address: str) -> None:
    """Refuse a cluster that cannot compute, before anything is captured.

    Raises:
        MissingError: As `on_cluster`.
    """
    with _cluster(address):
        pass


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    with connected(address) as client:
        if not client.nthreads():
            raise MissingError(f"the dask cluster at {address} has no workers", "start some by `dask worker`")
        yield client


def _wait_for_workers(client: Any, address: str) -> None:
    """Nannies start what has died anew; without them nobody is left to wait for."""
    from dask.distributed import TimeoutError as NobodyCame

    try:
        client.wait_for_workers(1, timeout=RETURN_SECONDS)
    except (NobodyCame, OSError) as error:
        raise AcqplanError(
            f"the dask cluster at {address} has lost all its workers",
            "start some by `dask worker` and run the same command again: what was finished is kept",
        ) from error


def _sent(client: Any, material: Material, design: Design, blocks: list[Block], device: str) -> Iterator[BlockResult]:
    """Results as they come; those lost with the features that they need are not among them."""
    from dask.distributed import KilledWorker, as_completed
    from distributed.client import FutureCancelledError

    # Sent again after a loss: what is scattered dies with the last worker that holds it.
    held = client.scatter(material, broadcast=True, hash=False)
    futures = [client.submit(run_block, held, design, block, device=device, cores=1, pure=False) for block in blocks]
    try:
        for future in as_completed(futures, loop=client.loop):
            try:
                yield future.result()
            except (KilledWorker, FutureCancelledError):
                continue
    finally:
        client.cancel(futures)
