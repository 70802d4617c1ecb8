"""Scrambled Sobol points, one sequence for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from acqplan.rng import generator
from acqplan.space import Axis, Category, Circle, Shots, Space
from acqplan.space.distance import distances
from acqplan.strategy.base import Choice, History, check_request
from acqplan.strategy.picks import Reason, choice_of
from acqplan.strategy.quotas import even_quotas
from acqplan.strategy.situation import Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Sobol:
    """Scrambled Sobol points mapped to views; the objects of a class take stretches of one sequence.

    Each point takes the nearest view that the object has not taken. Later rounds of a campaign go on
    where the captures of the class end.

    Source:
        I. M. Sobol (1967); scrambling by A. B. Owen, J. Complexity 14 (1998) 466-489, as in scipy.
    """

    name: ClassVar[str] = "sobol"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Map points to the nearest free views."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        quota = even_quotas(situation, n, seed).tolist()
        views: list[list[int]] = [[] for _ in quota]
        for label, members in situation.classes.items():
            start = int(situation.n_taken[members].sum())
            points = _points(
                situation.space, start + sum(quota[number] for number in members), generator(seed, "sobol", label)
            )
            for number in members:
                views[number] = _nearest_free(situation, number, points[start : start + quota[number]])
                start += quota[number]
        return choice_of(situation, views, seed=seed, reason=_reason(situation, quota))


def _reason(situation: Situation, quota: list[int]) -> Reason:
    return lambda number, k: f"Sobol point {k + 1} of {quota[number]} of {situation.names[number]}"


def _points(space: Space, n: int, draw: np.random.Generator) -> Float[np.ndarray, "points axes"]:
    """The first points of a scrambled sequence, in the unit cube."""
    from scipy.stats import qmc  # takes long to import, and no other strategy needs it

    # called `rng` since scipy 1.15, which still takes `seed`; powers of two keep the sequence balanced
    sequence = qmc.Sobol(d=len(space.axes), scramble=True, seed=draw)
    return sequence.random_base2(max(n - 1, 0).bit_length())[:n]


def _nearest_free(situation: Situation, number: int, points: Float[np.ndarray, "points axes"]) -> list[int]:
    """For each point the nearest view that the object has left."""
    left = np.zeros(len(situation.views), dtype=bool)
    left[situation.free[number]] = True
    meant = _meant(situation.space, points)
    places = situation.views[meant] if situation.space.table is None else _in_range(situation, points)
    chosen = []
    for view, place in zip(meant.tolist(), places, strict=True):
        nearest = view if view >= 0 and left[view] else _nearest(situation, place, np.flatnonzero(left))
        left[nearest] = False
        chosen.append(nearest)
    return chosen


def _meant(space: Space, points: Float[np.ndarray, "points axes"]) -> Int[np.ndarray, " points"]:
    """The view of the grid in whose cell each point lies; -1 in a table."""
    if space.table is not None:
        return np.full(len(points), -1)
    levels = np.minimum((points * space.shape).astype(np.int64), np.array(space.shape) - 1)
    return np.ravel_multi_index(tuple(levels.T), space.shape)


def _nearest(situation: Situation, place: Float[np.ndarray, " axes"], free: Int[np.ndarray, " free"]) -> int:
    apart = distances(situation.space, place[None], situation.views[free])[0]
    return int(free[np.argmin(np.round(apart, 9))])


def _in_range(situation: Situation, points: Float[np.ndarray, "points axes"]) -> Float[np.ndarray, "points axes"]:
    """The unit cube stretched over the range of each axis of a table."""
    columns = [
        _stretched(axis, situation.views[:, column], points[:, column])
        for column, axis in enumerate(situation.space.axes)
    ]
    return np.stack(columns, axis=1)


def _stretched(
    axis: Axis, values: Float[np.ndarray, " views"], unit: Float[np.ndarray, " points"]
) -> Float[np.ndarray, " points"]:
    if isinstance(axis, Category):
        return np.floor(unit * len(axis.values))
    if isinstance(axis, Circle):
        return unit * axis.period
    return values.min() + unit * np.ptp(values)
