"""Factorial grids: some levels of each axis, every combination of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Int

from acqplan.space import Axis, Category, Circle, Interval, Space

Levels = tuple[int, ...]
"""Numbers of the chosen levels of one axis, ascending."""

STEP_TOLERANCE = 1e-5
"""Steps that differ by less are one step: levels such as 360 / 7 are rounded to 1e-6."""


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
    poses = [_even_levels(axis) for axis in space.axes]
    best = _best_of(space, poses, size, counts=lambda axis: not isinstance(axis, Category))
    if best is not None:
        return best
    fewer = [
        [shifted(axis, n_levels, 0.0) for n_levels in range(1, len(axis.values) + 1)]
        if isinstance(axis, Category)
        else [_middle(axis)]
        for axis in space.axes
    ]
    return _found(_best_of(space, fewer, size, counts=lambda axis: isinstance(axis, Category)))


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
    return _found(_best_of(space, options, size, counts=lambda axis: True))


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
    parts = [
        (axis.name[0].upper() if short else axis.name.capitalize()) + _step(axis, chosen) for axis, chosen in named
    ]
    return "".join(parts) or "categories"


def van_der_corput_order(n: int) -> Int[np.ndarray, " n"]:
    """The numbers below ``n``, each far from those before it: 0, then the middle, then the quarters and so on.

    Source:
        J. G. van der Corput, Verteilungsfunktionen (1935): the bits of 0, 1, 2 and so on reversed.
    """
    bits = max(n - 1, 1).bit_length()
    reversed_bits = [int(f"{number:0{bits}b}"[::-1], 2) for number in range(2**bits)]
    return np.array([number for number in reversed_bits if number < n], dtype=np.int64)


def _step(axis: Circle | Interval, chosen: Levels) -> str:
    if isinstance(axis, Circle) and is_even_circle(axis):
        return f"{axis.period / len(chosen):g}"
    if len(chosen) == 1:
        return "mid"
    steps = np.diff([axis.values[level] for level in chosen])
    return f"{steps[0]:g}" if np.ptp(steps) < STEP_TOLERANCE else f"({len(chosen)})"


def _even_levels(axis: Axis) -> list[Levels]:
    """Levels that the thesis would take: of a category all, of others at one step, or the middle one."""
    total = len(axis.values)
    if isinstance(axis, Category):
        return [tuple(range(total))]
    if is_even_circle(axis):
        return [tuple(range(0, total, total // count)) for count in range(1, total + 1) if total % count == 0]
    return [*(tuple(range(0, total, step)) for step in range(1, total)), _middle(axis)]


def _middle(axis: Axis) -> Levels:
    return ((len(axis.values) - 1) // 2,)


def _best_of(
    space: Space, options: Sequence[Sequence[Levels]], size: int, *, counts: Callable[[Axis], bool]
) -> Factorial | None:
    """Smallest covering radius, then most views, then the first; ``None`` if no grid is small enough."""
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
    if len(numbers) == 0:
        return None
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


def _found(grid: Factorial | None) -> Factorial:
    if grid is None:  # one level of each axis is a grid of one view, which any size allows
        raise AssertionError("no grid of one view")
    return grid
