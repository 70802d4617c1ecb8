"""The even grid made better by one idea: every object of a class gets it shifted differently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from acqplan.rng import generator
from acqplan.space import Shots, Space
from acqplan.strategy.base import Choice, History, check_request
from acqplan.strategy.factorial import Factorial, shifted, staggered_factorial
from acqplan.strategy.greedy import Farthest, filled, greedy_choice
from acqplan.strategy.nested import van_der_corput_order
from acqplan.strategy.picks import Reason, choice_of
from acqplan.strategy.quotas import even_quotas
from acqplan.strategy.situation import Situation

CLASS_WEIGHT = 0.1
"""Share of the class among farthest points: little, so that it decides only between nearly equal ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvenStaggered:
    """A factorial grid over all axes for each object, shifted from object to object of a class.

    What the quota of an object has left goes to farthest points. Of a table of views each object gets
    farthest points that begin elsewhere.
    """

    name: ClassVar[str] = "even-staggered"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Lay the grids, then fill up."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        if situation.space.table is not None:
            return greedy_choice(situation, Farthest(situation, CLASS_WEIGHT), n, seed)
        quota = even_quotas(situation, n, seed)
        points = _shifted_grids(situation, quota, seed)
        views = filled(situation, points, quota, cover=Farthest(situation, CLASS_WEIGHT), seed=seed)
        return choice_of(situation, views, seed=seed, reason=_reason(situation, points))


def _reason(situation: Situation, points: list[list[int]]) -> Reason:
    def words(number: int, k: int) -> str:
        if k >= len(points[number]):
            return "farthest point in what the grid leaves open"
        return f"point {k + 1} of {len(points[number])} of the shifted grid of {situation.names[number]}"

    return words


def _shifted_grids(situation: Situation, quota: Int[np.ndarray, " objects"], seed: int) -> list[list[int]]:
    """Free views of each object's grid, well spread from the first on, at most its quota."""
    grids = {size: staggered_factorial(situation.space, size) for size in set(quota.tolist()) - {0}}
    views: list[list[int]] = [[] for _ in situation.names]
    for label, members in situation.classes.items():
        start = generator(seed, "even-staggered", label).random(len(situation.space.axes))
        for place, number in enumerate(members):
            if quota[number]:
                fractions = (start + place * _golden_steps(len(start))) % 1.0
                wanted = _shifted(situation.space, grids[int(quota[number])], fractions)
                views[number] = wanted[np.isin(wanted, situation.free[number])].tolist()
    return views


def _shifted(space: Space, grid: Factorial, fractions: Float[np.ndarray, " axes"]) -> Int[np.ndarray, " size"]:
    levels = [
        shifted(axis, len(own), fraction)
        for axis, own, fraction in zip(space.axes, grid.levels, fractions, strict=True)
    ]
    views = Factorial(levels=tuple(levels), radius=grid.radius).views(space)
    return views[van_der_corput_order(len(views))]


def _golden_steps(n_axes: int) -> Float[np.ndarray, " axes"]:
    """Steps whose multiples, modulo 1, fill the unit cube evenly.

    Source:
        M. Roberts, The unreasonable effectiveness of quasirandom sequences (2018): powers of the
        solution of ``x ** (axes + 1) = x + 1``, for one axis the golden ratio.
    """
    ratio = 2.0
    for _ in range(60):
        ratio = (1.0 + ratio) ** (1.0 / (n_axes + 1))
    return ratio ** -np.arange(1.0, n_axes + 1.0)
