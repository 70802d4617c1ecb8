"""Factorial grids: some levels of each axis, every combination of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Float, Int

from acqplan.space import Axis, Category, Circle, Interval, Space
from acqplan.space.kernel import LENGTHS, level_kernels

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
    poses = [[_all_levels(axis)] if isinstance(axis, Category) else _even_levels(axis) for axis in space.axes]
    best = _best_of(space, poses, size, counts=lambda axis: not isinstance(axis, Category))
    if best is not None:
        return best
    fewer = [_some_levels(axis) if isinstance(axis, Category) else [_middle(axis)] for axis in space.axes]
    return _found(_best_of(space, fewer, size, counts=lambda axis: isinstance(axis, Category)))


def staggered_factorial(space: Space, size: int) -> Factorial:
    """The grid of at most this size over all axes, categories included, that covers best.

    Levels are as evenly spaced as the axis allows; see `shifted` for moving them.
    """
    return _found(_best_of(space, [_spaced_levels(axis, size) for axis in space.axes], size, counts=lambda axis: True))


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
    """Whether the levels of a circle stand at one exact step all around."""
    if not isinstance(axis, Circle):
        return False
    closed = axis.period * (1.0 - 1.0 / len(axis.values))
    return has_even_steps(axis) and abs(axis.values[-1] - axis.values[0] - closed) < STEP_TOLERANCE


def has_even_steps(axis: Circle | Interval) -> bool:
    """Whether the levels of an axis, ascending, stand at one step."""
    steps = np.diff(axis.values)
    return bool(np.all(np.abs(steps - steps.mean()) < STEP_TOLERANCE)) if len(steps) else True


def axey_name(space: Space, levels: Sequence[Levels]) -> str:
    """The thesis' name of a grid, e.g. ``A60E15``: initial and step of each axis that is no category.

    The middle level alone is written ``Emid``, levels without one step as their number, ``E(4)``; axes
    with the same initial are written out. A grid of categories alone is called ``categories``.
    """
    named = [(axis, chosen) for axis, chosen in zip(space.axes, levels, strict=True) if not isinstance(axis, Category)]
    initials = {axis.name[0].upper() for axis, _ in named}
    short = len(initials) == len(named)
    parts = [
        (axis.name[0].upper() if short else axis.name.capitalize()) + _step(axis, chosen) for axis, chosen in named
    ]
    return "".join(parts) or "categories"


def _step(axis: Circle | Interval, chosen: Levels) -> str:
    if isinstance(axis, Circle) and is_even_circle(axis):
        return f"{axis.period / len(chosen):g}"
    if len(chosen) == 1:
        return "mid"
    steps = np.diff([axis.values[level] for level in chosen])
    return f"{steps[0]:g}" if np.ptp(steps) < STEP_TOLERANCE else f"({len(chosen)})"


def _even_levels(axis: Axis) -> list[Levels]:
    total = len(axis.values)
    if is_even_circle(axis):
        return [tuple(range(0, total, total // count)) for count in range(1, total + 1) if total % count == 0]
    return [*(tuple(range(0, total, step)) for step in range(1, total)), _middle(axis)]


def _spaced_levels(axis: Axis, most: int) -> list[Levels]:
    """Evenly spaced levels of every number up to ``most`` that covers better than all smaller numbers."""
    useful: list[Levels] = []
    for n_levels in range(1, min(len(axis.values), most) + 1):
        levels = shifted(axis, n_levels, 0.5)
        if not useful or _radius(axis, levels) < _radius(axis, useful[-1]):
            useful.append(levels)
    return useful


def _all_levels(axis: Axis) -> Levels:
    return tuple(range(len(axis.values)))


def _some_levels(axis: Category) -> list[Levels]:
    return [shifted(axis, n_levels, 0.0) for n_levels in range(1, len(axis.values) + 1)]


def _middle(axis: Axis) -> Levels:
    return ((len(axis.values) - 1) // 2,)


def _best_of(
    space: Space, options: Sequence[Sequence[Levels]], size: int, *, counts: Callable[[Axis], bool]
) -> Factorial | None:
    """Smallest covering radius, then most views, then the first; ``None`` if no grid is small enough."""
    usable = [
        _one_of_each_size(axis, [levels for levels in own if len(levels) <= size])
        for axis, own in zip(space.axes, options, strict=True)
    ]
    # views and distances are products over axes, so the view that is worst off is worst off along each axis
    squares = [
        [_radius(axis, levels) ** 2 if counts(axis) else 0.0 for levels in own]
        for axis, own in zip(space.axes, usable, strict=True)
    ]
    numbers, n_views = _small_products([[len(levels) for levels in own] for own in usable], size)
    if len(numbers) == 0:
        return None
    radius = np.round(np.sqrt(sum(np.array(own)[numbers[:, axis]] for axis, own in enumerate(squares))), 9)
    best = np.lexsort([-n_views, radius])[0]
    levels = tuple(own[number] for own, number in zip(usable, numbers[best], strict=True))
    return Factorial(levels=levels, radius=float(radius[best]))


def _small_products(
    sizes: Sequence[Sequence[int]], limit: int
) -> tuple[Int[np.ndarray, "products axes"], Int[np.ndarray, " products"]]:
    """All ways to choose one size for each axis so that their product stays within the limit."""
    numbers, product = np.zeros((1, 0), dtype=np.int64), np.ones(1, dtype=np.int64)
    for own in sizes:
        larger = np.multiply.outer(product, np.array(own, dtype=np.int64))
        rows, columns = np.nonzero(larger <= limit)
        numbers, product = np.column_stack([numbers[rows], columns]), larger[rows, columns]
    return numbers, product


def _one_of_each_size(axis: Axis, options: Sequence[Levels]) -> list[Levels]:
    best: dict[int, Levels] = {}
    for levels in options:
        if len(levels) not in best or _radius(axis, levels) < _radius(axis, best[len(levels)]):
            best[len(levels)] = levels
    return list(best.values())


def _radius(axis: Axis, levels: Levels) -> float:
    """Covering radius of some levels along their axis, in scales."""
    codes = axis.codes()
    apart = axis.difference(codes[:, None], codes[None, list(levels)])
    return float(np.round(apart.min(axis=1).max() / axis.scale, 9))


def _found(grid: Factorial | None) -> Factorial:
    if grid is None:  # one level of each axis is a grid of one view, which any size allows
        raise AssertionError("no grid of one view")
    return grid


LARGEST_CLASS = 2000
CLASS_WEIGHT = 0.7


def van_der_corput_order(n: int) -> Int[np.ndarray, " n"]:
    """The numbers below ``n``, each far from those before it: 0, then the middle, then the quarters and so on.

    Source:
        J. G. van der Corput, Verteilungsfunktionen (1935): the bits of 0, 1, 2 and so on reversed.
    """
    bits = max(n - 1, 1).bit_length()
    reversed_bits = [int(f"{number:0{bits}b}"[::-1], 2) for number in range(2**bits)]
    return np.array([number for number in reversed_bits if number < n], dtype=np.int64)


def nested(
    axes: tuple[Axis, ...], parts: Int[np.ndarray, "objects points axes"]
) -> Int[np.ndarray, "objects points axes"]:
    """The points of each object in an order that is spread well for the object and for its class.

    Objects take turns; each takes the one of its points that herding would take. More than 2,000 points
    come in van der Corput order, which looks at the object alone.

    Args:
        axes: The axes of a grid.
        parts: Levels of the points of each object, shape ``[objects, points, axes]``.

    Returns:
        The same points of each object in order, shape ``[objects, points, axes]``.
    """
    n_objects, n_points, n_axes = parts.shape
    if n_objects * n_points > LARGEST_CLASS:
        return parts[:, van_der_corput_order(n_points)]
    levels = parts.reshape(-1, n_axes)
    order = _herded(_similarities(axes, levels), _typicality(axes, levels), n_objects)
    return np.stack([own[rows] for own, rows in zip(parts, order, strict=True)])


def _herded(
    alike: Float[np.ndarray, "all all"], typical: Float[np.ndarray, " all"], n_objects: int
) -> Int[np.ndarray, "objects points"]:
    n_points = len(alike) // n_objects
    own, joint = np.zeros(len(alike)), np.zeros(len(alike))
    order = np.zeros((n_objects, n_points), dtype=np.int64)
    for k in range(n_points):
        for number in range(n_objects):
            mine = slice(number * n_points, (number + 1) * n_points)
            class_share = CLASS_WEIGHT * joint[mine] / (k * n_objects + number + 1)
            gains = typical[mine] - (1.0 - CLASS_WEIGHT) * own[mine] / (k + 1) - class_share
            gains[order[number, :k]] = -np.inf
            order[number, k] = np.argmax(np.round(gains, 9))
            column = alike[number * n_points + order[number, k]]
            joint += column
            own[mine] += column[mine]
    return order


def _similarities(axes: tuple[Axis, ...], levels: Int[np.ndarray, "all axes"]) -> Float[np.ndarray, "all all"]:
    similarity = np.zeros((len(levels), len(levels)))
    for length in LENGTHS:
        kernels = level_kernels(Space(axes=axes), length)
        product = np.ones_like(similarity)
        for column, kernel in enumerate(kernels):
            product *= kernel[np.ix_(levels[:, column], levels[:, column])]
        similarity += product / len(LENGTHS)
    return similarity


def _typicality(axes: tuple[Axis, ...], levels: Int[np.ndarray, "all axes"]) -> Float[np.ndarray, " all"]:
    """Mean similarity of each point to all views of the grid."""
    typical = np.zeros(len(levels))
    for length in LENGTHS:
        means = [kernel.mean(axis=1) for kernel in level_kernels(Space(axes=axes), length)]
        product = np.prod([mean[levels[:, column]] for column, mean in enumerate(means)], axis=0)
        typical += product / len(LENGTHS)
    return typical
