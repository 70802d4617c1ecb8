"""Tests on images, conditional on these objects: McNemar's for two classifiers, Cochran's Q for several."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from scipy import stats

from acqplan.errors import UsageError

ENOUGH = 20
"""The thesis takes the asymptotic test for more discordant images than this, else the exact one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Result of McNemar's test; images of one object are not independent, see `clustered`.

    Attributes:
        n01: Images that only the second classifier got right.
        n10: Images that only the first got right.
        chi2: Statistic with continuity correction.
        p_exact: Two-sided exact binomial p, conditional on the discordant images.
        p_asymptotic: p of ``chi2`` with one degree of freedom.
        p_mid: Two-sided mid-p: less conservative than the exact p, and holds its level in practice.
    """

    n01: int
    n10: int
    chi2: float
    p_exact: float
    p_asymptotic: float
    p_mid: float

    @property
    def p(self) -> float:
        """As in the thesis: asymptotic if more than 20 images are discordant, else exact."""
        return self.p_asymptotic if self.n01 + self.n10 > ENOUGH else self.p_exact

    @property
    def odds_ratio(self) -> float:
        """Odds that a discordant image speaks for the first classifier; 1 if there is none, may be infinite."""
        if self.n01 == 0:
            return math.inf if self.n10 else 1.0
        return self.n10 / self.n01


def mcnemar(correct_a: Bool[np.ndarray, " images"], correct_b: Bool[np.ndarray, " images"]) -> McNemar:
    """Compare two classifiers on the same images, given these objects and these heads.

    Over new objects all three p are far too small: in benchmarks/README.md they are below .05 in 16 to 88 % of the
    studies of two equal arms, as soon as images of an object are correlated. See `clustered` for tests that hold.

    Args:
        correct_a: Whether the first classified each image correctly, shape ``[images]``.
        correct_b: Whether the second did, in the same order.

    Raises:
        UsageError: If the shapes differ.
    """
    if correct_a.shape != correct_b.shape:
        raise UsageError(f"{correct_a.shape} and {correct_b.shape} images", "compare on the same images")
    return mcnemar_counts(n01=int((~correct_a & correct_b).sum()), n10=int((correct_a & ~correct_b).sum()))


def mcnemar_counts(*, n01: int, n10: int) -> McNemar:
    """McNemar's test from the two discordant counts; without discordant images every p is 1.

    Source:
        Q. McNemar, Psychometrika 12 (1947) 153-157; continuity correction A. L. Edwards, ibid. 13 (1948)
        185-187; mid-p M. W. Fagerland, S. Lydersen, P. Laake, BMC Med. Res. Methodol. 13 (2013) 91.
    """
    if n01 < 0 or n10 < 0:
        raise UsageError(f"counts {n01} and {n10} of discordant images", "counts are not negative")
    discordant, fewer = n01 + n10, min(n01, n10)
    if discordant == 0:
        return McNemar(n01=0, n10=0, chi2=0.0, p_exact=1.0, p_asymptotic=1.0, p_mid=1.0)
    # With equal counts the correction would make a difference out of none: R, like us, leaves it out then.
    chi2 = max(abs(n01 - n10) - 1, 0) ** 2 / discordant
    at_most, exactly = stats.binom.cdf(fewer, discordant, 0.5), stats.binom.pmf(fewer, discordant, 0.5)
    return McNemar(
        n01=n01,
        n10=n10,
        chi2=chi2,
        p_exact=min(1.0, 2.0 * float(at_most)),
        p_asymptotic=float(stats.chi2.sf(chi2, 1)),
        p_mid=float(1.0 - 0.5 * exactly if n01 == n10 else 2.0 * at_most - exactly),
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
