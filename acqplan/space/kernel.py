"""Distances and similarities of views: circles wrap, and categories are either the same or not.

Both come from the levels of each axis: a squared distance is a sum over axes, a similarity a product. So a large grid
is computed from its axes, one column at a time, and never held as a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache, reduce
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from acqplan.space.axes import Axis, Circle, Interval
from acqplan.space.shots import Space

# Lengths over the scale of an axis: `Similarity` is a mean over them, as nobody knows yet how fast images change.
LENGTHS = (0.5, 1.0, 2.0)
# Views of which all pairs are held as a matrix.
LARGEST_MATRIX = 2000
# Views of a large table over which similarities are averaged.
SAMPLED_VIEWS = 1000
# Column of a matrix over all pairs of views, by the number of its view.
Columns = Callable[[int], Float[np.ndarray, " views"]]


def distances(
    space: Space, a: Float[np.ndarray, "left axes"], b: Float[np.ndarray, "right axes"]
) -> Float[np.ndarray, "left right"]:
    """Euclidean distance between views, each axis measured in its own scale.

    Args:
        space: The space whose axes say what wraps, and what counts as one unit.
        a: Coordinates, shape ``[left, axes]``.
        b: Coordinates, shape ``[right, axes]``.

    Returns:
        Distances without unit, shape ``[left, right]``.
    """
    units = space.scales
    squared = np.zeros((len(a), len(b)))
    for column, axis in enumerate(space.axes):
        squared += (axis.difference(a[:, None, column], b[None, :, column]) / units[column]) ** 2
    return np.sqrt(squared)


def nearest_views(space: Space, coordinates: Float[np.ndarray, "views axes"]) -> Float[np.ndarray, "views axes"]:
    """For each view the allowed one that is nearest, e.g. 40 for a reached azimuth of 40.3 degrees."""
    if space.is_grid:
        levels = space.levels(coordinates)
        return np.stack([axis.codes()[levels[:, column]] for column, axis in enumerate(space.axes)], axis=1)
    return space.views()[distances(space, coordinates, space.views()).argmin(axis=1)]


def diameter(space: Space) -> float:
    """Upper bound of the distance between two views, in scales, positive."""
    if space.table is None:
        spans = [axis.difference(axis.codes()[:, None], axis.codes()[None]).max() for axis in space.axes]
    else:  # the views of a table need not lie on the levels
        columns = space.table.T
        spans = [2 * axis.difference(own, own.min()).max() for axis, own in zip(space.axes, columns, strict=True)]
    return float(np.sqrt(np.sum((np.array(spans) / space.scales) ** 2))) or 1.0


def axis_similarity(axis: Axis, apart: Any, length: Any, *, library: Any = np) -> Any:
    """Similarity of levels of one axis, of numpy arrays or of torch tensors.

    Circles use the periodic kernel (MacKay 1998; its length is set so that it falls like a Gaussian of one length near
    zero), intervals a Matérn kernel of smoothness 5/2, categories ``exp(-1 / length)`` between different levels, which
    reaches every correlation from 0 to 1.

    Args:
        axis: The axis.
        apart: Differences between levels, in its unit, not negative.
        length: Over which similarity falls, in its unit, positive.
        library: numpy or torch, whose ``exp`` and ``sin`` take ``apart``.

    Returns:
        Similarities in ``(0, 1]``, in the shape of ``apart``.
    """
    if isinstance(axis, Circle):
        chord = library.sin(math.pi * apart / axis.period) * axis.period / math.pi
        return library.exp(-0.5 * (chord / length) ** 2)
    if isinstance(axis, Interval):
        reach = math.sqrt(5.0) * apart / length
        return (1.0 + reach + reach**2 / 3.0) * library.exp(-reach)
    return library.exp(-apart / length)


def view_kernel(
    space: Space,
    a: Float[np.ndarray, "left axes"],
    b: Float[np.ndarray, "right axes"],
    *,
    scales: Float[np.ndarray, " axes"] | None = None,
) -> Float[np.ndarray, "left right"]:
    """Similarity of views in ``(0, 1]``: the product of `axis_similarity` over the axes, 1 for the same view.

    Args:
        space: The space whose axes say what wraps.
        a: Coordinates, shape ``[left, axes]``.
        b: Coordinates, shape ``[right, axes]``.
        scales: Length of each axis; by default its scale.

    Returns:
        Similarities, shape ``[left, right]``.
    """
    units = space.scales if scales is None else scales
    similarity = np.ones((len(a), len(b)))
    for column, axis in enumerate(space.axes):
        similarity *= axis_similarity(axis, axis.difference(a[:, None, column], b[None, :, column]), units[column])
    return similarity


def mixed_kernel(
    space: Space,
    a: Float[np.ndarray, "left axes"],
    b: Float[np.ndarray, "right axes"],
    *,
    scales: Float[np.ndarray, " axes"] | None = None,
) -> Float[np.ndarray, "left right"]:
    """`view_kernel` averaged over `LENGTHS` times the scales, shape ``[left, right]``."""
    units = space.scales if scales is None else scales
    return _mean([view_kernel(space, a, b, scales=units * length) for length in LENGTHS])


@lru_cache(maxsize=64)
def level_kernels(axes: tuple[Axis, ...], lengths: tuple[float, ...]) -> tuple[Float[np.ndarray, "levels levels"], ...]:
    """Similarity between the levels of each axis; the kernel of a grid is their product. Not to be written to."""
    lines = zip([Space(axes=(axis,)) for axis in axes], np.array(lengths)[:, None], strict=True)
    return tuple(view_kernel(line, line.views(), line.views(), scales=own) for line, own in lines)


class Similarity:
    """`mixed_kernel` of the views of a space, given by their numbers.

    All pairs are held as a matrix in a space of up to `LARGEST_MATRIX` views.

    Args:
        space: The space.
        lengths: Middle length of each axis in its unit; by default its scale.

    Attributes:
        levels: Similarities between the levels of each axis, one tuple for each of `LENGTHS`.
    """

    def __init__(self, space: Space, lengths: Sequence[float] | None = None) -> None:
        self._space, self._scales = space, space.scales if lengths is None else np.array(lengths)
        self.levels = [level_kernels(space.axes, tuple((self._scales * length).tolist())) for length in LENGTHS]

    def column(self, view: int) -> Float[np.ndarray, " views"]:
        """Similarity of every view to a given one, shape ``[views]``."""
        if self._space.n_views <= LARGEST_MATRIX:
            return self._matrix[view]
        if self._space.table is not None:
            return self.between(np.arange(self._space.n_views), np.array([view]))[:, 0]
        return _mean([_outer(np.multiply, _rows(tables, self._space, view)) for tables in self.levels])

    def between(self, a: Int[np.ndarray, " left"], b: Int[np.ndarray, " right"]) -> Float[np.ndarray, "left right"]:
        """Similarity of some views to others, by number, shape ``[left, right]``."""
        if self._space.table is not None:
            return mixed_kernel(self._space, self._space.table[a], self._space.table[b], scales=self._scales)
        left, right = (np.unravel_index(views, self._space.shape) for views in (a, b))
        pairs = [np.ix_(*places) for places in zip(left, right, strict=True)]
        factors = [[table[pair] for table, pair in zip(tables, pairs, strict=True)] for tables in self.levels]
        return _mean([reduce(np.multiply, own) for own in factors])

    def mean(self, views: Int[np.ndarray, " some"] | None = None) -> Float[np.ndarray, " some"]:
        """Mean similarity to all views of each view, or of some by number; in a table to at most `SAMPLED_VIEWS`."""
        if views is None and self._space.n_views <= LARGEST_MATRIX:
            return self._matrix.mean(axis=1)
        if self._space.table is None:
            means = [[table.mean(axis=1) for table in tables] for tables in self.levels]
            if views is None:
                return _mean([_outer(np.multiply, own) for own in means])
            levels = np.unravel_index(views, self._space.shape)
            return _mean([reduce(np.multiply, [of[at] for of, at in zip(own, levels, strict=True)]) for own in means])
        n_views = self._space.n_views
        some = np.linspace(0, n_views - 1, min(SAMPLED_VIEWS, n_views)).round().astype(np.int64)
        return self.between(np.arange(n_views) if views is None else views, some).mean(axis=1)

    @cached_property
    def _matrix(self) -> Float[np.ndarray, "views views"]:
        if self._space.table is None:
            return _grid_matrix(self._space.axes, tuple(self._scales.tolist()))
        return mixed_kernel(self._space, self._space.table, self._space.table, scales=self._scales)


def distance_columns(space: Space) -> Columns:
    """Distance of every view from a given one, in scales, shape ``[views]``."""
    views = space.views()
    if space.n_views <= LARGEST_MATRIX:
        matrix = _grid_matrix(space.axes) if space.table is None else distances(space, views, views)
        return matrix.__getitem__
    if space.table is not None:
        return lambda view: distances(space, views, views[view : view + 1])[:, 0]
    lines = [Space(axes=(axis,)) for axis in space.axes]
    squares = [distances(line, line.views(), line.views()) ** 2 for line in lines]
    return lambda view: np.sqrt(_outer(np.add, _rows(squares, space, view)))


@lru_cache(maxsize=8)
def _grid_matrix(axes: tuple[Axis, ...], scales: tuple[float, ...] | None = None) -> Float[np.ndarray, "views views"]:
    """Similarity of all pairs of views of a grid, or their distance without scales."""
    space = Space(axes=axes)
    views = space.views()
    matrix = mixed_kernel(space, views, views, scales=np.array(scales)) if scales else distances(space, views, views)
    matrix.flags.writeable = False
    return matrix


def _rows(tables: Sequence[Float[np.ndarray, "levels levels"]], space: Space, view: int) -> list[np.ndarray]:
    """Row of each axis' table for the level at which a view of a grid lies."""
    return [table[level] for table, level in zip(tables, np.unravel_index(view, space.shape), strict=True)]


def _outer(join: np.ufunc, parts: Sequence[Float[np.ndarray, " levels"]]) -> Float[np.ndarray, " views"]:
    """Join one number for each level of each axis to one for each view of the grid."""
    return reduce(lambda left, right: join.outer(left, right).ravel(), parts)


def _mean(parts: Sequence[Float[np.ndarray, "..."]]) -> Float[np.ndarray, "..."]:
    return sum(parts[1:], parts[0]) / len(parts)
