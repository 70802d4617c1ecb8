"""How unevenly sets of views lie in a grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from acqplan.space import Axis, Space
from acqplan.strategy.pairs import LENGTHS, level_kernels


def class_discrepancy(axes: tuple[Axis, ...], parts: Iterable[Int[np.ndarray, "points axes"]]) -> float:
    """Mean discrepancy of the objects plus that of their union; see `discrepancies`."""
    shape = tuple(len(axis.values) for axis in axes)
    counts = np.stack([counted(shape, levels) for levels in parts])
    return float(discrepancies(axes, counts).mean() + discrepancies(axes, counts.sum(axis=0, keepdims=True))[0])


def discrepancies(axes: tuple[Axis, ...], counts: Float[np.ndarray, "sets views"]) -> Float[np.ndarray, " sets"]:
    """Squared kernel discrepancy between sets of views and all views, in units of what random views have.

    Args:
        axes: The axes of the grid.
        counts: How often each view of the grid is in each set, shape ``[sets, views]``.

    Returns:
        About 1 for views drawn with replacement, 0 for all views, shape ``[sets]``.

    Source:
        A. Gretton et al., A kernel two-sample test, JMLR 13 (2012) 723-773; the kernel is `mixed_kernel`,
        evaluated as a product over axes.
    """
    n_points = counts.sum(axis=1)
    excess = counts / n_points[:, None] - 1.0 / counts.shape[1]
    squared, alike = np.zeros(len(counts)), 0.0
    for kernels in _kernels(axes):
        squared += (_smoothed(kernels, excess) * excess).sum(axis=1) / len(LENGTHS)
        alike += float(np.prod([kernel.mean() for kernel in kernels])) / len(LENGTHS)
    return squared * n_points / max(1.0 - alike, 1e-12)


def pair_imbalance(axes: tuple[Axis, ...], levels: Int[np.ndarray, "points axes"]) -> float:
    """How unequally often pairs of levels are met, for the worst pair of axes; about 1 for random views."""
    tables = [_table(axes, levels, one, other) for one, other in combinations(range(len(axes)), 2)]
    return max((float(table.var() / table.mean()) for table in tables), default=0.0)


def counted(shape: tuple[int, ...], levels: Int[np.ndarray, "points axes"]) -> Float[np.ndarray, " views"]:
    """How often each view of a grid of this shape is met."""
    views = np.ravel_multi_index(tuple(levels.T), shape)
    return np.bincount(views, minlength=int(np.prod(shape))).astype(np.float64)


@lru_cache(maxsize=8)
def _kernels(axes: tuple[Axis, ...]) -> tuple[tuple[Float[np.ndarray, "levels levels"], ...], ...]:
    return tuple(tuple(level_kernels(Space(axes=axes), length)) for length in LENGTHS)


def _table(
    axes: tuple[Axis, ...], levels: Int[np.ndarray, "points axes"], one: int, other: int
) -> Int[np.ndarray, " pairs"]:
    n_one, n_other = len(axes[one].values), len(axes[other].values)
    return np.bincount(levels[:, one] * n_other + levels[:, other], minlength=n_one * n_other)


def _smoothed(
    kernels: Sequence[Float[np.ndarray, "levels levels"]], excess: Float[np.ndarray, "sets views"]
) -> Float[np.ndarray, "sets views"]:
    values = excess.reshape(len(excess), *(len(kernel) for kernel in kernels))
    for kernel in kernels:  # each product moves its axis to the end, so after the last they are in order again
        values = np.tensordot(values, kernel, axes=([1], [0]))
    return values.reshape(len(excess), -1)
