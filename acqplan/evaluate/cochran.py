"""Cochran's Q: do several classifiers err on different images equally often? Conditional on these objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from scipy import stats

from acqplan.errors import UsageError


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
    objects compare arms in pairs by `clustered.sign_flip`, corrected by `clustered.holm`.

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
