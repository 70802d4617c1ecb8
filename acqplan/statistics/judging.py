"""Accuracy of a test of several classes: its interval, and the interval to expect of a test that is planned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy import special

from acqplan.statistics.objects import NOISE, check_values

# Supposed where nothing was seen: an accuracy, and the correlation of two images of one object, right or wrong, among
# those of its class (.22 to .38 on four rigs, benchmarks/judging.py); both count as much as so many objects.
ACCURACY, CORRELATION, PRIOR_OBJECTS = 0.85, 0.3, 4


def class_interval(
    accuracies: Float[np.ndarray, " objects"], classes: Shaped[np.ndarray, " objects"]
) -> tuple[float, float, float]:
    """Mean accuracy of test objects with its 95 % interval, for other objects of these classes.

    Objects are compared within their class: how far classes differ does not matter to a test that has its share of
    each. And accuracies end at 1, where Student's t interval is too narrow for few objects. It holds in 92 to 97 of 100
    tests of three objects of a class or more, in 86 to 96 of two (benchmarks/judging.py).

    Args:
        accuracies: Share of the images of each object that were classified correctly, shape ``[objects]``.
        classes: Its class, numbers or names, shape ``[objects]``.

    Returns:
        Mean, lower and upper end; everything for one object, and one trial for each object where none differ.

    Raises:
        UsageError: If there is no object or a number is not finite.

    Source:
        E. B. Wilson, J. Amer. Statist. Assoc. 22 (1927) 209-212, with Student's t and the effective number of trials,
        ``p (1 - p) / variance of the mean``: N. Dean, M. Pagano, J. Surv. Stat. Methodol. 3 (2015) 484-503.
    """
    check_values(accuracies)
    mean, n = float(accuracies.mean()), len(accuracies)
    if n == 1:
        return mean, 0.0, 1.0
    labels = np.unique(classes, return_inverse=True)[1]
    if labels.max() + 1 == n:
        labels = np.zeros(n, dtype=np.int64)  # one object of each class: compared with all others
    apart = accuracies - (np.bincount(labels, weights=accuracies) / np.bincount(labels))[labels]
    freedom = n - int(labels.max()) - 1
    variance, spread = float((apart**2).sum()) / freedom / n, mean * (1.0 - mean)
    middle, reach = _wilson(mean, spread / variance if min(spread, variance) > NOISE else float(n), freedom)
    return mean, min(middle - reach, mean), max(middle + reach, mean)


def _wilson(mean: float, trials: float, freedom: int) -> tuple[float, float]:
    """Middle and half-width of the interval of a mean share of so many trials."""
    spread, square = mean * (1.0 - mean), float(special.stdtrit(freedom, 0.975)) ** 2
    reach = math.sqrt(square * (spread * trials + square / 4.0)) / (trials + square)
    return (trials * mean + square / 2.0) / (trials + square), reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """How right (1) and wrong (0) images vary within a class; by default what is supposed where nothing was seen.

    Attributes:
        accuracy: Share of right images, mean over objects.
        between: Variance of the accuracies of objects.
        within: Variance of the images of one object.
        objects: Objects that it was learned from.
        images: Images of these.
    """

    accuracy: float = ACCURACY
    between: float = CORRELATION * ACCURACY * (1.0 - ACCURACY)
    within: float = (1.0 - CORRELATION) * ACCURACY * (1.0 - ACCURACY)
    objects: int = 0
    images: int = 0

    @classmethod
    def of(
        cls,
        right: Float[np.ndarray, " images"],
        objects: Int[np.ndarray, " images"],
        classes: Int[np.ndarray, " images"],
    ) -> Components:
        """Estimate them from judged images, mixed with the prior; itself where no class has two objects.

        Args:
            right: Whether each image was classified correctly, by a head that never saw its object.
            objects: Object of each image.
            classes: Class of each image.

        Source:
            Analysis of variance, objects of unequal numbers of images nested in classes, by moments: S. R. Searle,
            G. Casella, C. E. McCulloch, Variance Components (1992), chapter 3.
        """
        _, first, place = np.unique(objects, return_index=True, return_inverse=True)
        counts, labels = np.bincount(place).astype(np.float64), np.unique(classes[first], return_inverse=True)[1]
        outer, inner = len(counts) - len(np.unique(labels)), len(right) - len(counts)
        if outer == 0:
            return cls()
        shares, sizes = np.bincount(place, weights=right) / counts, np.bincount(labels, weights=counts)
        accuracy = (float(shares.sum()) + PRIOR_OBJECTS * ACCURACY) / (len(counts) + PRIOR_OBJECTS)
        # 1. The prior, at this accuracy: even where all is right, some errors are expected of a test.
        spread = accuracy * (1.0 - accuracy)
        within = PRIOR_OBJECTS * (1.0 - CORRELATION) * spread + float((counts * shares * (1.0 - shares)).sum())
        within /= PRIOR_OBJECTS + inner
        # 2. The mean square of objects is within + typical number of images x between.
        apart = shares - (np.bincount(labels, weights=counts * shares) / sizes)[labels]
        typical = (len(right) - float((counts**2 / sizes[labels]).sum())) / outer
        between = (float((counts * apart**2).sum()) / outer - within) / typical
        between = (outer * between + PRIOR_OBJECTS * CORRELATION * spread) / (outer + PRIOR_OBJECTS)
        return cls(
            accuracy=accuracy,
            between=max(between, 0.0),
            within=within,
            objects=len(counts),
            images=len(right),
        )

    @property
    def correlation(self) -> float:
        """Correlation of two images of one object, within its class."""
        return self.between / (self.between + self.within)

    def half_width(self, n_objects: int, n_classes: int, views: float, n_views: float) -> float:
        """Half of the interval (`class_interval`) to expect of a test; spread views do a little better.

        Args:
            n_objects: Objects, more than classes.
            n_classes: Classes.
            views: Images of each object, drawn by lot without replacement.
            n_views: Views of each that there are: if all are taken, only objects vary.
        """
        variance = (self.between + self.within * (1.0 / views - 1.0 / n_views)) / n_objects
        trials = self.accuracy * (1.0 - self.accuracy) / max(variance, NOISE**2)
        return _wilson(self.accuracy, trials, n_objects - n_classes)[1]
