"""Softmax heads as the thesis trained them, hundreds at once: Adam, small batches, dropout, best epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from threading import Lock

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor

from acqplan.errors import UsageError
from acqplan.heads.linear import as_rows, check_pool
from acqplan.heads.prepare import Preparation
from acqplan.progress import SILENT, Progress
from acqplan.runtime import available_cores
from acqplan.study.softmax_plan import DataSet, SoftmaxFit, SoftmaxSetting, fit_share, plan_blocks
from acqplan.study.softmax_training import Done, Work, run_blocks

__all__ = ["DataSet", "SoftmaxFit", "SoftmaxSetting", "thesis_settings", "train_softmax"]

UPDATES = 45_575
"""Of every head, whatever the size of its data set: 25 epochs of the thesis' largest, 14,580 images."""

BATCH = 8

DROPOUTS = (0.0, 0.25, 0.5, 0.75)
RATES = (1e-6, 1e-5, 5e-5, 1e-4)
VARIANCES = (None, 0.9)

BLOCK_BYTES = {"cpu": 16 << 20, "mps": 1 << 30, "cuda": 16 << 30}
"""Heads that are trained together: on a processor what its caches hold, on a GPU hundreds."""


def thesis_settings(seeds: Sequence[int] = (0,)) -> tuple[SoftmaxSetting, ...]:
    """The thesis' grid: with and without PCA, four dropouts, four rates; 32 settings a seed."""
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

    The loss is the mean cross-entropy of a batch; an epoch looks once at every training image in a new order,
    its last batch holding what is left. After each epoch, and after the last update, the head is validated, and
    that of the least validation loss is returned. A head depends on its data set, setting and the numbers of
    classes, updates and images in a batch: not on what else is trained, nor on how it is split over memory.

    Args:
        features: Features, shape ``[pool, features]``; rows in no data set are never looked at.
        targets: Class of each row, ``0 .. n_classes - 1``, shape ``[pool]``.
        data_sets: Rows to train and to validate on.
        settings: Hyper-parameters and seeds, e.g. `thesis_settings`.
        n_classes: Classes there are; those absent from a training set get probability 0 from its heads.
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
    plans = plan_blocks(
        rows,
        settings,
        _preparations(held, rows, settings, progress),
        n_features=features.shape[1],
        n_classes=n_classes,
        batch=batch,
        limit=BLOCK_BYTES[held.device.type],
        at_least=workers,
    )
    with _shared(progress, "training softmax heads", updates * sum(map(len, plans))) as advance:
        work = Work(features=held, targets=targets, n_classes=n_classes, updates=updates, batch=batch, advance=advance)
        done = run_blocks(plans, work, min(workers, max(len(plans), 1)))
    return _sorted(done, len(rows), settings)


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


def _preparations(
    features: Float32[Tensor, "pool features"],
    data_sets: list[DataSet],
    settings: Sequence[SoftmaxSetting],
    progress: Progress,
) -> dict[tuple[int, float], Preparation]:
    shares = list(dict.fromkeys(setting.variance for setting in settings if setting.variance is not None))
    found = {}
    with progress.task("principal components", len(shares) * len(data_sets)) as advance:
        for share, (number, data) in product(shares, enumerate(data_sets)):
            found[number, share] = fit_share(features[torch.from_numpy(data.train).to(features.device)], share)
            advance(1)
    return found


@contextmanager
def _shared(progress: Progress, name: str, total: int) -> Iterator[Callable[[int], None]]:
    """A task that several threads advance."""
    lock = Lock()
    with progress.task(name, total) as advance:

        def locked(steps: int) -> None:
            with lock:
                advance(steps)

        yield locked


def _sorted(done: Done, n_data_sets: int, settings: Sequence[SoftmaxSetting]) -> list[list[SoftmaxFit]]:
    found = {(number, fit.setting): fit for number, fit in done}
    return [[found[number, setting] for setting in settings] for number in range(n_data_sets)]
