"""Herding with settings that can be searched: a length for each axis, weight of the class, and how far errors count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from acqplan.plan.base import Choice, History
from acqplan.plan.errors_by_view import ErrorMaps, Expected, error_maps, expected_errors, soft_errors
from acqplan.plan.greedy import greedy_views, rows_of
from acqplan.plan.quotas import taking_order, weighted_quotas
from acqplan.plan.situation import Situation
from acqplan.space import Space
from acqplan.space.kernel import LENGTHS, view_columns

FLOOR, CEILING = 0.5, 2.0
"""Bounds of totals of objects and of weights of views, over their means; those of `Allocate` and `Difficulty`."""

MOST_VIEWS = 2500
"""Maps over more views take too long where one is needed for every part of the objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Settings of a plan.

    Attributes:
        lengths: Length of each axis in its unit (of a category without unit), positive: the middle of the three
            over which similarities are averaged, as `acqplan.plan.coverage.Herding` has its scale.
        class_weight: Share of the class in the sum, in ``[0, 1]``: of 1, an object's shots avoid those of its
            class as much as its own.
        exponent: Power of the error expected at a view that its weight follows, from 0 (all alike) on.
        temperature: Power of the error expected of an object that its total follows, from 0 (equal totals) on.
    """

    lengths: tuple[float, ...]
    class_weight: float = 0.7
    exponent: float = 0.0
    temperature: float = 0.0

    @classmethod
    def default(cls, space: Space) -> Tuning:
        """What `acqplan.plan.coverage.Herding` does, and `Lattice` where it has no lattice."""
        return cls(lengths=tuple(float(scale) for scale in space.scales))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errors:
    """What beliefs say of objects and of views; nothing without them.

    Attributes:
        expected: Soft errors of objects and classes.
        maps: Soft errors over views; none in a space of more than `MOST_VIEWS`.
    """

    expected: Expected | None = None
    maps: ErrorMaps | None = None

    @classmethod
    def of(cls, history: History, space: Space, *, seed: int) -> Errors:
        """Judge captured shots by their beliefs; the space is that of a `Situation`."""
        found = soft_errors(history)
        if found is None:
            return cls()
        maps = error_maps(space, found, seed=seed) if space.n_views <= MOST_VIEWS else None
        return cls(expected=expected_errors(found), maps=maps)

    def totals(self, situation: Situation, temperature: float) -> Float[np.ndarray, " objects"]:
        """Wanted totals of objects over their mean, shape ``[objects]``."""
        if self.expected is None or temperature == 0.0:
            return np.ones(len(situation.names))
        pairs = zip(situation.names, situation.labels, strict=True)
        return _over_mean(np.array([self.expected.of(name, label) for name, label in pairs]), temperature)

    def weights(self, label: str, exponent: float) -> Float[np.ndarray, " views"] | float:
        """Weight of each view for a class, about 1 in the mean, shape ``[views]``; 1 where all count alike."""
        if self.maps is None or exponent == 0.0:
            return 1.0
        return np.clip(_over_mean(self.maps.of(label), exponent), FLOOR, CEILING)


def _over_mean(errors: Float[np.ndarray, " several"], power: float) -> Float[np.ndarray, " several"]:
    raised = np.maximum(errors, 0.0) ** power
    mean = float(raised.mean())
    return raised / mean if mean > 0.0 else np.ones(len(errors))


def tuned_quotas(
    situation: Situation, errors: Errors, temperature: float, n: int, seed: int
) -> Int[np.ndarray, " objects"]:
    """Shots of each object, shape ``[objects]``, adding up to ``n``."""
    shares = errors.totals(situation, temperature)
    return weighted_quotas(situation, n, shares, seed, floor=FLOOR, ceiling=CEILING)


def tuned_choice(situation: Situation, tuning: Tuning, errors: Errors, n: int, *, seed: int, reason: str) -> Choice:
    """Choose greedily, object by object in turn.

    Args:
        situation: What may be taken.
        tuning: The settings.
        errors: What beliefs say.
        n: How many to take.
        seed: Seed of all lots.
        reason: Why, for a person; the same for each shot.
    """
    quota = tuned_quotas(situation, errors, tuning.temperature, n, seed)
    order = [number for number, _ in taking_order(situation, quota, seed)]
    picked = greedy_views(situation, TunedHerd(situation, tuning, errors), order, seed=seed)
    return Choice(
        rows=rows_of(situation, [(number, view) for number, (view, _) in zip(order, picked, strict=True)]),
        gain=np.array([gain for _, gain in picked]),
        reason=(reason,) * n,
    )


class TunedHerd:
    """`acqplan.plan.greedy.Herd` with lengths of its own, and views that are wanted by their weight.

    The mean similarity to the weighted views is taken as that to all views times the view's own weight, as in
    `acqplan.plan.difficulty`.
    """

    def __init__(self, situation: Situation, tuning: Tuning, errors: Errors) -> None:
        self._situation, self._weight = situation, tuning.class_weight
        parts = [
            view_columns(situation.space, tuple(length * factor for length in tuning.lengths)) for factor in LENGTHS
        ]
        self._columns = [column for column, _ in parts]
        mean = sum((mean for _, mean in parts[1:]), parts[0][1]) / len(parts)
        wanted = {label: mean * errors.weights(label, tuning.exponent) for label in situation.classes}
        self._wanted = [wanted[label][free] for label, free in zip(situation.labels, situation.free, strict=True)]
        self._own = [np.zeros(len(free)) for free in situation.free]
        self._class = {label: np.zeros(len(mean)) for label in situation.classes}
        self._n_own, self._n_class = [0] * len(situation.free), dict.fromkeys(situation.classes, 0)
        for number, taken in enumerate(situation.taken):
            for view in taken:
                self.add(number, int(view))

    def gains(self, number: int) -> Float[np.ndarray, " free"]:
        """How much too little each free view is represented."""
        free, label = self._situation.free[number], self._situation.labels[number]
        own = self._own[number] / (self._n_own[number] + 1)
        joint = self._class[label][free] / (self._n_class[label] + 1)
        return self._wanted[number] - (1.0 - self._weight) * own - self._weight * joint

    def add(self, number: int, view: int) -> None:
        """Count a view of an object as taken."""
        columns, label = [part(view) for part in self._columns], self._situation.labels[number]
        column = sum(columns[1:], columns[0]) / len(columns)
        self._own[number] += column[self._situation.free[number]]
        self._class[label] += column
        self._n_own[number] += 1
        self._n_class[label] += 1
