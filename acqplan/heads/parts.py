"""Parts of a pool of features: prepared rows, stacked into problems for the solver, and turned into heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from acqplan.heads.folds import NEVER
from acqplan.heads.linear import Head
from acqplan.heads.prepare import Preparation, fit_preparation, moments, moments_pay, pooled, preparation_of
from acqplan.heads.solver import Problems


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """What subsets are drawn from.

    Attributes:
        features: Shape ``[pool, features]``, on the device where training happens.
        targets: Class of each row, shape ``[pool]``.
        groups: Object of each row, shape ``[pool]``.
        n_classes: Classes there are, whether or not a subset has them.
        components: Principal components to keep at most.
    """

    features: Float[Tensor, "pool features"]
    targets: Int[np.ndarray, " pool"]
    groups: Int[np.ndarray, " pool"]
    n_classes: int
    components: int

    def present(self, rows: Int[np.ndarray, " rows"]) -> Bool[np.ndarray, " classes"]:
        """Which classes occur among some rows, shape ``[classes]``."""
        return np.bincount(self.targets[rows], minlength=self.n_classes) > 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Rows that one head is trained on, prepared by what these rows alone say.

    Attributes:
        rows: Rows of the pool, shape ``[rows]``.
        preparation: Fitted on these rows.
        inputs: Their components, shape ``[rows, components]``.
        present: Classes among them, shape ``[classes]``.
    """

    rows: Int[np.ndarray, " rows"]
    preparation: Preparation
    inputs: Float[Tensor, "rows components"]
    present: Bool[np.ndarray, " classes"]

    def logits(
        self, coefficients: Float[Tensor, "classes variables"], inputs: Float[Tensor, "rows components"]
    ) -> Float[Tensor, "rows classes"]:
        """Logits of prepared rows; minus infinity for absent classes."""
        weights, bias = self._weights_and_bias(coefficients)
        return inputs @ weights.mT + bias

    def head(
        self,
        coefficients: Float[Tensor, "classes variables"],
        *,
        strength: float,
        beliefs: Float32[np.ndarray, "rows classes"],
    ) -> Head:
        """The solved head in the space of the original features."""
        weights, bias = self._weights_and_bias(coefficients)
        weight = self.preparation.projection.to(weights.dtype) @ weights.mT
        shifted = bias - self.preparation.mean.to(weight.dtype) @ weight
        return Head(
            weight=weight.float().cpu().numpy(), bias=shifted.float().cpu().numpy(), strength=strength, beliefs=beliefs
        )

    def _weights_and_bias(
        self, coefficients: Float[Tensor, "classes variables"]
    ) -> tuple[Float[Tensor, "classes components"], Float[Tensor, " classes"]]:
        absent = torch.from_numpy(~self.present).to(coefficients.device)
        return coefficients[:, : self.inputs.shape[1]], coefficients[:, -1].masked_fill(absent, -torch.inf)


def prepare_part(pool: Pool, rows: Int[np.ndarray, " rows"]) -> Part:
    """Fit the preparation on some rows, and apply it to them."""
    taken = _taken(pool, rows)
    preparation = fit_preparation(taken, pool.components)
    return Part(rows=rows, preparation=preparation, inputs=preparation.apply(taken), present=pool.present(rows))


def prepare_folds(
    pool: Pool, rows: Int[np.ndarray, " rows"], numbers: Int[np.ndarray, " rows"]
) -> tuple[Part, list[tuple[Part, Float[Tensor, "left components"]]]]:
    """Prepare all rows, and for each fold those that stay; moments are shared where that pays.

    Args:
        pool: What the rows are of.
        rows: Rows of the pool, shape ``[rows]``.
        numbers: Fold that leaves each row out, `NEVER` for rows that always stay, shape ``[rows]``.

    Returns:
        The part of all rows, and for each fold its part and the components of the rows it leaves out.
    """
    taken, n_folds = _taken(pool, rows), int(numbers.max()) + 1
    masks = [torch.from_numpy(numbers == number).to(taken.device) for number in range(NEVER, n_folds)]
    shared = moments_pay(*taken.shape)
    groups = [moments(taken[mask]) if bool(mask.any()) else None for mask in masks] if shared else []

    def fitted(without: int | None) -> Preparation:
        stay = [group for place, group in enumerate(groups) if group is not None and place - 1 != without]
        if groups and moments_pay(sum(group.count for group in stay), taken.shape[1]):
            return preparation_of(pooled(stay), pool.components)
        return fit_preparation(taken if without is None else taken[~masks[without + 1]], pool.components)

    def part(preparation: Preparation, kept: Int[np.ndarray, " kept"], inputs: Tensor) -> Part:
        return Part(rows=kept, preparation=preparation, inputs=inputs, present=pool.present(kept))

    whole = fitted(None)
    folds = []
    for number in range(n_folds):
        preparation, left = fitted(number), masks[number + 1]
        every = preparation.apply(taken)
        folds.append((part(preparation, rows[numbers != number], every[~left]), every[left]))
    return part(whole, rows, whole.apply(taken)), folds


def _taken(pool: Pool, rows: Int[np.ndarray, " rows"]) -> Float[Tensor, "rows features"]:
    return pool.features[torch.from_numpy(rows).to(pool.features.device)]


def stack(pool: Pool, parts: Sequence[Part]) -> Problems:
    """Pad parts to the same number of rows and components; padding changes no solution."""
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
    device = inputs.device
    return Problems(
        inputs=inputs,
        targets=torch.from_numpy(targets).to(device),
        weights=torch.from_numpy(weights).to(device),
        squares=squares,
        present=torch.from_numpy(present).to(device),
    )
