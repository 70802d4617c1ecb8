"""Ridge regression on a Gram matrix: the small head by which planning judges captured shots, many in one batch."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

RIDGE = 0.1
"""Penalty over the mean squared length of a feature vector; answers are compared, none is used as a classifier."""


def gram_of(features: Float[np.ndarray, "shots features"]) -> Float[np.ndarray, "shots shots"]:
    """Products of centred features, of mean squared length 1; huge ones are scaled before they are squared."""
    centred = features - features.mean(axis=0)
    centred /= max(float(np.abs(centred).max()), np.finfo(np.float64).tiny)
    gram = centred @ centred.T
    return gram / max(float(np.diag(gram).mean()), np.finfo(np.float64).tiny)


def fit_ridge(
    gram: Float[np.ndarray, "shots shots"],
    taught: Int[np.ndarray, "*batch taught"],
    wanted: Float[np.ndarray, "shots classes"],
) -> tuple[Float[np.ndarray, "*batch taught classes"], Float[np.ndarray, "*batch one classes"]]:
    """Solve ridge regressions on some of the shots, all of a batch at once.

    Args:
        gram: Products from `gram_of`, shape ``[shots, shots]``.
        taught: Rows of the shots that each regression sees, as many for all, shape ``[..., taught]``.
        wanted: What is to be predicted of every shot, shape ``[shots, classes]``.

    Returns:
        Weights of the taught shots and means: the scores of shots are ``gram[shots, taught] @ weights + mean``;
        shapes ``[..., taught, classes]`` and ``[..., 1, classes]``.
    """
    targets = wanted[taught]
    mean = targets.mean(axis=-2, keepdims=True)
    within = gram[taught[..., :, None], taught[..., None, :]] + RIDGE * np.eye(taught.shape[-1])
    return np.linalg.solve(within, targets - mean), mean


def places(groups: Int[np.ndarray, " members"], draw: np.random.Generator) -> Int[np.ndarray, " members"]:
    """Place of each member within its group, in an order drawn by lot, shape ``[members]``."""
    place = np.zeros(len(groups), dtype=np.int64)
    for group in np.unique(groups):
        mine = np.flatnonzero(groups == group)
        place[mine] = draw.permutation(len(mine))
    return place
