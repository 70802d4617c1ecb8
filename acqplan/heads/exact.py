"""The exact head: multinomial logistic regression with L2, converged, strength by leave-one-object-out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from acqplan.errors import UsageError
from acqplan.heads.folds import NEVER, object_folds, out_of_object_loss
from acqplan.heads.linear import Head, check_pool
from acqplan.heads.parts import Part, Pool, prepare_folds, stack
from acqplan.heads.solver import polish, solve
from acqplan.progress import SILENT, Progress
from acqplan.runtime import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def one_core_each() -> Iterator[None]:
    """Threads share nothing and meet never; one that used all cores would wait for the others at every product."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def side_by_side(
    function: Callable[[Item], Result], items: Sequence[Item], *, device: str, cores: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """Apply a function to items, on a processor one core each, on other devices one after the other.

    Small tensor programs scale with cores this way; with one program on all cores, its threads wait for each
    other at every operation.

    Args:
        function: What to do with an item.
        items: The items.
        device: Kind of device that the function computes on.
        cores: Cores it may use; by default all that this process may.

    Yields:
        Each item with its result, in the order in which they are done.
    """
    workers = min(cores or available_cores(), len(items)) if device == "cpu" else 1
    if workers <= 1:
        with one_core_each() if cores == 1 else nullcontext():
            yield from ((item, function(item)) for item in items)
        return
    with one_core_each(), ThreadPoolExecutor(workers, thread_name_prefix="heads") as pool:
        futures = {pool.submit(function, item): item for item in items}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


STRENGTHS = (1e-2, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
"""L2 strengths to choose from. On ETH-80 (MobileNetV2 and gradient histograms, 80 to 820 images) the chosen ones
lie between 1e-5 and 1e-3; weaker ones take longer and gain nothing."""

COMPONENTS = 128
"""Principal components kept: on ETH-80 64 cost 0.1 to 0.3 points at 320 images, and 256 gain 0.2 at most."""

FOLDS = 5

ROUGH = 1e-4
"""Tolerance of the heads that choose a strength: their probabilities are good to about .005, whatever the
batch; ten times more saves a fifth of the time and chose the same strengths, but beliefs then depend on the batch
by .04."""

FINE = 1e-7
"""Tolerance of the heads that are returned, in double precision: probabilities good to 1e-5."""

BATCH_BYTES = {"cpu": 16 << 20, "mps": 1 << 30, "cuda": 4 << 30}
"""Prepared features that are trained on at once; on a processor, by each core."""


def train_heads(
    features: Float32[np.ndarray, "pool features"],
    targets: Int[np.ndarray, " pool"],
    groups: Int[np.ndarray, " pool"],
    subsets: Sequence[Int[np.ndarray, " rows"]],
    *,
    n_classes: int,
    strengths: Sequence[float] = STRENGTHS,
    components: int = COMPONENTS,
    folds: int = FOLDS,
    device: str = "cpu",
    cores: int | None = None,
    progress: Progress = SILENT,
) -> list[Head]:
    """Train one head on each of many subsets of a pool.

    For each subset: features are standardised and projected on principal components fitted on its rows
    only; every strength is tried by leaving out one object per class at a time (all of it anew on the
    rest: standardisation, components, head); the strength of the least log-loss on left-out objects wins;
    the head is trained on all rows with it. The loss is the mean log-loss plus
    ``strength * (sum of squared weights) / 2`` with a free bias: scikit-learn's
    ``LogisticRegression(C=1 / (rows * strength))`` on the same components.

    Args:
        features: Features, shape ``[pool, features]``; rows in no subset are never looked at.
        targets: Class of each row, ``0 .. n_classes - 1``, shape ``[pool]``.
        groups: Object of each row, shape ``[pool]``; an object has one class.
        subsets: Rows to train each head on, of any lengths, each at least one.
        n_classes: Classes there are; those absent from a subset get probability 0 from its head.
        strengths: Strengths to choose from, positive. If no class of a subset has two objects, there is
            nothing to choose by, and the middle one is taken (of an even number the stronger of the two).
        components: Principal components kept at most.
        folds: Folds at most; with more objects a class, several are left out at once.
        device: Where to train, as torch names it.
        cores: Processor cores to use; by default all that this process may.
        progress: Hears of each head trained.

    Returns:
        Heads in the order of ``subsets``.

    Raises:
        UsageError: If shapes, classes, objects, rows or settings are not as described.
        AcqplanError: If a feature of a subset is not finite, or a head does not converge.
    """
    settings = _Settings(strengths=tuple(sorted(map(float, strengths), reverse=True)), folds=folds)
    rows = [np.ascontiguousarray(subset, dtype=np.int64) for subset in subsets]
    targets, groups = np.asarray(targets, dtype=np.int64), np.asarray(groups)
    _check(features, targets, groups, rows, n_classes)
    held = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32)).to(device)
    pool = Pool(features=held, targets=targets, groups=groups, n_classes=n_classes, components=components)
    heads: dict[int, Head] = {}
    with progress.task("training heads", len(rows)) as advance:
        train = partial(_train_batch, pool, rows, settings)
        for batch, trained in side_by_side(
            train, list(_batches(pool, rows, folds)), device=held.device.type, cores=cores
        ):
            heads.update(zip(batch, trained, strict=True))
            advance(len(batch))
    return [heads[number] for number in range(len(rows))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """Strengths from strong to weak, and the most folds."""

    strengths: tuple[float, ...]
    folds: int

    def __post_init__(self) -> None:
        if not self.strengths or not all(0.0 < strength < float("inf") for strength in self.strengths):
            raise UsageError(f"strengths {self.strengths}", "give at least one, all of them positive")
        if self.folds < 2:
            raise UsageError(f"{self.folds} folds", "leaving objects out takes at least 2")

    @property
    def unguided(self) -> float:
        """The strength taken when nothing can be left out."""
        return self.strengths[(len(self.strengths) - 1) // 2]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fold:
    """One fold of one subset: the rows that teach, and the components of those left out."""

    subset: int
    left: Int[np.ndarray, " left"]
    part: Part
    outside: Float[Tensor, "left components"]


def _check(
    features: np.ndarray, targets: np.ndarray, groups: np.ndarray, subsets: list[np.ndarray], n_classes: int
) -> None:
    if len(groups) != len(targets):
        raise UsageError(f"{len(targets)} targets and {len(groups)} groups", "give a target and a group for each row")
    for number, rows in enumerate(subsets):
        if len(rows) == 0:
            raise UsageError(f"subset {number} is empty", "give it rows")
    check_pool(features, targets, subsets, n_classes)
    used = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *subsets]))
    if len(np.unique(groups[used])) != len(np.unique(np.stack([groups[used], targets[used]]), axis=1).T):
        raise UsageError("an object has rows of two classes", "give each object one class")


def _batches(pool: Pool, subsets: list[Int[np.ndarray, " rows"]], folds: int) -> Iterator[list[int]]:
    """Numbers of subsets of similar length that fit in memory together, the longest first."""
    room, width = BATCH_BYTES[pool.features.device.type], min(pool.components, pool.features.shape[1]) + 1
    batch: list[int] = []
    for number in sorted(range(len(subsets)), key=lambda number: -len(subsets[number])):
        longest = len(subsets[batch[0]]) if batch else 0
        full = (len(batch) + 1) * longest * width * folds * pool.features.element_size() > room
        if batch and (full or 2 * len(subsets[number]) < longest):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _train_batch(
    pool: Pool, every: list[Int[np.ndarray, " rows"]], settings: _Settings, batch: list[int]
) -> list[Head]:
    subsets = [every[number] for number in batch]
    numbers = [object_folds(pool.targets[rows], pool.groups[rows], settings.folds) for rows in subsets]
    prepared = [prepare_folds(pool, rows, fold) for rows, fold in zip(subsets, numbers, strict=True)]
    folds = [
        _Fold(subset=subset, left=np.flatnonzero(numbers[subset] == number), part=part, outside=outside)
        for subset, (_, parts) in enumerate(prepared)
        for number, (part, outside) in enumerate(parts)
    ]
    tables = [[_no_belief(pool, rows) for rows in subsets] for _ in settings.strengths]
    if folds:
        _fill_beliefs(pool, folds, settings, tables)
    picks = [
        _pick(pool, rows, numbers[subset], [table[subset] for table in tables], settings)
        for subset, rows in enumerate(subsets)
    ]
    return _train_on_all(pool, [whole for whole, _ in prepared], picks)


def _no_belief(pool: Pool, rows: Int[np.ndarray, " rows"]) -> Float32[np.ndarray, "rows classes"]:
    present = pool.present(rows)
    return np.tile((present / present.sum()).astype(np.float32), (len(rows), 1))


def _fill_beliefs(
    pool: Pool, folds: list[_Fold], settings: _Settings, tables: list[list[Float32[np.ndarray, "rows classes"]]]
) -> None:
    """Write probabilities of left-out rows at each strength, warm-started from the strongest on."""
    problems = stack(pool, [fold.part for fold in folds])
    found = problems.inputs.new_zeros(len(problems), pool.n_classes, problems.inputs.shape[2])
    for strength, table in zip(settings.strengths, tables, strict=True):
        found = solve(problems, torch.full_like(problems.weights[:, 0], strength), found, tolerance=ROUGH)
        for fold, coefficients in zip(folds, found, strict=True):
            chances = torch.softmax(fold.part.logits(coefficients, fold.outside), dim=1)
            table[fold.subset][fold.left] = chances.cpu().numpy()


def _pick(
    pool: Pool,
    rows: Int[np.ndarray, " rows"],
    numbers: Int[np.ndarray, " rows"],
    tables: list[Float32[np.ndarray, "rows classes"]],
    settings: _Settings,
) -> tuple[float, Float32[np.ndarray, "rows classes"]]:
    """The strength of the least out-of-object loss, the strongest of equals, and the beliefs at it."""
    out = numbers != NEVER
    if not out.any():
        return settings.unguided, tables[0]
    losses = [out_of_object_loss(table[out], pool.targets[rows[out]], pool.groups[rows[out]]) for table in tables]
    best = int(np.argmin(losses))
    return settings.strengths[best], tables[best]


def _train_on_all(
    pool: Pool, parts: list[Part], picks: list[tuple[float, Float32[np.ndarray, "rows classes"]]]
) -> list[Head]:
    every = stack(pool, parts)
    # Without classes that none has: a head must be the same to the last bit, however many classes it is not about.
    seen = every.present.any(dim=0)
    problems = every.of_classes(seen)
    start = problems.inputs.new_zeros(len(problems), int(seen.sum()), problems.inputs.shape[2])
    strengths = torch.tensor([strength for strength, _ in picks], dtype=start.dtype, device=start.device)
    found = solve(problems, strengths, start, tolerance=ROUGH)
    # MPS has no double precision; its heads are good to about .01.
    if pool.features.device.type != "mps":
        found = polish(problems, strengths.double(), found.double(), tolerance=FINE)
    coefficients = found.new_zeros(len(parts), pool.n_classes, found.shape[2])
    coefficients[:, seen] = found
    return [
        part.head(solved, strength=strength, beliefs=beliefs)
        for part, solved, (strength, beliefs) in zip(parts, coefficients, picks, strict=True)
    ]
