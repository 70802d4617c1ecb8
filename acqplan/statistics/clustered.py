"""Tests, intervals and power whose unit is the object: images of one object are not independent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, stats

from acqplan.errors import UsageError
from acqplan.rng import generator

EXACT_OBJECTS = 36
"""Up to this many objects that differ, all sign patterns are counted (in two halves of at most 2**18)."""

DRAWS = 99_999
"""Sign patterns drawn beyond that: the standard error of p = .05 is .0007."""

MARGIN = 0.01
"""Accuracies less than a point apart are called equivalent."""

MOST_OBJECTS = 10_000_000


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
    _check(differences)
    moved = differences[differences != 0.0]  # flipping a zero changes nothing
    if len(moved) == 0:
        return 1.0
    # Sums of the same numbers in another order differ in the last digits: they are ties.
    bar = abs(float(moved.sum())) - 1e-9 * float(np.abs(moved).sum())
    if len(moved) <= EXACT_OBJECTS:
        return _exact_share(moved, bar)
    flips = generator(seed, "sign-flip").integers(0, 2, size=(DRAWS, len(moved)), dtype=np.int8)
    sums = (2.0 * flips - 1.0) @ moved
    return (1 + int((np.abs(sums) >= bar).sum())) / (1 + DRAWS)


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
    _check(values)
    mean = float(values.mean())
    if len(values) == 1:
        return mean, lowest, highest
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    reach = float(stats.t.ppf(0.5 + level / 2.0, len(values) - 1)) * error
    return mean, max(mean - reach, lowest), min(mean + reach, highest)


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
    _check(differences)
    _check_positive(margin, "margin")
    n, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    return Equivalence(
        difference=mean,
        margin=margin,
        p_below=_one_sided(mean + margin, error, n),
        p_above=_one_sided(margin - mean, error, n),
        n_objects=n,
    )


def power(difference: float, deviation: float, n_objects: int, *, alpha: float = 0.05) -> float:
    """Chance that a two-sided t-test over objects finds a true mean difference.

    Args:
        difference: The true mean difference.
        deviation: Standard deviation of the differences of single objects, in the same unit; see `difference`.
        n_objects: Objects, at least two.
        alpha: Level of the test.

    Raises:
        UsageError: If an argument cannot be.
    """
    _check_design(alpha, 0.5, deviation, n_objects)
    if not math.isfinite(difference):
        raise UsageError(f"a difference of {difference}", "give a finite number")
    return _power(abs(difference) / deviation, n_objects, alpha)


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


def _check(values: Float[np.ndarray, " objects"]) -> None:
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise UsageError(f"numbers of shape {values.shape}", "give one finite number for each object")


def _exact_share(moved: Float[np.ndarray, " objects"], bar: float) -> float:
    """Share of all sign patterns with a sum at least ``bar`` from zero: one half sorted, the other looked up."""
    half = len(moved) // 2
    left, right = _signed_sums(moved[:half]), np.sort(_signed_sums(moved[half:]))
    above = len(right) - np.searchsorted(right, bar - left, side="left")
    below = np.searchsorted(right, -bar - left, side="right")
    # A bar of zero is reached from both sides at once: every pattern counts, once.
    return 1.0 if bar <= 0 else int(above.sum() + below.sum()) / (len(left) * len(right))


def _signed_sums(numbers: Float[np.ndarray, " numbers"]) -> Float[np.ndarray, " patterns"]:
    sums = np.zeros(1)
    for number in numbers:
        sums = np.concatenate([sums + number, sums - number])
    return sums


def _chi_square(shift: Float[np.ndarray, " objects"], factor: float) -> ChiSquare:
    squares = float((shift**2).sum())
    statistic = factor * float(shift.sum()) ** 2 / squares if squares else 0.0
    return ChiSquare(statistic=statistic, p=float(stats.chi2.sf(statistic, 1)))


def _power(size: float, n_objects: int, alpha: float) -> float:
    """Of a true difference of so many standard deviations: the noncentral t beyond both bounds."""
    freedom, shift = n_objects - 1, size * math.sqrt(n_objects)
    bound = float(stats.t.isf(alpha / 2.0, freedom))
    if shift > bound + 40.0 * (1.0 + bound / math.sqrt(2.0 * freedom)):
        return 1.0  # where the noncentral t underflows
    wrong_side = 0.0 if shift > 7.0 else float(stats.nct.cdf(-bound, freedom, shift))  # below 1e-11, where scipy fails
    return float(stats.nct.sf(bound, freedom, shift)) + wrong_side


def _one_sided(distance: float, error: float, n_objects: int) -> float:
    """P that a mean lies so far on the right side of a bound by chance."""
    if n_objects == 1:
        return 1.0
    if error <= 1e-12 * abs(distance) or error == 0.0:
        return 0.0 if distance > 0.0 else 1.0
    return float(stats.t.sf(distance / error, n_objects - 1))


def _check_design(alpha: float, power: float, deviation: float, n_objects: int = 2) -> None:
    _check_positive(deviation, "standard deviation")
    if not 0.0 < alpha < power < 1.0:
        raise UsageError(f"a level of {alpha:g} and a power of {power:g}", "choose 0 < level < power < 1")
    if n_objects < 2:
        raise UsageError(f"{n_objects} objects", "a test over objects needs at least 2")


def _check_positive(number: float, name: str) -> None:
    if not (math.isfinite(number) and number > 0.0):
        raise UsageError(f"a {name} of {number:g}", "give a positive number")
