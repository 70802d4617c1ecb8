"""Greedy choice of many plans at a time, each with settings of its own."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from acqplan.strategy.greedy import TIE


def greedy_batch(
    *,
    orders: Int[np.ndarray, "batch size"],
    wanted: Float[np.ndarray, "batch shots"],
    kernels: Float[np.ndarray, "kernels shots shots"],
    kernel_of: Int[np.ndarray, " batch"],
    class_weight: Float[np.ndarray, " batch"],
    lots: Int[np.ndarray, "batch shots"],
    owner: Int[np.ndarray, " shots"],
    class_of: Int[np.ndarray, " objects"],
) -> Int[np.ndarray, "batch size"]:
    """`acqplan.strategy.greedy.greedy_views` with `acqplan.strategy.tuned.TunedHerd`, many at a time.

    Args:
        orders: Object that takes next.
        wanted: Similarity that each shot should have to those taken.
        kernels: Similarities of shots.
        kernel_of: Which of them counts.
        class_weight: Share of the class in the sum.
        lots: Of equals the one with the smallest is taken.
        owner: Object of each shot.
        class_of: Class of each object.

    Returns:
        Shots in the order of taking, shape ``[batch, size]``.
    """
    batch = np.arange(len(orders))
    label = class_of[owner]
    own, joint = np.zeros_like(wanted), np.zeros_like(wanted)
    n_own = np.ones((len(orders), len(class_of)))
    n_class = np.ones((len(orders), int(class_of.max()) + 1))
    spent, chosen = np.zeros(wanted.shape, dtype=np.bool_), np.empty_like(orders)
    share = class_weight[:, None]
    for step, taking in enumerate(orders.T):
        mine, ours = owner == taking[:, None], label == class_of[taking][:, None]
        sums = (1.0 - share) * (own / n_own[batch, taking][:, None]) + share * (
            joint / n_class[batch, class_of[taking]][:, None]
        )
        gains = np.where(mine & ~spent, wanted - sums, -np.inf)
        best = gains >= gains.max(axis=1, keepdims=True) - TIE
        chosen[:, step] = shot = np.where(best, lots, np.iinfo(np.int64).max).argmin(axis=1)
        alike = kernels[kernel_of, shot]
        own += alike * mine
        joint += alike * ours
        n_own[batch, taking] += 1.0
        n_class[batch, class_of[taking]] += 1.0
        spent[batch, shot] = True
    return chosen
