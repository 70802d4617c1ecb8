"""The same views for all objects, or staggered ones: a test on captured shots alone, which cannot tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

from acqplan.plan.base import History
from acqplan.plan.greedy import Herding
from acqplan.plan.sub_plans import fit_ridge, gram_of
from acqplan.rng import generator
from acqplan.space.kernel import distances
from acqplan.statistics.clustered import sign_flip

DRAWS = 8
"""Staggered sub-plans that are averaged; of the same views there is one."""

LEVEL = 0.05
"""One-sided: in so many cases at most the test may speak for the wrong rule, where both are equally good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SameViews:
    """What the removal of shots says.

    Attributes:
        difference: Accuracy on left-out objects of heads that saw the same views of all objects, minus staggered ones.
        p: Of the two-sided sign-flip test over objects.
    """

    difference: float
    p: float

    @property
    def answer(self) -> str:
        """``same`` or ``staggered``, as far as the test tells; else ``cannot tell``."""
        if self.p > 2.0 * LEVEL:
            return "cannot tell"
        return "same" if self.difference > 0.0 else "staggered"


def same_or_staggered(history: History, views: Float[np.ndarray, "views axes"], *, seed: int) -> SameViews:
    """Remove captured shots until the same views of all objects are left, or staggered ones, and see what hurts more.

    Args:
        history: Captured shots with features, at least two objects of each class.
        views: The same views; of each object the nearest captured ones stand for them.
        seed: Seed of the staggered sub-plans and of the order in which objects are left out.

    Source:
        The removal test of SelectAL (Hacohen and Weinshall, 2023), with rules that look at views.
    """
    shots = history.shots
    assert history.features is not None
    gram, wanted = gram_of(history.features.astype(np.float64)), np.eye(len(shots.objects.classes))[shots.class_rows]
    same = []
    for number in np.unique(shots.object_rows):
        mine = np.flatnonzero(shots.object_rows == number)
        same += mine[linear_sum_assignment(distances(shots.space, views, shots.coordinates[mine]))[1]].tolist()
    nothing = History.empty(shots)
    several = [Herding().propose(shots, nothing, len(same), seed * DRAWS + number).rows for number in range(DRAWS)]
    # every left-out fold has one object of each class
    fold = np.empty(len(shots), dtype=np.int64)
    for label in np.unique(shots.class_rows):
        own = generator(seed, "same views", label).permutation(np.unique(shots.object_rows[shots.class_rows == label]))
        for place, number in enumerate(own):
            fold[shots.object_rows == number] = place

    def hits(rows: Int[np.ndarray, " some"]) -> Bool[np.ndarray, " shots"]:
        found = np.empty(len(shots), dtype=np.bool_)
        for left in np.unique(fold):
            taught, judged = rows[fold[rows] != left], fold == left
            weights, mean = fit_ridge(gram, taught, wanted)
            scores = gram[np.ix_(judged, taught)] @ weights + mean
            found[judged] = scores.argmax(axis=1) == shots.class_rows[judged]
        return found

    gained = hits(np.array(same)) - np.mean([hits(rows) for rows in several], axis=0)
    each = np.array([gained[shots.object_rows == number].mean() for number in np.unique(shots.object_rows)])
    return SameViews(difference=float(each.mean()), p=sign_flip(each, seed=seed))
