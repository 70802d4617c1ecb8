"""Designs that look at no image: the thesis' even and random sets, staggered grids, Sobol points and random shots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from acqplan.plan.base import Choice, History, check_request
from acqplan.plan.factorial import (
    Factorial,
    axey_name,
    even_factorial,
    shifted,
    staggered_factorial,
    van_der_corput_order,
)
from acqplan.plan.greedy import Farthest, choice_in_turns, filled, greedy_choice
from acqplan.plan.quotas import even_quotas, taking_order
from acqplan.plan.situation import Situation
from acqplan.rng import generator
from acqplan.space import Category, Circle, Shots
from acqplan.space.kernel import Similarity, diameter, distance_columns, distances

CLASS_WEIGHT = 0.1
"""Share of the class among farthest points: little, so that it decides only between nearly equal ones."""


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
        levels = list(even_factorial(situation.space, size).levels)
        for column, axis in enumerate(situation.space.axes):
            if not isinstance(axis, Category):
                drawn = generator(seed, "random", axis.name).permutation(len(axis.values))
                levels[column] = tuple(sorted(drawn[: len(levels[column])].tolist()))
        views = Factorial(levels=tuple(levels), radius=0.0).views(situation.space)
        sizes = " x ".join(str(len(own)) for own in levels)
        return _same_for_all(situation, views, n, seed, f"{sizes} levels drawn by lot")


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
        quota, cover = even_quotas(situation, n, seed), Farthest(situation, CLASS_WEIGHT)
        if situation.space.table is not None:
            return greedy_choice(situation, cover, quota, seed)
        points = _shifted_grids(situation, quota, seed)

        def words(number: int, k: int) -> str:
            if k >= len(points[number]):
                return "farthest point in what the grid leaves open"
            return f"point {k + 1} of {len(points[number])} of the shifted grid of {situation.names[number]}"

        views = filled(situation, points, quota, cover=cover, seed=seed)
        return choice_in_turns(situation, views, seed=seed, reason=words)


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
        from scipy.stats import qmc  # takes long to import, and no other strategy needs it

        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        quota = even_quotas(situation, n, seed).tolist()
        views: list[list[int]] = [[] for _ in quota]
        for label, members in situation.classes.items():
            # called `rng` since scipy 1.15, which still takes `seed`; powers of two keep the sequence balanced
            draw = generator(seed, "sobol", label)
            sequence = qmc.Sobol(d=len(situation.space.axes), scramble=True, seed=draw)
            start = int(situation.n_taken[members].sum())
            end = start + sum(quota[number] for number in members)
            points = sequence.random_base2(max(end - 1, 0).bit_length())[:end]
            for number in members:
                views[number] = _nearest_free(situation, number, points[start : start + quota[number]])
                start += quota[number]

        def words(number: int, k: int) -> str:
            return f"Sobol point {k + 1} of {quota[number]} of {situation.names[number]}"

        return choice_in_turns(situation, views, seed=seed, reason=words)


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
        return choice_in_turns(situation, views, seed=seed, reason=lambda number, k: "drawn by lot")


def _views_of_each(situation: Situation, n: int) -> int:
    """Views of each object within the budget, captures included, at least one."""
    return max((n + int(situation.n_taken.sum())) // len(situation.names), 1)


def _drawn_views(situation: Situation, number: int, seed: int) -> list[int]:
    """Free views of an object in the order drawn; captures keep their places, so that rounds draw on."""
    own = np.union1d(situation.free[number], situation.taken[number])
    drawn = generator(seed, "random-shots", situation.names[number]).permutation(own)
    return drawn[np.isin(drawn, situation.free[number])].tolist()


def _farthest_first(situation: Situation, n: int) -> Int[np.ndarray, " chosen"]:
    """Views, each as far as possible from those before it, beginning with the one most like all others."""
    columns = distance_columns(situation.space)
    mean = np.round(Similarity(situation.space).mean(), 9)
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
    return choice_in_turns(situation, views, seed=seed, reason=lambda number, k: words)


def _shifted_grids(situation: Situation, quota: Int[np.ndarray, " objects"], seed: int) -> list[list[int]]:
    """Free views of each object's grid, well spread from the first on, at most its quota."""
    space, n_axes = situation.space, len(situation.space.axes)
    # multiples of these steps, modulo 1, fill the unit cube evenly: powers of the solution of x ** (axes + 1) = x + 1
    # (M. Roberts, The unreasonable effectiveness of quasirandom sequences, 2018); for one axis the golden ratio
    ratio = 2.0
    for _ in range(60):
        ratio = (1.0 + ratio) ** (1.0 / (n_axes + 1))
    steps = ratio ** -np.arange(1.0, n_axes + 1.0)
    grids = {size: staggered_factorial(space, size) for size in set(quota.tolist()) - {0}}
    views: list[list[int]] = [[] for _ in situation.names]
    for label, members in situation.classes.items():
        start = generator(seed, "even-staggered", label).random(n_axes)
        for place, number in enumerate(members):
            if quota[number]:
                fractions = (start + place * steps) % 1.0
                grid = grids[int(quota[number])]
                levels = tuple(
                    shifted(axis, len(own), fraction)
                    for axis, own, fraction in zip(space.axes, grid.levels, fractions, strict=True)
                )
                wanted = Factorial(levels=levels, radius=grid.radius).views(space)
                wanted = wanted[van_der_corput_order(len(wanted))]
                views[number] = wanted[np.isin(wanted, situation.free[number])].tolist()
    return views


def _nearest_free(situation: Situation, number: int, points: Float[np.ndarray, "points axes"]) -> list[int]:
    """For each point of the unit cube the nearest view that the object has left."""
    space, views = situation.space, situation.views
    if space.table is None:  # the view of the grid in whose box each point lies
        levels = np.minimum((points * space.shape).astype(np.int64), np.array(space.shape) - 1)
        meant = np.ravel_multi_index(tuple(levels.T), space.shape)
        places = views[meant]
    else:  # the cube stretched over the range of each axis of the table
        meant, places = np.full(len(points), -1), points.copy()
        for column, axis in enumerate(space.axes):
            if isinstance(axis, Category):
                places[:, column] = np.floor(points[:, column] * len(axis.values))
            elif isinstance(axis, Circle):
                places[:, column] = points[:, column] * axis.period
            else:
                places[:, column] = views[:, column].min() + points[:, column] * np.ptp(views[:, column])
    left = np.zeros(len(views), dtype=bool)
    left[situation.free[number]] = True
    chosen = []
    for view, place in zip(meant.tolist(), places, strict=True):
        if view < 0 or not left[view]:
            free = np.flatnonzero(left)
            apart = distances(space, place[None], views[free])[0]
            view = int(free[np.argmin(np.round(apart, 9))])
        left[view] = False
        chosen.append(view)
    return chosen
