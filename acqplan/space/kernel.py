"""Distances between views, where circles wrap and categories are either the same or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np
from jaxtyping import Float

from acqplan.errors import UsageError
from acqplan.space import Axis, Category, Shots, Space


def distances(
    space: Space,
    a: Float[np.ndarray, "left axes"],
    b: Float[np.ndarray, "right axes"],
    *,
    scales: Float[np.ndarray, " axes"] | None = None,
) -> Float[np.ndarray, "left right"]:
    """Euclidean distance between views, each axis measured in its own scale.

    Args:
        space: The space whose axes say what wraps.
        a: Coordinates, shape ``[left, axes]``.
        b: Coordinates, shape ``[right, axes]``.
        scales: What counts as one unit along each axis; by default 30 degrees of angle, one change
            of category, or a quarter of the range of another unit.

    Returns:
        Distances without unit, shape ``[left, right]``.
    """
    units = space.scales if scales is None else scales
    squared = np.zeros((len(a), len(b)))
    for column, axis in enumerate(space.axes):
        squared += (axis.difference(a[:, None, column], b[None, :, column]) / units[column]) ** 2
    return np.sqrt(squared)


def covering_radius(
    space: Space,
    chosen: Float[np.ndarray, "chosen axes"],
    *,
    scales: Float[np.ndarray, " axes"] | None = None,
) -> float:
    """Distance from the worst-placed view of the space to the nearest chosen one; less is better."""
    return float(distances(space, space.views(), chosen, scales=scales).min(axis=1).max())


def nearest_views(space: Space, coordinates: Float[np.ndarray, "views axes"]) -> Float[np.ndarray, "views axes"]:
    """For each view the allowed one that is nearest, e.g. 40 for a reached azimuth of 40.3 degrees."""
    if space.is_grid:
        levels = space.levels(coordinates)
        return np.stack([axis.codes()[levels[:, column]] for column, axis in enumerate(space.axes)], axis=1)
    return space.views()[distances(space, coordinates, space.views()).argmin(axis=1)]


def view_kernel(
    space: Space,
    a: Float[np.ndarray, "left axes"],
    b: Float[np.ndarray, "right axes"],
    *,
    scales: Float[np.ndarray, " axes"] | None = None,
) -> Float[np.ndarray, "left right"]:
    """Similarity of views in ``(0, 1]``: a product over axes, 1 for the same view.

    Circles use the periodic kernel (MacKay 1998; its length is set so that it falls like a Gaussian
    of one scale near zero), intervals a Matérn kernel of smoothness 5/2, categories ``exp(-1/scale)``
    between different levels.

    Returns:
        Similarities, shape ``[left, right]``.
    """
    units = space.scales if scales is None else scales
    similarity = np.ones((len(a), len(b)))
    for column, axis in enumerate(space.axes):
        apart = axis.difference(a[:, None, column], b[None, :, column])
        similarity *= AXIS_KERNELS[axis.kind](apart, units[column], getattr(axis, "period", 0.0))
    return similarity


def _periodic(apart: Float[np.ndarray, "..."], scale: float, period: float) -> Float[np.ndarray, "..."]:
    chord = np.sin(np.pi * apart / period) * period / np.pi
    return np.exp(-0.5 * (chord / scale) ** 2)


def _matern(apart: Float[np.ndarray, "..."], scale: float, _: float) -> Float[np.ndarray, "..."]:
    reach = np.sqrt(5.0) * apart / scale
    return (1.0 + reach + reach**2 / 3.0) * np.exp(-reach)


def _categorical(apart: Float[np.ndarray, "..."], scale: float, _: float) -> Float[np.ndarray, "..."]:
    return np.exp(-apart / scale)


AXIS_KERNELS = {"circle": _periodic, "interval": _matern, "category": _categorical}


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


NEW_OBJECT = -1.0
"""Number of an object that is like no other, not even like itself: the mean of its class."""

SAMPLED_VIEWS_KERNELS = 200

HARDLY, A_LITTLE = 0.8, 0.5
"""Similarities above which the least alike levels of an axis count as hardly, or as a little, different."""

CATEGORY_LENGTH = 3.0
"""Length assumed of a category: its levels correlate 0.72."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotKernel:
    """Covariance ``common·k + [same class]·shared·k + [same object]·(offset + deviation·k)``, and noise.

    ``k`` is the similarity of views, `acqplan.space.kernel.view_kernel`: a product over axes, periodic on
    circles (``exp(-2 sin²(π d / period) / ℓ²)``, reported as the length ``ℓ·period / 2π`` in degrees), Matérn 5/2
    on intervals, ``exp(-1 / length)`` between the levels of a category, which reaches every correlation from 0 to 1.

    Attributes:
        lengths: Length of each axis, in its unit; of a category without unit. Positive.
        common: Variance of what all classes share, a function of the view.
        shared: Variance of what the objects of a class share, a function of the view.
        offset: Variance of what tells an object from its class in every view.
        deviation: Variance of what tells it in one view and not in another.
        noise: Variance of a single shot, positive.

    Raises:
        UsageError: If a length or the noise is not positive, or a variance is negative or not finite.
    """

    lengths: tuple[float, ...]
    common: float = 0.1
    shared: float = 0.45
    offset: float = 0.2
    deviation: float = 0.2
    noise: float = 0.05

    def __post_init__(self) -> None:
        variances = (self.common, self.shared, self.offset, self.deviation)
        if not all(math.isfinite(value) and value >= 0.0 for value in variances):
            raise UsageError(f"variances {variances} of a kernel", "give numbers from 0 on")
        if not all(math.isfinite(value) and value > 0.0 for value in (self.noise, *self.lengths)):
            raise UsageError(f"noise {self.noise} and lengths {self.lengths} of a kernel", "give positive numbers")

    @classmethod
    def default(cls, space: Space) -> ShotKernel:
        """What is assumed before anything is known: one scale of an axis, and categories that change little.

        Near to what fits to rendered meshes (gradient histograms, MobileNetV2) and photographs (ETH-80) find.
        """
        return cls(lengths=tuple(CATEGORY_LENGTH if isinstance(axis, Category) else axis.scale for axis in space.axes))


def points_of(shots: Shots) -> Float[np.ndarray, "shots columns"]:
    """Class number, object number and coordinates of each shot, shape ``[shots, 2 + axes]``."""
    return np.column_stack([shots.class_rows, shots.object_rows, shots.coordinates]).astype(np.float64)


def class_points(number: int, views: Float[np.ndarray, "views axes"]) -> Float[np.ndarray, "views columns"]:
    """The same for a new object of a class, so far as its class tells, shape ``[views, 2 + axes]``."""
    return np.column_stack([np.full(len(views), float(number)), np.full(len(views), NEW_OBJECT), views])


def covariance(
    space: Space,
    kernel: ShotKernel,
    a: Float[np.ndarray, "left columns"],
    b: Float[np.ndarray, "right columns"],
) -> Float[np.ndarray, "left right"]:
    """Covariance of points from `points_of` or `class_points`, without noise, shape ``[left, right]``."""
    alike = view_kernel(space, a[:, 2:], b[:, 2:], scales=np.array(kernel.lengths))
    same_class = a[:, None, 0] == b[None, :, 0]
    same_object = (a[:, None, 1] == b[None, :, 1]) & (a[:, None, 1] != NEW_OBJECT)
    levels = kernel.common + kernel.shared * same_class + kernel.deviation * same_object
    return levels * alike + kernel.offset * same_object


def view_columns(
    space: Space, lengths: tuple[float, ...]
) -> tuple[Callable[[int], Float[np.ndarray, " views"]], Float[np.ndarray, " views"]]:
    """Similarity of every view to one of a given number, and the mean of these over all views.

    A large grid is multiplied from its axes and never held as a matrix; of a large table the mean is over
    `SAMPLED_VIEWS` of its views.

    Returns:
        The function, and the means, shape ``[views]``.
    """
    scales = np.array(lengths)
    if space.n_views <= LARGEST_MATRIX:
        matrix = view_kernel(space, space.views(), space.views(), scales=scales)
        return matrix.__getitem__, matrix.mean(axis=1)
    if space.table is None:
        factors = [_axis_kernel(axis, length) for axis, length in zip(space.axes, lengths, strict=True)]
        return lambda view: _outer(_rows(factors, space, view)), _outer([one.mean(axis=1) for one in factors])
    views = space.table
    some = np.linspace(0, len(views) - 1, min(SAMPLED_VIEWS_KERNELS, len(views))).round().astype(np.int64)
    mean = np.zeros(len(views))
    for row in some:
        mean += view_kernel(space, views, views[row : row + 1], scales=scales)[:, 0] / len(some)
    return lambda view: view_kernel(space, views, views[view : view + 1], scales=scales)[:, 0], mean


def describe(space: Space, kernel: ShotKernel) -> str:
    """In words, e.g. ``azimuth changes the picture within 25°, lighting hardly at all``."""
    return ", ".join(
        f"{axis.name} {_reach(axis, length, first=not place)}"
        for place, (axis, length) in enumerate(zip(space.axes, kernel.lengths, strict=True))
    )


def _reach(axis: Axis, length: float, *, first: bool) -> str:
    start = "changes the picture " if first else ""
    alike = _least_alike(axis, length)
    if alike > HARDLY:
        return f"{start}hardly at all"
    if isinstance(axis, Category):
        return start + ("a little" if alike > A_LITTLE else "much")
    unit = "°" if axis.unit == "deg" else f" {axis.unit}".rstrip()
    return f"{start}within {round(length) if length >= 10 else round(length, 1):g}{unit}"


def _least_alike(axis: Axis, length: float) -> float:
    """Similarity of the lowest level to the one that is least like it."""
    one, levels = Space(axes=(axis,)), np.sort(axis.codes())[:, None]
    return float(view_kernel(one, levels[:1], levels, scales=np.array([length])).min())


def _axis_kernel(axis: Axis, length: float) -> Float[np.ndarray, "levels levels"]:
    one = Space(axes=(axis,))
    return view_kernel(one, one.views(), one.views(), scales=np.array([length]))


def _rows(
    factors: list[Float[np.ndarray, "levels levels"]], space: Space, view: int
) -> list[Float[np.ndarray, " levels"]]:
    return [table[level] for table, level in zip(factors, np.unravel_index(view, space.shape), strict=True)]


def _outer(parts: list[Float[np.ndarray, " levels"]]) -> Float[np.ndarray, " views"]:
    return reduce(lambda left, right: np.multiply.outer(left, right).ravel(), parts)
