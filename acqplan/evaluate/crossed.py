"""Differences of two arms over several splits of the objects: paired by run, reduced to one number an object."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from acqplan.errors import UsageError

Run = tuple[int, int]
"""Number of the split, and seed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairedDifferences:
    """Differences of two arms at one budget.

    Attributes:
        objects: Names of the objects that were tested in any run, sorted.
        runs: Split and seed of each column, sorted; only runs that both arms finished.
        differences: Accuracy of the first arm minus that of the second, NaN where an object was not tested in that
            split, shape ``[objects, runs]``.
    """

    objects: tuple[str, ...]
    runs: tuple[Run, ...]
    differences: Float[np.ndarray, "objects runs"]

    @property
    def per_object(self) -> Float[np.ndarray, " objects"]:
        """One number an object: what sign_flip, interval, bca_interval and equivalence take."""
        return object_means(self.differences)


def paired_differences(a: Mapping[Run, Mapping[str, float]], b: Mapping[Run, Mapping[str, float]]) -> PairedDifferences:
    """Pair two arms by split and seed, never by order.

    What is independent here, and what is not:

    - Images of one object are not: they are reduced to one accuracy first.
    - Runs of one object are not: it is the same object, so they are averaged. More seeds make its number less noisy,
      but add no object.
    - Objects tested in one split share its heads. With many seeds the luck of single heads averages out; what stays is
      the luck of the train objects of that split, common to all its test objects.
    - Splits share train objects, and after a swap the test objects of one side have taught the other.

    So the unit is the object, and tests over objects speak of new test objects, given the train objects at hand.
    They leave out how much the difference would vary with other train objects: an interval for that would be
    wider, and has no unbiased estimate from overlapping splits. Many splits and seeds make what is left out
    small; one split does not. `intervals.two_way_interval` of ``differences`` also resamples runs, and so includes
    their luck as far as they are independent.

    Args:
        a: For each run the accuracy on each test object of its split; NaN marks a failed run.
        b: The same of the other arm.

    Returns:
        Objects, runs, and the matrix. A run is left out if one of the arms lacks it or failed on any of its objects.

    Raises:
        UsageError: If no run is left, an accuracy is infinite, or the arms were tested on different objects in a run.

    Source:
        Y. Bengio, Y. Grandvalet, J. Mach. Learn. Res. 5 (2004) 1089-1105: no unbiased estimate of the variance of
        cross-validation.
    """
    runs = tuple(sorted(run for run in a.keys() & b.keys() if _complete(run, a[run], b[run])))
    if not runs:
        raise UsageError("the arms have no finished run in common", "run both with the same splits and seeds")
    objects = tuple(sorted({name for run in runs for name in a[run]}))
    place = {name: row for row, name in enumerate(objects)}
    differences = np.full((len(objects), len(runs)), np.nan)
    for column, run in enumerate(runs):
        for name, accuracy in a[run].items():
            differences[place[name], column] = accuracy - b[run][name]
    return PairedDifferences(objects=objects, runs=runs, differences=differences)


def object_means(differences: Float[np.ndarray, "objects runs"]) -> Float[np.ndarray, " kept"]:
    """Mean of each object over its runs; NaN are left out, and so are objects without any number.

    Raises:
        UsageError: If it is no matrix, nothing is finite in it, or a number is infinite.
    """
    if differences.ndim != 2 or np.isinf(differences).any() or not np.isfinite(differences).any():
        raise UsageError(
            f"numbers of shape {differences.shape}", "give a matrix of objects x runs, NaN where there is no number"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN, and left out below
        means = np.nanmean(differences, axis=1)
    return means[np.isfinite(means)]


def _complete(run: Run, a: Mapping[str, float], b: Mapping[str, float]) -> bool:
    """Whether both arms finished the run; objects tested by one arm only are a mistake, not a failure."""
    if a.keys() != b.keys():
        name = min(a.keys() ^ b.keys())
        raise UsageError(
            f"split {run[0]}, seed {run[1]}: object '{name}' was tested with one arm only",
            "test both arms of a run on the same objects",
        )
    numbers = [*a.values(), *b.values()]
    if any(math.isinf(number) for number in numbers):
        raise UsageError(f"split {run[0]}, seed {run[1]}: an infinite accuracy", "give NaN where a run failed")
    return bool(numbers) and not any(math.isnan(number) for number in numbers)
