"""Tests and intervals whose unit is the object: images of one object are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from acqplan.errors import UsageError
from acqplan.rng import generator

EXACT_OBJECTS = 36
"""Up to this many objects that differ, all sign patterns are counted (in two halves of at most 2**18)."""

DRAWS = 99_999
"""Sign patterns drawn beyond that: the standard error of p = .05 is .0007."""


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
        differences: One number an object, e.g. difference of accuracies, shape ``[objects]``.
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
        values: One number an object, e.g. its accuracy, shape ``[objects]``.
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
