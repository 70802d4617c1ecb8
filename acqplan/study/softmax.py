"""Softmax heads as the thesis trained them, hundreds at once: Adam, small batches, dropout, best epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Float32, Int

from acqplan.errors import AcqplanError, UsageError
from acqplan.features.backbone import out_of_memory
from acqplan.heads.linear import as_rows, check_pool
from acqplan.pool import ended, one_core_each
from acqplan.progress import SILENT, Progress
from acqplan.runtime import available_cores
from acqplan.study.softmax_block import Work, keep_best, make_block, update, validate
from acqplan.study.softmax_plan import BlockPlan, DataSet, SoftmaxFit, SoftmaxSetting, fit_share, plan_blocks

__all__ = ["DataSet", "SoftmaxFit", "SoftmaxSetting", "thesis_settings", "train_softmax"]

# Updates of every head, whatever the size of its data set: 25 epochs of the thesis' largest, 14,580 images.
UPDATES = 45_575
# Images in an update.
BATCH = 8
DROPOUTS = (0.0, 0.25, 0.5, 0.75)
RATES = (1e-6, 1e-5, 5e-5, 1e-4)
VARIANCES = (None, 0.9)

# Updates before a graph is captured, as torch advises: libraries make their workspaces in them.
WARM_UP = 3
# Heads that are trained together: on a processor what its caches hold, on a GPU hundreds.
BLOCK_BYTES = {"cpu": 16 << 20, "mps": 1 << 30, "cuda": 16 << 30}


def thesis_settings(seeds: Sequence[int] = (0,)) -> tuple[SoftmaxSetting, ...]:
    """The thesis' grid: with and without PCA, four dropouts, four rates; 32 settings per seed."""
    return tuple(
        SoftmaxSetting(dropout=dropout, rate=rate, variance=variance, seed=seed)
        for seed, variance, dropout, rate in product(seeds, VARIANCES, DROPOUTS, RATES)
    )


def train_softmax(
    features: Float32[np.ndarray, "pool features"],
    targets: Int[np.ndarray, " pool"],
    data_sets: Sequence[DataSet],
    settings: Sequence[SoftmaxSetting],
    *,
    n_classes: int,
    updates: int = UPDATES,
    batch: int = BATCH,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> list[list[SoftmaxFit]]:
    """Train a softmax head on every data set with every setting.

    The loss is the mean cross-entropy of a batch. An epoch holds every training image once, in a new order;
    its last batch holds what is left. After each epoch, and after the last update, the head is validated, and
    that of the least validation loss is returned. A head depends on its data set, setting and the numbers of
    classes, updates and images in a batch: not on what else is trained, nor on how it is split over memory.

    Args:
        features: Features, shape ``[pool, features]``; rows in no data set are never looked at.
        targets: Class of each row, ``0 .. n_classes - 1``, shape ``[pool]``.
        data_sets: Rows to train and to validate on.
        settings: Hyper-parameters and seeds, e.g. `thesis_settings`.
        n_classes: Classes there are; classes absent from a training set get probability 0 from its heads.
        updates: Updates of every head.
        batch: Images in an update.
        device: Where to train, as torch names it.
        progress: Hears of updates, summed over heads.

    Returns:
        For each data set the fits in the order of ``settings``.

    Raises:
        UsageError: If shapes, classes or rows are not as described, or a validation set holds a class that its
            training set lacks.
        AcqplanError: If a feature or a loss is not finite, or one head alone does not fit in memory.

    Source:
        D. P. Kingma, J. Ba, ICLR 2015 (Adam), with torch's defaults; protocol of the thesis on smallNORB.
    """
    if updates < 1 or batch < 1:
        raise UsageError(f"{updates} updates of {batch} images", "give at least one of each")
    targets = np.asarray(targets, dtype=np.int64)
    rows = [DataSet(train=as_rows(data.train), validation=as_rows(data.validation)) for data in data_sets]
    check_pool(features, targets, [part for data in rows for part in (data.train, data.validation)], n_classes)
    for number, data in enumerate(rows):
        _check_data_set(number, data, targets)
    held = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32)).to(device)
    workers = available_cores() if held.device.type == "cpu" else 1
    shares = list(dict.fromkeys(setting.variance for setting in settings if setting.variance is not None))
    preparations = {}
    with progress.task("principal components", len(shares) * len(rows)) as advance:
        for share, (number, data) in product(shares, enumerate(rows)):
            preparations[number, share] = fit_share(held[torch.from_numpy(data.train).to(held.device)], share)
            advance(1)
    plans = plan_blocks(
        rows,
        settings,
        preparations,
        n_features=features.shape[1],
        n_classes=n_classes,
        batch=batch,
        limit=BLOCK_BYTES[held.device.type],
        at_least=workers,
    )
    with progress.task("training softmax heads", updates * sum(map(len, plans))) as advance:
        work = Work(features=held, targets=targets, n_classes=n_classes, updates=updates, batch=batch, advance=advance)
        done = run_blocks(plans, work, min(workers, max(len(plans), 1)))
    found = {(number, fit.setting): fit for number, fit in done}
    return [[found[number, setting] for setting in settings] for number in range(len(rows))]


def _check_data_set(number: int, data: DataSet, targets: np.ndarray) -> None:
    for name, part in (("training", data.train), ("validation", data.validation)):
        if len(part) == 0:
            raise UsageError(f"data set {number} has no {name} rows", "give at least one")
    both = np.intersect1d(data.train, data.validation)
    if len(both):
        raise UsageError(
            f"data set {number}: row {both[0]} is in training and validation",
            "validate on other rows, of other objects",
        )
    untaught = np.setdiff1d(targets[data.validation], targets[data.train])
    if len(untaught):
        raise UsageError(
            f"data set {number}: class {untaught[0]} is validated, but has no training image (its loss is infinite)",
            "add training images of the class, or take its validation rows out",
        )


# Heads with the number of their data set.
Done = list[tuple[int, SoftmaxFit]]


def run_blocks(plans: Sequence[BlockPlan], work: Work, workers: int) -> Done:
    """Train all blocks, ``workers`` of them at a time, each in a thread with one core.

    Raises:
        AcqplanError: If a loss is not finite, naming the head, or one head does not fit in memory.
    """
    if workers == 1:
        return [fit for plan in plans for fit in _run(plan, work)]
    with one_core_each(), ended(ThreadPoolExecutor(workers, thread_name_prefix="softmax")) as pool:
        try:
            futures = [pool.submit(_run, plan, work) for plan in plans]
            # the first that fails is looked at first: its error must not wait for blocks that still run
            finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
            return [fit for future in finished for fit in future.result()]
        finally:
            work.stop.set()


def _run(plan: BlockPlan, work: Work) -> Done:
    """Train a block; if it does not fit in memory, its halves one after the other."""
    try:
        return _train(plan, work)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        halves = plan.halves()
        if halves is None:
            width = plan.families[0].width
            raise AcqplanError(
                f"one softmax head of {width} inputs does not fit in memory",
                "use a device with more, principal components, or a layer of fewer features",
            ) from error
    # outside the handler, whose traceback holds on to the tensors of the block that failed
    return [fit for half in halves for fit in _run(half, work)]


@torch.inference_mode()
def _train(plan: BlockPlan, work: Work) -> Done:
    # 1. After which updates an epoch ends, and of which families; the last update ends all.
    ends: dict[int, list[int]] = {}
    for number, family in enumerate(plan.families):
        length = -(-len(family.rows.train) // work.batch)  # updates of an epoch
        for end in {*range(length, work.updates, length), work.updates}:
            ends.setdefault(end, []).append(number)
    # 2. Updates up to the next end; then the families whose epoch it is are validated, and their best heads kept.
    block = make_block(plan, work)
    step = GraphedStep(lambda: update(block), work.features.device)
    losses: list[list[Float[np.ndarray, "rates dropouts"]]] = [[] for _ in plan.families]
    done = 0
    for end, families in sorted(ends.items()):
        for _ in range(end - done):
            step()
        with work.lock:
            work.advance((end - done) * len(plan))
        done = end
        for number in families:
            found, before = validate(block, number), losses[number]
            epoch = f"validation loss is {{}} after epoch {len(before) + 1} (update {end:,})"
            _check_finite(found, plan, number, epoch)
            keep_best(block, number, found < np.min(before, axis=0) if before else np.ones_like(found, dtype=np.bool_))
            before.append(found)
        if work.stop.is_set():
            return []
    # 3. The best head of each setting.
    largest = block.second.weight.flatten(3).amax(dim=3).cpu().numpy()
    fits: Done = []
    for number, family in enumerate(plan.families):
        # Adam never moves again where a square was infinite: a wrong head with a loss like any other
        _check_finite(largest[:, number], plan, number, "the square of a gradient was {}")
        curves = np.stack(losses[number])
        for rate, dropout in np.ndindex(curves.shape[1:]):
            # For the original features, absent classes without weight.
            place, found = (rate, number, dropout), curves[:, rate, dropout].copy()
            bias = block.best.bias[place]
            weight = block.best.weight[place][:, : family.width].mT.masked_fill(bias == -torch.inf, 0.0)
            if family.preparation is not None:
                weight = family.preparation.projection @ weight
                bias = bias - family.preparation.mean @ weight
            fit = SoftmaxFit(
                setting=plan.setting(*place),
                weight=np.ascontiguousarray(weight.cpu().numpy()),
                bias=bias.cpu().numpy().copy(),
                best_epoch=int(np.argmin(found)) + 1,
                losses=found,
            )
            fits.append((family.number, fit))
    return fits


def _check_finite(found: Float[np.ndarray, "rates dropouts"], plan: BlockPlan, family: int, complaint: str) -> None:
    if np.isfinite(found).all():
        return
    rate, dropout = map(int, np.argwhere(~np.isfinite(found))[0])
    head = f"data set {plan.families[family].number}, {plan.setting(rate, family, dropout)}"
    raise AcqplanError(
        f"{head}: {complaint.format(found[rate, dropout])}", "look at the scale of the features, or lower the rate"
    )


class GraphedStep:
    """A step that is captured as a CUDA graph after some calls, and replayed from then on; elsewhere just called.

    Args:
        step: Changes tensors in place, always the same ones, and asks none for its value.
        device: Where these tensors are.
    """

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self.step, self.device, self.calls = step, device, 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Do the step once."""
        self.calls += 1
        if self.device.type != "cuda":
            self.step()
        elif self.calls <= WARM_UP:
            # graphs must be warmed up on a stream that is not the default one
            stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(stream):
                self.step()
            torch.cuda.current_stream(self.device).wait_stream(stream)
        else:
            if self.graph is None:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.device(self.device), torch.cuda.graph(self.graph):
                    self.step()
            self.graph.replay()
