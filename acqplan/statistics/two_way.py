"""A mean over objects and seeds, both of which are draws: another set of objects and other seeds would move it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from acqplan.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWay:
    """A mean with its uncertainty over objects and seeds.

    Attributes:
        mean: Mean over objects of each object's mean over its seeds.
        error: Its standard error; 0 if nothing varies.
        freedom: Degrees of freedom (Satterthwaite).
        p: Two-sided p that the mean is zero.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    mean: float
    error: float
    freedom: float
    p: float
    low: float
    high: float

    def p_within(self, margin: float) -> float:
        """P that the mean is beyond ``-margin .. margin`` (two one-sided tests): small if it lies within."""
        if self.error == 0.0:
            return float(abs(self.mean) >= margin)
        return float(stats.t.sf((margin - abs(self.mean)) / self.error, self.freedom))


def two_way(differences: Float[np.ndarray, "objects seeds"], *, level: float = 0.95) -> TwoWay:
    """Test and interval of the mean difference of two strategies, for other objects and other seeds.

    Two heads of one rule differ a little, and by the same on all objects: a test on objects alone takes that for a
    difference of rules. One on seeds alone takes these objects for all there are. Here both vary. With one seed the
    seeds' part cannot be known, and the answer is that of the objects alone: conditional on these heads.

    Args:
        differences: Difference of accuracies for each object and seed, NaN where an object was not tested, shape
            ``[objects, seeds]``. Rows and columns without any number are left out.
        level: Confidence of the interval.

    Raises:
        UsageError: If there is no number, or one is infinite.

    Source:
        H. H. Clark, J. Verbal Learn. Verbal Behav. 12 (1973) 335-359: crossed random effects, exact for a full table;
        A. C. Cameron, J. B. Gelbach, D. L. Miller, J. Bus. Econ. Stat. 29 (2011) 238-249, in whose form gaps are
        allowed. Never less than the variance of objects or of seeds alone. F. E. Satterthwaite, Biometrics Bull. 2
        (1946) 110-114.
    """
    there = np.isfinite(differences)
    if differences.ndim != 2 or np.isinf(differences).any() or not there.any():
        raise UsageError(f"differences of shape {differences.shape}", "give objects x seeds, one number at least")
    table = differences[there.any(axis=1)][:, there.any(axis=0)]
    there = np.isfinite(table)
    n_objects, n_seeds = table.shape
    weights = there / there.sum(axis=1, keepdims=True) / n_objects
    mean = float((weights * np.where(there, table, 0.0)).sum())
    # Deviations summed by object and by seed; their variances add up, less what single pairs add to both.
    parts = weights * np.where(there, table - mean, 0.0)
    objects = _variance(parts.sum(axis=1))
    seeds = _variance(parts.sum(axis=0))
    single = 0.0
    if min(n_objects, n_seeds) > 1:
        # What single pairs of object and seed add to the variance is in that of objects and in that of seeds.
        known = np.where(there, table, np.nan)
        rest = known - np.nanmean(known, axis=1, keepdims=True) - np.nanmean(known, axis=0, keepdims=True)
        squares = (weights * np.nan_to_num(rest + np.nanmean(known))) ** 2
        single = float(squares.sum()) * n_objects * n_seeds / ((n_objects - 1) * (n_seeds - 1))
    variance = max(objects + seeds - single, objects, seeds)
    if variance <= 1e-24:
        return TwoWay(mean=mean, error=0.0, freedom=np.inf, p=float(mean == 0.0), low=mean, high=mean)
    # Satterthwaite: degrees of freedom of a sum of variances.
    spread = objects**2 / max(n_objects - 1, 1) + seeds**2 / max(n_seeds - 1, 1)
    error, freedom = variance**0.5, variance**2 / spread
    reach = float(stats.t.ppf(0.5 + level / 2.0, freedom)) * error
    p = 2.0 * float(stats.t.sf(abs(mean) / error, freedom))
    return TwoWay(mean=mean, error=error, freedom=freedom, p=p, low=mean - reach, high=mean + reach)


def _variance(sums: Float[np.ndarray, " groups"]) -> float:
    """Variance of a sum of independent groups, each known by its deviation; 0 for one group."""
    n = len(sums)
    return float((sums**2).sum()) * n / (n - 1) if n > 1 else 0.0
