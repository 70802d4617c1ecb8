"""A benchmark from rig to findings: the library's twin of ``acqplan benchmark``."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from acqplan.errors import AcqplanError, MissingError, SplitError
from acqplan.evaluate.block import BlockResult, Material, run_block
from acqplan.evaluate.design import Block, Design, draw_up
from acqplan.evaluate.findings import Findings, find
from acqplan.evaluate.ledger import Ledger, Results
from acqplan.features.devices import connected
from acqplan.features.extractor import Extractor
from acqplan.progress import SILENT, Progress
from acqplan.rig.spec import Rig
from acqplan.runtime import Runtime, available_cores

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where blocks are computed.

    Attributes:
        device: Where heads are trained, as torch names it.
        workers: Processes of one core each; 1 for this process alone.
        cluster: Address of a dask scheduler; ``""`` for none.
    """

    device: str = "cpu"
    workers: int = 1
    cluster: str = ""


def run_benchmark(
    material: Material,
    design: Design,
    out: Path,
    *,
    workplace: Workplace | None = None,
    progress: Progress = SILENT,
) -> Results:
    """Compute every block that is not finished, and collect all of them.

    Args:
        material: All shots of the rig with their features.
        design: What is compared.
        out: Folder of the results; finished blocks in it are not computed again.
        workplace: Where to compute; this process by default.
        progress: Hears of cells.

    Returns:
        The results, the same however often the run was interrupted and wherever it was computed.

    Raises:
        InputError: If the folder holds results of another design, or of other images.
        MissingError: If the cluster is not there.
        AcqplanError: If processes or workers die.
    """
    ledger, digest = Ledger(out, design), material.digest
    blocks = design.blocks()
    done = {block.name: result for block in blocks if (result := ledger.load(block, digest)) is not None}
    missing = [block for block in blocks if block.name not in done]
    known = f" ({len(done) * len(design.cells):,} done before)" if done else ""
    with (
        progress.task(f"cells{known}", len(missing) * len(design.cells)) as advance,
        closing(_computed(material, design, missing, workplace or Workplace())) as results,
    ):
        for result in results:
            ledger.save(result, digest)
            done[result.block.name] = result
            advance(len(design.cells))
    found = [done[block.name] for block in blocks]
    return Results(design=design, shots=material.shots, blocks=found, weights=material.weights)


def _computed(
    material: Material, design: Design, blocks: Sequence[Block], workplace: Workplace
) -> Generator[BlockResult, None, None]:
    """Results as they come; closing it ends whoever computes elsewhere."""
    if not blocks:
        return
    if workplace.cluster:
        yield from on_cluster(material, design, blocks, device=workplace.device, address=workplace.cluster)
    elif workplace.workers > 1 and len(blocks) > 1:
        yield from in_processes(material, design, blocks, device=workplace.device, workers=workplace.workers)
    else:
        yield from here(material, design, blocks, device=workplace.device)


STRATEGIES = ("lattice", "herding", "maximin", "sobol", "even-staggered", "random-shots", "even", "random")
"""What is compared by default; the first is the one the claim is about."""

SEEDS = 20
"""A claim needs as many (METHODS.md section 3)."""

N_BUDGETS = 6
FEWEST_AN_OBJECT, LARGEST_SHARE = 4, 1 / 6
"""Default budgets run from 4 images an object to a sixth of what can be had, in equal steps of their logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Benchmark:
    """A benchmark that is ready to run.

    Attributes:
        design: What is compared.
        eye: What looks at the rig.
        view_weights: How often the classifier will meet each view, in the order of ``space.views()``; all alike.
    """

    design: Design
    eye: Extractor
    view_weights: Float[np.ndarray, " views"] | None = None

    def register(self, out: Path) -> None:
        """Write design.json, before anything is measured.

        Raises:
            InputError: If the folder holds another design.
            OutputError: If it cannot be written.
        """
        Ledger(out, self.design)

    def run(self, out: Path, *, workers: int | None = None, cluster: str = "", progress: Progress = SILENT) -> Findings:
        """Run what is not finished, and say what all of it says.

        Args:
            out: Folder of design.json and the finished cells; a killed run goes on from there.
            workers: Processes; by default one a core on a processor, and one on any other device.
            cluster: Address of a dask scheduler that runs the cells; ``""`` for none.
            progress: Hears about long work.

        Raises:
            InputError: If the folder holds results of another design or of other images.
            MissingError: If the cluster is not there.
            AcqplanError: If processes die, or the primary contrast has no seed left.
        """
        if cluster:
            check_cluster(cluster)
        self.register(out)
        shots = self.eye.source.shots()
        features = self.eye(shots, progress=progress)
        material = Material(shots=shots, features=features, view_weights=self.view_weights)
        device = self.eye.runtime.device
        workplace = Workplace(
            device=device, workers=workers or (available_cores() if device == "cpu" else 1), cluster=cluster
        )
        return find(run_benchmark(material, self.design, out, workplace=workplace, progress=progress))


def prepare(
    setup: Rig,
    *,
    strategies: Sequence[str] = STRATEGIES,
    budgets: Sequence[int] = (),
    seeds: Sequence[int] = range(SEEDS),
    n_splits: int | None = None,
    swap: bool = True,
    primary: str | None = None,
    baseline: str | None = None,
    primary_budget: int | None = None,
    backbone: str | None = None,
    weights: Path | None = None,
    runtime: Runtime | None = None,
) -> Benchmark:
    """Settle the design of a benchmark and load its backbone; nothing is captured yet.

    Args:
        setup: The rig, from `open_rig`; every shot of it can be had.
        strategies: Names; see `draw_up` for these and the following.
        budgets: Images each may take; by default six, from 4 images an object to a sixth of all.
        seeds: Seeds.
        n_splits: Splits of the objects.
        swap: Whether to swap train and test objects as well.
        primary: The strategy the claim is about.
        baseline: The strategy of the primary contrast.
        primary_budget: The budget of the claim.
        backbone: ``name`` or ``name:layer``; toynet for toys, otherwise mobilenet_v2.
        weights: File of the backbone's weights; downloaded if ``None``.
        runtime: Where the backbone and the heads run; the fastest device by default.

    Raises:
        AcqplanError: As `draw_up` and `Extractor.open`.
    """
    if setup.source.name == "live":
        raise SplitError("a live rig cannot be benchmarked: its images do not exist", "use a folder, toys or meshes")
    eye = Extractor.open(setup.source, backbone=backbone, weights=weights, runtime=runtime or Runtime.detect())
    design = draw_up(
        setup,
        backbone=eye.backbone.fingerprint,
        strategies=strategies,
        budgets=budgets or usual_budgets(setup),
        seeds=seeds,
        n_splits=n_splits,
        swap=swap,
        primary=primary,
        baseline=baseline,
        primary_budget=primary_budget,
    )
    return Benchmark(design=design, eye=eye, view_weights=setup.view_weights)


def usual_budgets(setup: Rig) -> tuple[int, ...]:
    """Six budgets that suit a rig; fewer if it has few shots."""
    shots = setup.source.shots()
    n_objects = max(len(shots.objects) // 2, 1)
    fewest = FEWEST_AN_OBJECT * n_objects
    most = max(round(LARGEST_SHARE * len(shots) / 2), fewest)
    return tuple(sorted({round(budget / n_objects) * n_objects for budget in np.geomspace(fewest, most, N_BUDGETS)}))
