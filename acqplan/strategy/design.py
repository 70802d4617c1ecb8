"""Designs that look at no image: the thesis' even and random sets, and plain random shots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Int

from acqplan.rng import generator
from acqplan.space import Axis, Category, Shots, Space
from acqplan.strategy.base import Choice, History, check_request
from acqplan.strategy.factorial import Factorial, Levels, axey_name, even_factorial
from acqplan.strategy.pairs import diameter, distance_columns, kernel_mean
from acqplan.strategy.picks import choice_of
from acqplan.strategy.quotas import even_quotas, taking_order
from acqplan.strategy.situation import Situation
from acqplan.strategy.sobol import Sobol
from acqplan.strategy.staggered import EvenStaggered

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
