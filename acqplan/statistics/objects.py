"""Means over objects, and over objects and seeds at once: intervals, the two-way test, and the power of a test."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import optimize, special

from acqplan.errors import UsageError
from acqplan.rng import generator

# Resamples of an interval: its ends move by about a twentieth of a standard error from seed to seed.
DRAWS = 9_999
FEWEST = 20

# Numbers held at once while resampling.
BLOCK = 2_000_000
# Values that differ by less are equal: sums in another order differ in the last digits.
NOISE = 1e-12
MOST_OBJECTS = 10_000_000


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
        return float(special.stdtr(self.freedom, (abs(self.mean) - margin) / self.error))


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
    reach = float(special.stdtrit(freedom, 0.5 + level / 2.0)) * error
    p = 2.0 * float(special.stdtr(freedom, -abs(mean) / error))
    return TwoWay(mean=mean, error=error, freedom=freedom, p=p, low=mean - reach, high=mean + reach)


def _variance(sums: Float[np.ndarray, " groups"]) -> float:
    """Variance of a sum of independent groups, each known by its deviation; 0 for one group."""
    n = len(sums)
    return float((sums**2).sum()) * n / (n - 1) if n > 1 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean with its interval.

    Attributes:
        estimate: The mean.
        low: Lower end.
        high: Upper end.
        level: Confidence asked for.
    """

    estimate: float
    low: float
    high: float
    level: float


def interval(differences: Float[np.ndarray, " objects"]) -> tuple[float, float]:
    """95 % interval of the mean difference of accuracies over objects, within ``-1 .. 1``; see `mean_interval`."""
    return mean_interval(differences, lowest=-1.0)[1:]


def mean_interval(
    values: Float[np.ndarray, " objects"], *, lowest: float = 0.0, highest: float = 1.0, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean over objects with Student's t interval, cut to what is possible.

    Args:
        values: One number per object, e.g. its accuracy, shape ``[objects]``.
        lowest: What the mean cannot fall below.
        highest: What it cannot exceed.
        level: Confidence.

    Returns:
        Mean, lower and upper end. If all objects agree the interval is one point; of one object nothing is
        known about others, and the interval is everything.

    Raises:
        UsageError: If there is no object or a number is not finite.
    """
    check_values(values)
    mean = float(values.mean())
    if len(values) == 1:
        return mean, lowest, highest
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    reach = float(special.stdtrit(len(values) - 1, 0.5 + level / 2.0)) * error
    return mean, max(mean - reach, lowest), min(mean + reach, highest)


def two_way_mean(values: Float[np.ndarray, "*curves objects seeds"]) -> Float[np.ndarray, " *curves"]:
    """Mean over objects of the mean over the seeds of each; NaN are left out, and objects without any number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing are NaN: meant
        return np.nanmean(np.nanmean(values, axis=-1), axis=-1)


def two_way_draws(
    values: Float[np.ndarray, "*curves objects seeds"], *, draws: int = DRAWS, seed: int = 0
) -> Float[np.ndarray, " draws *curves"]:
    """Means of resampled objects and seeds, the same resamples for all curves.

    Args:
        values: Numbers, NaN where there is none, shape ``[*curves, objects, seeds]``.
        draws: Resamples.
        seed: Their seed.

    Returns:
        Means as `two_way_mean` gives them, shape ``[draws, *curves]``; NaN where a resample met no number.
    """
    *curves, n_objects, n_seeds = values.shape
    there = np.isfinite(values)
    flat = np.where(there, values, 0.0).reshape(-1, n_seeds).T
    mask = there.reshape(-1, n_seeds).T.astype(np.float64)
    complete = bool(there.all())
    random = generator(seed, "two-way")
    # Resampling is drawing how often each object and seed counts: matrix products instead of copies.
    most = max(1, BLOCK // max(flat.shape[1], 1))
    means = []
    for start in range(0, draws, most):
        size = min(most, draws - start)
        objects = random.multinomial(n_objects, np.full(n_objects, 1.0 / n_objects), size=size).astype(np.float64)
        seeds = random.multinomial(n_seeds, np.full(n_seeds, 1.0 / n_seeds), size=size).astype(np.float64)
        shape = (size, -1, n_objects)
        if complete:
            rows = (seeds @ flat / n_seeds).reshape(shape)
            means.append(np.einsum("dco,do->dc", rows, objects) / n_objects)
            continue
        counts = (seeds @ mask).reshape(shape)
        rows = (seeds @ flat).reshape(shape) / np.where(counts > 0, counts, 1.0)
        above = np.einsum("dco,do->dc", rows, objects)
        below = np.einsum("dco,do->dc", (counts > 0).astype(np.float64), objects)
        means.append(np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan))
    return np.concatenate(means).reshape(draws, *curves)


def outward(level: float, n_objects: int) -> float:
    """Percentile of the lower end, moved out so that the interval of a normal mean is Student's t interval.

    Source:
        T. C. Hesterberg, What teachers should know about the bootstrap, Amer. Statist. 69 (2015) 371-386, "expanded
        percentile interval".
    """
    n = max(n_objects, 2)
    return float(special.ndtr((n / (n - 1)) ** 0.5 * special.stdtrit(n - 1, (1.0 - level) / 2.0)))


def check_resampling(level: float, draws: int) -> None:
    """Refuse a confidence or a number of resamples that cannot be."""
    if not 0.0 < level < 1.0:
        raise UsageError(f"a confidence of {level:g}", "give a number between 0 and 1, e.g. 0.95")
    if draws < FEWEST:
        raise UsageError(f"{draws} resamples", f"give at least {FEWEST}; intervals want some thousand")


def check_values(values: Float[np.ndarray, " objects"]) -> None:
    """Refuse what is not one finite number for each object."""
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise UsageError(f"numbers of shape {values.shape}", "give one finite number for each object")


def smallest_difference(deviation: float, n_objects: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest true mean difference that a two-sided t-test over objects finds with the power asked for.

    Args:
        deviation: Standard deviation of the differences of single objects; the result has its unit.
        n_objects: Objects, at least two.
        alpha: Level of the test.
        power: Chance of finding it, above ``alpha``.

    Raises:
        UsageError: If an argument cannot be.
    """
    _check_design(alpha, power, deviation, n_objects)
    # In units of the standard deviation: double until the power is reached, then solve.
    highest = 1.0
    while _power(highest, n_objects, alpha) < power:
        highest *= 2.0
    return deviation * float(optimize.brentq(lambda size: _power(size, n_objects, alpha) - power, 0.0, highest))


def objects_needed(difference: float, deviation: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Fewest objects with which a two-sided t-test finds a true mean difference with the power asked for.

    Args:
        difference: The true mean difference, not zero.
        deviation: Standard deviation of the differences of single objects, in the same unit.
        alpha: Level of the test.
        power: Chance of finding it, above ``alpha``.

    Raises:
        UsageError: If an argument cannot be, or more than ten million objects would be needed.
    """
    _check_design(alpha, power, deviation)
    if difference == 0.0 or not math.isfinite(difference):
        raise UsageError(f"a difference of {difference:g}", "give one to be found: finite and not zero")
    # Double until there are enough, then halve the interval between too few and enough.
    size, too_few, enough = abs(difference) / deviation, 1, 2
    while _power(size, enough, alpha) < power:
        too_few, enough = enough, 2 * enough
        if enough > MOST_OBJECTS:
            raise UsageError(f"a difference of {difference:g} at a spread of {deviation:g}", "no study can find that")
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if _power(size, middle, alpha) >= power else (middle, enough)
    return enough


def _power(size: float, n_objects: int, alpha: float) -> float:
    """Of a true difference of so many standard deviations: the noncentral t beyond both bounds."""
    freedom, shift = n_objects - 1, size * math.sqrt(n_objects)
    bound = -float(special.stdtrit(freedom, alpha / 2.0))
    if shift > bound + 20.0 * (1.0 + bound / math.sqrt(2.0 * freedom)):
        return 1.0  # where the noncentral t underflows
    missed, wrong_side = special.nctdtr(freedom, shift, [bound, -bound])
    return 1.0 - float(missed) + (0.0 if np.isnan(wrong_side) else float(wrong_side))  # NaN where it is below 1e-16


def _check_design(alpha: float, power: float, deviation: float, n_objects: int = 2) -> None:
    if not (math.isfinite(deviation) and deviation > 0.0):
        raise UsageError(f"a standard deviation of {deviation:g}", "give a positive number")
    if not 0.0 < alpha < power < 1.0:
        raise UsageError(f"a level of {alpha:g} and a power of {power:g}", "choose 0 < level < power < 1")
    if n_objects < 2:
        raise UsageError(f"{n_objects} objects", "a test over objects needs at least 2")
