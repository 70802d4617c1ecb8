"""Orders of given points in which any first few are spread well."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from acqplan.space import Axis, Space
from acqplan.strategy.pairs import LENGTHS, level_kernels

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
