"""Where blocks are computed: in this process, in several, or on a dask cluster."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from acqplan.errors import AcqplanError, MissingError
from acqplan.evaluate.benchmark.block import BlockResult, run_block
from acqplan.evaluate.benchmark.design import Block, Design
from acqplan.evaluate.benchmark.material import Material
from acqplan.features.extract_dask import connected

LOST_AT_MOST = 10
"""How often what is lost with a worker is sent anew, before its absence is taken to be permanent."""


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

    work = joblib.delayed(partial(run_block, material, design, device=device))
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch=workers + 1)
        results: Generator[BlockResult, None, None] = parallel(work(block) for block in blocks)
        with closing(results):
            try:
                yield from results
            except TerminatedWorkerError as error:
                raise AcqplanError(
                    "a process of the benchmark was killed; memory may have run out",
                    "run the same command again: what was finished is kept; fewer --workers take less memory",
                ) from error


def on_cluster(
    material: Material, design: Design, blocks: Sequence[Block], *, device: str, address: str
) -> Iterator[BlockResult]:
    """Blocks on a dask cluster that runs already; what a dead worker had in hand goes to another.

    Raises:
        MissingError: If dask is not installed, or no scheduler with workers is at the address.
        AcqplanError: If workers keep dying.
    """
    with connected(address) as client:
        if not client.nthreads():
            raise MissingError(f"the dask cluster at {address} has no workers", "start some by `dask worker`")
        left = {block.name: block for block in blocks}
        for _ in range(LOST_AT_MOST):
            for result in _sent(client, material, design, list(left.values()), device):
                del left[result.block.name]
                yield result
            if not left:
                return
        raise AcqplanError(
            f"the dask cluster lost {len(left)} blocks {LOST_AT_MOST} times", "look after its workers and run again"
        )


def _sent(client: Any, material: Material, design: Design, blocks: list[Block], device: str) -> Iterator[BlockResult]:
    """Results as they come; those lost with the features that they need are not among them."""
    from dask.distributed import KilledWorker, as_completed
    from distributed.client import FutureCancelledError

    # Sent again after a loss: what is scattered dies with the last worker that holds it.
    held = client.scatter(material, broadcast=True, hash=False)
    futures = [client.submit(run_block, held, design, block, device=device, pure=False) for block in blocks]
    try:
        for future in as_completed(futures):
            try:
                yield future.result()
            except (KilledWorker, FutureCancelledError):
                continue
    finally:
        client.cancel(futures)
