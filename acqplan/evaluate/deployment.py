"""Accuracy where a classifier will be used: views count as often as they will be met."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from acqplan.errors import UsageError
from acqplan.space import Shots
from acqplan.strategy.strata import view_rows


def weighted_shares(
    correct: Bool[np.ndarray, " shots"], shots: Shots, view_weights: Float[np.ndarray, " views"] | None
) -> Float[np.ndarray, " objects"]:
    """Accuracy on each object over the views that will be met, as often as they will be.

    Args:
        correct: Whether a head was right on each shot, shape ``[shots]``.
        shots: The shots.
        view_weights: How often each view of their space will be met, from 0 on, in the order of ``space.views()``,
            shape ``[views]``; ``None`` for all alike.

    Returns:
        Shares in ``[0, 1]`` of the objects that have shots, in the order of their rows, shape ``[objects]``; NaN
        where no shot of an object is from a view that will be met.

    Raises:
        UsageError: If there is not one weight for each view, or one mark for each shot.
    """
    if len(correct) != len(shots):
        raise UsageError(f"{len(correct):,} marks for {len(shots):,} shots", "give one for each shot")
    if view_weights is not None and len(view_weights) != shots.space.n_views:
        said = f"{len(view_weights):,} weights of views, the space has {shots.space.n_views:,}"
        raise UsageError(said, "give one for each view")
    _, objects = np.unique(shots.object_rows, return_inverse=True)
    weights = np.ones(len(shots)) if view_weights is None else view_weights[view_rows(shots)]
    met = np.bincount(objects, weights=weights)
    right = np.bincount(objects, weights=weights * correct)
    return np.divide(right, met, out=np.full(len(met), np.nan), where=met > 0.0)
