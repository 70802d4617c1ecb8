"""Tests of paired classifiers: over objects, over images clustered by object, and on images given these objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special

from acqplan.errors import UsageError
from acqplan.rng import generator
from acqplan.statistics.objects import check_values

# Up to this many objects that differ, all sign patterns are counted (in two halves of at most 2**18).
EXACT_OBJECTS = 36
# Sign patterns drawn beyond that: the standard error of p = .05 is .0007.
DRAWS = 99_999
# Accuracies less than a point apart are called equivalent.
MARGIN = 0.01
# The thesis takes the asymptotic test for more discordant images than this, else the exact one.
ENOUGH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ChiSquare:
    """A statistic that follows chi-square with one degree of freedom if there is no difference.

    Attributes:
        statistic: The statistic, 0 if nothing differs.
        p: Two-sided p.
    """

    statistic: float
    p: float


def sign_flip(differences: Float[np.ndarray, " objects"], *, seed: int = 0) -> float:
    """Two-sided sign-flip (permutation) test that per-object differences are symmetric about zero.

    It speaks of new objects, given these heads: luck that a head has with all objects alike counts as a difference. In
    benchmarks/README.md its level holds without such luck, and with it is .06 for 20 seeds, .10 for one (25 objects).

    Args:
        differences: One number per object, e.g. difference of accuracies, shape ``[objects]``.
        seed: Seed of the draws; used only beyond `EXACT_OBJECTS` objects that differ.

    Returns:
        Share of the sign patterns whose sum is at least as far from zero, ties included; never 0.
        It cannot fall below ``2 / 2**objects``: with five objects it cannot reach .05.

    Raises:
        UsageError: If there is no object or a difference is not finite.

    Source:
        R. A. Fisher, The Design of Experiments (1935), section 21.
    """
    check_values(differences)
    moved = differences[differences != 0.0]  # flipping a zero changes nothing
    if len(moved) == 0:
        return 1.0
    # Sums of the same numbers in another order differ in the last digits: they are ties.
    bar = abs(float(moved.sum())) - 1e-9 * float(np.abs(moved).sum())
    if len(moved) > EXACT_OBJECTS:
        flips = generator(seed, "sign-flip").integers(0, 2, size=(DRAWS, len(moved)), dtype=np.int8)
        sums = (2.0 * flips - 1.0) @ moved
        return (1 + int((np.abs(sums) >= bar).sum())) / (1 + DRAWS)
    # All patterns with a sum at least `bar` from zero: the sums of one half are sorted, those of the other looked up.
    half = len(moved) // 2
    left, right = _signed_sums(moved[:half]), np.sort(_signed_sums(moved[half:]))
    above = len(right) - np.searchsorted(right, bar - left, side="left")
    below = np.searchsorted(right, -bar - left, side="right")
    # A bar of zero is reached from both sides at once: every pattern counts, once.
    return 1.0 if bar <= 0 else int(above.sum() + below.sum()) / (len(left) * len(right))


def obuchowski(n01: Int[np.ndarray, " objects"], n10: Int[np.ndarray, " objects"]) -> ChiSquare:
    """McNemar's test for clustered images: objects weigh by their number of images.

    The statistic is at most the number of objects less one, so that it cannot reach .01 with seven objects nor
    .05 with four, and hardly does with a few more: benchmarks/README.md finds levels of .001 for 5 objects, .02 for 10
    and .04 for 25, nominally .05. Where the one pair of heads it sees has luck with all objects alike, .09 to .12.

    Args:
        n01: Images of each object that only the second classifier got right, shape ``[objects]``.
        n10: Images of each object that only the first got right.

    Source:
        N. A. Obuchowski, Statist. Med. 17 (1998) 1495-1507, in the form of Z. Yang, X. Sun, J. W. Hardin,
        Biom. J. 52 (2010) 638-652.
    """
    shift = np.asarray(n10, dtype=np.float64) - n01
    return _chi_square(shift, (len(shift) - 1) / len(shift))


def durkalski(
    n01: Int[np.ndarray, " objects"], n10: Int[np.ndarray, " objects"], n: Int[np.ndarray, " objects"]
) -> ChiSquare:
    """McNemar's test for clustered images: every object weighs the same.

    The statistic is at most the number of objects, so that it cannot reach .01 with six objects nor .05 with
    three: benchmarks/README.md finds levels of .02 for 5 objects, .03 for 10 and .04 to .05 for 25, nominally
    .05. Where the one pair of heads it sees has luck with all objects alike, .10 to .13.

    Args:
        n01: Images of each object that only the second classifier got right, shape ``[objects]``.
        n10: Images of each object that only the first got right.
        n: Images of each object.

    Source:
        V. L. Durkalski et al., Statist. Med. 22 (2003) 2417-2428.
    """
    return _chi_square((np.asarray(n10, dtype=np.float64) - n01) / n, 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p-values of one family of comparisons; the order is kept.

    Raises:
        UsageError: If one is not within ``0 .. 1``.

    Source:
        S. Holm, Scand. J. Statist. 6 (1979) 65-70.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0.0) & (p <= 1.0)).all():
        raise UsageError(f"p-values {', '.join(map(str, p_values))}", "give numbers between 0 and 1")
    # Not by statsmodels' multipletests, which collects garbage on every call: a tenth of a second each.
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return [float(one) for one in corrected]


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """Result of two one-sided t-tests that a mean difference lies within a margin.

    Attributes:
        difference: Mean over objects.
        margin: Differences below it, either way, count as none.
        p_below: p against a difference of ``-margin`` or less.
        p_above: p against a difference of ``margin`` or more.
        n_objects: Objects.
    """

    difference: float
    margin: float
    p_below: float
    p_above: float
    n_objects: int

    @property
    def p(self) -> float:
        """Small if the arms are equivalent: the larger of both; needs no correction for being two."""
        return max(self.p_below, self.p_above)


def equivalence(differences: Float[np.ndarray, " objects"], *, margin: float = MARGIN) -> Equivalence:
    """Two one-sided tests: is the mean difference over objects within ``-margin .. margin``?

    ``p < .05`` says the same as a 90 % t interval that lies within the margin. With few objects, or objects that
    differ much (a standard error above half the margin), it can hardly ever say yes: its level then falls to
    zero, from .05 (benchmarks/README.md: .03 and .00 for one point, 25 objects and deviations of 3 and 9 points).

    Args:
        differences: One number per object, e.g. difference of accuracies, shape ``[objects]``.
        margin: Differences below it count as none; by default one point of accuracy.

    Returns:
        Both tests. If all objects agree p is 0 within the margin and 1 elsewhere; one object says nothing: p is 1.

    Raises:
        UsageError: If there is no object, a difference is not finite, or the margin is not positive.

    Source:
        D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657-680.
    """
    check_values(differences)
    if not (math.isfinite(margin) and margin > 0.0):
        raise UsageError(f"a margin of {margin:g}", "give a positive number")
    n, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    return Equivalence(
        difference=mean,
        margin=margin,
        p_below=_one_sided(mean + margin, error, n),
        p_above=_one_sided(margin - mean, error, n),
        n_objects=n,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Result of McNemar's test; images of one object are not independent, see `obuchowski`.

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
    studies of two equal arms, as soon as images of an object are correlated. See `sign_flip` for one that holds.

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
    at_most = float(special.bdtr(fewer, discordant, 0.5))
    below = float(special.bdtr(fewer - 1, discordant, 0.5)) if fewer else 0.0
    return McNemar(
        n01=n01,
        n10=n10,
        chi2=chi2,
        p_exact=min(1.0, 2.0 * at_most),
        p_asymptotic=float(special.chdtrc(1, chi2)),
        p_mid=1.0 - 0.5 * (at_most - below) if n01 == n10 else at_most + below,
    )


def _signed_sums(numbers: Float[np.ndarray, " numbers"]) -> Float[np.ndarray, " patterns"]:
    sums = np.zeros(1)
    for number in numbers:
        sums = np.concatenate([sums + number, sums - number])
    return sums


def _chi_square(shift: Float[np.ndarray, " objects"], factor: float) -> ChiSquare:
    squares = float((shift**2).sum())
    statistic = factor * float(shift.sum()) ** 2 / squares if squares else 0.0
    return ChiSquare(statistic=statistic, p=float(special.chdtrc(1, statistic)))


def _one_sided(distance: float, error: float, n_objects: int) -> float:
    """P that a mean lies so far on the right side of a bound by chance."""
    if n_objects == 1:
        return 1.0
    if error <= 1e-12 * abs(distance) or error == 0.0:
        return 0.0 if distance > 0.0 else 1.0
    return float(special.stdtr(n_objects - 1, -distance / error))
