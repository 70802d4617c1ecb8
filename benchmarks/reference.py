"""Exact references that are too slow to plan with."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from acqplan.plan.surrogate import ShotKernel, covariance
from acqplan.space import Space


def integrated_variance(
    space: Space,
    kernel: ShotKernel,
    shots: Float[np.ndarray, "shots columns"],
    targets: Float[np.ndarray, "targets columns"],
    weights: Float[np.ndarray, " targets"] | None = None,
) -> float:
    """Mean variance at target points that is left after some shots.

    Args:
        space: The space whose axes say what wraps.
        kernel: The hyper-parameters, ``common`` included.
        shots: Rows of `acqplan.plan.surrogate.points_of`, shape ``[shots, 2 + axes]``.
        targets: Rows of `acqplan.plan.surrogate.class_points`, shape ``[targets, 2 + axes]``.
        weights: Weight of each target, adding up to 1; all alike by default.
    """
    share = np.full(len(targets), 1.0 / len(targets)) if weights is None else weights
    gram = covariance(space, kernel, shots, shots) + kernel.noise * np.eye(len(shots))
    white = np.linalg.solve(np.linalg.cholesky(gram), covariance(space, kernel, shots, targets))
    return float(share @ (kernel.common + kernel.shared - (white**2).sum(axis=0)))
