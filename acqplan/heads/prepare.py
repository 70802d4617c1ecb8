"""Preparation of features: standardised, then projected on their principal components."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from acqplan.rng import stream

# Up to this many rows or features, components come from a full eigendecomposition; beyond, that would cost more than
# the heads themselves, and subspace iteration takes over.
EXACT_SIDE = 384
# Rounds of subspace iteration (Halko et al. advise one or two): on MobileNetV2 features of photographs 128 components
# then hold 99.8 % of the variance that the exact ones hold.
ITERATIONS = 2
# Up to this many features, and no more than rows, components come from the scatter of the rows: the scatters of folds
# are sums of a few, and cost one product for all folds. It takes the square of this many numbers per fold.
SCATTER_SIDE = 1024
# A feature is divided by its standard deviation plus this many times the mean one. Plain standardisation (0) makes
# units loud that hardly fire in training: on ETH-80 with MobileNetV2 it costs 0.3 to 0.9 points of accuracy, while on
# gradient histograms 0 to 1 differ by 0.3 points at most.
SOFTENING = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Preparation:
    """A linear map from features to few uncorrelated components, fitted on training rows only.

    The scaled features have a mean squared length of 1, so that an L2 strength means the same for 256
    features as for 4,096.

    Attributes:
        mean: Mean of the training rows, shape ``[features]``.
        projection: What multiplies centred features, shape ``[features, components]``.
        variances: Mean square of each component over the training rows, shape ``[components]``.
    """

    mean: Float[Tensor, " features"]
    projection: Float[Tensor, "features components"]
    variances: Float[Tensor, " components"]

    def apply(self, rows: Float[Tensor, "rows features"]) -> Float[Tensor, "rows components"]:
        """Components of any rows, shape ``[rows, components]``."""
        return rows @ self.projection - self.mean @ self.projection


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Number, mean and scatter of rows: all that preparation needs, and what adds up over groups of rows."""

    count: int
    mean: Float[Tensor, " features"]
    scatter: Float[Tensor, "features features"]  # sum of products of centred rows


def moments(rows: Float[Tensor, "rows features"]) -> Moments:
    """Moments of some rows, at least one."""
    mean = rows.mean(dim=0)
    centred = rows - mean
    return Moments(count=len(rows), mean=mean, scatter=centred.mT @ centred)


def pooled(groups: Sequence[Moments]) -> Moments:
    """Moments of all rows of some groups; only sums, so that nothing cancels, whatever the groups left out hold.

    Source:
        T. F. Chan, G. H. Golub, R. J. LeVeque, Amer. Statist. 37 (1983) 242-247, equation 2.1, for several groups.
    """
    count = sum(group.count for group in groups)
    means = torch.stack([group.mean for group in groups])
    counts = torch.tensor([group.count for group in groups], dtype=means.dtype, device=means.device)[:, None]
    mean = means[0] + (counts * (means - means[0])).sum(dim=0) / count
    apart = counts.sqrt() * (means - mean)
    scatter = apart.mT @ apart
    for group in groups:
        scatter += group.scatter
    return Moments(count=count, mean=mean, scatter=scatter)


def moments_pay(n_rows: int, n_features: int) -> bool:
    """Whether preparing by the scatter costs less than by the rows."""
    return n_features <= min(n_rows, SCATTER_SIDE)


def fit_preparation(rows: Float[Tensor, "rows features"], components: int) -> Preparation:
    """Standardise and find the leading principal components.

    Args:
        rows: Features of the training rows, finite, shape ``[rows, features]``; at least one row.
        components: How many to keep at most; never more than ``rows - 1`` or ``features``, but at least one.

    Returns:
        The map; a constant feature gets no weight.
    """
    if moments_pay(*rows.shape):
        return preparation_of(moments(rows), components)
    mean = rows.mean(dim=0)
    scaled = rows - mean
    scale = feature_scales(scaled.square().mean(dim=0).sqrt(), mean.abs())
    scaled *= scale
    kept = max(1, min(components, len(rows) - 1, rows.shape[1]))
    if min(rows.shape) > max(EXACT_SIDE, 2 * kept):
        basis = _iterated(lambda vectors: scaled.mT @ (scaled @ vectors), scaled, kept)
        # Rayleigh-Ritz, so that the components are exactly uncorrelated
        within = scaled @ basis
        directions = basis @ _leading_pairs(within.mT @ within, kept)[0]
    elif len(rows) >= rows.shape[1]:
        directions = _leading_pairs(scaled.mT @ scaled, kept)[0]
    else:
        spanned = scaled.mT @ _leading_pairs(scaled @ scaled.mT, kept)[0]
        directions = spanned / spanned.norm(dim=0).clamp_min(torch.finfo(rows.dtype).eps)
    variances = (scaled @ directions).square().mean(dim=0)
    return Preparation(mean=mean, projection=scale[:, None] * directions, variances=variances)


def preparation_of(rows: Moments, components: int) -> Preparation:
    """What `fit_preparation` finds, from the moments of the rows alone."""
    covariance = rows.scatter / rows.count
    scale = feature_scales(covariance.diagonal().sqrt(), rows.mean.abs())
    covariance *= scale[:, None] * scale
    kept = max(1, min(components, rows.count - 1, len(scale)))
    if len(scale) > max(EXACT_SIDE, 2 * kept):
        # Equal to the iteration on rows in exact arithmetic, and rows are read no more.
        basis = _iterated(lambda vectors: covariance @ vectors, covariance, kept)
        within, variances = _leading_pairs(basis.mT @ (covariance @ basis), kept)
        directions = basis @ within
    else:
        directions, variances = _leading_pairs(covariance, kept)
    return Preparation(mean=rows.mean, projection=scale[:, None] * directions, variances=variances)


def feature_scales(
    deviation: Float[Tensor, " features"], size: Float[Tensor, " features"]
) -> Float[Tensor, " features"]:
    """What each centred feature is multiplied by; 0 for a constant one, whose deviation is rounding at most."""
    limits = torch.finfo(deviation.dtype)
    softened = deviation + SOFTENING * deviation.mean()
    varies = deviation > 8.0 * limits.eps * size
    scale = torch.where(varies, 1.0 / softened.clamp_min(limits.tiny), 0.0)
    return scale / (scale * deviation).square().sum().sqrt().clamp_min(limits.tiny)


def _leading_pairs(
    gram: Float[Tensor, "side side"], kept: int
) -> tuple[Float[Tensor, "side kept"], Float[Tensor, " kept"]]:
    values, vectors = torch.linalg.eigh(gram)
    return vectors[:, len(gram) - kept :].flip(1), values[len(gram) - kept :].flip(0).clamp_min(0.0)


def _iterated(
    product: Callable[[Tensor], Tensor], like: Float[Tensor, "rows features"], kept: int
) -> Float[Tensor, "features basis"]:
    """A basis of nearly the directions of the largest variance; ``product`` multiplies by the Gram matrix.

    Source:
        N. Halko, P. G. Martinsson, J. A. Tropp, SIAM Review 53 (2011) 217-288, algorithm 4.4. The random
        start is the same for all rows and devices.
    """
    chance = torch.Generator().manual_seed(stream(0, "subspace iteration"))
    basis = torch.randn(like.shape[1], kept + 16, generator=chance).to(like)
    for _ in range(ITERATIONS + 1):
        basis = torch.linalg.qr(product(basis)).Q
    return basis
