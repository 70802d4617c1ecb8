"""How far apart and how alike the views of a space are, column by column where a matrix would be too large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, reduce

import numpy as np
from jaxtyping import Float

from acqplan.space import Axis, Space
from acqplan.space.distance import distances, view_kernel

LENGTHS = (0.5, 1.0, 2.0)
"""Length scales in units of each axis' own; a mixture, because how fast images change is not known yet."""

LARGEST_MATRIX = 2000
SAMPLED_VIEWS = 1000

Columns = Callable[[int], Float[np.ndarray, " views"]]
"""From the number of a view to a number for each view of the space."""


def distance_columns(space: Space) -> Columns:
    """Distance of every view from a given one, in scales, shape ``[views]``."""
    if space.n_views <= LARGEST_MATRIX:
        return _rows_of(_distance_matrix(space))
    if space.table is not None:
        return _direct(space, distances)
    squares = [distances(one, one.views(), one.views()) ** 2 for one in _axis_by_axis(space)]
    return lambda view: np.sqrt(_spread(np.add, _at(squares, space, view)))


def kernel_columns(space: Space) -> Columns:
    """Similarity of every view to a given one, the mean over `LENGTHS`, shape ``[views]``."""
    if space.n_views <= LARGEST_MATRIX:
        return _rows_of(_kernel_matrix(space))
    if space.table is not None:
        return _direct(space, mixed_kernel)
    kernels = [level_kernels(space, length) for length in LENGTHS]
    return lambda view: _mean([_spread(np.multiply, _at(factors, space, view)) for factors in kernels])


def kernel_mean(space: Space) -> Float[np.ndarray, " views"]:
    """Mean similarity of each view to all views (to a thousand of them in a large table), shape ``[views]``."""
    if space.n_views <= LARGEST_MATRIX:
        return _kernel_matrix(space).mean(axis=1)
    if space.table is None:
        kernels = [level_kernels(space, length) for length in LENGTHS]
        return _mean([_spread(np.multiply, [factor.mean(axis=1) for factor in factors]) for factors in kernels])
    some = np.linspace(0, space.n_views - 1, SAMPLED_VIEWS).round().astype(np.int64)
    return mixed_kernel(space, space.table, space.table[some]).mean(axis=1)


def mixed_kernel(
    space: Space, a: Float[np.ndarray, "left axes"], b: Float[np.ndarray, "right axes"]
) -> Float[np.ndarray, "left right"]:
    """`view_kernel` averaged over `LENGTHS`, shape ``[left, right]``."""
    return _mean([view_kernel(space, a, b, scales=space.scales * length) for length in LENGTHS])


def level_kernels(space: Space, length: float) -> list[Float[np.ndarray, "levels levels"]]:
    """Similarity between the levels of each axis at one length scale; the kernel of a grid is their product."""
    return [view_kernel(one, one.views(), one.views(), scales=one.scales * length) for one in _axis_by_axis(space)]


def diameter(space: Space) -> float:
    """Upper bound of the distance between two views, in scales, positive."""
    views = space.views()
    spans = [axis.difference(axis.codes()[:, None], axis.codes()[None]).max() for axis in space.axes]
    if space.table is not None:  # a table need not lie on the levels
        spans = [
            axis.difference(views[:, column], views[:, column].min()).max() * 2
            for column, axis in enumerate(space.axes)
        ]
    return float(np.sqrt(np.sum((np.array(spans) / space.scales) ** 2))) or 1.0


def _axis_by_axis(space: Space) -> list[Space]:
    return [Space(axes=(axis,)) for axis in space.axes]


def _distance_matrix(space: Space) -> Float[np.ndarray, "views views"]:
    return distances(space, space.views(), space.views()) if space.table is not None else _grid_distances(space.axes)


def _kernel_matrix(space: Space) -> Float[np.ndarray, "views views"]:
    return mixed_kernel(space, space.views(), space.views()) if space.table is not None else _grid_kernel(space.axes)


@lru_cache(maxsize=4)
def _grid_distances(axes: tuple[Axis, ...]) -> Float[np.ndarray, "views views"]:
    space = Space(axes=axes)
    return _frozen(distances(space, space.views(), space.views()))


@lru_cache(maxsize=4)
def _grid_kernel(axes: tuple[Axis, ...]) -> Float[np.ndarray, "views views"]:
    space = Space(axes=axes)
    return _frozen(mixed_kernel(space, space.views(), space.views()))


def _frozen(matrix: Float[np.ndarray, "views views"]) -> Float[np.ndarray, "views views"]:
    matrix.flags.writeable = False
    return matrix


def _rows_of(matrix: Float[np.ndarray, "views views"]) -> Columns:
    return lambda view: matrix[view]


def _direct(space: Space, measure: Callable[..., Float[np.ndarray, "left right"]]) -> Columns:
    views = space.views()
    return lambda view: measure(space, views, views[view : view + 1])[:, 0]


def _at(
    tables: Sequence[Float[np.ndarray, "levels levels"]], space: Space, view: int
) -> list[Float[np.ndarray, " levels"]]:
    return [table[level] for table, level in zip(tables, np.unravel_index(view, space.shape), strict=True)]


def _spread(join: np.ufunc, parts: Sequence[Float[np.ndarray, " levels"]]) -> Float[np.ndarray, " views"]:
    """Join one number for each level of each axis to one for each view of the grid."""
    return reduce(lambda left, right: join.outer(left, right).ravel(), parts)


def _mean(parts: Sequence[Float[np.ndarray, "..."]]) -> Float[np.ndarray, "..."]:
    return sum(parts[1:], parts[0]) / len(parts)
