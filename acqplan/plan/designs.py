"""Designs that look at no image: the thesis' even and random sets, staggered grids, Sobol points and random shots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from acqplan.plan.base import Choice, History, Situation, check_request, even_quotas, taking_order
from acqplan.plan.greedy import Farthest, choice_in_turns, filled, greedy_choice
from acqplan.rng import generator
from acqplan.space import Axis, Category, Circle, Interval, Shots, Space
from acqplan.space.kernel import Similarity, diameter, distance_columns, distances

# Share of the class among farthest points: little, so that it decides only between nearly equal ones.
CLASS_WEIGHT = 0.1
# Numbers of the chosen levels of one axis, ascending.
Levels = tuple[int, ...]
# Steps that differ by less are one step: levels such as 360 / 7 are rounded to 1e-6.
STEP_TOLERANCE = 1e-5


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
            # each as far as possible from those before it, beginning with the one most like all others
            columns, mean = distance_columns(situation.space), np.round(Similarity(situation.space).mean(), 9)
            nearest, views = np.full(len(mean), diameter(situation.space)), [int(np.argmax(mean))]
            while len(views) < min(size, len(mean)):
                nearest = np.minimum(nearest, columns(views[-1]))
                nearest[views[-1]] = -1.0
                views.append(int(np.argmax(np.round(nearest, 9))))
            return _same_for_all(situation, np.array(views, dtype=np.int64), n, seed, "farthest point")
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
        space, n_axes = situation.space, len(situation.space.axes)
        # multiples of these steps, modulo 1, fill the unit cube evenly: powers of the solution of
        # x ** (axes + 1) = x + 1, for one axis the golden ratio
        # (M. Roberts, The unreasonable effectiveness of quasirandom sequences, 2018)
        ratio = 2.0
        for _ in range(60):
            ratio = (1.0 + ratio) ** (1.0 / (n_axes + 1))
        steps = ratio ** -np.arange(1.0, n_axes + 1.0)
        # free views of each object's grid, well spread from the first on, at most its quota
        grids = {size: staggered_factorial(space, size) for size in set(quota.tolist()) - {0}}
        points: list[list[int]] = [[] for _ in situation.names]
        for label, members in situation.classes.items():
            start = generator(seed, "even-staggered", label).random(n_axes)
            for place, number in enumerate(members):
                if quota[number]:
                    grid, fractions = grids[int(quota[number])], (start + place * steps) % 1.0
                    moved = zip(space.axes, grid.levels, fractions, strict=True)
                    levels = tuple(shifted(axis, len(own), fraction) for axis, own, fraction in moved)
                    wanted = replace(grid, levels=levels).views(space)
                    wanted = wanted[van_der_corput_order(len(wanted))]
                    points[number] = wanted[np.isin(wanted, situation.free[number])].tolist()

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
        return choice_in_turns(
            situation,
            views,
            seed=seed,
            reason=lambda number, k: f"Sobol point {k + 1} of {quota[number]} of {situation.names[number]}",
        )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Factorial:
    """A factorial grid.

    Attributes:
        levels: Chosen levels of each axis of the space.
        radius: Covering radius over the axes that count, in scales.
    """

    levels: tuple[Levels, ...]
    radius: float

    @property
    def size(self) -> int:
        """Number of views."""
        return prod(map(len, self.levels))

    def views(self, space: Space) -> Int[np.ndarray, " size"]:
        """Numbers of the views of this grid in the full grid of the space, ascending."""
        chosen = np.meshgrid(*self.levels, indexing="ij")
        return np.ravel_multi_index(tuple(level.ravel() for level in chosen), space.shape)


def even_factorial(space: Space, size: int) -> Factorial:
    """The thesis' kind of grid of at most this size that covers best, all categories at every pose.

    Circles get levels at one exact step all around, intervals every s-th level from the first on or the
    middle level alone. Among grids of equal covering radius (over all axes but categories) the larger
    wins. Where not even one pose with all categories fits, one pose is left with fewer categories.

    Args:
        space: A grid, levels ascending from the first.
        size: Most views that the grid may have, at least 1.
    """
    is_room = prod(len(axis.values) for axis in space.axes if isinstance(axis, Category)) <= size
    options: list[list[Levels]] = []
    for axis in space.axes:
        total, middle = len(axis.values), ((len(axis.values) - 1) // 2,)
        if isinstance(axis, Category):
            options.append([tuple(range(total))] if is_room else [shifted(axis, k, 0.0) for k in range(1, total + 1)])
        elif not is_room:
            options.append([middle])
        elif is_even_circle(axis):
            options.append([tuple(range(0, total, total // k)) for k in range(1, total + 1) if total % k == 0])
        else:
            options.append([*(tuple(range(0, total, step)) for step in range(1, total)), middle])
    return _best_of(space, options, size, counts=lambda axis: isinstance(axis, Category) != is_room)


def staggered_factorial(space: Space, size: int) -> Factorial:
    """The grid of at most this size over all axes, categories included, that covers best.

    Levels are as evenly spaced as the axis allows; see `shifted` for moving them.
    """
    options: list[list[Levels]] = []
    for axis in space.axes:
        useful: list[Levels] = []  # every number of levels that covers better than all smaller numbers
        for n_levels in range(1, min(len(axis.values), size) + 1):
            levels = shifted(axis, n_levels, 0.5)
            if not useful or _radius(axis, levels) < _radius(axis, useful[-1]):
                useful.append(levels)
        options.append(useful)
    return _best_of(space, options, size, counts=lambda axis: True)


def shifted(axis: Axis, n_levels: int, fraction: float) -> Levels:
    """Evenly spaced levels of an axis, moved on by a fraction of their spacing.

    Circles and categories go round, intervals move between their ends.

    Args:
        axis: Axis with ascending levels.
        n_levels: How many to choose.
        fraction: In ``[0, 1)``.
    """
    every, total = len(axis.values) / n_levels, len(axis.values)
    if isinstance(axis, Category):
        moved = np.floor(np.arange(n_levels) * every).astype(np.int64) + int(fraction * total)
    else:
        moved = np.floor((np.arange(n_levels) + fraction) * every).astype(np.int64)
    return tuple(sorted({int(level) % total for level in moved}))


def is_even_circle(axis: Axis) -> bool:
    """Whether the levels of a circle are at one exact step all around."""
    if not isinstance(axis, Circle):
        return False
    closed = axis.period * (1.0 - 1.0 / len(axis.values))
    return has_even_steps(axis) and abs(axis.values[-1] - axis.values[0] - closed) < STEP_TOLERANCE


def has_even_steps(axis: Circle | Interval) -> bool:
    """Whether the levels of an axis, ascending, are at one step."""
    steps = np.diff(axis.values)
    return bool(np.all(np.abs(steps - steps.mean()) < STEP_TOLERANCE)) if len(steps) else True


def axey_name(space: Space, levels: Sequence[Levels]) -> str:
    """The thesis' name of a grid, e.g. ``A60E15``: initial and step of each axis that is no category.

    The middle level alone is written ``Emid``, levels without one step as their number, ``E(4)``; axes
    with the same initial are written out. A grid of categories alone is called ``categories``.
    """
    named = [(axis, chosen) for axis, chosen in zip(space.axes, levels, strict=True) if not isinstance(axis, Category)]
    short = len({axis.name[0].upper() for axis, _ in named}) == len(named)
    words = ""
    for axis, chosen in named:
        steps = np.diff([axis.values[level] for level in chosen])
        step = "mid" if len(chosen) == 1 else f"({len(chosen)})"
        if isinstance(axis, Circle) and is_even_circle(axis):
            step = f"{axis.period / len(chosen):g}"
        elif len(chosen) > 1 and np.ptp(steps) < STEP_TOLERANCE:
            step = f"{steps[0]:g}"
        words += (axis.name[0].upper() if short else axis.name.capitalize()) + step
    return words or "categories"


def van_der_corput_order(n: int) -> Int[np.ndarray, " n"]:
    """The numbers below ``n``, each far from those before it: 0, then the middle, then the quarters and so on.

    Source:
        J. G. van der Corput, Verteilungsfunktionen (1935): the bits of 0, 1, 2 and so on reversed.
    """
    bits = max(n - 1, 1).bit_length()
    reversed_bits = [int(f"{number:0{bits}b}"[::-1], 2) for number in range(2**bits)]
    return np.array([number for number in reversed_bits if number < n], dtype=np.int64)


def _best_of(
    space: Space, options: Sequence[Sequence[Levels]], size: int, *, counts: Callable[[Axis], bool]
) -> Factorial:
    """The grid of the smallest covering radius, then most views, then the first; one of one view must be possible."""
    usable: list[list[Levels]] = []
    for axis, own in zip(space.axes, options, strict=True):
        best_of_size: dict[int, Levels] = {}
        for levels in own:
            known = best_of_size.get(len(levels))
            if len(levels) <= size and (known is None or _radius(axis, levels) < _radius(axis, known)):
                best_of_size[len(levels)] = levels
        usable.append(list(best_of_size.values()))
    # all ways to choose one option for each axis so that the product of their sizes stays within the limit
    numbers, n_views = np.zeros((1, 0), dtype=np.int64), np.ones(1, dtype=np.int64)
    for own in usable:
        larger = np.multiply.outer(n_views, np.array([len(levels) for levels in own], dtype=np.int64))
        rows, columns = np.nonzero(larger <= size)
        numbers, n_views = np.column_stack([numbers[rows], columns]), larger[rows, columns]
    # views and distances are products over axes, so the view that is worst off is worst off along each axis
    squares = [
        np.array([_radius(axis, levels) ** 2 if counts(axis) else 0.0 for levels in own])
        for axis, own in zip(space.axes, usable, strict=True)
    ]
    total = sum((own[numbers[:, column]] for column, own in enumerate(squares)), np.zeros(len(numbers)))
    radius = np.round(np.sqrt(total), 9)
    best = np.lexsort([-n_views, radius])[0]
    chosen = tuple(own[number] for own, number in zip(usable, numbers[best], strict=True))
    return Factorial(levels=chosen, radius=float(radius[best]))


def _radius(axis: Axis, levels: Levels) -> float:
    """Covering radius of some levels along their axis, in scales."""
    codes = axis.codes()
    apart = axis.difference(codes[:, None], codes[None, list(levels)])
    return float(np.round(apart.min(axis=1).max() / axis.scale, 9))
