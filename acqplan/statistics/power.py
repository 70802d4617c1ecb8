"""Equivalence of two arms, and what a comparison over a number of objects can find at all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import optimize, stats

from acqplan.errors import UsageError

MARGIN = 0.01
"""Accuracies less than a point apart are called equivalent."""

MOST_OBJECTS = 10_000_000


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
        differences: One number an object, e.g. difference of accuracies, shape ``[objects]``.
        margin: Differences below it count as none; one point of accuracy unless told.

    Returns:
        Both tests. If all objects agree p is 0 within the margin and 1 elsewhere; one object says nothing: p is 1.

    Raises:
        UsageError: If there is no object, a difference is not finite, or the margin is not positive.

    Source:
        D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657-680.
    """
    if differences.ndim != 1 or len(differences) == 0 or not np.isfinite(differences).all():
        raise UsageError(f"numbers of shape {differences.shape}", "give one finite number for each object")
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
    _check_design(alpha, 0.5, deviation)
    if n_objects < 2:
        raise UsageError(f"{n_objects} objects", "a test over objects needs at least 2")
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
    _check_design(alpha, power, deviation)
    if n_objects < 2:
        raise UsageError(f"{n_objects} objects", "a test over objects needs at least 2")
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


def _check_design(alpha: float, power: float, deviation: float) -> None:
    _check_positive(deviation, "standard deviation")
    if not 0.0 < alpha < power < 1.0:
        raise UsageError(f"a level of {alpha:g} and a power of {power:g}", "choose 0 < level < power < 1")


def _check_positive(number: float, name: str) -> None:
    if not (math.isfinite(number) and number > 0.0):
        raise UsageError(f"a {name} of {number:g}", "give a positive number")
