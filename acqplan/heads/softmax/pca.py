"""Principal components that keep a share of the variance, as the thesis used them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from acqplan.heads.prepare import Preparation


def fit_share(rows: Float[Tensor, "rows features"], share: float) -> Preparation:
    """The fewest principal components that keep a share of the variance; nothing is scaled.

    Args:
        rows: Features of the training rows, finite, shape ``[rows, features]``; at least one row.
        share: Share of the variance to keep, above 0, at most 1.

    Returns:
        The map to at least one component; rows that are all alike have one component of zeros.

    Source:
        scikit-learn's ``PCA(n_components=share, svd_solver="full")``; the sign of a component is such that its
        largest coefficient is positive.
    """
    mean = rows.mean(dim=0)
    centred = rows - mean
    variances, vectors = _spectrum(centred)
    kept = _count(variances, share)
    directions = vectors[:, :kept] if len(rows) > rows.shape[1] else centred.mT @ vectors[:, :kept]
    directions = directions / directions.norm(dim=0).clamp_min(torch.finfo(rows.dtype).tiny)
    signs = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True)).sign()
    return Preparation(mean=mean, projection=directions * signs, variances=variances[:kept] / len(rows))


def _spectrum(centred: Float[Tensor, "rows features"]) -> tuple[Float[Tensor, " side"], Float[Tensor, "side side"]]:
    """Eigenvalues from the largest on, and vectors, of the smaller of the two Gram matrices."""
    tall = len(centred) > centred.shape[1]
    values, vectors = torch.linalg.eigh(centred.mT @ centred if tall else centred @ centred.mT)
    return values.flip(0).clamp_min(0.0), vectors.flip(1)


def _count(variances: Float[Tensor, " side"], share: float) -> int:
    total = variances.double().cumsum(0)
    if not total[-1] > 0.0:
        return 1
    # a rounding below the whole, so that share 1 does not ask for components of rounding errors
    enough = total >= min(share, 1.0 - 1e-6) * total[-1]
    return int(enough.int().argmax()) + 1
