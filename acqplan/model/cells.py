"""Cells: neighbouring views taken together where a space has more of them than its kernel can tell apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from acqplan.space import Axis, Category, Space

LARGEST = 1000
"""Cells of a space; up to as many views each have their own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Views grouped by levels.

    Attributes:
        centres: Middle of each cell, shape ``[cells, axes]``.
        cell: Cell of each view, shape ``[views]``.
    """

    centres: Float[np.ndarray, "cells axes"]
    cell: Int[np.ndarray, " views"]


def cells_of(space: Space, lengths: tuple[float, ...], *, largest: int = LARGEST) -> Cells:
    """Group the views of a space into boxes that are small on the scale of the lengths.

    Levels are joined on the axis whose boxes are smallest in its length, until ``largest`` boxes are left;
    levels of a category only if nothing else is left to join.

    Args:
        space: A space whose levels ascend, without a circle that wraps within a box (see `from_first_levels`).
        lengths: Length of each axis.
        largest: Cells at most.
    """
    views = space.views()
    if len(views) <= largest:
        return Cells(centres=views, cell=np.arange(len(views)))
    levels = [np.unique(views[:, column], return_inverse=True) for column in range(len(space.axes))]
    counts = _counts(space.axes, [values for values, _ in levels], lengths, largest)
    boxes = [inverse * count // len(values) for (values, inverse), count in zip(levels, counts, strict=True)]
    _, cell = np.unique(np.ravel_multi_index(tuple(boxes), tuple(counts)), return_inverse=True)
    sizes = np.bincount(cell)
    sums = [np.bincount(cell, weights=views[:, column]) for column in range(len(space.axes))]
    return Cells(centres=np.stack(sums, axis=1) / sizes[:, None], cell=cell)


def _counts(
    axes: tuple[Axis, ...], values: list[Float[np.ndarray, " levels"]], lengths: tuple[float, ...], largest: int
) -> list[int]:
    """Boxes of each axis, their product at most ``largest``."""
    counts = [len(own) for own in values]
    spans = np.array([np.ptp(own) for own in values]) / np.array(lengths)
    while np.prod(counts, dtype=float) > largest:
        widths = [
            (count == 1, isinstance(axis, Category), span / count)
            for axis, span, count in zip(axes, spans, counts, strict=True)
        ]
        counts[widths.index(min(widths))] -= 1
    return counts
