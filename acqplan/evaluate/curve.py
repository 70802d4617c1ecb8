"""Accuracy against images: mean curves, areas under them, ranks of arms."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import stats

from acqplan.errors import UsageError


def common_runs(
    accuracy: Float[np.ndarray, "arms budgets objects seeds"],
) -> Float[np.ndarray, "arms budgets objects seeds"]:
    """Keep the runs (object, seed) that every arm finished at every budget; the others become NaN everywhere.

    A run that failed once is left out as a whole, and in all arms: else points of one curve, or curves of
    two arms, would come from different seeds. The last two axes are keys: the same place is the same seed.
    """
    return np.where(np.isfinite(accuracy).all(axis=(0, 1)), accuracy, np.nan)


def area_under_curve(
    accuracy: Float[np.ndarray, "budgets objects seeds"], budgets: Sequence[int]
) -> Float[np.ndarray, "objects seeds"]:
    """Mean accuracy over the logarithm of images, from the smallest to the largest budget (trapezoids).

    The area is linear in the accuracies, so that each object and seed has its own: subtract those of two arms and
    give the difference to `intervals.two_way_interval` or, averaged over seeds, to `clustered.sign_flip`.

    Args:
        accuracy: Accuracy at each budget of each object and seed, NaN where a run failed.
        budgets: Images, increasing, at least two.

    Returns:
        Areas within ``0 .. 1``; NaN where a budget is missing.

    Raises:
        UsageError: If the shapes differ, or the budgets are not increasing and positive.
    """
    check_curves(accuracy, budgets)
    if len(budgets) < 2:
        raise UsageError("one budget", "the area under a curve needs at least two")
    steps = np.diff(np.log(np.asarray(budgets, dtype=np.float64)))
    return np.tensordot(steps / steps.sum(), (accuracy[1:] + accuracy[:-1]) / 2.0, axes=1)


def mean_ranks(accuracy: Float[np.ndarray, "arms budgets blocks"]) -> Float[np.ndarray, "arms budgets"]:
    """Mean rank of each arm at each budget, 1 the best, ties averaged; the mean over budgets is the overall rank.

    Args:
        accuracy: Accuracy of each arm at each budget in each block: an object (mean over its seeds), or a pair of
            split and seed. Where an arm has none, the block is left out at that budget.

    Returns:
        Ranks within ``1 .. arms``; NaN at a budget without any complete block.

    Raises:
        UsageError: If there are not two arms, a budget and a block, or a number is infinite.
    """
    if accuracy.ndim != 3 or accuracy.shape[0] < 2 or accuracy.size == 0 or np.isinf(accuracy).any():
        raise UsageError(f"accuracies of shape {accuracy.shape}", "give [arms, budgets, blocks], two arms at least")
    complete = np.isfinite(accuracy).all(axis=0)
    # Means over seeds in another order differ in the last digits: those are ties.
    ranks = stats.rankdata(-np.round(np.where(complete, accuracy, 0.0), 12), axis=0)
    n_blocks = complete.sum(axis=1)
    return np.where(n_blocks > 0, (ranks * complete).sum(axis=2) / np.maximum(n_blocks, 1), np.nan)


def check_curves(accuracy: Float[np.ndarray, "budgets objects seeds"], budgets: Sequence[int]) -> None:
    """Refuse accuracies and budgets that do not go together.

    Raises:
        UsageError: If the shapes differ, an accuracy is infinite, or the budgets are not increasing and positive.
    """
    if accuracy.ndim != 3 or len(accuracy) != len(budgets) or accuracy.size == 0:
        raise UsageError(
            f"accuracies of shape {accuracy.shape} for {len(budgets)} budgets", "give [budgets, objects, seeds]"
        )
    if np.isinf(accuracy).any():
        raise UsageError("an infinite accuracy", "give NaN where a run failed")
    if min(budgets) <= 0 or any(one >= other for one, other in itertools.pairwise(budgets)):
        raise UsageError(f"budgets {', '.join(map(str, budgets))}", "give positive numbers, increasing")
