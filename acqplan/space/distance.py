"""Distances between views, where circles wrap and categories are either the same or not."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from acqplan.space.space import Space


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
