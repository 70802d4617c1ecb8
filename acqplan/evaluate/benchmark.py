"""A benchmark from rig to findings, block by block: in this process, in several, or on a dask cluster."""

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

from acqplan.errors import AcqplanError, MissingError
from acqplan.evaluate.design import Block, Design, check_not_live, draw_up
from acqplan.evaluate.experiment import Material, run_block
from acqplan.evaluate.findings import Findings, find
from acqplan.evaluate.results import BlockResult, Ledger, Results
from acqplan.evaluate.task import draw_split, opened
from acqplan.features.devices import connected
from acqplan.features.extractor import Extractor
from acqplan.progress import SILENT, Progress
from acqplan.rig.spec import Rig
from acqplan.runtime import Runtime, available_cores

# What is compared by default; the first is the one that the claim is about.
STRATEGIES = ("lattice", "herding", "maximin", "sobol", "even-staggered", "random-shots", "even", "random")
# A claim needs as many (METHODS.md section 3).
SEEDS = 20
N_BUDGETS = 6
# Default budgets run from 4 images per object to a sixth of what can be had, in equal steps of their logarithm.
FEWEST_PER_OBJECT, LARGEST_SHARE = 4, 1 / 6
# How often what was lost with its workers is sent anew without a single block coming back.
FRUITLESS_AT_MOST = 3
# A cluster that has lost all its workers is given so long until nannies have started new ones.
RETURN_SECONDS = 15
# How often a process of the benchmark looks whether the one that started it still lives.
WATCH_SECONDS = 0.5


def benchmark(
    rig: Rig | Path | str,
    out: Path | str = "acqplan-benchmark",
    *,
    strategies: Sequence[str] = STRATEGIES,
    budgets: Sequence[int] = (),
    seeds: int | Sequence[int] = SEEDS,
    splits: int | None = None,
    swap: bool = True,
    primary: str | None = None,
    baseline: str | None = None,
    primary_budget: int | None = None,
    backbone: str | None = None,
    weights: Path | str | None = None,
    runtime: Runtime | None = None,
    workers: int | None = None,
    dask: str | None = None,
    progress: Progress = SILENT,
) -> Findings:
    """Compare strategies over budgets, seeds and splits of the objects: ``acqplan benchmark``.

    The design is settled and written before anything is measured. Features of all shots are extracted once; then
    every strategy and budget of a seed is replayed, and heads are trained on what each took and judged on objects
    that none of them saw. A strategy that fails is recorded, and the others go on.

    Args:
        rig: The rig, from `open_rig`, or the path of its rig.toml; every shot of it can be had.
        out: Folder of design.json and the finished cells; a killed run goes on from there.
        strategies: Built-in names, entry points or ``module:Class``; ``random-shots#2`` is a second copy.
        budgets: Images each may take; by default six, from 4 images per object to a sixth of all.
        seeds: How many seeds, or which; a claim needs 20.
        splits: Splits of the objects; by default one per seed.
        swap: Whether to use each split with train and test objects swapped as well.
        primary: The strategy that the claim is about; by default the first.
        baseline: What it is compared with first; `random-shots` if it takes part.
        primary_budget: The budget of the claim; by default the largest.
        backbone: ``name`` or ``name:layer``; toynet for toys, otherwise mobilenet_v2.
        weights: File of the backbone's weights; downloaded if ``None``.
        runtime: Where the backbone and the heads run; the fastest device by default.
        workers: Processes; by default one per core on a processor, and one on any other device.
        dask: Address of a dask scheduler that runs the cells.
        progress: Hears about long work.

    Returns:
        Verdicts, curves, standings and what failed; the same however often the run was interrupted.

    Raises:
        UsageError: If names, seeds or budgets do not fit together.
        StrategyError: If there is no such strategy.
        BudgetError: If a budget does not fit a side of a split.
        SplitError: If objects cannot be split, or the rig is live.
        InputError: If the folder holds results of another design or of other images.
        MissingError: If the cluster or the weights are not there.
        AcqplanError: If processes die, or the primary contrast has no seed left.
    """
    prepared = prepare(
        opened(rig, progress),
        strategies=strategies,
        budgets=budgets,
        seeds=seeds,
        n_splits=splits,
        swap=swap,
        primary=primary,
        baseline=baseline,
        primary_budget=primary_budget,
        backbone=backbone,
        weights=weights,
        runtime=runtime,
    )
    return prepared.run(Path(out), workers=workers, cluster=dask or "", progress=progress)


def prepare(
    rig: Rig | Path | str,
    *,
    strategies: Sequence[str] = STRATEGIES,
    budgets: Sequence[int] = (),
    seeds: int | Sequence[int] = SEEDS,
    n_splits: int | None = None,
    swap: bool = True,
    primary: str | None = None,
    baseline: str | None = None,
    primary_budget: int | None = None,
    backbone: str | None = None,
    weights: Path | str | None = None,
    runtime: Runtime | None = None,
) -> Benchmark:
    """Settle the design of a benchmark and load its backbone; nothing is captured yet.

    Arguments and errors are those of `benchmark`.
    """
    rig = opened(rig)
    check_not_live(rig)
    extractor = Extractor.open(rig.source, backbone=backbone, weights=weights, runtime=runtime or Runtime.detect())
    design = draw_up(
        rig,
        backbone=extractor.backbone.fingerprint,
        strategies=strategies,
        budgets=budgets or usual_budgets(rig),
        seeds=range(seeds) if isinstance(seeds, int) else seeds,
        n_splits=n_splits,
        swap=swap,
        primary=primary,
        baseline=baseline,
        primary_budget=primary_budget,
    )
    return Benchmark(design=design, extractor=extractor, view_weights=rig.view_weights)


def usual_budgets(rig: Rig) -> tuple[int, ...]:
    """Six budgets that suit a rig; fewer if it has few shots."""
    shots, by_view = rig.source.shots(), bool(draw_split(rig, 0).test_views)
    n_objects = len(shots.objects) if by_view else max(len(shots.objects) // 2, 1)
    fewest = FEWEST_PER_OBJECT * n_objects
    most = max(round(LARGEST_SHARE * len(shots) / 2), fewest)
    return tuple(sorted({round(budget / n_objects) * n_objects for budget in np.geomspace(fewest, most, N_BUDGETS)}))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Benchmark:
    """A benchmark that is ready to run.

    Attributes:
        design: What is compared.
        extractor: What takes shots of the rig and sees features in them.
        view_weights: How often the classifier will meet each view, in the order of ``space.views()``; all alike.
    """

    design: Design
    extractor: Extractor
    view_weights: Float[np.ndarray, " views"] | None = None

    def register(self, out: Path) -> None:
        """Write design.json, before anything is measured.

        Raises:
            InputError: If the folder holds another design.
            OutputError: If it cannot be written.
        """
        Ledger(out, self.design)

    def material(self, *, progress: Progress = SILENT) -> Material:
        """All shots of the rig with their features."""
        shots = self.extractor.source.shots()
        features = self.extractor(shots, progress=progress)
        return Material(shots=shots, features=features, view_weights=self.view_weights)

    def run(self, out: Path, *, workers: int | None = None, cluster: str = "", progress: Progress = SILENT) -> Findings:
        """Run what is not finished, and say what all of it says; arguments and errors are those of `benchmark`."""
        if cluster:
            with _cluster(cluster):  # refuses one that cannot compute, before anything is captured
                pass
        self.register(out)
        device = self.extractor.runtime.device
        usual = available_cores() if device == "cpu" else 1
        workplace = Workplace(device=device, workers=workers or usual, cluster=cluster)
        material = self.material(progress=progress)
        return find(run_benchmark(material, self.design, out, workplace=workplace, progress=progress))


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
    place = workplace or Workplace()
    if missing and place.cluster:
        found = _on_cluster(material, design, missing, place)
    elif place.workers > 1 and len(missing) > 1:
        found = _in_processes(material, design, missing, place)
    else:
        found = (run_block(material, design, block, device=place.device) for block in missing)
    # Closing the generator ends what computes elsewhere.
    with progress.task(f"cells{known}", len(missing) * len(design.cells)) as advance, closing(found):
        for result in found:
            ledger.save(result, digest)
            done[result.block.name] = result
            advance(len(design.cells))
    every = [done[block.name] for block in blocks]
    return Results(design=design, shots=material.shots, blocks=every, view_weights=material.view_weights)


def _in_processes(
    material: Material, design: Design, blocks: Sequence[Block], workplace: Workplace
) -> Generator[BlockResult, None, None]:
    """Blocks side by side in processes of one core each; features are shared, not copied.

    Raises:
        AcqplanError: If a process dies.
    """
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    n_jobs = workplace.workers
    work = joblib.delayed(partial(run_block, material, design, device=workplace.device, cores=1))
    with joblib.parallel_config(
        backend="loky", inner_max_num_threads=1, initializer=_begin_process, initargs=(os.getpid(),)
    ):
        parallel = joblib.Parallel(
            n_jobs=n_jobs, return_as="generator_unordered", pre_dispatch=n_jobs + 1, batch_size=1
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
    """Start processes with Ctrl-C blocked: they print no traceback when it comes, and ours comes after the block."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # what starts it unblocks Ctrl-C, and the first process would
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_process(parent: int) -> None:
    """Leave Ctrl-C to the process that started this one, and do not outlive it."""

    def end_with_parent() -> None:
        """A killed parent cannot say so: an orphan would finish its block and then wait for minutes."""
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def _on_cluster(
    material: Material, design: Design, blocks: Sequence[Block], workplace: Workplace
) -> Generator[BlockResult, None, None]:
    """Blocks on a dask cluster that runs already; what a dead worker had in hand goes to another.

    Raises:
        MissingError: If dask is not installed, or no scheduler with workers is at the address.
        AcqplanError: If workers keep dying.
    """
    with _cluster(workplace.cluster) as client:
        from dask.distributed import TimeoutError as NobodyCame

        left, fruitless = {block.name: block for block in blocks}, 0
        while left:
            before = len(left)
            for result in _sent(client, material, design, list(left.values()), workplace.device):
                del left[result.block.name]
                yield result
            fruitless = fruitless + 1 if len(left) == before else 0
            if fruitless == FRUITLESS_AT_MOST:
                raise AcqplanError(
                    f"the dask cluster lost {before} blocks {fruitless} times", "look after its workers and run again"
                )
            # Nannies start what has died anew; without them there is nothing to wait for.
            try:
                if left:
                    client.wait_for_workers(1, timeout=RETURN_SECONDS)
            except (NobodyCame, OSError) as error:
                raise AcqplanError(
                    f"the dask cluster at {workplace.cluster} has lost all its workers",
                    "start some by `dask worker` and run the same command again: what was finished is kept",
                ) from error


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    with connected(address) as client:
        if not client.nthreads():
            raise MissingError(f"the dask cluster at {address} has no workers", "start some by `dask worker`")
        yield client


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
