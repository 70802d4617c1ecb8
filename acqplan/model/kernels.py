"""The covariance of shots: what all have in common, what a class shares, and what is an object's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Float

from acqplan.errors import UsageError
from acqplan.space import Axis, Category, Shots, Space
from acqplan.space.distance import view_kernel

NEW_OBJECT = -1.0
"""Number of an object that is like no other, not even like itself: the mean of its class."""

LARGEST_MATRIX = 2000
SAMPLED_VIEWS = 200

HARDLY, A_LITTLE = 0.8, 0.5
"""Similarities above which the least alike levels of an axis count as hardly, or as a little, different."""

CATEGORY_LENGTH = 3.0
"""Length assumed of a category: its levels correlate 0.72."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotKernel:
    """Covariance ``common·k + [same class]·shared·k + [same object]·(offset + deviation·k)``, and noise.

    ``k`` is the similarity of views, `acqplan.space.distance.view_kernel`: a product over axes, periodic on
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
        return lambda view: _spread(_rows(factors, space, view)), _spread([one.mean(axis=1) for one in factors])
    views = space.table
    some = np.linspace(0, len(views) - 1, min(SAMPLED_VIEWS, len(views))).round().astype(np.int64)
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


def _spread(parts: list[Float[np.ndarray, " levels"]]) -> Float[np.ndarray, " views"]:
    return reduce(lambda left, right: np.multiply.outer(left, right).ravel(), parts)
