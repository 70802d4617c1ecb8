"""Designs that look at no image: the thesis' even and random sets, and plain random shots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from acqplan.plan.base import Choice, History, check_request
from acqplan.plan.factorial import (
    Factorial,
    Levels,
    axey_name,
    even_factorial,
    shifted,
    staggered_factorial,
    van_der_corput_order,
)
from acqplan.plan.greedy import Farthest, Reason, choice_of, filled, greedy_choice
from acqplan.plan.quotas import even_quotas, taking_order
from acqplan.plan.situation import Situation
from acqplan.rng import generator
from acqplan.space import Axis, Category, Circle, Shots, Space
from acqplan.space.kernel import diameter, distance_columns, distances, kernel_mean

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
        return choice_of(situation, views, seed=seed, reason=_reason_sobol(situation, quota))


def _reason_sobol(situation: Situation, quota: list[int]) -> Reason:
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


__all__ = ["Even", "EvenStaggered", "RandomSets", "RandomShots", "Sobol"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Even:
    """The thesis' even set: one factorial grid with all categories, the same for every object.

    It takes the largest such grid that covers best (see `even_factorial`), counting captures towards it.
    Of a table of views it takes the same farthest points for every object, the most typical view first.
    """

    name: ClassVar[str] = "even"
    exact: ClassVar[bool] = False
    turns: ClassVar[bool] = True

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose what is left of the grid, at most ``n`` shots."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        size = _views_of_each(situation, n)
        if situation.space.table is not None:
            return _same_for_all(situation, _farthest_first(situation, size), n, seed, "farthest point")
        grid = even_factorial(situation.space, size)
        name = axey_name(situation.space, grid.levels)
        return _same_for_all(situation, grid.views(situation.space), n, seed, f"grid {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSets:
    """The thesis' random set: as many levels of each axis as `Even` would take, drawn once for all objects.

    Categories are as in `Even`. Of a table of views it draws the same views for every object.
    """

    name: ClassVar[str] = "random"
    exact: ClassVar[bool] = False
    turns: ClassVar[bool] = True

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose what is left of the drawn grid, at most ``n`` shots."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        size = _views_of_each(situation, n)
        if situation.space.table is not None:
            views = generator(seed, "random", "views").permutation(len(situation.views))[:size]
            return _same_for_all(situation, views, n, seed, "drawn by lot")
        grid = _drawn_grid(situation.space, even_factorial(situation.space, size), seed)
        sizes = " x ".join(str(len(levels)) for levels in grid.levels)
        return _same_for_all(situation, grid.views(situation.space), n, seed, f"{sizes} levels drawn by lot")


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomShots:
    """Views drawn uniformly for each object; a campaign's rounds draw on in the same order."""

    name: ClassVar[str] = "random-shots"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Draw views of each object without replacement."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        quota = even_quotas(situation, n, seed)
        views = [_drawn_views(situation, number, seed)[: quota[number]] for number in range(len(quota))]
        return choice_of(situation, views, seed=seed, reason=lambda number, k: "drawn by lot")


def _drawn_grid(space: Space, grid: Factorial, seed: int) -> Factorial:
    levels = [
        own if isinstance(axis, Category) else _drawn_levels(axis, len(own), seed)
        for axis, own in zip(space.axes, grid.levels, strict=True)
    ]
    return Factorial(levels=tuple(levels), radius=grid.radius)


def _drawn_levels(axis: Axis, n_levels: int, seed: int) -> Levels:
    drawn = generator(seed, "random", axis.name).permutation(len(axis.values))[:n_levels]
    return tuple(sorted(drawn.tolist()))


def _drawn_views(situation: Situation, number: int, seed: int) -> list[int]:
    """Free views of an object in the order drawn; captures keep their places, so that rounds draw on."""
    own = np.union1d(situation.free[number], situation.taken[number])
    drawn = generator(seed, "random-shots", situation.names[number]).permutation(own)
    return drawn[np.isin(drawn, situation.free[number])].tolist()


def _views_of_each(situation: Situation, n: int) -> int:
    """Views of each object within the budget, captures included, at least one."""
    return max((n + int(situation.n_taken.sum())) // len(situation.names), 1)


def _farthest_first(situation: Situation, n: int) -> Int[np.ndarray, " chosen"]:
    """Views, each as far as possible from those before it, beginning with the one most like all others."""
    columns = distance_columns(situation.space)
    mean = np.round(kernel_mean(situation.space), 9)
    nearest = np.full(len(mean), diameter(situation.space))
    order = [int(np.argmax(mean))]
    while len(order) < min(n, len(mean)):
        nearest = np.minimum(nearest, columns(order[-1]))
        nearest[order[-1]] = -1.0
        order.append(int(np.argmax(np.round(nearest, 9))))
    return np.array(order, dtype=np.int64)


def _same_for_all(situation: Situation, wanted: Int[np.ndarray, " wanted"], n: int, seed: int, what: str) -> Choice:
    """The same views for every object as far as they are free, at most ``n`` shots."""
    views = [wanted[np.isin(wanted, free)].tolist() for free in situation.free]
    words = f"{what}, the same for every object"
    if not any(views):  # a campaign may ask for more after the grid is used up; then any shot beats none
        views = [_drawn_views(situation, number, seed) for number in range(len(views))]
        views = [own[: max(n // len(views), 1)] for own in views]
        words = f"drawn by lot, {what} is used up"
    kept = [0] * len(views)
    for number, _ in taking_order(situation, np.array([len(own) for own in views]), seed)[:n]:
        kept[number] += 1
    views = [own[:count] for own, count in zip(views, kept, strict=True)]
    return choice_of(situation, views, seed=seed, reason=lambda number, k: words)
