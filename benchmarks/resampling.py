"""Tests and intervals that the product does not use, because their levels do not hold: see `levels.py`.

Cochran's Q takes images for independent; BCa intervals are too short for few objects; the pigeonhole bootstrap errs on
the long side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from acqplan.errors import UsageError
from acqplan.rng import stream
from acqplan.statistics.objects import (
    BLOCK,
    DRAWS,
    NOISE,
    Estimate,
    check_resampling,
    check_values,
    outward,
    two_way_draws,
    two_way_mean,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CochranQ:
    """Result of Cochran's Q test.

    Attributes:
        statistic: Q, 0 if all classifiers agree on every image.
        degrees_of_freedom: Classifiers less one.
        p: p of chi-square with as many degrees of freedom.
    """

    statistic: float
    degrees_of_freedom: int
    p: float


def cochran_q(correct: Bool[np.ndarray, "classifiers images"]) -> CochranQ:
    """Compare several classifiers on the same images; with two it is McNemar's test without continuity correction.

    Conditional on these objects and these heads: it takes images as independent, which images of one object are not.
    Over new objects it rejects far too often, more so than McNemar's test: in benchmarks/README.md in 24 to 98 % of
    the studies of three equal arms, at .05, as soon as images of an object are correlated. For a claim about new
    objects compare arms in pairs by `sign_flip`, corrected by `holm`.

    Args:
        correct: Whether each classifier was right on each image, shape ``[classifiers, images]``.

    Raises:
        UsageError: If there are fewer than two classifiers, no image, or the array is not one of booleans.

    Source:
        W. G. Cochran, Biometrika 37 (1950) 256-266.
    """
    if correct.ndim != 2 or correct.shape[0] < 2 or correct.shape[1] == 0 or correct.dtype != np.bool_:
        raise UsageError(
            f"{correct.dtype} numbers of shape {correct.shape}",
            "give booleans of at least two classifiers on the same images, shape [classifiers, images]",
        )
    n_classifiers = len(correct)
    per_classifier = correct.sum(axis=1).astype(np.float64)
    per_image = correct.sum(axis=0).astype(np.float64)
    spread = float((per_image * (n_classifiers - per_image)).sum())
    unequal = float(((per_classifier - per_classifier.mean()) ** 2).sum())
    statistic = n_classifiers * (n_classifiers - 1) * unequal / spread if spread else 0.0
    return CochranQ(
        statistic=statistic,
        degrees_of_freedom=n_classifiers - 1,
        p=float(stats.chi2.sf(statistic, n_classifiers - 1)),
    )


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
    (`interval`) holds it in 94 to 97 %: prefer that for 25 objects or fewer.

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
    check_values(values)
    check_resampling(level, draws)
    mean = float(values.mean())
    if len(values) == 1 or float(np.ptp(values)) <= NOISE:
        low, high = (lowest, highest) if len(values) == 1 else (mean, mean)
        return Estimate(estimate=mean, low=low, high=high, level=level)
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
    if len(kept) == 1 or float(np.nanmax(kept) - np.nanmin(kept)) <= NOISE:
        low, high = (lowest, highest) if len(kept) == 1 else (mean, mean)
        return Estimate(estimate=mean, low=low, high=high, level=level)
    means = two_way_draws(kept, draws=draws, seed=seed)
    below = outward(level, len(kept))
    low, high = np.nanquantile(means, [below, 1.0 - below])
    return Estimate(estimate=mean, low=max(float(low), lowest), high=min(float(high), highest), level=level)
