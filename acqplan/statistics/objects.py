"""Bootstrap intervals of means over objects, and over objects and seeds at once."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from acqplan.errors import UsageError
from acqplan.rng import generator, stream

DRAWS = 9_999
"""Resamples of an interval: its ends move by about a twentieth of a standard error from seed to seed."""

FEWEST = 20

BLOCK = 2_000_000
"""Numbers held at once while resampling."""

NOISE = 1e-12
"""Values that differ by less are equal: sums in another order differ in the last digits."""


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


def bca_interval(
    values: Float[np.ndarray, " objects"],
    *,
    lowest: float = -1.0,
    highest: float = 1.0,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Estimate:
    """Bias-corrected and accelerated bootstrap interval of a mean over objects.

    It follows skewed values, but is too short for few objects: resamples of n objects vary (n - 1) / n times as much as
    they should, and the skewness of so few is mostly noise. In benchmarks/README.md, 79 to 83 % of the 95 %
    intervals hold the truth with 5 objects, 87 to 89 % with 10, 90 to 93 % with 25, where Student's t
    (`clustered.interval`) holds it in 94 to 97 %: prefer that for 25 objects or fewer.

    Args:
        values: One number per object, e.g. its difference of accuracies, shape ``[objects]``.
        lowest: What the mean cannot fall below.
        highest: What it cannot exceed.
        level: Confidence.
        draws: Resamples.
        seed: Their seed; the order of the objects does not matter.

    Returns:
        One point if all objects agree; everything between the bounds if there is one object.

    Raises:
        UsageError: If there is no object, a number is not finite, or level or draws cannot be.

    Source:
        B. Efron, J. Amer. Statist. Assoc. 82 (1987) 171-185.
    """
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise UsageError(f"numbers of shape {values.shape}", "give one finite number for each object")
    check_resampling(level, draws)
    mean = float(values.mean())
    if len(values) == 1:
        return Estimate(estimate=mean, low=lowest, high=highest, level=level)
    if float(np.ptp(values)) <= NOISE:
        return Estimate(estimate=mean, low=mean, high=mean, level=level)
    found = stats.bootstrap(
        (np.sort(values),),
        np.mean,
        n_resamples=draws,
        batch=max(1, BLOCK // len(values)),
        confidence_level=level,
        method="BCa",
        random_state=np.random.default_rng(stream(seed, "bca")),
    ).confidence_interval
    return Estimate(estimate=mean, low=max(float(found.low), lowest), high=min(float(found.high), highest), level=level)


def two_way_interval(
    values: Float[np.ndarray, "objects seeds"],
    *,
    lowest: float = -1.0,
    highest: float = 1.0,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Estimate:
    """Bootstrap interval of a mean over objects and seeds, both resampled: it speaks of new objects and new seeds.

    Objects and seeds are drawn independently with replacement (pigeonhole bootstrap). The spread between objects
    and between seeds enters once, as it should; noise of single cells three times, so that the interval errs on
    the long side where such noise prevails. For few objects, percentiles are moved outwards to those of Student's t
    (`outward`). In benchmarks/README.md it misses the truth in 0 to 4 % at 95 % with 20 seeds. Of one seed it says
    nothing about others: with heads that have luck with all objects alike it then misses in 9 to 11 %.

    Args:
        values: Number of each object and seed, e.g. difference of accuracies, NaN where there is none (a failed run;
            an object not tested in that split), shape ``[objects, seeds]``. Objects count equally.
        lowest: What the mean cannot fall below.
        highest: What it cannot exceed.
        level: Confidence.
        draws: Resamples.
        seed: Their seed.

    Returns:
        Mean over objects of the mean over the seeds of each; one point if all numbers agree, everything between the
        bounds if there is one object.

    Raises:
        UsageError: If there is no number, one is infinite, or level or draws cannot be.

    Source:
        A. B. Owen, The pigeonhole bootstrap, Ann. Appl. Stat. 1 (2007) 386-411.
    """
    if values.ndim != 2 or np.isinf(values).any() or not np.isfinite(values).any():
        raise UsageError(
            f"numbers of shape {values.shape}, {int(np.isfinite(values).sum())} of them finite",
            "give a matrix of objects x seeds, NaN where there is no number",
        )
    check_resampling(level, draws)
    kept = values[np.isfinite(values).any(axis=1)]
    mean = float(two_way_mean(kept))
    if len(kept) == 1:
        return Estimate(estimate=mean, low=lowest, high=highest, level=level)
    if float(np.nanmax(kept) - np.nanmin(kept)) <= NOISE:
        return Estimate(estimate=mean, low=mean, high=mean, level=level)
    means = two_way_draws(kept, draws=draws, seed=seed)
    below = outward(level, len(kept))
    low, high = np.nanquantile(means, [below, 1.0 - below])
    return Estimate(estimate=mean, low=max(float(low), lowest), high=min(float(high), highest), level=level)


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
    return float(stats.norm.cdf((n / (n - 1)) ** 0.5 * stats.t.ppf((1.0 - level) / 2.0, n - 1)))


def check_resampling(level: float, draws: int) -> None:
    """Refuse a confidence or a number of resamples that cannot be."""
    if not 0.0 < level < 1.0:
        raise UsageError(f"a confidence of {level:g}", "give a number between 0 and 1, e.g. 0.95")
    if draws < FEWEST:
        raise UsageError(f"{draws} resamples", f"give at least {FEWEST}; intervals want some thousand")
