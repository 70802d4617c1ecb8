"""The exact head: multinomial logistic regression with L2, converged, strength by leave-one-object-out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from acqplan.errors import UsageError
from acqplan.heads.linear import NEVER, Head, Rows, as_rows, check_subsets, object_folds, out_of_object_loss
from acqplan.heads.prepare import Preparation, fit_preparation, moments, moments_pay, pooled, preparation_of
from acqplan.heads.solver import Problems, solve
from acqplan.pool import side_by_side
from acqplan.progress import SILENT, Progress

# L2 strengths to choose from. On ETH-80 (MobileNetV2 and gradient histograms, 80 to 820 images) the chosen ones lie
# between 1e-5 and 1e-3; weaker ones take longer and gain nothing.
STRENGTHS = (1e-2, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
# Principal components kept: on ETH-80 64 cost 0.1 to 0.3 points at 320 images, and 256 gain 0.2 at most.
COMPONENTS = 128
FOLDS = 5

# Tolerance of the heads that choose a strength: their probabilities are good to 1e-4 on average and .02 at worst,
# whatever the batch; ten times more chose the same strengths, but beliefs then depend on the batch by .04.
ROUGH = 1e-4
# Tolerance of the heads that are returned, in double precision: probabilities good to 1e-5, most to 1e-6.
FINE = 1e-8
# Prepared features that are trained on at once; on a processor, by each core.
BATCH_BYTES = {"cpu": 32 << 20, "mps": 1 << 30, "cuda": 4 << 30}
# Of less than this, padding costs less than another batch.
SMALL_BYTES = 4 << 20
Beliefs = Float32[np.ndarray, "rows classes"]


def train_heads(
    features: Float32[np.ndarray, "pool features"],
    targets: Int[np.ndarray, " pool"],
    groups: Int[np.ndarray, " pool"],
    subsets: Sequence[Rows],
    *,
    n_classes: int,
    strengths: Sequence[float] = STRENGTHS,
    known: Sequence[float] | None = None,
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
        n_classes: Classes there are; classes absent from a subset get probability 0 from its head.
        strengths: Strengths to choose from, positive. If no class of a subset has two objects, there is
            nothing to choose by, and the middle one is taken (of an even number the stronger of the two).
        known: Instead of them the strength of each subset, where nothing is to be chosen: no object is left out.
        components: Principal components kept at most.
        folds: Folds at most; with more objects per class, several are left out at once.
        device: Where to train, as torch names it.
        cores: Processor cores to use; by default all that this process may.
        progress: Hears of each head trained.

    Returns:
        Heads in the order of ``subsets``.

    Raises:
        UsageError: If shapes, classes, objects, rows or settings are not as described.
        AcqplanError: If a feature of a subset is not finite, or a head does not converge.
    """
    ordered = tuple(sorted({float(strength) for strength in strengths}, reverse=True))
    if not ordered or not all(0.0 < strength < float("inf") for strength in (*ordered, *(known or ()))):
        raise UsageError(f"strengths {ordered if known is None else known}", "give at least one, all of them positive")
    if folds < 2:
        raise UsageError(f"{folds} folds", "leaving objects out takes at least 2")
    rows = [as_rows(subset) for subset in subsets]
    targets, groups = np.asarray(targets, dtype=np.int64), np.asarray(groups)
    check_subsets(features, targets, groups, rows, n_classes)
    used = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *rows]))
    if len(np.unique(groups[used])) != len(np.unique(np.stack([groups[used], targets[used]]), axis=1).T):
        raise UsageError("an object has rows of two classes", "give each object one class")
    held = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32)).to(device)
    pool = Pool(features=held, targets=targets, groups=groups, n_classes=n_classes, components=components)
    heads: dict[int, Head] = {}
    with progress.task("training heads", len(rows)) as advance:
        # of each subset: taken where there is nothing to choose by
        usual = [ordered[(len(ordered) - 1) // 2]] * len(rows) if known is None else known
        train = partial(_train_batch, pool, rows, usual, ordered, folds if known is None else 0)
        batches = list(_batches(pool, rows, folds))
        for batch, trained in side_by_side(train, batches, device=held.device.type, cores=cores):
            heads.update(zip(batch, trained, strict=True))
            advance(len(batch))
    return [heads[number] for number in range(len(rows))]


def _batches(pool: Pool, subsets: list[Rows], folds: int) -> Iterator[list[int]]:
    """Numbers of subsets of similar length, or small, that fit in memory together, the longest first."""
    limit, width = BATCH_BYTES[pool.features.device.type], min(pool.components, pool.features.shape[1]) + 1
    batch: list[int] = []
    for number in sorted(range(len(subsets)), key=lambda number: -len(subsets[number])):
        longest = len(subsets[batch[0]]) if batch else 0
        padded = (len(batch) + 1) * longest * width * folds * pool.features.element_size()
        if batch and (padded > limit or (padded > SMALL_BYTES and 2 * len(subsets[number]) < longest)):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _train_batch(
    pool: Pool,
    rows_of: list[Rows],
    usual: Sequence[float],
    strengths: tuple[float, ...],
    n_folds: int,
    batch: list[int],
) -> list[Head]:
    # 1. Folds, each without one object per class; all rows, and the rows of each fold, are prepared.
    subsets = [rows_of[number] for number in batch]
    numbers = [
        object_folds(pool.targets[rows], pool.groups[rows], n_folds) if n_folds else np.full(len(rows), NEVER)
        for rows in subsets
    ]
    prepared = [prepare_folds(pool, rows, fold) for rows, fold in zip(subsets, numbers, strict=True)]
    # 2. The strength of the least loss on left-out objects, and beliefs of heads that never saw them.
    default = [usual[number] for number in batch]
    picks = _picked(pool, subsets, numbers, [folds for _, folds in prepared], default, strengths)
    # 3. Heads of all rows with these strengths.
    parts = [whole for whole, _ in prepared]
    problems, seen = stack(pool, parts)
    start = problems.inputs.new_zeros(len(problems), int(seen.sum()), problems.inputs.shape[2])
    chosen = torch.tensor([strength for strength, _ in picks], dtype=start.dtype, device=start.device)
    found = solve(problems, chosen, start, tolerance=ROUGH)
    # MPS has no double precision; its heads are good to about .01.
    if pool.features.device.type != "mps":
        found = solve(problems, chosen, found.double(), tolerance=FINE)
    # 4. In the space of the original features.
    heads = []
    for part, solved, (strength, beliefs) in zip(parts, _of_all(found, seen), picks, strict=True):
        weights, bias = part.weights_and_bias(solved)
        weight = part.preparation.projection.to(weights.dtype) @ weights.mT
        shifted = (bias - part.preparation.mean.to(weight.dtype) @ weight).float().cpu().numpy()
        heads.append(Head(weight=weight.float().cpu().numpy(), bias=shifted, strength=strength, beliefs=beliefs))
    return heads


def _picked(
    pool: Pool,
    subsets: list[Rows],
    numbers: list[Rows],
    folds: list[list[tuple[PreparedRows, Tensor]]],
    default: list[float],
    strengths: tuple[float, ...],
) -> list[tuple[float, Beliefs]]:
    """For each subset the strength of the least loss on left-out objects, and its rows' probabilities with it.

    Probabilities are equal for rows that are never left out. Strengths are tried from the strongest on; a subset
    whose loss has risen is done.
    """
    picks = []
    for rows, strength in zip(subsets, default, strict=True):
        present = pool.present(rows)
        picks.append((strength, np.tile((present / present.sum()).astype(np.float32), (len(rows), 1))))
    equal, lowest = [chances for _, chances in picks], [np.inf] * len(subsets)
    every = [
        (subset, np.flatnonzero(numbers[subset] == number), part, outside)
        for subset, parts in enumerate(folds)
        for number, (part, outside) in enumerate(parts)
    ]
    if not every:
        return picks
    problems, seen = stack(pool, [part for _, _, part, _ in every])
    found = problems.inputs.new_zeros(len(problems), int(seen.sum()), problems.inputs.shape[2])
    # Solutions lie close to a straight line in the logarithm of the strength: the next one is sought where it leads.
    # That halves the steps of a start from the last solution, and leaves smaller errors.
    before, ways = found, np.log(strengths)
    for number, strength in enumerate(strengths):
        ahead = (ways[number] - ways[number - 1]) / (ways[number - 1] - ways[number - 2]) if number > 1 else 0.0
        start = found + float(ahead) * (found - before)
        before, found = found, solve(problems, torch.full_like(start[:, 0, 0], strength), start, tolerance=ROUGH)
        tables = {subset: equal[subset].copy() for subset, *_ in every}
        for (subset, left, part, outside), coefficients in zip(every, _of_all(found, seen), strict=True):
            weights, bias = part.weights_and_bias(coefficients)
            tables[subset][left] = torch.softmax(outside @ weights.mT + bias, dim=1).cpu().numpy()
        for subset, table in tables.items():
            out = numbers[subset] != NEVER
            kept = subsets[subset][out]
            loss = out_of_object_loss(table[out], pool.targets[kept], pool.groups[kept])
            if loss < lowest[subset]:
                picks[subset], lowest[subset] = (strength, table), loss
        open_ = [number for number, (subset, *_) in enumerate(every) if picks[subset][0] == strength]
        if not open_:
            break
        if len(open_) < len(every):
            every, left_over = [every[number] for number in open_], torch.tensor(open_, device=found.device)
            problems, before, found = problems.take(left_over), before[left_over], found[left_over]
    return picks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """What subsets are drawn from."""

    features: Float[Tensor, "pool features"]  # on the device where training happens
    targets: Int[np.ndarray, " pool"]  # class of each row
    groups: Int[np.ndarray, " pool"]  # object of each row
    n_classes: int  # classes there are, whether or not a subset has them
    components: int  # principal components to keep at most

    def present(self, rows: Rows) -> Bool[np.ndarray, " classes"]:
        """Which classes occur among some rows, shape ``[classes]``."""
        return np.bincount(self.targets[rows], minlength=self.n_classes) > 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedRows:
    """Rows that one head is trained on, prepared by what these rows alone say."""

    rows: Rows  # rows of the pool
    preparation: Preparation  # fitted on these rows
    inputs: Float[Tensor, "rows components"]  # their components
    present: Bool[np.ndarray, " classes"]  # classes among them

    def weights_and_bias(
        self, coefficients: Float[Tensor, "classes variables"]
    ) -> tuple[Float[Tensor, "classes components"], Float[Tensor, " classes"]]:
        """Weights and biases of solved coefficients; the bias of absent classes is minus infinity."""
        absent = torch.from_numpy(~self.present).to(coefficients.device)
        return coefficients[:, : self.inputs.shape[1]], coefficients[:, -1].masked_fill(absent, -torch.inf)


def prepare_folds(
    pool: Pool, rows: Rows, numbers: Rows
) -> tuple[PreparedRows, list[tuple[PreparedRows, Float[Tensor, "left components"]]]]:
    """Prepare all rows, and for each fold the rows that stay; moments are shared where that pays.

    Args:
        pool: What the rows are of.
        rows: Rows of the pool, shape ``[rows]``.
        numbers: Fold that leaves each row out, `NEVER` for rows that always stay, shape ``[rows]``.

    Returns:
        All rows, and for each fold the rows that stay and the components of the rows it leaves out.
    """
    taken, n_folds = pool.features[torch.from_numpy(rows).to(pool.features.device)], int(numbers.max()) + 1
    masks = [torch.from_numpy(numbers == number).to(taken.device) for number in range(NEVER, n_folds)]
    shared = moments_pay(*taken.shape)
    groups = [moments(taken[mask]) if bool(mask.any()) else None for mask in masks] if shared else []

    def fitted(without: int | None) -> Preparation:
        stay = [group for place, group in enumerate(groups) if group is not None and place - 1 != without]
        if groups and moments_pay(sum(group.count for group in stay), taken.shape[1]):
            return preparation_of(pooled(stay), pool.components)
        return fit_preparation(taken if without is None else taken[~masks[without + 1]], pool.components)

    def prepared(preparation: Preparation, kept: Rows, inputs: Tensor) -> PreparedRows:
        return PreparedRows(rows=kept, preparation=preparation, inputs=inputs, present=pool.present(kept))

    whole = fitted(None)
    folds = []
    for number in range(n_folds):
        preparation, left = fitted(number), masks[number + 1]
        components = preparation.apply(taken)
        folds.append((prepared(preparation, rows[numbers != number], components[~left]), components[left]))
    return prepared(whole, rows, whole.apply(taken)), folds


def _of_all(found: Tensor, seen: Bool[Tensor, " classes"]) -> Float[Tensor, "problems classes variables"]:
    """Coefficients of all classes, 0 for those that no problem is about."""
    coefficients = found.new_zeros(len(found), len(seen), found.shape[2])
    coefficients[:, seen] = found
    return coefficients


def stack(pool: Pool, parts: Sequence[PreparedRows]) -> tuple[Problems, Bool[Tensor, " classes"]]:
    """Pad prepared rows to the same number of rows and components; padding changes no solution.

    Returns:
        The problems, and which classes they are about: a head must be the same to the last bit, however many classes
        it is not about.
    """
    longest = max(len(part.rows) for part in parts)
    widest = max(part.inputs.shape[1] for part in parts)
    inputs = pool.features.new_zeros(len(parts), longest, widest + 1)
    squares = pool.features.new_zeros(len(parts), widest + 1)
    weights = np.zeros((len(parts), longest), dtype=np.float32)
    targets = np.zeros((len(parts), longest), dtype=np.int64)
    for number, part in enumerate(parts):
        n_rows, n_components = part.inputs.shape
        inputs[number, :n_rows, :n_components] = part.inputs
        inputs[number, :n_rows, -1] = 1.0
        squares[number, :n_components] = part.preparation.variances
        weights[number, :n_rows] = 1.0 / n_rows
        targets[number, :n_rows] = pool.targets[part.rows]
    squares[:, -1] = 1.0
    # A padded row counts nothing, but its logit of an absent class would be minus infinity, and 0 * infinity is
    # not a number: it gets a class that is present.
    present = np.stack([part.present for part in parts])
    targets = np.where(weights > 0, targets, present.argmax(axis=1)[:, None])
    device, seen = inputs.device, present.any(axis=0)
    problems = Problems(
        inputs=inputs,
        targets=torch.from_numpy((np.cumsum(seen) - 1)[targets]).to(device),
        weights=torch.from_numpy(weights).to(device),
        squares=squares,
        present=torch.from_numpy(present[:, seen]).to(device),
    )
    return problems, torch.from_numpy(seen).to(device)
