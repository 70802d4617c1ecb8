"""Learning curves ``err(n) = a * n**-b + c``: fitted to many resamples at once, read at other numbers of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from acqplan.errors import UsageError

STEEPEST, FLATTEST = 3.0, 0.1
"""Exponents that are tried. Below 0.1 a curve cannot be told from a straight line in the logarithm, and its floor is no
floor; above 3 it has ended before the second size."""

STEPS, PASSES = 41, 3
"""Exponents of a grid, and grids, each between the neighbours of the last one's best."""

FEWEST_SIZES = 3
"""As many as a curve has numbers to fit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PowerLaw:
    """Learning curves ``err(n) = scale * (n / unit)**-exponent + floor``.

    Attributes:
        unit: Images that ``scale`` refers to: the largest size fitted.
        scale: Error that images can still remove at ``unit``, at least 0, shape ``[curves]``.
        exponent: How fast they do, shape ``[curves]``.
        floor: Error that remains, within ``0 .. 1``, shape ``[curves]``.
    """

    unit: float
    scale: Float[np.ndarray, " curves"]
    exponent: Float[np.ndarray, " curves"]
    floor: Float[np.ndarray, " curves"]

    def accuracy(self, images: float) -> Float[np.ndarray, " curves"]:
        """Accuracy with so many images, shape ``[curves]``."""
        return 1.0 - self.floor - self.scale * (images / self.unit) ** -self.exponent

    def images_for(self, accuracy: Float[np.ndarray, " curves"]) -> Float[np.ndarray, " curves"]:
        """Images that each curve needs for an accuracy; infinite where it never gets there, shape ``[curves]``."""
        spare = 1.0 - accuracy - self.floor
        possible = (spare > 0.0) | ((spare >= -1e-12) & (self.scale <= 1e-12))
        ratio = self.scale / np.where(spare > 0.0, spare, 1.0)
        logs = np.log(np.maximum(ratio, 1e-300)) / self.exponent
        return np.where(possible, self.unit * np.exp(np.clip(logs, -700.0, 600.0)), np.inf)


def fit_power_law(images: Float[np.ndarray, " sizes"], errors: Float[np.ndarray, "curves sizes"]) -> PowerLaw:
    """Fit a power law to each curve by weighted least squares, with ``scale >= 0`` and ``0 <= floor <= 1``.

    For each exponent on a grid the other two are the solution of a bounded linear problem in closed form, so that the
    best is found whatever the start, for thousands of resampled curves at once. Sizes weigh by their images: what is
    asked of the curve lies beyond the largest.

    Args:
        images: Images of each size, ascending, at least three sizes.
        errors: Errors, finite, within ``0 .. 1``, shape ``[curves, sizes]``.

    Raises:
        UsageError: If there are fewer sizes, they do not ascend, or a number is not finite.

    Source:
        G. H. Golub, V. Pereyra, SIAM J. Numer. Anal. 10 (1973) 413-432 (the linear numbers eliminated); weights of
        K. H. Tae, S. E. Whang, Slice Tuner, SIGMOD 2021, arXiv 2003.04549.
    """
    if len(images) < FEWEST_SIZES or images[0] <= 0 or not (np.diff(images) > 0).all() or not np.isfinite(errors).all():
        raise UsageError(f"errors of shape {errors.shape} at {len(images)} sizes", "give at least 3, ascending")
    shares = images / images[-1]
    weights = shares / shares.sum()
    exponent, reach = np.full(len(errors), (STEEPEST * FLATTEST) ** 0.5), (STEEPEST / FLATTEST) ** 0.5
    for _ in range(PASSES):
        exponent = _best(np.geomspace(reach, 1 / reach, STEPS), exponent, shares, errors, weights)
        reach **= 2 / (STEPS - 1)
    scale, floor, _loss = _at_exponent(shares ** -exponent[:, None], errors, weights)
    return PowerLaw(unit=float(images[-1]), scale=scale, exponent=exponent, floor=floor)


def _best(
    factors: Float[np.ndarray, " steps"],
    around: Float[np.ndarray, " curves"],
    shares: Float[np.ndarray, " sizes"],
    errors: Float[np.ndarray, "curves sizes"],
    weights: Float[np.ndarray, " sizes"],
) -> Float[np.ndarray, " curves"]:
    """The exponent of least loss near that of each curve; the steepest of equals, which promises least."""
    tried = [np.clip(around * factor, FLATTEST, STEEPEST) for factor in factors]
    losses = [_at_exponent(shares ** -one[:, None], errors, weights)[2] for one in tried]
    best = np.argmin(np.round(losses, 15), axis=0)
    return np.stack(tried)[best, np.arange(len(around))]


def _at_exponent(
    falls: Float[np.ndarray, "curves sizes"],
    errors: Float[np.ndarray, "curves sizes"],
    weights: Float[np.ndarray, " sizes"],
) -> tuple[Float[np.ndarray, " curves"], Float[np.ndarray, " curves"], Float[np.ndarray, " curves"]]:
    """Scale, floor and loss of the best curve of one exponent: the free solution, or the better of its bounds."""
    mean_fall, mean_error = falls @ weights, errors @ weights
    apart = falls - mean_fall[:, None]
    scale = np.maximum((apart * errors) @ weights / (apart**2 @ weights), 0.0)
    floor = mean_error - scale * mean_fall
    below = floor < 0.0
    scale = np.where(below, (falls * errors) @ weights / (falls**2 @ weights), scale)
    floor = np.where(below, 0.0, np.minimum(floor, 1.0))
    residual = errors - scale[:, None] * falls - floor[:, None]
    return scale, floor, residual**2 @ weights
